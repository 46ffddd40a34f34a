"""The kubelet's options. Names and defaults are upstream's KubeletConfiguration's where there is one."""

import dataclasses
from collections.abc import Mapping, Sequence

DEFAULT_EVICTION_HARD = {
    "memory.available": "100Mi",
    "nodefs.available": "10%",
    "nodefs.inodesFree": "5%",
    "imagefs.available": "15%",
    "imagefs.inodesFree": "5%",
}


@dataclasses.dataclass(frozen=True, slots=True)
class KubeletConfig:
    """What one kubelet is told."""

    node_name: str
    node_ip: str
    data_dir: str
    """Pods' directories are below ``DATA_DIR/pods/UID``."""
    node_ip6: str = ""
    """Of the second address family, where the node has one."""
    cluster_name: str = "kubeshim"
    """Value of the label that all the cluster's containers carry."""
    cluster_domain: str = "cluster.local"
    cluster_dns: Sequence[str] = ()
    port: int = 10250
    node_labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    node_annotations: Mapping[str, str] = dataclasses.field(default_factory=dict)
    register_node: bool = True
    """Whether it makes its Node where there is none; else it waits until somebody does."""
    register_with_taints: Sequence[Mapping[str, str]] = ()
    provider_id: str = ""
    max_pods: int = 110
    system_reserved: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Quantities (``cpu``, ``memory``, ``ephemeral-storage``) taken off capacity to give allocatable."""
    lease_duration: int = 40
    """Seconds; the lease is renewed every quarter of it."""
    status_report_frequency: float = 300.0
    """Seconds after which an unchanged node status is written again."""
    status_update_frequency: float = 10.0
    """Seconds between looks at the machine for a changed node status."""
    crash_loop_initial: float = 10.0
    crash_loop_maximum: float = 300.0
    image_pull_initial: float = 10.0
    image_pull_maximum: float = 300.0
    back_off_reset: float = 600.0
    """Seconds a container must have run, or an image been left alone, for its back-off to start anew."""
    parallel_starts: int = 4
    """Sandboxes and containers started at once; measured: more only queue on the engine."""
    serialize_image_pulls: bool = False
    seccomp_default: bool = False
    allowed_unsafe_sysctls: Sequence[str] = ()
    resolver_config: str = "/etc/resolv.conf"
    sync_frequency: float = 60.0
    """Seconds after which a pod is looked at again although nothing happened."""
    pod_pids_limit: int = 0
    cgroup_root: str = "kubeshim"
    eviction_hard: Mapping[str, str] = dataclasses.field(default_factory=lambda: dict(DEFAULT_EVICTION_HARD))
    """By signal, quantities or percentages; what is given replaces all of the defaults."""
    eviction_soft: Mapping[str, str] = dataclasses.field(default_factory=dict)
    eviction_soft_grace_period: Mapping[str, float] = dataclasses.field(default_factory=dict)
    """Seconds by signal."""
    eviction_minimum_reclaim: Mapping[str, str] = dataclasses.field(default_factory=dict)
    eviction_pressure_transition_period: float = 300.0
    eviction_max_pod_grace_period: float = 0.0
    """Most seconds a pod gets that a soft threshold ends."""
    eviction_interval: float = 10.0
    """Seconds between two looks at the signals."""
    image_gc_high_threshold: int = 85
    """Percent of the images' file system in use above which unused images go; 100 never collects."""
    image_gc_low_threshold: int = 80
    image_minimum_gc_age: float = 120.0
    image_maximum_gc_age: float = 0.0
    """Seconds an image may be unused; 0 means for ever."""
    image_gc_period: float = 300.0
    shutdown_grace_period: float = 0.0
    """Seconds that pods get when the machine goes down; 0 ends them with it."""
    shutdown_grace_period_critical_pods: float = 0.0
    """The last part of it, for critical pods alone."""
    shutdown_grace_period_by_pod_priority: Sequence[Mapping[str, int]] = ()
    """``priority`` and ``shutdownGracePeriodSeconds`` of each class, instead of the two above."""
    static_pod_path: str = ""
    """A folder of manifests that this node runs by itself; empty for none."""
    file_check_frequency: float = 20.0
    """Seconds between two looks into that folder."""

    @property
    def node_ips(self) -> list[str]:
        """The node's addresses, the primary first."""
        return [address for address in (self.node_ip, self.node_ip6) if address]
