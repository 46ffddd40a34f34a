"""Takes tokens kept in Secrets out of use that nobody asked for and nobody uses: invalid first, gone a period later.

Meant are the tokens that once came with every service account: it lists their Secret. One is unused when the API server
has not seen it for a whole clean-up period, of which it has kept a record all the time, and no pod names it. Once a day
everything is asked of the server: there is nothing to remember in between.
Source: KEP-2799.
"""

import datetime
import logging

from kubeshim import clock
from kubeshim.client import kinds
from kubeshim.control_plane.controller_manager import controller
from kubeshim.machinery import errors, legacy_tokens, objects, pod_references
from kubeshim.machinery.objects import Object

_log = logging.getLogger(__name__)

SYNC_INTERVAL = 24 * 3600.0


class LegacyTokenCleanerController(controller.Controller):
    """Its only key is ``day``."""

    name = "legacy-serviceaccount-token-cleaner"
    workers = 1

    def register(self) -> None:
        self.queue.add("day")

    def sync(self, key: str) -> float:
        period = datetime.timedelta(seconds=self.context.options.legacy_service_account_token_clean_up_period)
        now = self.clock.now().astimezone(datetime.UTC)
        if self._recorded_since(now - period):
            for secret in self.client.pages(kinds.SECRETS, field_selector=f"type={legacy_tokens.SECRET_TYPE}"):
                try:
                    self._judge(secret, now, now - period)
                except (errors.NotFound, errors.Conflict) as error:
                    _log.info("secret %s: %s", objects.key(secret), error)  # it changed: tomorrow again
        return SYNC_INTERVAL

    def _recorded_since(self, moment: datetime.datetime) -> bool:
        """Whether the API server has written down every use since ``moment``."""
        try:
            found = self.client.get(kinds.CONFIG_MAPS, legacy_tokens.TRACKING, "kube-system")
        except errors.NotFound:
            return False
        began = date(objects.dig(found, "data", "since", default=""))
        return began is not None and began < moment.date()

    def _judge(self, secret: Object, now: datetime.datetime, unused_since: datetime.datetime) -> None:
        if not is_unused(secret, unused_since) or not self._is_generated(secret) or self._is_named_by_a_pod(secret):
            return
        namespace, name = objects.namespace(secret), objects.name(secret)
        invalid_since = date(objects.labels(secret).get(legacy_tokens.INVALID_SINCE, ""))
        if invalid_since is None:
            marks: Object = {"uid": objects.uid(secret), "labels": {legacy_tokens.INVALID_SINCE: str(now.date())}}
            marks["resourceVersion"] = objects.resource_version(secret)  # not if it was used just now
            self.client.patch(kinds.SECRETS, name, {"metadata": marks}, namespace)
        elif invalid_since < unused_since.date():
            options = {"preconditions": {"resourceVersion": objects.resource_version(secret)}}
            self.client.delete(kinds.SECRETS, name, namespace, options=options)

    def _is_generated(self, secret: Object) -> bool:
        """Whether its service account lists it, as only the accounts of old do."""
        annotations = objects.annotations(secret)
        name, uid = annotations.get(legacy_tokens.ACCOUNT_NAME), annotations.get(legacy_tokens.ACCOUNT_UID)
        if not name:
            return False
        try:
            account = self.client.get(kinds.SERVICE_ACCOUNTS, name, objects.namespace(secret))
        except errors.NotFound:
            return False
        listed = (reference.get("name") for reference in account.get("secrets") or ())
        return uid in (None, "", objects.uid(account)) and objects.name(secret) in listed

    def _is_named_by_a_pod(self, secret: Object) -> bool:
        reference = ("secrets", objects.namespace(secret), objects.name(secret))
        pods = self.client.pages(kinds.PODS, objects.namespace(secret))
        return any(reference in pod_references.of_pod(pod) for pod in pods)


def is_unused(secret: Object, since: datetime.datetime) -> bool:
    """Whether it was there at ``since`` and has not been used from that day on; False for a date nobody can read."""
    if objects.is_deleting(secret) or clock.parse_rfc3339(secret["metadata"]["creationTimestamp"]) >= since:
        return False
    label = objects.labels(secret).get(legacy_tokens.LAST_USED)
    if label is None:
        return True
    used = date(label)
    return used is not None and used < since.date()


def date(text: str) -> datetime.date | None:
    """The day that a label names, as ``2026-01-31``."""
    try:
        return datetime.datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError:
        return None
