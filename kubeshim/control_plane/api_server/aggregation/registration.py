"""An APIService that leads to another server, as a record."""

import base64
import binascii
import dataclasses

from kubeshim.machinery import objects

DEFAULT_PORT = 443


@dataclasses.dataclass(frozen=True, slots=True)
class Registration:
    """``authority`` is PEM, empty for the machine's own; it does not count where ``insecure``."""

    name: str
    group: str
    version: str
    namespace: str
    service: str
    port: int
    authority: str
    insecure: bool
    group_priority: int
    version_priority: int
    available: bool
    """What the object's condition said last."""

    @property
    def key(self) -> tuple[str, str]:
        return self.group, self.version

    @property
    def path(self) -> str:
        return f"/apis/{self.group}/{self.version}"

    @property
    def server_name(self) -> str:
        """The name the server's certificate must be for."""
        return f"{self.service}.{self.namespace}.svc"

    @property
    def route(self) -> tuple[object, ...]:
        """All that decides where requests go: a change means everything known of the server is old."""
        return self.key, self.namespace, self.service, self.port, self.authority, self.insecure


def of(api_service: objects.Object) -> Registration | None:
    """None for one that is served here; the core group always is."""
    spec = api_service.get("spec") or {}
    service = spec.get("service")
    if not service or not spec.get("group"):
        return None
    condition = objects.condition(api_service, "Available") or {}
    return Registration(
        name=objects.name(api_service),
        group=spec["group"],
        version=spec.get("version") or "",
        namespace=service.get("namespace") or "",
        service=service.get("name") or "",
        port=service.get("port") or DEFAULT_PORT,
        authority=_pem(spec.get("caBundle") or ""),
        insecure=bool(spec.get("insecureSkipTLSVerify")),
        group_priority=spec.get("groupPriorityMinimum") or 0,
        version_priority=spec.get("versionPriority") or 0,
        available=condition.get("status") == "True",
    )


def _pem(bundle: str) -> str:
    try:
        return base64.b64decode(bundle).decode("ascii", "replace")
    except binascii.Error:
        return ""
