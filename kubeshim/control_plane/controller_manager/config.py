"""The controller manager's options, named and defaulted as upstream's flags."""

import dataclasses
import socket
import uuid
from collections.abc import Callable, Mapping, Sequence

from kubeshim.client import kubeconfig
from kubeshim.machinery.objects import Object


@dataclasses.dataclass(frozen=True, slots=True)
class Options:
    """Durations are seconds."""

    cluster_cidr: str = "10.244.0.0/16"
    """Where nodes' pod ranges come from; several, separated by commas, for dual stack."""
    allocate_node_cidrs: bool = True
    node_cidr_mask_size: int = 24
    node_cidr_mask_size_ipv6: int = 64
    service_cidr: str = ""
    """Kept out of the nodes' ranges where it lies inside ``cluster_cidr``."""
    node_monitor_grace_period: float = 50.0
    node_startup_grace_period: float = 60.0
    node_eviction_rate: float = 0.1
    secondary_node_eviction_rate: float = 0.01
    unhealthy_zone_threshold: float = 0.55
    large_cluster_size_threshold: int = 50
    terminated_pod_gc_threshold: int = 12500
    legacy_service_account_token_clean_up_period: float = 365 * 86400.0
    root_ca: bytes = b""
    """PEM that goes into every namespace's ``kube-root-ca.crt``; by default the CA the client trusts."""
    service_account_private_key: bytes = b""
    """PEM of the key that tokens kept in Secrets are signed with; without it none are made."""
    cluster_signing_cert: bytes = b""
    cluster_signing_key: bytes = b""
    """What approved CertificateSigningRequests are signed with; without it none are signed."""
    cluster_signing_duration: float = 365 * 86400.0
    max_endpoints_per_slice: int = 100
    horizontal_pod_autoscaler_sync_period: float = 15.0
    horizontal_pod_autoscaler_downscale_stabilization: float = 300.0
    horizontal_pod_autoscaler_tolerance: float = 0.1
    horizontal_pod_autoscaler_cpu_initialization_period: float = 300.0
    horizontal_pod_autoscaler_initial_readiness_delay: float = 30.0
    load_balancer_range: str = ""
    """Where load balancers' addresses come from; without it they get none here."""
    set_host_routes: Callable[[Mapping[str, str]], None] | None = None
    """Makes the host's routes to Services exactly ``{range: node address}``; None where that is not ours to do."""

    follow_other_machines: Callable[[Sequence[Object], str], None] | None = None
    """Told all nodes, and the address of the one here that carries the machine's own traffic, whenever either changes:
    keeps the machine's routes to nodes of other machines. None where there are none."""


def default_identity() -> str:
    """Who we are in the leader election: a name that nobody else has."""
    return f"{socket.gethostname()}_{uuid.uuid4()}"


@dataclasses.dataclass(frozen=True, slots=True)
class Config:
    """How the process runs."""

    client: kubeconfig.ClientConfig
    options: Options = Options()
    controllers: tuple[str, ...] = ("*",)
    """``*`` for all that are on by default, ``name`` to add, ``-name`` to leave out."""
    leader_elect: bool = True
    identity: str = dataclasses.field(default_factory=default_identity)
    """Give a stable one where a supervisor never runs two: a restart then need not wait for the old lease."""
    lease_duration: float = 15.0
    renew_deadline: float = 10.0
    retry_period: float = 2.0
    health_address: tuple[str, int] | None = None
    """Where ``/healthz``, ``/livez`` and ``/readyz`` are answered (plain HTTP); None for nowhere."""
