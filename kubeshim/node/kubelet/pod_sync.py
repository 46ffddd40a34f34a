"""One round of a pod's worker: from what should be to what is, one step further.

``step`` looks, decides (``actions``, ``pod_status``: pure) and does. It may be interrupted anywhere: whatever it
made carries labels and is seen by the next look. Every failure that will be retried is told three ways: an event, a
waiting reason or condition in the status, and the time of the next round.
"""

import logging
import os
import threading
from collections.abc import Callable, Collection

from kubeshim import clock
from kubeshim.client import kinds
from kubeshim.machinery import errors, objects
from kubeshim.machinery.objects import Object
from kubeshim.node.container_runtime import runtime
from kubeshim.node.kubelet import (
    actions,
    admission,
    container_start,
    container_status,
    eviction,
    garbage,
    handlers,
    images,
    labels,
    local_storage,
    machine,
    object_cache,
    observation,
    parts,
    pod_resize,
    pod_spec,
    pod_status,
    pod_worker,
    resize,
    sandboxes,
    shutdown,
    termination,
    termination_message,
)
from kubeshim.node.kubelet.volumes import manager, volume

_log = logging.getLogger(__name__)

_DEADLINE = ("DeadlineExceeded", "Pod was active on the node longer than the specified deadline")
_VOLUME_RETRY_FIRST, _VOLUME_RETRY_LAST = 0.5, 122.0
_SANDBOX_RETRY_FIRST, _SANDBOX_RETRY_LAST = 1.0, 30.0


