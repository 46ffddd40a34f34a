"""Where a server is and who we are to it: kubeconfig files, and the service account of a pod.

What we cannot do (credential plugins, proxies, passwords) is refused by name rather than passed over.
"""

import base64
import binascii
import dataclasses
import pathlib
from typing import Any


class ConfigError(ValueError):
    """The configuration cannot be used; the message says what is wrong with it."""


@dataclasses.dataclass(frozen=True, slots=True)
class ClientConfig:
    """How to reach an API server. PEM data wins over the file of the same purpose."""

    server: str
    """``https://HOST:PORT``, with an optional path prefix."""
    ca_file: str | None = None
    ca_data: bytes | None = None
    cert_file: str | None = None
    cert_data: bytes | None = None
    key_file: str | None = None
    key_data: bytes | None = None
    token: str | None = None
    token_file: str | None = None
    """Read again when it changes: bound service-account tokens rotate."""
    tls_server_name: str | None = None
    insecure: bool = False
    """Takes any server certificate; only if the kubeconfig asks for it."""
    namespace: str = "default"
    impersonate: str | None = None
    impersonate_groups: tuple[str, ...] = ()


def load(path: str | pathlib.Path, context: str | None = None) -> ClientConfig:
    """Reads a kubeconfig file; ``context`` defaults to its current one. Raises ``ConfigError`` or ``OSError``."""
    from kubeshim import fast_yaml

    path = pathlib.Path(path)
    try:
        document = fast_yaml.load(path.read_bytes())
    except fast_yaml.Error as error:
        raise ConfigError(f"{path}: not YAML: {error}") from error
    if not isinstance(document, dict):
        raise ConfigError(f"{path}: not a kubeconfig")
    return from_document(document, context, directory=path.parent)


def from_document(
    document: dict[str, Any], context: str | None = None, *, directory: pathlib.Path | None = None
) -> ClientConfig:
    """Like ``load``, from the parsed file. Relative file names are relative to ``directory``."""
    directory = directory or pathlib.Path()
    wanted = context or document.get("current-context") or ""
    if not wanted:
        raise ConfigError("no current-context is set and none was given")
    chosen = _entry(document, "contexts", "context", wanted)
    cluster = _entry(document, "clusters", "cluster", str(chosen.get("cluster") or ""))
    user = _entry(document, "users", "user", str(chosen["user"])) if chosen.get("user") else {}
    _refuse(user, ("exec", "auth-provider", "username", "password"), "user")
    _refuse(cluster, ("proxy-url",), "cluster")
    if not cluster.get("server"):
        raise ConfigError(f"cluster {chosen.get('cluster')!r} has no server")
    return ClientConfig(
        server=str(cluster["server"]).rstrip("/"),
        ca_file=_file(cluster, "certificate-authority", directory),
        ca_data=_data(cluster, "certificate-authority-data"),
        cert_file=_file(user, "client-certificate", directory),
        cert_data=_data(user, "client-certificate-data"),
        key_file=_file(user, "client-key", directory),
        key_data=_data(user, "client-key-data"),
        token=user.get("token") or None,
        token_file=_file(user, "tokenFile", directory),
        tls_server_name=cluster.get("tls-server-name") or None,
        insecure=bool(cluster.get("insecure-skip-tls-verify")),
        namespace=str(chosen.get("namespace") or "default"),
        impersonate=user.get("as") or None,
        impersonate_groups=tuple(user.get("as-groups") or ()),
    )


SERVICE_ACCOUNT_DIRECTORY = pathlib.Path("/var/run/secrets/kubernetes.io/serviceaccount")


def in_cluster(environment: dict[str, str], directory: pathlib.Path = SERVICE_ACCOUNT_DIRECTORY) -> ClientConfig:
    """The configuration of a process inside a pod. Raises ``ConfigError`` elsewhere."""
    host, port = environment.get("KUBERNETES_SERVICE_HOST"), environment.get("KUBERNETES_SERVICE_PORT")
    if not host or not port or not (directory / "token").exists():
        raise ConfigError("not inside a pod: no service account token or KUBERNETES_SERVICE_HOST")
    bracketed = f"[{host}]" if ":" in host else host
    return ClientConfig(
        server=f"https://{bracketed}:{port}",
        ca_file=str(directory / "ca.crt"),
        token_file=str(directory / "token"),
        namespace=(directory / "namespace").read_text().strip(),
    )


def _entry(document: dict[str, Any], section: str, field: str, name: str) -> dict[str, Any]:
    for entry in document.get(section) or ():
        if entry.get("name") == name:
            return dict(entry.get(field) or {})
    raise ConfigError(f"{field} {name!r} does not exist")


def _refuse(entry: dict[str, Any], fields: tuple[str, ...], what: str) -> None:
    for field in fields:
        if entry.get(field):
            raise ConfigError(f"{what} uses {field!r}, which this client does not support")


def _file(entry: dict[str, Any], field: str, directory: pathlib.Path) -> str | None:
    return str(directory / entry[field]) if entry.get(field) else None


def _data(entry: dict[str, Any], field: str) -> bytes | None:
    if not entry.get(field):
        return None
    try:
        return base64.b64decode(entry[field], validate=True)
    except (binascii.Error, ValueError) as error:
        raise ConfigError(f"{field} is not base64") from error
