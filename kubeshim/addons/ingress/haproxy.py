"""HAProxy's files out of a table of routes: a pure function.

The hosts and paths stand in maps, never in the configuration's own text: a request is routed by two look-ups in trees,
whatever the number of Ingresses, and nothing a user wrote is read as a directive. Paths in files are relative to the
directory that HAProxy runs in (``-C``). The sockets are inherited by number.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from kubeshim.addons.ingress import routes

CONFIG = "haproxy.cfg"
_HOSTS, _EXACT, _PREFIX, _CERTIFICATES = "hosts.map", "exact.map", "prefix.map", "certificates.list"
_DEFAULT_CERTIFICATE = "default.pem"


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """What does not come from the API."""

    http: tuple[int, ...]
    """Numbers of the inherited listening sockets."""
    https: tuple[int, ...]
    default_certificate: bytes
    user: str = ""
    """Whom HAProxy's workers become once they have read their files; empty: they stay who they are."""
    group: str = ""


def files(table: routes.Routes, settings: Settings) -> dict[str, bytes]:
    """By name, relative to HAProxy's directory."""
    found: dict[str, bytes] = {
        CONFIG: _config(table, settings).encode(),
        _HOSTS: _map((host, host) for host in table.hosts),
        _EXACT: _paths(table.exact),
        _PREFIX: _paths(table.prefix),
        _CERTIFICATES: _certificate_list(table.certificates),
        _DEFAULT_CERTIFICATE: settings.default_certificate,
    }
    return found | {f"{entry.name}.pem": entry.pem for entry in table.certificates}


def _map(entries: Iterable[tuple[str, str]]) -> bytes:
    return "".join(f"{key} {value}\n" for key, value in entries).encode()


def _paths(table: Mapping[tuple[str, str], str]) -> bytes:
    return _map((host + path, backend) for (host, path), backend in table.items())


def _certificate_list(entries: Sequence[routes.Certificate]) -> bytes:
    """The first is shown where no other fits."""
    lines = [_DEFAULT_CERTIFICATE, *(" ".join([f"{entry.name}.pem", *entry.hosts]) for entry in entries)]
    return "".join(f"{line}\n" for line in lines).encode()


def _config(table: routes.Routes, settings: Settings) -> str:
    sections = [
        _global(settings),
        _DEFAULTS,
        _frontend("http", [f"bind fd@{number}" for number in settings.http], table.default),
        _frontend(
            "https",
            [f"bind fd@{number} ssl crt-list {_CERTIFICATES} alpn h2,http/1.1" for number in settings.https],
            table.default,
        ),
        _NOWHERE,
        *(_backend(entry) for entry in table.backends),
    ]
    return "\n".join(sections)


def _global(settings: Settings) -> str:
    lines = ["global", "    mworker-max-reloads 50", "    ssl-default-bind-options ssl-min-ver TLSv1.2"]
    if settings.user:
        lines += [f"    user {settings.user}", f"    group {settings.group}"]
    return "\n".join(lines) + "\n"


_DEFAULTS = """\
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    timeout tunnel 1h
    timeout http-request 30s
    timeout http-keep-alive 60s
    timeout queue 10s
    retries 3
    option redispatch 1
    retry-on conn-failure
    balance roundrobin
"""

_NOWHERE = f"""\
backend nowhere
    http-request return status 404 content-type text/plain string "default backend - 404"

backend {routes.UNSERVED}
    http-request return status 503 content-type text/plain string "503 Service Temporarily Unavailable"
"""

_ROUTING = f"""\
    http-request del-header X-Forwarded-For
    option forwardfor
    http-request set-header X-Real-IP %[src]
    http-request set-header X-Forwarded-Host %[req.hdr(host)]
    http-request set-header X-Forwarded-Proto SCHEME
    http-request set-header X-Forwarded-Port PORT
    http-request set-var(txn.host) 'req.hdr(host),lower,regsub("[.]?(:[0-9]*)?$","")'
    http-request set-var(txn.wildcard) 'var(txn.host),regsub("^[^.]*","*")'
    http-request set-var(txn.site) 'var(txn.host),map_str({_HOSTS})'
    http-request set-var(txn.site) 'var(txn.wildcard),map_str({_HOSTS})' if !{{ var(txn.site) -m found }}
    http-request set-var(txn.site) 'str({routes.ANY_HOST})' if !{{ var(txn.site) -m found }}
    http-request set-var(txn.path) path
    http-request set-var(txn.exact) 'var(txn.site),concat(,txn.path)'
    http-request set-var(txn.prefix) 'var(txn.exact),concat(/)'
    http-request set-var(txn.backend) 'var(txn.exact),map_str({_EXACT})'
    http-request set-var(txn.backend) 'var(txn.prefix),map_beg({_PREFIX})' if !{{ var(txn.backend) -m found }}
    use_backend %[var(txn.backend)] if {{ var(txn.backend) -m found }}
"""


def _frontend(scheme: str, binds: Sequence[str], default: str) -> str:
    routing = _ROUTING.replace("SCHEME", scheme).replace("PORT", "443" if scheme == "https" else "80")
    head = "".join(f"    {bind}\n" for bind in binds)
    return f"frontend {scheme}\n{head}{routing}    default_backend {default or 'nowhere'}\n"


def _backend(entry: routes.Backend) -> str:
    options = {"https": " ssl verify none sni req.hdr(host)", "h2c": " proto h2"}.get(entry.protocol, "")
    lines = [f"backend {entry.name}"]
    for number, server in enumerate(entry.servers):
        address = f"[{server.address}]" if ":" in server.address else server.address
        lines.append(f"    server s{number} {address}:{server.port}{options}")
    return "\n".join(lines) + "\n"
