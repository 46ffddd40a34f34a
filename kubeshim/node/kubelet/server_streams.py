"""exec, attach and port-forward of the kubelet's API: from an upgrade request to a running session.

The request's thread takes the connection from the HTTP server, opens the agreed streams, and copies until the end.
Whatever can be refused in HTTP's words is refused before the upgrade; later trouble goes over the error stream.
"""

import dataclasses
import logging
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kubeshim.node import namespaces
from kubeshim.node.container_runtime import runtime
from kubeshim.wire import duplex, portforward, remotecommand, remotecommand_streams

log = logging.getLogger(__name__)

CONNECT_TIMEOUT = 10.0
KEEPALIVE = ((socket.TCP_KEEPIDLE, 60), (socket.TCP_KEEPINTVL, 15), (socket.TCP_KEEPCNT, 4))
"""A client that vanished without a word is noticed after two minutes; an idle one may stay as long as it likes."""


@dataclasses.dataclass(frozen=True, slots=True)
class Options:
    """Which streams a client wants."""

    stdin: bool
    stdout: bool
    stderr: bool
    tty: bool


def parse_options(query: Mapping[str, str]) -> Options:
    """Raises ``ValueError`` with the kubelet's text."""
    tty = query.get("tty") == "1"
    options = Options(
        stdin=query.get("input") == "1",
        stdout=query.get("output") == "1",
        # A terminal has one output.
        stderr=query.get("error") == "1" and not tty,
        tty=tty,
    )
    if not (options.stdin or options.stdout or options.stderr):
        raise ValueError("you must specify at least 1 of stdin, stdout, stderr")
    return options


def run(
    environ: Mapping[str, Any],
    options: Options,
    start: Callable[[], runtime.Session],
    command: Sequence[str] | None,
) -> None:
    """Serves one exec (with its command) or attach (None). Raises ``remotecommand.UpgradeError`` before upgrading."""
    agreed = remotecommand.negotiate(
        environ["wire.headers"], websockets=remotecommand.EXEC_WEBSOCKET, spdy=remotecommand.EXEC_SPDY
    )
    link = _upgrade(environ, agreed)
    if link is None:
        return
    try:
        streams = remotecommand_streams.open_streams(
            link, agreed, stdin=options.stdin, stdout=options.stdout, stderr=options.stderr, tty=options.tty
        )
    except OSError as error:
        log.info("streams were not opened: %s", error)
        link.close()
        return
    doing = "executing command in" if command is not None else "attaching to"
    try:
        process = start()
    except (runtime.RuntimeFailure, OSError) as error:
        streams.finish(remotecommand.failed(f"error {doing} container: {error}"))
        return

    def conclude(code: int | None) -> Mapping[str, Any]:
        if command is None:
            return remotecommand.success()
        if code is None:
            return remotecommand.failed(f"error {doing} container: the exit code is not known")
        return remotecommand.exited(code, command)

    try:
        remotecommand_streams.serve(streams, process, conclude)
    except runtime.RuntimeFailure as error:
        streams.finish(remotecommand.failed(f"error {doing} container: {error}"))


def forward(environ: Mapping[str, Any], ports: Sequence[int], sandbox_pid: int, pod: str, uid: str) -> None:
    """Serves one port-forward into a sandbox. Raises ``remotecommand.UpgradeError`` before upgrading."""
    agreed = remotecommand.negotiate(
        environ["wire.headers"],
        websockets=remotecommand.PORT_FORWARD_WEBSOCKET,
        spdy=remotecommand.PORT_FORWARD_SPDY,
    )
    by_channel = agreed.transport == "websocket" and agreed.protocol != remotecommand.PORT_FORWARD_TUNNEL
    if by_channel and not ports:
        raise remotecommand.UpgradeError(400, 'query parameter "port" is required')
    link = _upgrade(environ, agreed)
    if link is None:
        return
    try:
        portforward.serve(link, agreed, ports, lambda port: connect(sandbox_pid, port), f"{pod}, uid {uid}")
    finally:
        link.close()


def connect(sandbox_pid: int, port: int) -> socket.socket:
    """A connection to a port of a sandbox's loopback, IPv4 first. Raises ``OSError`` that says what was tried."""

    def attempt() -> socket.socket:
        tried = []
        for family, address, name in (("tcp4", "127.0.0.1", "IPv4: "), ("tcp6", "::1", "IPv6 ")):
            try:
                made = socket.create_connection((address, port), timeout=CONNECT_TIMEOUT)
            except OSError as error:
                shown = f"[{address}]" if ":" in address else address
                tried.append(f"{name}dial {family} {shown}:{port}: connect: {_reason(error)}")
            else:
                made.settimeout(None)
                made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return made
        where = namespaces.of_process(sandbox_pid)
        raise OSError(f'failed to connect to localhost:{port} inside namespace "{where}", {" ".join(tried)}')

    return namespaces.run_in(namespaces.of_process(sandbox_pid), attempt)


def _upgrade(environ: Mapping[str, Any], agreed: remotecommand.Upgrade) -> duplex.Duplex | None:
    """Takes the connection over and answers 101; None where the client is gone already."""
    taken, buffered = environ["wire.connection"].hijack()
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in KEEPALIVE:
        taken.setsockopt(socket.IPPROTO_TCP, option, value)
    link = duplex.Duplex(taken, buffered)
    try:
        link.sendall(agreed.answer)
    except OSError:
        link.close()
        return None
    return link


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
