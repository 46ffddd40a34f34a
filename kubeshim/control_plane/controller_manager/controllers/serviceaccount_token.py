"""Secrets of type ``kubernetes.io/service-account-token`` hold a token of the service account they name, for ever.

Nobody gets such a Secret unasked any more; who makes one finds it filled. It goes with its account: one of the same
name that is made later has another uid, and no right to it.
"""

import base64
import logging
from typing import Any

from kubeshim.client import kinds
from kubeshim.control_plane.controller_manager import controller, indexes
from kubeshim.machinery import errors, jwt, legacy_tokens, objects
from kubeshim.machinery.objects import Object

_log = logging.getLogger(__name__)


class ServiceAccountTokenController(controller.Controller):
    name = "serviceaccount-token"

    def register(self) -> None:
        options = self.context.options
        self._root_ca = options.root_ca
        if not options.service_account_private_key:
            return
        self._key = jwt.load_private_key(options.service_account_private_key)
        self._secrets = indexes.by_namespace(
            self.own_informer(kinds.SECRETS, namespace="", field_selector=f"type={legacy_tokens.SECRET_TYPE}")
        )
        self._secrets.add_handler(added=self._seen, updated=lambda _, new: self._seen(new))
        self._accounts = self.informer(kinds.SERVICE_ACCOUNTS)
        self._accounts.add_handler(
            added=self._account_changed, updated=lambda _, new: self._account_changed(new),
            deleted=self._account_changed,
        )  # fmt: skip

    def _seen(self, secret: Object) -> None:
        if secret.get("type") == legacy_tokens.SECRET_TYPE:
            self.enqueue(secret)

    def _account_changed(self, account: Object) -> None:
        for secret in self._secrets.by_index("namespace", objects.namespace(account)):
            if objects.annotations(secret).get(legacy_tokens.ACCOUNT_NAME) == objects.name(account):
                self._seen(secret)

    def sync(self, key: str) -> None:
        secret = self._secrets.get(key)
        if secret is None or objects.is_deleting(secret):
            return
        account = self._account(secret)
        try:
            if account is None:
                self._delete(secret)
            elif (filled := self._filled(secret, account)) != secret:
                self.client.update(kinds.SECRETS, filled)
        except errors.NotFound:
            _log.debug("secret %s is gone", key)

    def _account(self, secret: Object) -> Object | None:
        """The account the Secret is of.

        The server is asked before it is said not to be there, and before a Secret becomes the token of a namesake that
        is gone, which the cache may still hold.
        """
        name, uid = (
            objects.annotations(secret).get(key, "") for key in (legacy_tokens.ACCOUNT_NAME, legacy_tokens.ACCOUNT_UID)
        )
        found = self._accounts.get(f"{objects.namespace(secret)}/{name}")
        if found is None or objects.uid(found) != uid:
            try:
                found = self.client.get(kinds.SERVICE_ACCOUNTS, name, objects.namespace(secret))
            except errors.NotFound:
                return None
        return found if not uid or objects.uid(found) == uid else None

    def _delete(self, secret: Object) -> None:
        preconditions = {"uid": objects.uid(secret), "resourceVersion": objects.resource_version(secret)}
        self.client.delete(
            kinds.SECRETS, objects.name(secret), objects.namespace(secret), options={"preconditions": preconditions}
        )

    def _filled(self, secret: Object, account: Object) -> Object:
        data = dict(secret.get("data") or {})
        if self._root_ca:
            data["ca.crt"] = _encoded(self._root_ca)
        data["namespace"] = _encoded(objects.namespace(secret).encode())
        if not data.get("token"):
            data["token"] = _encoded(jwt.sign(claims(secret, account), self._key).encode())
        annotations = {
            **objects.annotations(secret),
            legacy_tokens.ACCOUNT_NAME: objects.name(account),
            legacy_tokens.ACCOUNT_UID: objects.uid(account),
        }
        return {**secret, "data": data, "metadata": {**secret["metadata"], "annotations": annotations}}


def claims(secret: Object, account: Object) -> dict[str, Any]:
    """What a token that never expires says."""
    namespace, name = objects.namespace(account), objects.name(account)
    return {
        "iss": legacy_tokens.ISSUER,
        f"{legacy_tokens.CLAIM}namespace": namespace,
        f"{legacy_tokens.CLAIM}secret.name": objects.name(secret),
        f"{legacy_tokens.CLAIM}service-account.name": name,
        f"{legacy_tokens.CLAIM}service-account.uid": objects.uid(account),
        "sub": f"system:serviceaccount:{namespace}:{name}",
    }


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()
