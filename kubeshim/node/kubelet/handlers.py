"""The actions of probes and hooks: run a command, ask by HTTP, connect, ask gRPC health.

Connections begin in the node's namespace, as the genuine kubelet's do. Texts of failures are those users know from
``kubectl describe``.
"""

import contextlib
import dataclasses
import http.client
import json
import shlex
import socket
import ssl
import urllib.parse
from collections.abc import Callable, Iterator, Sequence

from kubeshim.machinery import objects
from kubeshim.machinery.objects import Object
from kubeshim.node.container_runtime import runtime
from kubeshim.node.kubelet import grpc_health, pod_spec

_BODY_LIMIT = 10 * 1024
_MOST_REDIRECTS = 10
_AGENT = "kube-probe/1.37"

MakeSocket = Callable[[int], socket.socket]
"""``(address family)`` → a socket that belongs to the node's namespace."""


class Failure(Exception):
    """The action was carried out, or could not be, and the answer is no."""


class Errored(Failure):
    """The action could not be carried out at all: that says nothing about the container."""


class Doubtful(str):
    """The output of an action that counts as done, though somebody should be told."""


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """Which container is asked."""

    pod: Object
    container: Object
    container_id: str
    address: str


class Handlers:
    """Carries actions out. Safe from any thread; blocks."""

    def __init__(self, engine: runtime.Runtime, make_socket: MakeSocket) -> None:
        self._engine = engine
        self._make_socket = make_socket

    def run(self, action: Object, target: Target, timeout: float) -> str:
        """The action's output. Raises ``Failure``."""
        if action.get("exec"):
            return self._exec(action["exec"].get("command") or (), target, timeout)
        if action.get("httpGet"):
            return self._http(action["httpGet"], target, timeout)
        if action.get("tcpSocket"):
            return self._tcp(action["tcpSocket"], target, timeout)
        if action.get("grpc"):
            return self._grpc(action["grpc"], target, timeout)
        raise Errored("missing probe handler")

    def _exec(self, command: Sequence[str], target: Target, timeout: float) -> str:
        try:
            code, output = self._engine.exec_sync(target.container_id, command, timeout)
        except TimeoutError:
            raise Failure(f'command timed out: "{shlex.join(command)}" timed out after {timeout:g}s') from None
        except runtime.RuntimeFailure as error:
            raise Errored(f"error executing command in container: {error}") from error
        text = output.decode("utf-8", "replace")
        if code != 0:
            raise Failure(text)
        return text

    def _tcp(self, action: Object, target: Target, timeout: float) -> str:
        host, port = action.get("host") or target.address, resolve_port(action["port"], target.container)
        with self._connected(host, port, timeout):
            return ""

    @contextlib.contextmanager
    def _connected(self, host: str, port: int, timeout: float) -> Iterator[socket.socket]:
        where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        sock = self._make_socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        try:
            sock.settimeout(timeout)
            try:
                sock.connect((host, port))
            except TimeoutError:
                raise Failure(f"dial tcp {where}: i/o timeout") from None
            except OSError as error:
                raise Failure(f"dial tcp {where}: connect: {(error.strerror or str(error)).lower()}") from error
            yield sock
        finally:
            sock.close()

    def _http(self, action: Object, target: Target, timeout: float) -> str:
        scheme = (action.get("scheme") or "HTTP").lower()
        host = action.get("host") or target.address
        port = resolve_port(action["port"], target.container)
        path = action.get("path") or "/"
        path = path if path.startswith("/") else "/" + path
        headers = {"User-Agent": _AGENT, "Accept": "*/*", "Connection": "close"}
        for header in action.get("httpHeaders") or ():
            headers[_header_name(header["name"])] = header.get("value") or ""
        named = f"[{host}]" if ":" in host else host
        url = f"{scheme}://{named}:{port}{path}"
        for _ in range(_MOST_REDIRECTS):
            status, location, body = self._get(url, headers, timeout)
            if location is None:
                break
            following = urllib.parse.urljoin(url, location)
            if urllib.parse.urlsplit(following).hostname != urllib.parse.urlsplit(url).hostname:
                return Doubtful(f"Probe terminated redirects, Response body: {body}")
            url = following
        else:
            raise Failure(f'Get "{url}": stopped after {_MOST_REDIRECTS} redirects')
        if not 200 <= status < 400:
            raise Failure(f"HTTP probe failed with statuscode: {status}")
        return body

    def _get(self, url: str, headers: dict[str, str], timeout: float) -> tuple[int, str | None, str]:
        parts = urllib.parse.urlsplit(url)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        try:
            with self._connected(host, port, timeout) as sock:
                connection = http.client.HTTPConnection(host, port, timeout=timeout)
                connection.sock = _unverified().wrap_socket(sock) if parts.scheme == "https" else sock
                connection.request("GET", path or "/", headers=headers)
                answer = connection.getresponse()
                body = answer.read(_BODY_LIMIT).decode("utf-8", "replace")
                moved = answer.status in (301, 302, 303, 307, 308)
                location = answer.getheader("Location") if moved else None
                connection.close()
                return answer.status, location, body
        except Failure as failure:
            if str(failure).endswith("i/o timeout"):
                raise Failure(_timed_out(url)) from None
            raise Failure(f'Get "{url}": {failure}') from None
        except TimeoutError:
            raise Failure(_timed_out(url)) from None
        except http.client.BadStatusLine:
            raise Failure(f'Get "{url}": EOF') from None
        except (OSError, http.client.HTTPException) as error:
            raise Failure(f'Get "{url}": {error}') from error

    def _grpc(self, action: Object, target: Target, timeout: float) -> str:
        port = int(action["port"])
        service = action.get("service") or ""
        try:
            with self._connected(target.address, port, timeout) as sock:
                answer = grpc_health.check(sock, f"{target.address}:{port}", service)
        except TimeoutError:
            message = f'timeout: failed to connect service "{target.address}:{port}" within {timeout:g}s'
            raise Failure(f"{message}: context deadline exceeded") from None
        except (OSError, grpc_health.Broken) as error:
            raise Failure(f"error: health rpc probe failed: {error}") from error
        if answer != grpc_health.SERVING:
            raise Failure(f"service unhealthy (responded with {json.dumps(grpc_health.NAMES.get(answer, 'UNKNOWN'))})")
        return ""


