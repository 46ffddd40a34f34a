"""The kubelet of one node: it joins the parts, watches pods and the engine, and wakes the pods' workers.

    API ──informer──> update/remove ─┐
    engine ──events──> poke ─────────┤
    probes, timers ──> poke ─────────┼──> pod_worker ──step──> pod_sync ──> engine, network, volumes
    ConfigMaps, Secrets ──> poke ────┘                            └──> status_manager ──> API

Nothing polls: each arrow is a watch or a callback. Once a minute a pod is looked at anyway, which repairs what a lost
event would leave. A new process finds everything by labels: sandboxes keep their addresses, containers their restart
counts, probes begin with what the API says, and nothing is restarted.
"""

import functools
import logging
import os
import socket
import threading
import time

from kubeshim import clock
from kubeshim.client import informer, kinds, rest
from kubeshim.machinery import errors, objects
from kubeshim.machinery.objects import Object
from kubeshim.node.container_runtime import runtime
from kubeshim.node.kubelet import (
    back_off,
    config,
    environment,
    eviction,
    eviction_manager,
    files,
    garbage,
    handlers,
    image_garbage,
    image_trees,
    images,
    labels,
    network_addresses,
    node_status,
    object_cache,
    parts,
    pod_certificates,
    pod_spec,
    pod_status,
    pod_sync,
    pod_worker,
    probes,
    quality,
    registration,
    sandboxes,
    seams,
    shutdown,
    shutdown_manager,
    static_runner,
    status_manager,
    threads,
    tokens,
)
from kubeshim.wire import exposition

_log = logging.getLogger(__name__)

_ENGINE_RETRY = 1.0
_NETWORK_RETRY = 1.0
_SWEEP_SECONDS, _SWEEP_RETRY = 300.0, 5.0


