"""What has a scale: the types of a kind, and the scale of an object of any of them.

Which types there are is asked of discovery, again where a kind is not known, but not more often than ``LEAST_AGE``.
"""

import re
import threading

from kubeshim import clock
from kubeshim.client import discovery, rest
from kubeshim.machinery import errors
from kubeshim.machinery.objects import Object
from kubeshim.machinery.resources import GroupVersionResource

LEAST_AGE, MOST_AGE = 5.0, 300.0
_FAILURES = {
    404: "the server could not find the requested resource",
    503: "the server is currently unable to handle the request",
}
_GROUP_VERSION = re.compile(r"^[^/]*(/[^/]*)?$")


class NotUnderstood(Exception):
    """The reference names nothing that there is; the message says why."""


def group_of(api_version: str) -> str:
    """Raises ``NotUnderstood``."""
    if _GROUP_VERSION.match(api_version) is None:
        raise NotUnderstood(f"unexpected GroupVersion string: {api_version}")
    group, slash, _ = api_version.partition("/")
    return group if slash else ""


def words(error: Exception, asked: str) -> str:
    """The error's text; ``asked`` (``get pods.metrics.k8s.io``) is told where the server's answer was no Status."""
    if isinstance(error, errors.APIStatusError) and not error.status_reason and error.status_code in _FAILURES:
        return f"{_FAILURES[error.status_code]} ({asked})"
    return str(error)


class Targets:
    """Safe to share between threads."""

    def __init__(self, client: rest.Client, time_source: clock.Clock) -> None:
        self._client, self._clock = client, time_source
        self._lock = threading.Lock()
        self._types: tuple[discovery.Type, ...] = ()
        self._asked: float | None = None

    def types(self, group: str, kind: str) -> list[GroupVersionResource]:
        """The types of the kind, one of each name, in the version to prefer. Raises ``NotUnderstood``."""
        with self._lock:
            if self._asked is None or self._clock.monotonic() - self._asked > MOST_AGE:
                self._ask()
            found = self._matching(group, kind)
            if not found and self._asked is not None and self._clock.monotonic() - self._asked > LEAST_AGE:
                self._ask()
                found = self._matching(group, kind)
        if not found:
            raise NotUnderstood(f'no matches for kind "{kind}" in group "{group}"')
        return found

    def scale(
        self, types: list[GroupVersionResource], namespace: str, name: str
    ) -> tuple[GroupVersionResource, Object]:
        """The first type that has such an object, and its scale. Raises what the first one answered."""
        first: errors.APIStatusError | None = None
        for gvr in types:
            try:
                return gvr, self._client.get(gvr, name, namespace, subresource="scale")
            except errors.APIStatusError as error:
                first = first or error
        assert first is not None, "a kind has at least one type"
        raise first

    def _matching(self, group: str, kind: str) -> list[GroupVersionResource]:
        return [one.gvr for one in self._types if (one.gvr.group, one.kind) == (group, kind) and one.preferred]

    def _ask(self) -> None:
        self._types = discovery.discover(self._client).types
        self._asked = self._clock.monotonic()
