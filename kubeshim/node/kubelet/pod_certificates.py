"""Certificates of pods: asked for with a key made here, waited for, written down, renewed in time.

    nothing ──> asked ──> held ──> held, asked for the next
                  │        ▲               │
                  │        └───────────────┤
                  └──> refused <───────────┘

One such state for each ``podCertificate`` source of each pod. Nothing of it is on disk but what the pod itself sees: a
new process asks anew, for the old key cannot be told from one that somebody read. A request is answered by whoever
signs for its signer's name; an answer wakes the pod, which comes here again.
"""

import dataclasses
import random
import threading
from collections.abc import Callable

from kubeshim import clock
from kubeshim.client import informer, kinds, rest
from kubeshim.machinery import errors, objects
from kubeshim.machinery.objects import Object
from kubeshim.node.kubelet import pod_keys, seams
from kubeshim.node.kubelet.volumes import volume

_LOOK_AGAIN = 60.0
"""Seconds until a renewal that was asked for is looked at without having been answered."""
_JITTER = 300.0
"""Most seconds added to the time to renew, so that a node's pods do not all ask at once."""
_OVERDUE = 600.0
_NOT_YET = "credential bundle is not issued yet"

Key = tuple[str, str, int]
"""``(pod's uid, volume, source)``."""


@dataclasses.dataclass(slots=True)
class _Held:
    key: bytes
    chain: bytes
    renew_at: float
    ends_at: float
    told: set[str] = dataclasses.field(default_factory=set)


@dataclasses.dataclass(slots=True)
class _State:
    lock: threading.Lock = dataclasses.field(default_factory=threading.Lock)
    held: _Held | None = None
    asked: tuple[str, bytes] | None = None
    """The request's name and its private key."""
    refused: str = ""