class Kubelet:
    """One node's kubelet. ``start`` returns at once; everything else happens in its threads."""

    def __init__(
        self,
        settings: config.KubeletConfig,
        client: rest.Client,
        engine: runtime.Runtime,
        node_network: seams.Network,
        recorder: seams.Recorder,
        time_source: clock.Clock = clock.SYSTEM,
        *,
        pod_cidr: str = "",
    ) -> None:
        """``pod_cidr`` is the node's range where nobody else gives it one (``spec.podCIDR``)."""
        self._settings = settings
        self._client = client
        self._engine = engine
        self._network = node_network
        self._stopping = threading.Event()
        self._node: Object | None = None
        self._node_lock = threading.Lock()
        self._runtime_problem = ""
        self._dispatching = False
        self._threads: list[threading.Thread] = []
        self._registration = registration.Registration(
            settings, client, engine, time_source, self._health, self._on_node, pod_cidr
        )
        field = f"spec.nodeName={settings.node_name}"
        self._pods = informer.Informer(client, kinds.PODS, field_selector=field)
        self._pods.add_index("name", lambda pod: [objects.key(pod)])
        self._static = static_runner.StaticPods(settings, client, self._pods, lambda: self._node, self._stopping)
        self._services = informer.Informer(client, kinds.SERVICES)
        self._services.add_index("namespace", lambda service: [objects.namespace(service)])
        self._nodes = informer.Informer(client, kinds.NODES, field_selector=f"metadata.name={settings.node_name}")
        self._parts = self._make_parts(client, recorder, time_source)
        self._evictions = eviction_manager.EvictionManager(
            self._parts, lambda: self._active_pods(""), self._evict, self._registration.wake
        )
        self._shutdown = shutdown_manager.ShutdownManager(
            self._parts,
            lambda: self._syncer.undisturbed(lambda: self._active_pods("")),
            self._end,
            self._has_ended,
            self._registration.wake,
        )
        self._syncer = pod_sync.Syncer(
            self._parts, self._active_pods, lambda: self._evictions.conditions, lambda: self._shutdown.active
        )
        self._workers = pod_worker.Workers(self._parts.pool, self._parts.timers, self._syncer.step)
        self._static.attach(self._parts, self._workers)

    def _make_parts(self, client: rest.Client, recorder: seams.Recorder, time_source: clock.Clock) -> parts.Parts:
        settings, engine = self._settings, self._engine
        pool, timers = threads.Pool("kubelet"), threads.Timers()
        actions = handlers.Handlers(engine, self._node_socket)
        reset = settings.back_off_reset
        pulls = back_off.BackOff(settings.image_pull_initial, settings.image_pull_maximum, reset)
        return parts.Parts(
            config=settings,
            api=client,
            engine=engine,
            network=self._network,
            recorder=recorder,
            clock=time_source,
            pool=pool,
            timers=timers,
            images=images.Images(
                engine,
                recorder,
                pulls,
                image_garbage.Pulled(os.path.join(settings.data_dir, "pulled-images.json")),
                serialize=settings.serialize_image_pulls,
            ),
            trees=image_trees.Trees(
                engine,
                os.path.join(settings.data_dir, "image-volumes"),
                {labels.CLUSTER: settings.cluster_name, labels.NODE: settings.node_name},
            ),
            cache=object_cache.ObjectCache(client, self._on_source),
            tokens=tokens.Tokens(client, time_source),
            certificates=pod_certificates.Certificates(
                client, lambda: self._node, settings.node_name, recorder, time_source, self._poke
            ),
            probes=probes.Probes(pool, timers, actions, recorder, time_source, self._poke),
            hooks=handlers.Hooks(actions, self._stopping.wait),
            statuses=status_manager.StatusManager(client, self._poke_if_deleting, self._static.shown_as),
            crashes=back_off.BackOff(settings.crash_loop_initial, settings.crash_loop_maximum, reset),
            services=self._services_for,
            node=lambda: self._node,
            starts=threading.Semaphore(settings.parallel_starts),
            memory_capacity=self._registration.facts.memory,
            pods=lambda: self._active_pods(""),
            resolver=_node_resolver(settings.resolver_config),
        )

    # --- life

    def start(self) -> None:
        os.makedirs(os.path.join(self._settings.data_dir, "pods"), 0o750, exist_ok=True)
        thread = threading.Thread(target=self._begin, name="kubelet-begin", daemon=True)
        thread.start()
        self._threads.append(thread)

    def stop(self) -> None:
        """Ends all threads. Pods go on; the next kubelet takes them over."""
        self._stopping.set()
        for thread in self._threads[:1]:
            thread.join(5.0)  # what is being begun would not be ended
        self._static.stop()
        self._workers.close()
        for each in (self._pods, self._services, self._nodes):
            each.stop()
        self._registration.stop()
        self._parts.cache.close()
        self._parts.certificates.close()
        self._parts.statuses.stop()
        self._parts.timers.close()
        self._parts.pool.close()

    def shut_down(self) -> None:
        """The machine is about to go down: ends the pods by priority, in the time the options give. Returns at once."""
        self._shutdown.begin()

    def metrics(self) -> str:
        """In the text format of Prometheus."""
        return self._shutdown.metrics() + exposition.text(self._workers.durations.lines())

    def probe_metrics(self) -> str:
        """In the text format of Prometheus."""
        return self._parts.probes.metrics.text()

    def _begin(self) -> None:
        """Registration first: without a Node there is no range of addresses, and nobody may read pods."""
        self._services.start()
        delay = 0.05
        while not self._stopping.is_set():
            try:
                self._registration.register()
                break
            except (errors.APIStatusError, OSError) as error:
                _log.info("registering node %s: %s", self._settings.node_name, error)
                self._stopping.wait(delay)
                delay = min(delay * 2, 7.0)
        if self._stopping.is_set():
            return
        self._registration.start()
        self._parts.statuses.start()
        if self._node is not None:
            self._parts.recorder.event(self._node, "Normal", "Starting", "Starting kubelet.")
            self._tell_limits(self._node)
        self._nodes.add_handler(added=self._on_node, updated=lambda old, new: self._on_node(new))
        self._nodes.start()
        self._spawn("kubelet-events", self._follow_engine)
        self._spawn("kubelet-sweep", self._sweep)
        self._spawn("kubelet-evictions", lambda: self._evictions.run(self._stopping))

    def _tell_limits(self, node: Object) -> None:
        """Once, what this machine does not let containers have, rather than with each of them."""
        try:
            floor = int(self._engine.info().details.get("oom_score_floor", quality.LOWEST_OOM_SCORE))
        except runtime.RuntimeFailure:
            return
        if floor > quality.LOWEST_OOM_SCORE:
            message = f"oom_score_adj of containers cannot be lower than {floor}: the agent lacks CAP_SYS_RESOURCE"
            self._parts.recorder.event(node, "Warning", "OOMScoreAdjLimited", message)

    def _spawn(self, name: str, target: "threads.Work") -> None:
        thread = threading.Thread(target=target, name=name, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _follow_engine(self) -> None:
        """Takes over what runs, then follows the engine's events; begins anew when the engine was away."""
        while not self._stopping.is_set():
            began = False

            def stop() -> bool:
                nonlocal began
                if not began:
                    began = True
                    self._engine_is_back()
                return self._stopping.is_set()

            try:
                for event in self._engine.events(self._parts.own_labels(), stop):
                    uid = event.labels.get(labels.POD_UID)
                    if uid and event.kind != "removed":
                        self._poke(uid)
            except (runtime.RuntimeFailure, OSError) as failure:
                self._runtime_problem = str(failure)
                self._registration.wake()
                _log.warning("container runtime: %s", failure)
                self._stopping.wait(_ENGINE_RETRY)

    def _engine_is_back(self) -> None:
        if self._runtime_problem:
            self._runtime_problem = ""
            self._registration.wake()
        if self._dispatching:
            self._workers.poke_all()

    def _on_node(self, node: Object) -> None:
        """The Node as the API has it: once it has a range, the node's network is made and pods may start."""
        with self._node_lock:
            self._node = node
            self._registration.observe(node)
            spec = node.get("spec") or {}
            cidrs = spec.get("podCIDRs") or [cidr for cidr in (spec.get("podCIDR"),) if cidr]
            if not cidrs or self._parts.addresses is not None or self._stopping.is_set():
                return
            try:
                self._network.set_up(*cidrs)
                self._parts.addresses = network_addresses.Pools(cidrs, self._settings.node_ip)
                for sandbox in self._engine.sandboxes(self._parts.own_labels()):
                    sandboxes.adopt(self._parts, sandbox)
            except (OSError, runtime.RuntimeFailure) as problem:
                self._parts.addresses = None
                _log.warning("network of node %s: %s", self._settings.node_name, problem)
                # With what is the newest by then.
                again = functools.partial(self._parts.pool.submit, lambda: self._on_node(self._node or node))
                self._parts.timers.after(_NETWORK_RETRY, again)
                return
        self._registration.wake()
        self._dispatch()

    def _dispatch(self) -> None:
        """From here on pods are worked on."""
        if self._dispatching:
            self._workers.poke_all()
            return
        self._dispatching = True
        self._services.wait_for_sync(5.0)
        self._static.start()
        self._pods.add_handler(added=self._on_pod, updated=lambda old, new: self._on_pod(new), deleted=self._on_gone)
        self._pods.start()

    # --- what wakes workers

    def _on_pod(self, pod: Object) -> None:
        if pod_spec.is_mirror(pod):
            self._static.on_mirror(pod)
            return
        differs = self._parts.statuses.observe(pod)
        work = self._workers.work(objects.uid(pod))
        if work is not None and pod_status.only_status(work.newest, pod) and not work.ends:
            work.newest = pod
            if differs:
                self._workers.poke(objects.uid(pod))
            return
        self._workers.update(pod)

    def _on_gone(self, pod: Object) -> None:
        if pod_spec.is_mirror(pod):
            self._static.put_right(objects.key(pod))
            return
        self._workers.remove(pod)

    def _poke(self, uid: str) -> None:
        self._workers.poke(uid)

    def _poke_if_deleting(self, uid: str) -> None:
        work = self._workers.work(uid)
        if work is not None and work.phase is pod_worker.Phase.TERMINATED:
            self._workers.poke(uid)

    def _on_source(self, key: object_cache.Key) -> None:
        for uid in self._parts.cache.pods_of(key):
            self._workers.poke(uid)

    def _evict(self, uid: str, message: str, grace: float) -> None:
        self._order_end(uid, pod_worker.Ending(eviction.REASON, message, grace))

    def _end(self, uid: str, grace: float) -> None:
        self._order_end(uid, pod_worker.Ending(shutdown.REASON, shutdown.MESSAGE, grace))

    def _order_end(self, uid: str, ending: pod_worker.Ending) -> None:
        work = self._workers.work(uid)
        if work is not None and work.ending is None:
            work.ending = ending
            work.cancelled.set()
            self._workers.poke(uid)

    def _has_ended(self, uid: str) -> bool:
        """Whether nothing of it runs, and the API knows."""
        work = self._workers.work(uid)
        return work is None or (work.phase is pod_worker.Phase.TERMINATED and self._parts.statuses.settled(uid))

    def _sweep(self) -> None:
        """Ends what belongs to no pod: at once after the first list of pods, then every few minutes."""
        self._pods.wait_for_sync()
        while not self._stopping.is_set():
            pause = _SWEEP_SECONDS
            try:
                for pod in garbage.orphaned_pods(self._parts, self._known_uids):
                    self._workers.adopt_orphan(pod)
                garbage.remove_directories(self._parts, self._known_uids)
                garbage.remove_cgroups(self._parts, self._known_uids)
                self._parts.trees.sweep(os.path.join(self._settings.data_dir, "pods"))
            except (runtime.RuntimeFailure, OSError) as failure:
                _log.info("sweep: %s", failure)
                pause = _SWEEP_RETRY
            self._stopping.wait(pause)

    def _known_uids(self) -> set[str]:
        return {objects.uid(pod) for pod in self._pods.list()} | {work.uid for work in self._workers.all()}

    # --- what the parts ask

    def _health(self) -> node_status.Health:
        waiting = "" if self._parts.addresses is not None else "the node has no podCIDR yet"
        return node_status.Health(self._runtime_problem, waiting, self._shutdown.active, self._evictions.conditions)

    def _services_for(self, namespace: str) -> list[Object]:
        if not self._services.synced:
            raise environment.ConfigProblem("services have not yet been read at least once, cannot construct envvars")
        found = self._services.by_index("namespace", namespace)
        master = self._services.get("default/kubernetes")
        return found if master is None or namespace == "default" else [master, *found]

    def _active_pods(self, uid: str) -> list[Object]:
        """Pods that hold resources of the node, but for one."""
        present = {self._static.own_uid(pod): pod for pod in self._pods.list()}
        return pod_worker.holding(self._workers.all(), present, but=uid)

    def _node_socket(self, family: int) -> socket.socket:
        return self._network.run_in_node(lambda: socket.socket(family, socket.SOCK_STREAM))

    # --- what the kubelet's server asks (``server.PodSource``)

    def pods(self) -> list[Object]:
        """The pods bound to this node, with the newest status this kubelet knows."""
        found: list[Object] = []
        for pod in self._pods.list():
            latest = self._parts.statuses.latest(self._static.own_uid(pod))
            found.append({**pod, "status": latest} if latest else pod)
        return found

    def running_pods(self) -> list[Object]:
        """Pods whose sandbox runs, as the engine's labels tell."""
        known = {self._static.own_uid(pod): pod for pod in self._pods.list()}
        found: list[Object] = []
        for sandbox in self._engine.sandboxes(self._parts.own_labels()):
            pod = known.get(sandbox.labels.get(labels.POD_UID, ""))
            if pod is not None and sandbox.state is runtime.State.RUNNING:
                found.append(pod)
        return found

    def container_id(self, namespace: str, pod: str, container: str, previous: bool = False) -> str:
        """The engine's id of a container, or of the one before it. Raises ``LookupError`` in the client's words."""
        found = self._pods.get(f"{namespace}/{pod}")
        if found is None:
            raise LookupError(f'pod "{pod}" not found in namespace "{namespace}"')
        if pod_spec.find(found, container) is None:
            raise LookupError(f"container {container} not found in pod {pod}_{namespace}")
        wanted = {**self._parts.own_labels(), labels.POD_UID: self._static.own_uid(found), labels.CONTAINER: container}
        instances = sorted(
            self._engine.containers(wanted), key=lambda each: (labels.restarts(each.labels), each.created_at)
        )
        dead = [each for each in instances if each.state is runtime.State.EXITED]
        if previous:
            if instances and instances[-1].state is not runtime.State.RUNNING:
                dead = dead[:-1] or dead
            if not dead:
                raise LookupError(f'previous terminated container "{container}" in pod "{pod}" not found')
            return dead[-1].id
        if not instances:
            work = self._workers.work(self._static.own_uid(found))
            waiting = work.waiting.get(container) if work else None
            reason = self._waiting_words(found, container, waiting.reason if waiting else "")
            raise LookupError(f'container "{container}" in pod "{pod}" is waiting to start: {reason}')
        return instances[-1].id

    def _waiting_words(self, pod: Object, container: str, reason: str) -> str:
        if reason in ("ErrImagePull", "ImagePullBackOff", "RegistryUnavailable"):
            return "trying and failing to pull image" if reason != "ErrImagePull" else "image can't be pulled"
        return reason or ("PodInitializing" if pod_spec.init_containers(pod) else "ContainerCreating")

    def container_status(self, namespace: str, pod: str, container: str) -> Object | None:
        """The container's entry of the pod's newest status."""
        found = self._pods.get(f"{namespace}/{pod}")
        if found is None:
            return None
        status = self._parts.statuses.latest(self._static.own_uid(found)) or found.get("status") or {}
        for field in ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"):
            for entry in status.get(field) or ():
                if entry["name"] == container:
                    result: Object = entry
                    return result
        return None

    def sandbox_pid(self, namespace: str, pod: str) -> int | None:
        """A process in the pod's network namespace, None where the pod does not run."""
        found = self._pods.get(f"{namespace}/{pod}")
        if found is None:
            return None
        wanted = {**self._parts.own_labels(), labels.POD_UID: self._static.own_uid(found)}
        running = [each for each in self._engine.sandboxes(wanted) if each.state is runtime.State.RUNNING]
        return running[0].pid if running else None

    # --- for whoever runs it

    def healthy(self) -> bool:
        """Whether the engine answers and its events are followed."""
        return not self._runtime_problem

    def wait_until_ready(self, timeout: float) -> bool:
        """Until pods can be started; False if that took longer."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if self._parts.addresses is not None and self._pods.synced:
                return True
            self._stopping.wait(0.02)
        return False


def _node_resolver(path: str) -> files.Resolver:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return files.parse_resolver(file.read())
    except OSError:
        return files.Resolver()
