"""serviceaccounts/token: a signed token for a service account, bound to an object and to a time."""

import datetime
import functools
import pathlib
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric import rsa

from kubeshim import clock
from kubeshim.control_plane.api_server import request
from kubeshim.control_plane.api_server.authentication import service_accounts
from kubeshim.control_plane.api_server.subresources import call
from kubeshim.machinery import errors, jwt, objects, resources
from kubeshim.machinery.validation import fields

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers

_REQUEST = resources.GroupVersionKind("authentication.k8s.io", "v1", "TokenRequest")
_DEFAULT_SECONDS = 3600
_LEAST_SECONDS = 600
_MOST_SECONDS = 1 << 32
WARN_AFTER_SECONDS = 3607
"""The odd lifetime the ServiceAccount admission plugin asks for: such a token lives a year, but warns after this."""
_EXTENDED_SECONDS = 365 * 24 * 3600
_WEBHOOKS = ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration")


class Token:
    def handle(self, asked: request.Request, server: "servers.Server") -> request.Response:
        if not server.config.service_account_key:
            raise errors.NotFound("the server could not find the requested resource", details={})
        op, wanted = call.created(asked, server, _REQUEST, keep_identity=True)
        metadata, name = wanted["metadata"], objects.name(wanted)
        if name and name != op.name:
            found = fields.invalid("metadata.name", name, "must match the service account name if specified")
            raise errors.invalid(_REQUEST.group, _REQUEST.kind, op.name, [found])
        account = server.storage.reader.get(service_accounts.ACCOUNTS, op.namespace, op.name)
        if account is None:
            raise errors.not_found("", "serviceaccounts", op.name)
        uid = objects.uid(account)
        if metadata.setdefault("uid", uid) != uid:
            asked_for = f"the UID in the token request ({metadata['uid']})"
            why = f"{asked_for} does not match the UID of the service account ({uid})"
            raise errors.conflict(_REQUEST.group, _REQUEST.kind, op.name, why)
        metadata |= {"name": op.name, "creationTimestamp": clock.rfc3339(server.clock.now())}
        spec = wanted.setdefault("spec", {})
        _validate(spec)
        pod, secret, node = _bound(server, op.namespace, op.name, spec.get("boundObjectRef"))
        spec["audiences"] = spec.get("audiences") or list(server.authenticators.audiences)
        seconds = spec["expirationSeconds"]
        lives, warns = seconds, 0
        if seconds == WARN_AFTER_SECONDS and pod is not None and _is_ours(server, spec["audiences"]):
            lives, warns = _EXTENDED_SECONDS, WARN_AFTER_SECONDS
        claims = service_accounts.claims(
            account, issuer=server.config.token_issuer, audiences=spec["audiences"], now=server.clock.now(),
            seconds=lives, pod=pod, secret=secret, node=node, warn_after=warns,
        )  # fmt: skip
        key = _signing_key(server.config.service_account_key)
        signed = server.in_thread(jwt.sign, claims, key)
        shown = clock.rfc3339(datetime.datetime.fromtimestamp(claims["iat"] + seconds, datetime.UTC))
        return call.answer(asked, {**wanted, "status": {"token": signed, "expirationTimestamp": shown}})


@functools.lru_cache(maxsize=4)
def _signing_key(path: str) -> rsa.RSAPrivateKey:
    return jwt.load_private_key(pathlib.Path(path).read_bytes())


def _is_ours(server: "servers.Server", audiences: list[str]) -> bool:
    """Only tokens for the API server are prolonged."""
    return set(audiences) <= set(server.authenticators.audiences)


def _validate(spec: objects.Object) -> None:
    seconds = spec.get("expirationSeconds")
    if seconds is None:
        seconds = spec["expirationSeconds"] = _DEFAULT_SECONDS
    problem = ""
    if seconds < _LEAST_SECONDS:
        problem = "may not specify a duration less than 10 minutes"
    elif seconds > _MOST_SECONDS:
        problem = "may not specify a duration larger than 2^32 seconds"
    if problem:
        found = errors.FieldError("spec.expirationSeconds", "FieldValueInvalid", f"Invalid value: {seconds}: {problem}")
        raise errors.invalid("authentication.k8s.io", "TokenRequest", "", [found])


def _bound(
    server: "servers.Server", namespace: str, account: str, reference: objects.Object | None
) -> tuple[objects.Object | None, objects.Object | None, objects.Object | None]:
    """(pod, secret, node) the token is bound to; a pod's token names the pod's node as well."""
    if not reference:
        return None, None, None
    group, version = resources.split_api_version(reference.get("apiVersion") or "")
    kind, name = reference.get("kind") or "", reference.get("name") or ""
    known = {
        "Pod": (service_accounts.PODS, namespace), "Secret": (service_accounts.SECRETS, namespace),
        "Node": (service_accounts.NODES, ""),
    }  # fmt: skip
    if group or kind not in known:
        text = f"cannot bind token to object of type {group}/{version}, Kind={kind}"
        if (group, version) == ("admissionregistration.k8s.io", "v1") and kind in _WEBHOOKS:
            text += " (feature gate APIServerWebhookAuthenticationToken is disabled)"
        raise errors.BadRequest(text)
    gvr, space = known[kind]
    found = server.storage.reader.get(gvr, space, name)
    if found is None:
        raise errors.not_found("", gvr.resource, name)
    if kind == "Pod" and objects.dig(found, "spec", "serviceAccountName", default="") != account:
        raise errors.BadRequest(
            f'cannot bind token for serviceaccount "{account}" to pod running with different serviceaccount name.'
        )
    uid = reference.get("uid") or ""
    if uid and uid != objects.uid(found):
        raise errors.conflict(
            group, kind, name,
            f"the UID in the bound object reference ({uid}) does not match the UID in record. "
            "The object might have been deleted and then recreated",
        )  # fmt: skip
    if kind == "Pod":
        return found, None, _node_of(server, found)
    return (None, found, None) if kind == "Secret" else (None, None, found)


def _node_of(server: "servers.Server", pod: objects.Object) -> objects.Object | None:
    name = objects.dig(pod, "spec", "nodeName", default="")
    if not name:
        return None
    node = server.storage.reader.get(service_accounts.NODES, "", name)
    return node or {"metadata": {"name": name}}


TOKEN = Token()