class Certificates:
    """One node's. Safe from any thread. ``on_answer`` is called with a pod's uid."""

    def __init__(
        self,
        client: rest.Client,
        node: Callable[[], Object | None],
        node_name: str,
        recorder: seams.Recorder,
        time_source: clock.Clock,
        on_answer: Callable[[str], None],
    ) -> None:
        self._client, self._node, self._recorder, self._clock = client, node, recorder, time_source
        self._lock = threading.Lock()
        self._states: dict[Key, _State] = {}
        self._requests = informer.Informer(
            client, kinds.POD_CERTIFICATE_REQUESTS, field_selector=f"spec.nodeName={node_name}"
        )
        self._following = False
        self._on_answer = on_answer

    def get(self, pod: Object, name: str, index: int, source: Object) -> volume.Credentials:
        """Raises ``volume.VolumeProblem`` while there are none."""
        with self._lock:
            if not self._following:
                self._follow()
            state = self._states.setdefault((objects.uid(pod), name, index), _State())
        with state.lock:
            try:
                self._advance(state, pod, source)
            except (errors.APIStatusError, OSError, ValueError) as error:
                if state.held is None:
                    raise volume.VolumeProblem(f"{_NOT_YET}: {error}") from error
            if state.refused:
                raise volume.VolumeProblem(state.refused)
            if state.held is None:
                raise volume.VolumeProblem(_NOT_YET)
            now = self._clock.now().timestamp()
            again = now + _LOOK_AGAIN if state.asked or state.held.renew_at <= now else state.held.renew_at
            return volume.Credentials(state.held.key, state.held.chain, again)

    def forget(self, uid: str) -> None:
        with self._lock:
            for key in [key for key in self._states if key[0] == uid]:
                del self._states[key]

    def close(self) -> None:
        if self._following:
            self._requests.stop()

    def _follow(self) -> None:
        """From the first pod on that has such a source."""
        self._following = True

        def tell(request: Object) -> None:
            self._on_answer(str(objects.dig(request, "spec", "podUID")))

        def appeared(request: Object) -> None:
            # The first that is seen of one may be its answer.
            if objects.dig(request, "status", "conditions", default=()):
                tell(request)

        self._requests.add_handler(added=appeared, updated=lambda _, new: tell(new), deleted=tell)
        self._requests.start()

    def _advance(self, state: _State, pod: Object, source: Object) -> None:
        if state.refused:
            return
        if state.asked:
            self._look(state, pod)
        if state.refused or state.asked:
            return
        if state.held is None or self._is_due(state.held, pod):
            state.asked = self._ask(pod, source)

    def _is_due(self, held: _Held, pod: Object) -> bool:
        self._tell_age(held, pod)
        return self._clock.now().timestamp() >= held.renew_at

    def _tell_age(self, held: _Held, pod: Object) -> None:
        now = self._clock.now().timestamp()
        for moment, reason, text in (
            (held.renew_at + _OVERDUE, "CertificateOverdueForRefresh", "PodCertificate refresh overdue"),
            (held.ends_at, "CertificateExpired", "PodCertificate expired"),
        ):
            if now > moment and reason not in held.told:
                held.told.add(reason)
                self._recorder.event(pod, "Warning", reason, text)

    def _ask(self, pod: Object, source: Object) -> tuple[str, bytes]:
        namespace, account = objects.namespace(pod), str(objects.dig(pod, "spec", "serviceAccountName"))
        found = self._client.get(kinds.SERVICE_ACCOUNTS, account, namespace)
        node = self._node() or {"metadata": {}}
        private, request = pod_keys.generate(str(source.get("keyType") or ""))
        owner = {"apiVersion": "v1", "kind": "Pod", "name": objects.name(pod), "uid": objects.uid(pod)}
        spec = {
            "signerName": source.get("signerName"),
            "podName": objects.name(pod),
            "podUID": objects.uid(pod),
            "serviceAccountName": account,
            "serviceAccountUID": objects.uid(found),
            "nodeName": objects.name(node),
            "nodeUID": objects.uid(node),
            "stubPKCS10Request": request,
        }
        for name, field in (("maxExpirationSeconds", "maxExpirationSeconds"),
                            ("userAnnotations", "unverifiedUserAnnotations")):  # fmt: skip
            if source.get(name):
                spec[field] = source[name]
        made = self._client.create(
            kinds.POD_CERTIFICATE_REQUESTS,
            {
                "apiVersion": "certificates.k8s.io/v1",
                "kind": "PodCertificateRequest",
                "metadata": {"namespace": namespace, "generateName": "req-", "ownerReferences": [owner]},
                "spec": spec,
            },
        )
        return objects.name(made), private

    def _look(self, state: _State, pod: Object) -> None:
        """What became of the request; one that somebody deleted is asked again."""
        if state.asked is None:
            return
        name, private = state.asked
        namespace = objects.namespace(pod)
        request = self._requests.get(f"{namespace}/{name}")
        if request is None:
            try:
                request = self._client.get(kinds.POD_CERTIFICATE_REQUESTS, name, namespace)
            except errors.NotFound:
                state.asked = None
                return
        for kind in ("Denied", "Failed"):
            condition = objects.condition(request, kind)
            if condition:
                self._refuse(state, pod, kind, f"{namespace}/{name}", condition)
                return
        if objects.condition(request, "Issued"):
            status = request["status"]
            renew = clock.parse_rfc3339(status["beginRefreshAt"]).timestamp() + random.uniform(0, _JITTER)
            ends = clock.parse_rfc3339(status["notAfter"]).timestamp()
            state.held, state.asked = _Held(private, pod_keys.clean(status["certificateChain"]), renew, ends), None
        elif state.held is not None:
            self._tell_age(state.held, pod)

    def _refuse(self, state: _State, pod: Object, kind: str, request: str, condition: Object) -> None:
        """For good: the same question gets the same answer."""
        said = f'reason="{condition.get("reason", "")}", message="{condition.get("message", "")}"'
        verb = "was denied" if kind == "Denied" else "failed"
        self._recorder.event(pod, "Warning", kind, f"PodCertificateRequest {request} {verb}, {said}")
        state.refused = f"PodCertificateRequest was permanently {kind.lower()}: {said.replace(', ', ' ')}"
        state.asked = None
