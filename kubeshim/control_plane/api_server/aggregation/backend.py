"""Speaking with an aggregated server: TLS with the front proxy's certificate, and headers that say for whom.

Whoever trusts the front proxy's authority believes these headers, so whatever a client sent under their names never
gets here.
"""

import functools
import ssl
from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib import parse

import gevent

from kubeshim.control_plane.api_server import request
from kubeshim.control_plane.api_server.aggregation import registration as registrations
from kubeshim.control_plane.api_server.subresources import kubelets, outgoing

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers

AGGREGATOR = request.UserInfo("system:kube-aggregator", ("system:masters",))
"""Asks for what the server itself wants to know."""
FETCH_SECONDS = 5.0
_FETCH_LIMIT = 32 << 20
_KEY_CHARACTERS = "!#$&'*+-.^_`|~"


class Unreachable(OSError):
    """No answer; the text is in Go's words."""


def user_headers(user: request.UserInfo) -> list[tuple[str, str]]:
    """The user, for the server to believe."""
    found = [("X-Remote-User", user.name)]
    if user.uid:
        found.append(("X-Remote-Uid", user.uid))
    found += [("X-Remote-Group", group) for group in user.groups]
    for key, values in sorted(user.extra.items()):
        header = "X-Remote-Extra-" + parse.quote(key.lower(), safe=_KEY_CHARACTERS)
        found += [(header, value) for value in values]
    return [(name, _header_value(value)) for name, value in found]


def _header_value(text: str) -> str:
    """One line, of bytes that are UTF-8."""
    return text.replace("\r", " ").replace("\n", " ").encode().decode("latin-1")


def shown(address: tuple[str, int]) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def connect(
    server: "servers.Server", registration: registrations.Registration, address: tuple[str, int]
) -> outgoing.Exchange:
    """Raises ``Unreachable``."""
    try:
        context = _context(
            "" if registration.insecure else registration.authority, registration.insecure,
            server.config.proxy_client_certificate, server.config.proxy_client_key,
        )  # fmt: skip
        return outgoing.Exchange(outgoing.connect(*address, context, registration.server_name))
    except OSError as problem:
        raise Unreachable(kubelets.dial_error(shown(address), problem)) from problem


@functools.lru_cache(maxsize=64)
def _context(authority: str, insecure: bool, certificate: str, key: str) -> ssl.SSLContext:
    context = outgoing.client_tls(certificate=certificate, key=key, verify=False)
    if insecure:
        return context
    if authority:
        context.load_verify_locations(cadata=authority)
    else:
        context.load_default_certs()
    context.verify_mode = ssl.CERT_REQUIRED
    context.check_hostname = True
    return context


def fetch(
    server: "servers.Server", registration: registrations.Registration, address: tuple[str, int], path: str,
    accept: str = "application/json",
) -> tuple[int, bytes]:  # fmt: skip
    """Status and body of a GET by the aggregator itself. Raises ``Unreachable``."""
    url = f"https://{shown(address)}{path}"
    exchange: outgoing.Exchange | None = None
    try:
        with gevent.Timeout(FETCH_SECONDS, TimeoutError("context deadline exceeded")):
            exchange = connect(server, registration, address)
            headers = [("Host", shown(address)), ("Accept", accept), ("Connection", "close")]
            exchange.send("GET", path, [*headers, *user_headers(AGGREGATOR)])
            exchange.read_head()
            return exchange.status, _all(exchange.body())
    except OSError as problem:
        raise Unreachable(f'Get "{url}": {problem}') from problem
    finally:
        if exchange is not None:
            exchange.close()


def _all(body: Iterable[bytes]) -> bytes:
    parts, size = [], 0
    for part in body:
        parts.append(part)
        size += len(part)
        if size > _FETCH_LIMIT:
            raise OSError("the answer is too long")
    return b"".join(parts)
