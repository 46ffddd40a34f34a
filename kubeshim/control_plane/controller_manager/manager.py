"""The process: which controllers there are, and running them while we lead.

``CONTROLLERS`` is the whole list; a controller is added by a line there. All share one client and one set of
informers (one watch a type). They start together once we hold the Lease; whoever loses it exits, because no
controller may act after another manager has begun to.
"""

import logging
import threading
from collections.abc import Sequence

from kubeshim import clock
from kubeshim.client import informer, leader_election, recorder, rest
from kubeshim.control_plane import component_metrics, health
from kubeshim.control_plane.controller_manager import config as configuration
from kubeshim.control_plane.controller_manager import controller, metrics
from kubeshim.control_plane.controller_manager.controllers import (
    bootstrap_signer,
    certificates,
    clusterrole_aggregation,
    cronjob,
    daemonset,
    deployment,
    disruption,
    dns_endpoints,
    endpoints,
    endpointslice,
    endpointslice_mirroring,
    ephemeral_volume,
    garbage_collector,
    horizontalpodautoscaler,
    host_route,
    job,
    legacy_token_cleaner,
    namespace,
    node_ipam,
    node_lifecycle,
    persistentvolume_binder,
    pod_certificate_cleaner,
    pod_gc,
    pv_protection,
    pvc_protection,
    replicaset,
    replicationcontroller,
    resource_quota,
    root_ca,
    service_lb,
    serviceaccount,
    serviceaccount_token,
    statefulset,
    taint_eviction,
    token_cleaner,
    ttl,
    ttl_after_finished,
    vac_protection,
    validatingadmissionpolicy_status,
    volume_expand,
)
from kubeshim.wire import exposition

_log = logging.getLogger(__name__)

LEASE = "kube-controller-manager"
"""The Lease, and who we say we are: the manager of the fields we write."""

CONTROLLERS: tuple[type[controller.Controller], ...] = (
    # What new namespaces and nodes wait for comes first.
    serviceaccount.ServiceAccountController,
    serviceaccount_token.ServiceAccountTokenController,
    root_ca.RootCAController,
    node_ipam.NodeIPAMController,
    node_lifecycle.NodeLifecycleController,
    ttl.TTLController,
    host_route.HostRouteController,
    dns_endpoints.DNSEndpointsController,
    taint_eviction.TaintEvictionController,
    deployment.DeploymentController,
    replicaset.ReplicaSetController,
    replicationcontroller.ReplicationControllerController,
    daemonset.DaemonSetController,
    statefulset.StatefulSetController,
    job.JobController,
    cronjob.CronJobController,
    horizontalpodautoscaler.HorizontalPodAutoscalerController,
    ttl_after_finished.TTLAfterFinishedController,
    disruption.DisruptionController,
    pod_gc.PodGCController,
    persistentvolume_binder.PersistentVolumeBinderController,
    ephemeral_volume.EphemeralVolumeController,
    pvc_protection.PVCProtectionController,
    pv_protection.PVProtectionController,
    vac_protection.VACProtectionController,
    volume_expand.VolumeExpandController,
    clusterrole_aggregation.ClusterRoleAggregationController,
    resource_quota.ResourceQuotaController,
    certificates.CertificatesController,
    bootstrap_signer.BootstrapSignerController,
    token_cleaner.TokenCleanerController,
    pod_certificate_cleaner.PodCertificateCleanerController,
    legacy_token_cleaner.LegacyTokenCleanerController,
    service_lb.ServiceLBController,
    endpoints.EndpointsController,
    endpointslice.EndpointSliceController,
    endpointslice_mirroring.EndpointSliceMirroringController,
    validatingadmissionpolicy_status.ValidatingAdmissionPolicyStatusController,
    namespace.NamespaceController,
    # Last: it shares the informers that the others asked for.
    garbage_collector.GarbageCollectorController,
)


class UnknownController(ValueError):
    """``--controllers`` names one that there is not."""


def select(wanted: Sequence[str]) -> list[type[controller.Controller]]:
    """The controllers that ``wanted`` (``*``, ``name``, ``-name``) comes to. Raises ``UnknownController``.

    Upstream's names end in ``-controller``; the end may be left out.
    """
    wanted = [text.removesuffix("-controller") for text in wanted]
    names = {one.name for one in CONTROLLERS}
    unknown = [text for text in wanted if text != "*" and text.removeprefix("-") not in names]
    if unknown:
        raise UnknownController(f"no such controller: {', '.join(unknown)}; there are {', '.join(sorted(names))}")
    return [one for one in CONTROLLERS if f"-{one.name}" not in wanted and ("*" in wanted or one.name in wanted)]


class Manager:
    """The controllers of one process."""

    def __init__(
        self, client: rest.Client, config: configuration.Config, time_source: clock.Clock = clock.SYSTEM
    ) -> None:
        self._client, self._config, self._clock = client, config, time_source
        self.informers = informer.Factory(client)
        self._recorders: dict[str, recorder.Recorder] = {}
        self._controllers: list[controller.Controller] = []
        self._metrics = metrics.Metrics()
        self._component = component_metrics.Component(LEASE, config.client.server)
        client.observe = self._component.requested

    def start(self) -> None:
        """Starts informers and controllers; returns at once."""
        context = controller.Context(
            self._client, self.informers, self._config.options, self._recorder, self._clock, self._metrics
        )
        self._component.leads = True
        for kind in select(self._config.controllers):
            self._controllers.append(kind(context))
        self.informers.start()
        for one in self._controllers:
            one.start()

    def metrics(self) -> str:
        queues = [(metrics.queue_name(one.name), one.queue) for one in self._controllers]
        figures = (one.figures() for one in self._controllers)
        counted = self._metrics.work.lines(queues), self._metrics.lines(), self._component.lines()
        return exposition.text(*counted, *figures)

    def stop(self) -> None:
        for one in self._controllers:
            one.stop()
        self.informers.stop()
        for events in self._recorders.values():
            events.stop()

    def _recorder(self, component: str) -> recorder.Recorder:
        if component not in self._recorders:
            self._recorders[component] = recorder.Recorder(self._client, component, time_source=self._clock)
        return self._recorders[component]


def run(config: configuration.Config, stop: threading.Event | None = None) -> bool:
    """Runs until ``stop`` is set; False if it returned because leadership was lost (then end the process)."""
    stop = stop or threading.Event()
    client = rest.Client(config.client, user_agent=LEASE)
    manager = Manager(client, config)
    with health.serve(config.health_address, {"ping": lambda: True}, manager.metrics):
        try:
            if not config.leader_elect:
                manager.start()
                stop.wait()
                return True
            elector = leader_election.LeaderElector(
                client, LEASE, config.identity, config.lease_duration, config.renew_deadline, config.retry_period
            )
            elector.run(manager.start, stop)
            return stop.is_set()
        finally:
            manager.stop()
            client.close()
