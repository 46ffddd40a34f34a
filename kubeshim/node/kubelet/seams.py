"""What the kubelet needs of its neighbours: the parts of the client, recorder and network that it calls."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from kubeshim.machinery.objects import Object
from kubeshim.machinery.resources import GroupVersionResource
from kubeshim.node.kubelet import network_rules

T = TypeVar("T")

HostPort = network_rules.HostPort


class Recorder(Protocol):
    """Tells events; never blocks."""

    def event(self, obj: Object, type: Any, reason: str, message: str, *, field_path: str = "") -> None: ...


class Network(Protocol):
    """The node's network, as pods need it: ``network.NodeNetwork``."""

    def set_up(self, pod_cidr: str, pod_cidr6: str = "") -> None: ...

    def attach(
        self, sandbox_pid: int, pod_ip: str, pod_uid: str, host_ports: Sequence[HostPort] = (), *,
        others: Sequence[str] = (),
    ) -> None: ...  # fmt: skip

    def pod_addresses(self, sandbox_pid: int) -> list[str]: ...

    def detach(self, pod_uid: str) -> None: ...

    def run_in_node(self, function: Callable[[], T]) -> T: ...

    def run_in_pod(self, sandbox_pid: int, function: Callable[[], T]) -> T: ...


class Api(Protocol):
    """The verbs the kubelet uses: ``client.rest.Client`` has them."""

    def get(
        self, gvr: GroupVersionResource, name: str, namespace: str = "", *, subresource: str = "", **params: Any
    ) -> Object: ...

    def create(
        self, gvr: GroupVersionResource, obj: Object, namespace: str = "", *, name: str = "", subresource: str = "",
        **params: Any,
    ) -> Object: ...  # fmt: skip

    def update(self, gvr: GroupVersionResource, obj: Object, *, subresource: str = "", **params: Any) -> Object: ...

    def patch(
        self, gvr: GroupVersionResource, name: str, patch: Any, namespace: str = "", *, kind: Any = "merge",
        subresource: str = "", **params: Any,
    ) -> Object: ...  # fmt: skip

    def delete(
        self, gvr: GroupVersionResource, name: str, namespace: str = "", *, options: Object | None = None
    ) -> Object: ...
