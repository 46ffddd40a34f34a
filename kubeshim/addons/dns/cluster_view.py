"""The cluster as ``records`` sees it: three informers with the indexes that reverse lookups need."""

import threading
import time
from collections.abc import Iterable

from kubeshim.client import informer, kinds, rest
from kubeshim.machinery import objects
from kubeshim.machinery.objects import Object

_SERVICE_NAME = "kubernetes.io/service-name"


class ClusterView:
    """Reading is safe from any thread."""

    def __init__(self, client: rest.Client) -> None:
        self._services = informer.Informer(client, kinds.SERVICES)
        self._slices = informer.Informer(client, kinds.ENDPOINT_SLICES)
        self._namespaces = informer.Informer(client, kinds.NAMESPACES)
        self._services.add_index("address", _service_addresses)
        self._services.add_index("namespace", lambda service: [objects.namespace(service)])
        self._slices.add_index("service", _service_keys)
        self._slices.add_index("address", _endpoint_addresses)
        self._all = (self._services, self._slices, self._namespaces)
        self._stopped = threading.Event()

    def start(self) -> None:
        for source in self._all:
            source.start()

    def stop(self) -> None:
        self._stopped.set()
        for source in self._all:
            source.stop()

    def wait_for_sync(self, timeout: float) -> bool:
        deadline = time.monotonic() + timeout
        return all(source.wait_for_sync(max(deadline - time.monotonic(), 0)) for source in self._all)

    def service(self, namespace: str, name: str) -> Object | None:
        return self._services.get(f"{namespace}/{name}")

    def slices(self, namespace: str, name: str) -> Iterable[Object]:
        return self._slices.by_index("service", f"{namespace}/{name}")

    def services_with_address(self, address: str) -> Iterable[Object]:
        return self._services.by_index("address", address)

    def slices_with_address(self, address: str) -> Iterable[Object]:
        return self._slices.by_index("address", address)

    def namespace_exists(self, name: str) -> bool:
        return self._namespaces.get(name) is not None

    def namespace_has_services(self, name: str) -> bool:
        return bool(self._services.by_index("namespace", name))


def _service_addresses(service: Object) -> list[str]:
    spec = service.get("spec") or {}
    return [address for address in spec.get("clusterIPs") or [spec.get("clusterIP")] if address and address != "None"]


def _service_keys(piece: Object) -> list[str]:
    name = objects.labels(piece).get(_SERVICE_NAME)
    return [f"{objects.namespace(piece)}/{name}"] if name else []


def _endpoint_addresses(piece: Object) -> list[str]:
    return [address for entry in piece.get("endpoints") or () for address in entry.get("addresses") or ()]
