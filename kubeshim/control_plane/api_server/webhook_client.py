"""Asking a webhook over HTTPS: its Service resolved to a ready endpoint, its certificate verified, its time bounded.

For admission and for the conversion of custom resources alike.
"""

import base64
import binascii
import dataclasses
import functools
import math
import random
import ssl
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib import parse

import gevent

from kubeshim.control_plane.api_server.subresources import kubelets, outgoing, proxy_targets
from kubeshim.machinery import errors, objects

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers

_LIMIT = 8 << 20
"""Bytes of an answer: an object and a patch that replaces it."""


_DEFAULT_PORT = 443


@dataclasses.dataclass(frozen=True, slots=True)
class Client:
    """``clientConfig``: a URL, or a Service and a path. ``authority`` is PEM, empty for the machine's own."""

    url: str = ""
    namespace: str = ""
    service: str = ""
    port: int = _DEFAULT_PORT
    path: str = ""
    authority: str = ""

    @property
    def server_name(self) -> str:
        """The name that a Service's certificate must be for."""
        return f"{self.service}.{self.namespace}.svc"


def of(config: Mapping[str, Any]) -> Client:
    authority = _pem(config.get("caBundle") or "")
    service = config.get("service")
    if service is None:
        return Client(url=config.get("url") or "", authority=authority)
    return Client(
        namespace=service.get("namespace") or "", service=service.get("name") or "",
        port=service.get("port") or _DEFAULT_PORT, path=service.get("path") or "", authority=authority,
    )  # fmt: skip


def _pem(bundle: str) -> str:
    try:
        return base64.b64decode(bundle).decode("ascii", "replace")
    except binascii.Error:
        return ""


class Unreachable(Exception):
    """No answer; the text is in Go's words."""


def post(server: "servers.Server", client: Client, body: bytes, seconds: float) -> bytes:
    """The body of a 200. Raises ``Unreachable``."""
    shown, path = _url(client)
    query = f"timeout={math.ceil(seconds)}s"
    url = f"{shown}{path}{'&' if '?' in path else '?'}{query}"
    exchange: outgoing.Exchange | None = None
    try:
        with gevent.Timeout(seconds, TimeoutError("context deadline exceeded")):
            exchange, host = _connect(server, client)
            headers = [
                ("Host", host), ("Content-Type", "application/json"), ("Accept", "application/json, */*"),
                ("Content-Length", str(len(body))), ("User-Agent", "kube-apiserver-admission"), ("Connection", "close"),
            ]  # fmt: skip
            exchange.send("POST", f"{path}{'&' if '?' in path else '?'}{query}", headers, [body])
            exchange.read_head()
            return _answer(exchange)
    except OSError as problem:
        raise Unreachable(f'Post "{url}": {problem}') from problem
    finally:
        if exchange is not None:
            exchange.close()


def _url(client: Client) -> tuple[str, str]:
    """``https://host:port`` as messages show it, and the path."""
    if client.service:
        path = client.path if client.path.startswith("/") else f"/{client.path}"
        return f"https://{client.server_name}:{client.port}", path
    parts = parse.urlsplit(client.url)
    return f"{parts.scheme}://{parts.netloc}", (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _connect(server: "servers.Server", client: Client) -> tuple[outgoing.Exchange, str]:
    if client.service:
        host, port = _endpoint(server, client)
        name, shown = client.server_name, f"{client.server_name}:{client.port}"
    else:
        parts = parse.urlsplit(client.url)
        host, port, name = parts.hostname or "", parts.port or 443, parts.hostname or ""
        shown = parts.netloc
    try:
        return outgoing.Exchange(outgoing.connect(host, port, _context(client.authority), name)), shown
    except TimeoutError:
        raise
    except OSError as problem:
        raise OSError(kubelets.dial_error(f"{host}:{port}", problem)) from problem


def _endpoint(server: "servers.Server", client: Client) -> tuple[str, int]:
    service = server.storage.reader.get(proxy_targets.SERVICES, client.namespace, client.service)
    if service is None:
        raise OSError(f'service "{client.service}" not found')
    if objects.dig(service, "spec", "type") == "ExternalName":
        return str(service["spec"].get("externalName")), client.port
    ports = {entry.get("port"): entry.get("name") or "" for entry in objects.dig(service, "spec", "ports", default=())}
    if client.port not in ports:
        raise OSError(f'no service port {client.port} found for service "{client.service}"')
    parts = proxy_targets.slices(server, client.namespace, client.service)
    candidates = proxy_targets.ready(parts, ports[client.port])
    if not candidates:
        raise OSError(f'no endpoints available for service "{client.service}"')
    return random.choice(candidates)


@functools.lru_cache(maxsize=64)
def _context(authority: str) -> ssl.SSLContext:
    context = outgoing.client_tls(verify=False)
    if authority:
        try:
            context.load_verify_locations(cadata=authority)
        except ssl.SSLError as problem:
            raise OSError("unable to load root certificates: unable to parse bytes as PEM block") from problem
    else:
        context.load_default_certs()
    context.verify_mode = ssl.CERT_REQUIRED
    context.check_hostname = True
    return context


def _answer(exchange: outgoing.Exchange) -> bytes:
    parts, size = [], 0
    for part in exchange.body():
        size += len(part)
        if size > _LIMIT:
            raise OSError("the answer is too long")
        parts.append(part)
    found = b"".join(parts)
    if not 200 <= exchange.status < 300:
        try:
            raise Unreachable(str(errors.from_status(_status(found), exchange.status)))
        except ValueError:
            raise Unreachable("the server could not find the requested resource"
                              if exchange.status == 404
                              else f"an error on the server ({found[:200].decode('utf-8', 'replace')!r}) has prevented "
                              "the request from succeeding") from None  # fmt: skip
    return found


def _status(body: bytes) -> dict[str, object]:
    """Raises ``ValueError`` for what is no ``Status``."""
    import orjson

    found = orjson.loads(body)
    if not isinstance(found, dict) or found.get("kind") != "Status":
        raise ValueError("no Status")
    return found