class Syncer:
    """The step of all pods of a node. Safe from any thread, one call a pod at a time."""

    def __init__(
        self,
        shared: parts.Parts,
        others: Callable[[str], list[Object]],
        conditions: Callable[[], Collection[str]] = frozenset,
        shutting_down: Callable[[], bool] = lambda: False,
    ) -> None:
        """``conditions`` are the pressures the node is under."""
        self._shutting_down = shutting_down
        self._parts = shared
        self._others = others
        """Pods that are or will be running here, without the one of that UID."""
        self._conditions = conditions
        self._judging = threading.Lock()
        """Held while a pod is given resources: what one gets the next one does not see as free."""

    def undisturbed(self, look: Callable[[], list[Object]]) -> list[Object]:
        """What ``look`` finds while no pod is on its way in: whoever was let in before is among them."""
        with self._judging:
            return look()

    def step(self, work: pod_worker.Work) -> float | None:
        """Raises what should be retried soon."""
        work.current = work.newest
        if work.phase is pod_worker.Phase.SYNC:
            if work.removed or objects.is_deleting(work.pod) or pod_spec.is_terminal(work.pod):
                work.phase = pod_worker.Phase.TERMINATING
            else:
                return self._sync(work)
        if work.phase is pod_worker.Phase.TERMINATING:
            self._terminate(work)
            work.phase = pod_worker.Phase.TERMINATED
        return self._clean_up(work)

    # --- looking

    def observe(self, uid: str) -> observation.Observation:
        wanted = {**self._parts.own_labels(), labels.POD_UID: uid}
        engine = self._parts.engine
        return observation.of(engine.sandboxes(wanted), engine.containers(wanted))

    def _address(self, work: pod_worker.Work, found: observation.Observation) -> str:
        known = sandboxes.addresses(self._parts, work.pod, found)
        return known[0] if known else self._parts.config.node_ip

    def _set_status(self, work: pod_worker.Work, found: observation.Observation, *, terminated: bool = False) -> Object:
        """Computes the status, hands it on, and returns it."""
        shared = self._parts
        latest = shared.statuses.latest(work.uid)
        pod = work.pod if latest is None else {**work.pod, "status": pod_status.newest(work.pod, latest)}
        circumstances = self._circumstances(work, found)
        reason, message = work.failure or ("", "")
        networked = pod_spec.host_network(work.pod) or (found.sandbox_ready and shared.addresses is not None)
        situation = pod_status.Situation(
            now=clock.rfc3339(shared.clock.now()),
            host_ips=shared.config.node_ips,
            pod_ips=sandboxes.addresses(shared, work.pod, found) if networked else [],
            terminated=terminated,
            reason=reason,
            message=message,
            failed=work.failure is not None,
            conditions=[
                *resize.conditions(work.resize_pending, work.resize_problem, under_way=work.resizing),
                *([work.ending.condition] if work.ending else []),
            ],
        )
        status = pod_status.status(pod, found, circumstances, situation)
        if found.running() and not terminated:
            status = pod_status.held_back(status, pod)
        shared.statuses.set(work.pod, status)
        return status

    def _circumstances(self, work: pod_worker.Work, found: observation.Observation) -> container_status.Circumstances:
        shared = self._parts
        health: dict[str, observation.Health] = {}
        digests: dict[tuple[str, str], str] = {}
        for name, instances in found.containers.items():
            if instances[0].state is runtime.State.RUNNING:
                known = shared.probes.health(instances[0].id)
                if known is not None:
                    health[name] = known
            for container in instances[:2]:
                digests[container.image_id, container.image] = shared.images.status_id(
                    container.image_id, container.image
                )
                if container.state is runtime.State.EXITED and container.id not in work.messages:
                    work.messages[container.id] = termination_message.read(shared, work.uid, container)
        return container_status.Circumstances(
            waiting=work.waiting, health=health, messages=work.messages, digests=digests
        )

    # --- running

    def _sync(self, work: pod_worker.Work) -> float | None:
        shared = self._parts
        found = self.observe(work.uid)
        if not self._admit(work, found):
            work.phase = pod_worker.Phase.TERMINATING
            return None
        left = self._deadline(work)
        if left is not None and left <= 0:
            work.failure = _DEADLINE
            shared.recorder.event(work.pod, "Normal", _DEADLINE[0], _DEADLINE[1])
            work.phase = pod_worker.Phase.TERMINATING
            return None
        if self._must_go(work, found):
            work.phase = pod_worker.Phase.TERMINATING
            return None
        with self._judging:
            resize_again = pod_resize.grant(shared, work, self._others(work.uid))
        shared.cache.need(work.uid, object_cache.references_of(work.pod))
        self._watch_probes(work, found)
        todo = self._decide(work, found)
        # Before the status tells of it: who reads that looks at the container next.
        resized = pod_resize.carry_out(shared, work, found, starting=bool(todo.start)) if found.sandbox_ready else []
        status = self._set_status(work, found)
        if pod_status.is_over(work.pod, status):
            work.phase = pod_worker.Phase.TERMINATING
            return None
        waits = [shared.config.sync_frequency, *([left] if left is not None else [])]
        if local_storage.is_limited(work.pod):
            waits.append(local_storage.CHECK_SECONDS)
        if resize_again is not None:
            waits.append(resize_again)
        for kill in {each.container.id: each for each in (*resized, *todo.kill)}.values():
            self._kill(work, kill, found)
        if todo.kill_all:
            self._kill_everything(work, found)
        if todo.kill and todo.start:
            found = self.observe(work.uid)
        waits.append(self._bring_up(work, todo, found))
        return min(waits)

    def _decide(self, work: pod_worker.Work, found: observation.Observation) -> actions.Actions:
        probes = self._parts.probes
        unhealthy: dict[str, str] = {}
        starting: set[str] = set()
        for container in found.running():
            gave_up = probes.gave_up(container.id)
            if gave_up:
                unhealthy[container.id] = gave_up
            health = probes.health(container.id)
            if health is not None and not health.started:
                starting.add(container.id)
        return actions.compute(work.pod, found, unhealthy, starting)

    def _admit(self, work: pod_worker.Work, found: observation.Observation) -> bool:
        """The first round only; what runs already was admitted before."""
        if work.admitted or found.sandbox is not None or found.containers:
            if work.granted is None:
                work.granted, work.resizing = resize.told(work.current), resize.told_under_way(work.current)
            work.admitted = True
            return True
        with self._judging:
            refusal = self._refusal(work)
            if refusal is None:
                work.granted = resize.asked(work.current)
                work.admitted = True
                return True
        work.failure = refusal
        self._parts.recorder.event(work.pod, "Warning", refusal[0], refusal[1])
        return False

    def _refusal(self, work: pod_worker.Work) -> admission.Refusal | None:
        if self._shutting_down():
            return shutdown.REFUSAL
        shared = self._parts
        return eviction.refusal(work.pod, self._conditions()) or admission.refuse(
            work.pod,
            self._others(work.uid),
            shared.node() or {},
            shared.config.allowed_unsafe_sysctls,
            apparmor=machine.has_apparmor(),
        )

    def _must_go(self, work: pod_worker.Work, found: observation.Observation) -> bool:
        """Whether the node ends the pod: told so by the eviction manager, or beyond its own limits."""
        shared = self._parts
        if work.ending is None and found.running() and local_storage.is_limited(work.pod):
            used = local_storage.measure(shared.engine, work.pod, shared.pod_directory(work.uid), found.every())
            message = local_storage.exceeded(work.pod, used)
            if message:
                work.ending = pod_worker.Ending(eviction.REASON, message, eviction.HARD_GRACE)
        if work.ending is None:
            return False
        work.failure = work.ending.reason, work.ending.message
        if work.ending.reason == eviction.REASON:
            shared.recorder.event(work.pod, "Warning", eviction.REASON, work.ending.message)
        return True

    def _deadline(self, work: pod_worker.Work) -> float | None:
        """Seconds until ``activeDeadlineSeconds`` are over."""
        limit = pod_spec.spec(work.pod).get("activeDeadlineSeconds")
        latest = self._parts.statuses.latest(work.uid) or work.pod.get("status") or {}
        started = latest.get("startTime")
        if limit is None or not started:
            return None
        return clock.parse_rfc3339(started).timestamp() + float(limit) - self._parts.now()

    def _watch_probes(self, work: pod_worker.Work, found: observation.Observation) -> None:
        """Every running container is watched. Those an earlier kubelet started keep what the API says of them."""
        address = self._address(work, found)
        before = {} if work.adopted else observation.healths(work.pod)
        for name, instances in found.containers.items():
            container, spec = instances[0], pod_spec.find(work.pod, name)
            if container.state is runtime.State.RUNNING and spec is not None:
                target = handlers.Target(work.pod, spec, container.id, address)
                self._parts.probes.watch(target, container.started_at, before.get(container.id))
            elif container.state is not runtime.State.RUNNING:
                self._parts.probes.stop(container.id)
        work.adopted = True

    def _kill(self, work: pod_worker.Work, kill: actions.Kill, found: observation.Observation) -> None:
        name = kill.container.labels.get(labels.CONTAINER, "")
        spec = pod_spec.find(work.pod, name)

        def grace() -> float:
            """The pod's end, if it comes meanwhile, may leave less."""
            own = float(handlers.grace_of(work.newest, spec or {}, kill.because))
            return min(own, work.grace) if work.removed or work.ending is not None else own

        order = termination.Order(kill.container, spec, kill.message, grace())
        self._parts.probes.stop(kill.container.id)
        address = self._address(work, found)
        termination.stop_all(self._parts, [order], lambda: work.pod, grace, address)

    def _kill_everything(self, work: pod_worker.Work, found: observation.Observation) -> None:
        """What runs in a sandbox that is dead: its network is gone, so it cannot stay."""
        message = "Pod sandbox changed, it will be killed and re-created."
        self._parts.recorder.event(work.pod, "Normal", "SandboxChanged", message)
        for container in found.running():
            self._parts.probes.stop(container.id)
            self._parts.engine.stop_container(container.id, pod_spec.grace_period(work.pod))

    def _bring_up(self, work: pod_worker.Work, todo: actions.Actions, found: observation.Observation) -> float:
        """Volumes, sandbox, containers. Seconds after which to come again."""
        shared = self._parts
        far = shared.config.sync_frequency
        if self._refuses_claims(work, found):
            return far
        prepared, wait = self._volumes(work, found)
        if prepared is None:
            return wait
        if wait:
            far = min(far, wait)
        elif prepared.refresh_at:
            far = min(far, max(0.5, prepared.refresh_at - shared.now()))
        if todo.create_sandbox:
            wait = self._make_sandbox(work, found)
            if wait:
                return min(far, wait)
            found = self.observe(work.uid)
            todo = self._decide(work, found)
        else:
            wait = self._finish_sandbox(work, found)
            if wait:
                return min(far, wait)
        if not todo.start or found.sandbox is None or not found.sandbox_ready:
            return far
        return min(far, self._start_all(work, todo, found, found.sandbox, prepared))

    def _refuses_claims(self, work: pod_worker.Work, found: observation.Observation) -> bool:
        """Devices given out by resource claims are nothing this node has drivers for."""
        claims = [entry["name"] for entry in pod_spec.spec(work.pod).get("resourceClaims") or ()]
        if not claims:
            return False
        problem = f"dynamic resource allocation is not supported by this node: claims {', '.join(claims)}"
        message = f"Failed to prepare dynamic resources: {problem}"
        self._parts.recorder.event(work.pod, "Warning", "FailedPrepareDynamicResources", message)
        for container in pod_spec.every(work.pod):
            work.waiting[container["name"]] = observation.Waiting("FailedPrepareDynamicResources", problem)
        self._set_status(work, found)
        return True

    def _start_all(
        self,
        work: pod_worker.Work,
        todo: actions.Actions,
        found: observation.Observation,
        sandbox: runtime.Sandbox,
        prepared: manager.Prepared,
    ) -> float:
        addresses = sandboxes.addresses(self._parts, work.pod, found)
        if not pod_spec.host_network(work.pod) and addresses:
            sandboxes.write_files(self._parts, work.pod, addresses)
        place = container_start.Place(
            work.pod, sandbox, found, prepared.made, addresses, work.cancelled.is_set, todo.round
        )
        wait = self._parts.config.sync_frequency
        for container in todo.start:
            if work.cancelled.is_set():
                break
            try:
                container_start.start(self._parts, place, container)
                work.waiting.pop(container["name"], None)
            except container_start.Refused as refused:
                work.waiting[container["name"]] = refused.waiting
                wait = min(wait, refused.retry_after)
        found = self.observe(work.uid)
        self._watch_probes(work, found)
        self._set_status(work, found)
        self._forget_dead(found)
        return wait

    def _volumes(self, work: pod_worker.Work, found: observation.Observation) -> tuple[manager.Prepared | None, float]:
        """The pod's volumes, and the seconds until what failed of them is tried again."""
        shared, pod = self._parts, work.pod
        namespace = objects.namespace(pod)
        context = volume.Context(
            pod,
            lambda kind, name: shared.cache.get(kind, "" if kind == "PersistentVolume" else namespace, name),
            shared.tokens.get,
            shared.facts(sandboxes.addresses(shared, pod, found)),
            shared.cache.every,
            lambda name, source: self._volume_image(work, source),
            shared.trees.tree,
            shared.certificates.get,
        )
        try:
            os.makedirs(shared.pod_directory(work.uid), 0o750, exist_ok=True)
            prepared = manager.prepare(pod, shared.pod_directory(work.uid), context)
        except images.ImageProblem as problem:
            return None, self._without_image(work, found, problem)
        except (manager.Failed, errors.APIStatusError, OSError) as problem:
            shared.recorder.event(pod, "Warning", "FailedMount", str(problem))
            work.volume_failures += 1
            # What stood before still does: containers may start with it, though it is not what it should be by now.
            return work.prepared, min(_VOLUME_RETRY_FIRST * 2.0 ** (work.volume_failures - 1), _VOLUME_RETRY_LAST)
        work.volume_failures, work.prepared = 0, prepared
        return prepared, 0.0

    def _volume_image(self, work: pod_worker.Work, source: Object) -> runtime.Image:
        shared = self._parts
        wanted = {"image": source.get("reference") or "", "imagePullPolicy": source.get("pullPolicy") or ""}
        find = container_start.finder(shared, work.pod)
        return shared.images.ensure(work.pod, wanted, find, work.cancelled.is_set)

    def _without_image(
        self, work: pod_worker.Work, found: observation.Observation, problem: images.ImageProblem
    ) -> float:
        """No container starts without the image that some volume is made of."""
        for container in pod_spec.every(work.pod):
            work.waiting[container["name"]] = observation.Waiting(problem.reason, problem.message)
        self._set_status(work, found)
        return problem.retry_after or self._parts.config.sync_frequency

    def _make_sandbox(self, work: pod_worker.Work, found: observation.Observation) -> float:
        """0 on success, else seconds until the next attempt."""
        attempt = 0 if found.sandbox is None else labels.restarts(found.sandbox.labels) + 1

        def make() -> None:
            work.connected = sandboxes.create(self._parts, work.pod, attempt).id

        wait = self._tried(work, make)
        if not wait:
            for old in [found.sandbox, *found.old_sandboxes]:
                if old is not None:
                    self._parts.engine.remove_sandbox(old.id)
        return wait

    def _tried(self, work: pod_worker.Work, make: Callable[[], None]) -> float:
        try:
            make()
        except sandboxes.SandboxProblem as problem:
            self._parts.recorder.event(work.pod, "Warning", "FailedCreatePodSandBox", str(problem))
            work.sandbox_failures += 1
            return float(min(_SANDBOX_RETRY_FIRST * 2.0 ** (work.sandbox_failures - 1), _SANDBOX_RETRY_LAST))
        work.sandbox_failures = 0
        return 0.0

    def _finish_sandbox(self, work: pod_worker.Work, found: observation.Observation) -> float:
        """An earlier process may have died between a sandbox's start and its network: nothing is in it yet then."""
        sandbox = found.sandbox
        if sandbox is None or not found.sandbox_ready or work.connected == sandbox.id:
            return 0.0
        wait = 0.0
        if all(container.sandbox_id != sandbox.id for container in found.every()):
            wait = self._tried(work, lambda: sandboxes.connect(self._parts, work.pod, sandbox))
        work.connected = sandbox.id
        return wait

    def _forget_dead(self, found: observation.Observation) -> None:
        """Of each container's dead instances only the newest is kept, for its log."""
        for instances in found.containers.values():
            dead = [container for container in instances if container.state is runtime.State.EXITED]
            for container in dead[1:]:
                self._parts.engine.remove_container(container.id)

    # --- ending

    def _terminate(self, work: pod_worker.Work) -> None:
        shared = self._parts
        found = self.observe(work.uid)
        shared.probes.stop_pod(work.uid, keep_readiness=True)
        # An earlier kubelet process told the end already; what it read the messages from is gone.
        told = pod_spec.is_terminal(work.pod) and shared.statuses.latest(work.uid) is None and not found.running()
        if not work.removed and not told:
            self._set_status(work, found)
        address = self._address(work, found)
        orders = [self._order(work, container) for container in found.running()]
        if orders:
            termination.stop_all(shared, orders, lambda: work.pod, lambda: work.grace, address)
        shared.probes.stop_pod(work.uid)
        if found.sandbox is not None:
            shared.engine.stop_sandbox(found.sandbox.id)
        if told:
            shared.statuses.set(work.pod, work.pod["status"])  # from now on it stays so
        elif not work.removed:
            self._set_status(work, self.observe(work.uid), terminated=True)

    def _order(self, work: pod_worker.Work, container: runtime.Container) -> termination.Order:
        name = container.labels.get(labels.CONTAINER, "")
        return termination.Order(container, pod_spec.find(work.pod, name), f"Stopping container {name}", work.grace)

    def _clean_up(self, work: pod_worker.Work) -> float | None:
        """After the end: resources go, then the API object where it is to be deleted, then the last containers."""
        shared = self._parts
        found = self.observe(work.uid)
        sandboxes.remove_all(shared, work.uid, found)
        garbage.remove_cgroup(shared, work.uid)
        manager.remove(shared.pod_directory(work.uid))
        shared.cache.need(work.uid, ())
        shared.tokens.forget(work.uid)
        shared.certificates.forget(work.uid)
        shared.images.forget_pod(work.uid)
        shared.crashes.forget(f"{work.uid}/")
        if work.removed:
            for container in found.every():
                shared.engine.remove_container(container.id)
            shared.statuses.forget(work.uid)
            work.phase = pod_worker.Phase.GONE
            return None
        if objects.is_deleting(work.newest) and shared.statuses.settled(work.uid):
            self._delete(work.newest)
        return None

    def _delete(self, pod: Object) -> None:
        """The last word on a deleted pod: nothing of it runs here any more. Raises what should be retried."""
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": objects.uid(pod)}}
        try:
            self._parts.api.delete(kinds.PODS, objects.name(pod), objects.namespace(pod), options=options)
        except (errors.NotFound, errors.Conflict):
            return
