"""The kubelet's options. Names and defaults are upstream's KubeletConfiguration's where there is one."""

import dataclasses
from collections.abc import Mapping, Sequence


@dataclasses.dataclass(frozen=True, slots=True)
class KubeletConfig:
    """What one kubelet is told."""

    node_name: str
    node_ip: str
    data_dir: str
    """Pods' directories are below ``DATA_DIR/pods/UID``."""
    cluster_name: str = "kubeshim"
    """Value of the label that all the cluster's containers carry."""
    cluster_domain: str = "cluster.local"
    cluster_dns: Sequence[str] = ()
    port: int = 10250
    node_labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
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
    memory_pressure_available: int = 100 * 1024 * 1024
    """Bytes of available memory below which the node is under MemoryPressure."""
    disk_pressure_fraction: float = 0.10
    """Fraction of free disk space below which the node is under DiskPressure."""
    pid_pressure_fraction: float = 0.02
