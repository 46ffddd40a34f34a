"""Upgraded connections: bytes from one side to the other until both are done.

Plain TCP passes a half-close on. TLS through Python cannot close one direction alone, so there the end of one side is
the end of both, as it is in upstream's own proxy; the protocols spoken here (WebSocket, SPDY) end their streams inside.
"""

import contextlib
import socket
from collections.abc import Callable
from typing import Any

import gevent

from kubeshim.control_plane.api_server import request
from kubeshim.control_plane.api_server.subresources import outgoing

_READ = 64 << 10


def takeover(exchange: outgoing.Exchange) -> Callable[[Any, bytes], None]:
    """What ``Response.takeover`` needs to pass on a 101 and then everything after it."""

    def take(client: Any, buffered: bytes) -> None:
        try:
            client.sendall(exchange.head + exchange.rest)
            if buffered:
                exchange.socket.sendall(buffered)
            join(client, exchange.socket)
        except OSError:
            pass  # either side is gone: there is nobody left to tell
        finally:
            client.close()
            exchange.close()

    return take


def join(left: Any, right: Any) -> None:
    """Copies both ways until both directions have ended, or one that cannot be half-closed."""
    forward = gevent.spawn(_copy, left, right)
    backward = gevent.spawn(_copy, right, left)
    gevent.wait([forward, backward], count=1)
    if _is_tls(left) or _is_tls(right):
        gevent.killall([forward, backward])
    else:
        gevent.joinall([forward, backward])


def _is_tls(sock: Any) -> bool:
    return hasattr(sock, "getpeercert")


def _copy(source: Any, target: Any) -> None:
    try:
        while data := source.recv(_READ):
            target.sendall(data)
    except OSError:
        return
    if not _is_tls(target):
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)


def close_when_gone(asked: request.Request, exchange: outgoing.Exchange) -> None:
    """Ends the exchange as soon as the client has left: a followed log would otherwise go on for ever."""
    connection = asked.environ.get("wire.connection")
    if connection is not None:
        connection.on_gone(exchange.close)
