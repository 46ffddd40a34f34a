"""One worker a pod: its syncs follow each other, never overlap, and see only the newest state.

Whatever concerns a pod (an API change, a container's death, a probe's result, an appointment) wakes its worker; being
woken while at work means one more round, however often it happened. Workers share a pool of threads, so a pod at
rest costs none. A round may block as long as it must (pulls, hooks, graces); it is told to hurry by ``cancelled``.

    SYNC ──(deleted, done, failed, refused)──> TERMINATING ──(all stopped)──> TERMINATED ──(gone from the API)──> gone

A pod never goes back: a namesake made later has another UID and a worker of its own.
"""

import dataclasses
import enum
import functools
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping

from kubeshim.machinery import objects
from kubeshim.machinery.objects import Object
from kubeshim.node.kubelet import observation, pod_spec, resize, threads
from kubeshim.wire import exposition

_log = logging.getLogger(__name__)

_RETRY_FIRST, _RETRY_LAST = 1.0, 30.0
_ORPHAN_GRACE = 1.0
_DURATIONS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Phase(enum.Enum):
    SYNC = "sync"
    TERMINATING = "terminating"
    TERMINATED = "terminated"
    GONE = "gone"


@dataclasses.dataclass(frozen=True, slots=True)
class Ending:
    """Why the node ends a pod, in the words of its status, and how many seconds it gets at most."""

    reason: str
    message: str
    grace: float


@dataclasses.dataclass(slots=True)
class Work:
    """A pod and what its worker remembers of it between rounds. Fields below ``cancelled`` are the worker's alone."""

    newest: Object
    """The newest state; replaced, never changed."""
    current: Object = dataclasses.field(init=False)
    """The state that a round works on from beginning to end: what comes meanwhile is for the next."""
    removed: bool = False
    """Whether it is gone from the API."""
    cancelled: threading.Event = dataclasses.field(default_factory=threading.Event)
    """Set when the pod is to end: pulls and waits should give up."""
    phase: Phase = Phase.SYNC
    admitted: bool = False
    failure: tuple[str, str] | None = None
    """Reason and message where the node itself ended the pod."""
    ending: Ending | None = None
    """Where this pod must go: the node runs short, or its machine goes down. Set by others, never unset."""
    waiting: dict[str, observation.Waiting] = dataclasses.field(default_factory=dict)
    messages: dict[str, str] = dataclasses.field(default_factory=dict)
    """Termination messages read so far, by container id."""
    volume_failures: int = 0
    sandbox_failures: int = 0
    connected: str = ""
    """The sandbox that is known to have its network."""
    resized: dict[str, str] = dataclasses.field(default_factory=dict)
    """Resources in force where they were changed in place, by container id, as ``resize`` writes them."""
    granted: resize.Granted | None = None
    """The resources the pod may have, once it was admitted."""
    resize_pending: resize.Pending | None = None
    resizing: bool = False
    """Whether what was granted last is not in force everywhere yet."""
    resize_problem: str = ""
    adopted: bool = False
    """Whether its running containers were made by an earlier kubelet process and have been taken over."""

    def __post_init__(self) -> None:
        self.current = self.newest

    @property
    def pod(self) -> Object:
        """The state in work, with no other resources than were granted."""
        return self.current if self.granted is None else resize.with_resources(self.current, self.granted)

    @property
    def uid(self) -> str:
        return objects.uid(self.newest)

    @property
    def ends(self) -> bool:
        return self.removed or objects.is_deleting(self.newest) or pod_spec.is_terminal(self.newest)

    @property
    def grace(self) -> float:
        """Seconds its containers get to stop, as the newest state has it: it may be less than when the round began."""
        if self.removed and not objects.is_deleting(self.newest) and not pod_spec.is_static(self.newest):
            return _ORPHAN_GRACE
        own = float(pod_spec.grace_period(self.newest))
        return own if self.ending is None else min(self.ending.grace, own)


@dataclasses.dataclass(slots=True)
class _Worker:
    work: Work
    busy: bool = False
    again: bool = False
    failures: int = 0
    timer: threads.Timer | None = None
    followers: list[threads.Work] = dataclasses.field(default_factory=list)
    """What waits until the pod is gone."""


Step = Callable[[Work], float | None]
"""One round: seconds after which to come again, None where only a change calls for it. Sets ``work.phase``."""


