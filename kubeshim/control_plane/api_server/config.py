"""Everything an API server is told when it starts."""

import dataclasses
import pathlib


@dataclasses.dataclass(frozen=True, slots=True)
class Config:
    """Paths are absolute or relative to the working directory; times are seconds."""

    data_dir: pathlib.Path
    store: str = ""
    """``sqlite:PATH`` or ``memory:``; empty is ``store/cluster.db`` in ``data_dir``."""
    tls_certificate: str = ""
    """The serving certificate with its chain. Without one the server speaks plain HTTP: for tests only."""
    tls_key: str = ""
    client_ca: str = ""
    """Client certificates of this authority identify their bearer."""
    front_proxy_ca: str = ""
    """Who presents a certificate of this authority may say for whom it speaks (``X-Remote-User`` …)."""
    service_account_key: str = ""
    """The RSA key with which service-account tokens are signed and checked."""
    kubelet_client_certificate: str = ""
    kubelet_client_key: str = ""
    kubelet_ca: str = ""
    proxy_client_certificate: str = ""
    """Shown to aggregated API servers, which trust the front proxy's authority."""
    proxy_client_key: str = ""
    certificate_authority: str = ""
    """The cluster's CA certificate, for ``kube-root-ca.crt`` and the signers."""
    service_range: str = "10.96.0.0/16"
    node_ports: tuple[int, int] = (30000, 32767)
    """First and last port that NodePort Services get."""
    cluster_domain: str = "cluster.local"
    advertise_address: str = "127.0.0.1"
    """What the ``kubernetes`` Service's endpoint points at."""
    advertise_port: int = 6443
    token_issuer: str = "https://kubernetes.default.svc.cluster.local"
    token_audiences: tuple[str, ...] = ("https://kubernetes.default.svc.cluster.local",)
    authorization_mode: str = "Node,RBAC"
    anonymous: bool = True
    """Whether requests without credentials are ``system:anonymous`` (RBAC decides) or refused."""
    enable_bootstrap_tokens: bool = True
    enabled_admission_plugins: tuple[str, ...] = ()
    """Beyond those that are on by default."""
    disabled_admission_plugins: tuple[str, ...] = ()
    default_not_ready_toleration: int = 300
    default_unreachable_toleration: int = 300
    compaction_interval: float = 300.0
    event_ttl: float = 3600.0
    request_timeout: float = 60.0
    min_watch_timeout: float = 1800.0
    """A watch without ``timeoutSeconds`` ends after this much up to twice as much."""
    max_requests_in_flight: int = 400
    max_mutating_requests_in_flight: int = 200
    background: bool = True
    """Whether the server does its own work beside requests (system namespaces, bootstrap roles …)."""

    def store_url(self) -> str:
        return self.store or f"sqlite:{self.data_dir / 'store' / 'cluster.db'}"
