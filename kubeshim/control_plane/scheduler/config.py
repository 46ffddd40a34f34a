"""The scheduler's options."""

import dataclasses
import socket
import uuid

from kubeshim.client import kubeconfig


def default_identity() -> str:
    """Who we are in the leader election: a name that nobody else has."""
    return f"{socket.gethostname()}_{uuid.uuid4()}"


@dataclasses.dataclass(frozen=True, slots=True)
class Config:
    """Durations are seconds."""

    client: kubeconfig.ClientConfig
    scheduler_name: str = "default-scheduler"
    """Only pods with this ``spec.schedulerName`` are ours."""
    percentage_of_nodes_to_score: int = 0
    """0: by the size of the cluster, from half of 100 nodes down to a twentieth of thousands."""
    leader_elect: bool = True
    identity: str = dataclasses.field(default_factory=default_identity)
    """Give a stable one where a supervisor never runs two: a restart then need not wait for the old lease."""
    lease_duration: float = 15.0
    renew_deadline: float = 10.0
    retry_period: float = 2.0
    health_address: tuple[str, int] | None = None