class Workers:
    """Of one node. Safe from any thread."""

    def __init__(self, pool: threads.Pool, timers: threads.Timers, step: Step) -> None:
        self._pool = pool
        self._timers = timers
        self._step = step
        self._lock = threading.Lock()
        self._workers: dict[str, _Worker] = {}
        self._closed = False
        self.durations = exposition.Histogram(
            "kubelet_pod_worker_duration_seconds",
            "Duration in seconds to sync a single pod. Broken down by what the pod is in for.",
            _DURATIONS,
            ("operation_type",),
        )

    def update(self, pod: Object) -> None:
        """The API has this state of the pod."""
        uid = objects.uid(pod)
        with self._lock:
            worker = self._workers.get(uid)
            if worker is None:
                worker = self._workers[uid] = _Worker(Work(pod))
            worker.work.newest = pod
            if worker.work.ends:
                worker.work.cancelled.set()
        self.poke(uid)

    def remove(self, pod: Object) -> None:
        """The API does not have the pod any more."""
        uid = objects.uid(pod)
        with self._lock:
            worker = self._workers.get(uid)
            if worker is None:
                return
            worker.work.newest = pod
            worker.work.removed = True
            worker.work.cancelled.set()
        self.poke(uid)

    def adopt_orphan(self, pod: Object) -> None:
        """Containers of a pod that the API does not know: ``pod`` is made up from their labels."""
        with self._lock:
            if objects.uid(pod) in self._workers:
                return
            work = Work(pod, removed=True, admitted=True)
            work.cancelled.set()
            self._workers[objects.uid(pod)] = _Worker(work)
        self.poke(objects.uid(pod))

    def poke(self, uid: str) -> None:
        """Something about the pod may have changed."""
        with self._lock:
            worker = self._workers.get(uid)
            if worker is None or self._closed:
                return
            if worker.busy:
                worker.again = True
                return
            worker.busy = True
            if worker.timer is not None:
                worker.timer.cancel()
                worker.timer = None
        self._pool.submit(lambda: self._run(worker))

    def when_gone(self, key: str, call: threads.Work) -> None:
        """Calls once no pod of that ``namespace/name`` is here: at once, or when the one that is here has ended."""
        with self._lock:
            for worker in self._workers.values():
                if objects.key(worker.work.pod) == key:
                    worker.followers.append(call)
                    return
        call()

    def poke_all(self) -> None:
        with self._lock:
            uids = list(self._workers)
        for uid in uids:
            self.poke(uid)

    def work(self, uid: str) -> Work | None:
        with self._lock:
            worker = self._workers.get(uid)
            return worker.work if worker else None

    def all(self) -> list[Work]:
        with self._lock:
            return [worker.work for worker in self._workers.values()]

    def close(self) -> None:
        """No further rounds; those under way go on."""
        with self._lock:
            self._closed = True

    def _run(self, worker: _Worker) -> None:
        while True:
            phase = worker.work.phase
            delay = self._round(worker)
            with self._lock:
                gone = worker.work.phase is Phase.GONE
                if gone:
                    self._workers.pop(worker.work.uid, None)
                elif (worker.again or worker.work.phase is not phase) and not self._closed:
                    worker.again = False
                    continue
                else:
                    worker.busy = False
                    if delay is not None and not self._closed:
                        worker.timer = self._timers.after(delay, functools.partial(self.poke, worker.work.uid))
            for follower in worker.followers if gone else ():
                follower()
            return

    def _round(self, worker: _Worker) -> float | None:
        phase, began = worker.work.phase, time.monotonic()
        try:
            delay = self._step(worker.work)
            worker.failures = 0
            return delay
        except Exception as error:
            worker.failures += 1
            wait = min(_RETRY_FIRST * 2.0 ** (worker.failures - 1), _RETRY_LAST)
            _log.warning("pod %s: %s: %s", objects.key(worker.work.pod), type(error).__name__, error)
            _log.debug("pod %s", objects.key(worker.work.pod), exc_info=True)
            return float(wait)
        finally:
            self.durations.observe(time.monotonic() - began, phase.value)


def holding(works: Iterable[Work], present: Mapping[str, Object], *, but: str) -> list[Object]:
    """Pods that hold resources of their node: admitted, not ended, and still in the API (or others have theirs).

    Of those ``present`` in the API, by UID, the ones that run and nobody has judged yet are such too: they ran before
    this process began. Pure.
    """
    found, judged = [], {but}
    for work in works:
        if work.admitted or work.removed or work.failure:
            judged.add(work.uid)
        if (
            work.uid != but and work.admitted and not work.removed and not work.failure
            and work.phase is not Phase.TERMINATED
        ):  # fmt: skip
            found.append(work.pod)
    left = (pod for uid, pod in present.items() if uid not in judged)
    return found + [pod for pod in left if objects.dig(pod, "status", "phase") == "Running"]
