"""Service accounts' tokens for pods: asked of the API bound to the pod, kept, and renewed in time."""

import threading

from kubeshim import clock
from kubeshim.client import kinds
from kubeshim.machinery import errors, objects
from kubeshim.machinery.objects import Object
from kubeshim.node.kubelet import seams
from kubeshim.node.kubelet.volumes import volume

_RENEW_AT = 0.8
"""Part of a token's life after which a new one is asked for."""
_RENEW_LATEST = 24 * 3600.0
_RETRY = 10.0


class Tokens:
    """One node's tokens. Safe from any thread."""

    def __init__(self, api: seams.Api, time_source: clock.Clock) -> None:
        self._api = api
        self._clock = time_source
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, str, str, int], tuple[volume.Token, float]] = {}

    def get(self, pod: Object, audience: str, seconds: int) -> volume.Token:
        """Raises ``volume.VolumeProblem`` where there is no valid token to be had."""
        account = objects.dig(pod, "spec", "serviceAccountName", default="default")
        key = objects.uid(pod), account, audience, seconds
        now = self._clock.now().timestamp()
        with self._lock:
            kept = self._kept.get(key)
        if kept is not None and now < kept[0].refresh_at:
            return kept[0]
        try:
            token, expires = self._request(pod, account, audience, seconds, now)
        except (errors.APIStatusError, OSError) as error:
            if kept is not None and now < kept[1]:
                return volume.Token(kept[0].text, now + _RETRY)
            raise volume.VolumeProblem(f"failed to fetch token: {error}") from error
        with self._lock:
            self._kept[key] = token, expires
        return token

    def forget(self, uid: str) -> None:
        with self._lock:
            for key in [key for key in self._kept if key[0] == uid]:
                del self._kept[key]

    def _request(
        self, pod: Object, account: str, audience: str, seconds: int, now: float
    ) -> tuple[volume.Token, float]:
        bound = {"apiVersion": "v1", "kind": "Pod", "name": objects.name(pod), "uid": objects.uid(pod)}
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {
                "audiences": [audience] if audience else [],
                "expirationSeconds": seconds,
                "boundObjectRef": bound,
            },
        }
        answer = self._api.create(
            kinds.SERVICE_ACCOUNTS, request, objects.namespace(pod), name=account, subresource="token"
        )
        status = answer["status"]
        expires = clock.parse_rfc3339(status["expirationTimestamp"]).timestamp()
        refresh = min(now + (expires - now) * _RENEW_AT, now + _RENEW_LATEST)
        return volume.Token(status["token"], refresh), expires
