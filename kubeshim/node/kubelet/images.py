"""Images: present, pulled, or the reason why not, with back-off and the kubelet's events.

Pulls of one image by several pods at once are one pull. A failed pull is tried again after 10 s, 20 s … 5 min; in
between the container waits with ``ImagePullBackOff``.
"""

import dataclasses
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from kubeshim.machinery import objects
from kubeshim.machinery.objects import Object
from kubeshim.node.container_runtime import references, runtime
from kubeshim.node.kubelet import back_off, image_garbage, pod_spec, seams

_log = logging.getLogger(__name__)

_PROGRESS_EVERY = 5.0
_SHOW_FAILURE = 1.0


class ImageProblem(Exception):
    """No image: ``reason`` and message are what the container waits with; ``retry_after`` seconds, 0 if on change."""

    def __init__(self, reason: str, message: str, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.retry_after = retry_after


def pull_policy(container: Object) -> str:
    """As defaulted by the API: ``Always`` for ``:latest``, else ``IfNotPresent``."""
    given = container.get("imagePullPolicy")
    if given:
        return str(given)
    try:
        reference = references.parse(container.get("image") or "")
    except ValueError:
        return "IfNotPresent"
    return "Always" if reference.tag == "latest" and not reference.digest else "IfNotPresent"


@dataclasses.dataclass(slots=True)
class _Pull:
    done: threading.Event = dataclasses.field(default_factory=threading.Event)
    problem: runtime.ImagePullFailure | None = None


class Images:
    """Answers for one node. Safe from any thread."""

    def __init__(
        self,
        engine: runtime.Runtime,
        recorder: seams.Recorder,
        backs: back_off.BackOff,
        pulled: image_garbage.Pulled,
        *,
        serialize: bool = False,
    ) -> None:
        self.pulled = pulled
        self._engine = engine
        self._recorder = recorder
        self._backs = backs
        self._lock = threading.Lock()
        self._pulls: dict[tuple[str, str], _Pull] = {}
        self._serial = threading.Lock() if serialize else None
        self._status_ids: dict[tuple[str, str], str] = {}
        """By image id and reference, until the next pull: it may give an image that was there a digest."""
        self._failed_at: dict[str, float] = {}
        """When the last pull of a pod's image failed, by ``UID/image``; its problem is in ``_problems``."""
        self._problems: dict[str, str] = {}

    def ensure(
        self,
        pod: Object,
        container: Object,
        credentials: Callable[[str], Sequence[Mapping[str, str]]],
        cancelled: Callable[[], bool] = lambda: False,
    ) -> runtime.Image:
        """The container's image, present. Raises ``ImageProblem``."""
        name = container.get("image") or ""
        try:
            references.parse(name)
        except ValueError as error:
            message = f'Failed to apply default image tag "{name}": couldn\'t parse image name "{name}": {error}'
            self._tell(pod, container, "Warning", "InspectFailed", message)
            raise ImageProblem("InvalidImageName", message) from error
        policy = pull_policy(container)
        found = self._engine.image(name)
        if policy == "Never" and found is None:
            message = f'Container image "{name}" is not present with pull policy of Never'
            self._tell(pod, container, "Warning", "ErrImageNeverPull", message)
            raise ImageProblem("ErrImageNeverPull", message)
        if found is not None and policy != "Always":
            message = f'Container image "{name}" already present on machine'
            allowed = " and can be accessed by the pod" if policy == "IfNotPresent" else ""
            self._tell(pod, container, "Normal", "Pulled", message + allowed)
            return found
        return self._pulled(pod, container, name, credentials(name), cancelled)

    def _pulled(
        self,
        pod: Object,
        container: Object,
        name: str,
        credentials: Sequence[Mapping[str, str]],
        cancelled: Callable[[], bool],
    ) -> runtime.Image:
        key = f"{objects.uid(pod)}/{name}"
        now = time.time()
        remaining = self._backs.remaining(key, self._failed_at.get(key, 0.0), now)
        if remaining > 0:
            message = f'Back-off pulling image "{name}"'
            self._tell(pod, container, "Normal", "BackOff", message)
            last = self._problems.get(key)
            full = f"{message}: {last}" if last else message
            raise ImageProblem("ImagePullBackOff", full, remaining)
        self._tell(pod, container, "Normal", "Pulling", f'Pulling image "{name}"')
        begun = time.monotonic()
        problem = self._pull(pod, container, name, credentials, cancelled)
        if problem is not None:
            raise self._failed(pod, container, name, key, problem)
        self._backs.forget(key)
        self._problems.pop(key, None)
        found = self._engine.image(name)
        if found is None:
            raise ImageProblem("ImageInspectError", f'Failed to inspect image "{name}": it is gone', 1.0)
        took = _in_seconds(time.monotonic() - begun)
        message = f'Successfully pulled image "{name}" in {took} ({took} including waiting). '
        self._tell(pod, container, "Normal", "Pulled", f"{message}Image size: {found.size} bytes.")
        return found

    def _failed(
        self, pod: Object, container: Object, name: str, key: str, problem: runtime.ImagePullFailure
    ) -> ImageProblem:
        text = f'Failed to pull image "{name}": {problem}'
        self._tell(pod, container, "Warning", "Failed", text)
        now = time.time()
        self._failed_at[key] = now
        delay = self._backs.next(key, now)
        self._problems[key] = f"{problem.reason}: {problem}"
        # Soon after the failure the container is seen to wait: ImagePullBackOff, until the delay is over.
        return ImageProblem(problem.reason, str(problem), min(_SHOW_FAILURE, delay / 2))

    def _pull(
        self,
        pod: Object,
        container: Object,
        name: str,
        credentials: Sequence[Mapping[str, str]],
        cancelled: Callable[[], bool],
    ) -> runtime.ImagePullFailure | None:
        """Pulls, or waits for somebody's pull of the same with the same credentials."""
        key = name, repr(credentials)
        with self._lock:
            pull = self._pulls.get(key)
            mine = pull is None
            if pull is None:
                pull = self._pulls[key] = _Pull()
        if mine:
            worker = threading.Thread(
                target=self._run_pull, args=(key, pull, pod, container, name, credentials), name="pull", daemon=True
            )
            worker.start()
        while not pull.done.wait(0.25):
            if cancelled():
                return runtime.ImagePullFailure("the pod is being deleted")
        return pull.problem

    def _run_pull(
        self,
        key: tuple[str, str],
        pull: _Pull,
        pod: Object,
        container: Object,
        name: str,
        credentials: Sequence[Mapping[str, str]],
    ) -> None:
        try:
            if self._serial is not None:
                with self._serial:
                    pull.problem = self._try_all(pod, container, name, credentials)
            else:
                pull.problem = self._try_all(pod, container, name, credentials)
        finally:
            with self._lock:
                del self._pulls[key]
            pull.done.set()

    def _try_all(
        self, pod: Object, container: Object, name: str, credentials: Sequence[Mapping[str, str]]
    ) -> runtime.ImagePullFailure | None:
        problem: runtime.ImagePullFailure | None = None
        progress = _Progress(lambda text: self._tell(pod, container, "Normal", "Pulling", f'Image "{name}": {text}'))
        attempts: list[Mapping[str, str] | None] = [*credentials] or [None]
        for credential in attempts:
            try:
                self._engine.pull_image(name, credential, progress)
                self._status_ids = {}
                self._remember(name)
                return None
            except runtime.ImagePullFailure as error:
                problem = error
            except runtime.RuntimeFailure as error:
                problem = runtime.ImagePullFailure(str(error))
        return problem

    def _remember(self, name: str) -> None:
        """Under the names the engine gives it: those of the collector."""
        found = self._engine.image(name)
        wanted = references.parse(name)
        for known in (*found.tags, *found.digests) if found else ():
            if references.parse(known) == wanted:
                self.pulled.add(known)

    def status_id(self, image_id: str, reference: str = "") -> str:
        """``imageID`` as a Docker-backed kubelet writes it: by digest where the image came from a registry.

        Of several digests, the one of the repository that ``reference`` names.
        """
        ids, key = self._status_ids, (image_id, reference)
        known = ids.get(key)
        if known is None:
            found = self._engine.image(image_id)
            known = ids[key] = pullable(image_id, reference, found.digests if found else ())
        return known

    def _tell(self, pod: Object, container: Object, kind: str, reason: str, message: str) -> None:
        # An image volume is no container: its events are the pod's.
        path = pod_spec.field_path(pod, container["name"]) if container.get("name") else ""
        self._recorder.event(pod, kind, reason, message, field_path=path)

    def forget_pod(self, uid: str) -> None:
        self._backs.forget(f"{uid}/")
        for key in [key for key in list(self._failed_at) if key.startswith(f"{uid}/")]:
            self._failed_at.pop(key, None)
            self._problems.pop(key, None)


def pullable(image_id: str, reference: str, digests: Sequence[str]) -> str:
    """``docker-pullable://REPOSITORY@DIGEST``, or ``docker://ID`` for an image that no registry has."""
    if not digests:
        return f"docker://{image_id}"
    wanted = _repository(reference)
    same = [digest for digest in digests if wanted and _repository(digest) == wanted]
    return f"docker-pullable://{(same or list(digests))[0]}"


def _repository(reference: str) -> str:
    try:
        return references.parse(reference.partition("@")[0]).name
    except ValueError:
        return ""


class _Progress:
    """Passes a line on every few seconds: a pull writes hundreds."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._next = time.monotonic() + _PROGRESS_EVERY

    def __call__(self, text: str) -> None:
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _PROGRESS_EVERY
            self._tell(text)


def _in_seconds(seconds: float) -> str:
    """As Go prints durations, to the millisecond."""
    return f"{round(seconds * 1000)}ms" if seconds < 1 else f"{seconds:.3f}".rstrip("0").rstrip(".") + "s"