def _timed_out(url: str) -> str:
    return f'Get "{url}": context deadline exceeded (Client.Timeout exceeded while awaiting headers)'


def _unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _header_name(name: str) -> str:
    return "-".join(word.capitalize() for word in name.split("-"))


def resolve_port(port: int | str, container: Object) -> int:
    """A number, or the container's port of that name. Raises ``Failure``."""
    if isinstance(port, int) or str(port).isdigit():
        return int(port)
    for entry in container.get("ports") or ():
        if entry.get("name") == port:
            return int(entry["containerPort"])
    raise Errored(f'strconv.Atoi: parsing "{port}": invalid syntax')


class Hooks:
    """``postStart`` and ``preStop``."""

    def __init__(self, handlers: Handlers, wait: Callable[[float], bool]) -> None:
        self._handlers = handlers
        self._wait = wait

    def run(self, hook: Object, target: Target, timeout: float) -> None:
        """Raises ``Failure`` with the words of the event."""
        name, pod = target.container["name"], target.pod
        where = f'for Container "{name}" in Pod "{objects.name(pod)}_{objects.namespace(pod)}({objects.uid(pod)})"'
        if hook.get("sleep"):
            seconds = float(hook["sleep"]["seconds"])
            self._wait(min(seconds, timeout) if timeout else seconds)
            return
        if hook.get("tcpSocket") and not hook.get("httpGet") and not hook.get("exec"):
            return  # never did anything upstream either; kept in the API for old objects
        try:
            self._handlers.run(hook, target, timeout)
        except Failure as failure:
            if hook.get("exec"):
                command = " ".join(hook["exec"].get("command") or ())
                raise Failure(f"Exec lifecycle hook ([{command}]) {where} failed - error: {failure}") from failure
            raise Failure(f"HTTP lifecycle hook ({hook['httpGet'].get('path', '')}) {where} failed - error: "
                          f"{failure}") from failure  # fmt: skip


def grace_of(pod: Object, container: Object, because: str) -> int:
    """Seconds to stop: a failed probe may have a grace period of its own."""
    if because and not objects.is_deleting(pod):
        own = objects.dig(container, f"{because}Probe", "terminationGracePeriodSeconds")
        if own is not None:
            return int(own)
    return pod_spec.grace_period(pod)
