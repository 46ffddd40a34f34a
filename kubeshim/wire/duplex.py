"""A connection that one thread reads while others write, TLS or not.

OpenSSL's connection objects must not be entered by two threads at once, and a blocking read would hold off every
write. So the socket never blocks: whoever finds nothing to do waits in ``poll`` outside the lock. Only for standard
sockets; gevent's need none of this.
"""

import contextlib
import select
import socket
import ssl
import threading
import time
from typing import Any, Protocol

CHUNK = 64 << 10


class Link(Protocol):
    """Bytes both ways. ``recv`` gives ``b""`` at the end; ``sendall`` raises ``OSError`` where nobody takes them."""

    def recv(self) -> bytes: ...

    def sendall(self, data: bytes) -> None: ...

    def finish(self) -> None:
        """Closes when the peer has taken what was sent."""

    def close(self) -> None: ...


class Duplex:
    """A ``Link`` over a connected socket, which it owns from now on. ``buffered`` was read from it already."""

    def __init__(self, sock: Any, buffered: bytes = b"", *, write_timeout: float = 60.0) -> None:
        self._socket = sock
        self._early = buffered
        self._write_timeout = write_timeout
        self._entering = threading.Lock()
        self._sending = threading.Lock()
        self._closed = False
        self._polling = 0
        """How many wait on the descriptor; it is given back after the last, for its number may be another's then."""
        self._said_goodbye = False
        sock.setblocking(False)

    def recv(self) -> bytes:
        if self._early:
            data, self._early = self._early, b""
            return data
        while True:
            wait = select.POLLIN
            try:
                with self._entering:
                    if self._closed:
                        return b""
                    data = self._socket.recv(CHUNK)
                return bytes(data)
            except (ssl.SSLWantReadError, BlockingIOError):
                pass
            except ssl.SSLWantWriteError:
                wait = select.POLLOUT
            except OSError:
                return b""
            if not self._poll(wait, None):
                return b""

    def sendall(self, data: bytes) -> None:
        with self._sending:
            rest = memoryview(data)
            while rest:
                wait = select.POLLOUT
                try:
                    with self._entering:
                        if self._closed:
                            raise BrokenPipeError("the connection is closed")
                        sent = self._socket.send(rest)
                    rest = rest[sent:]
                    continue
                except (ssl.SSLWantWriteError, BlockingIOError):
                    pass
                except ssl.SSLWantReadError:
                    wait = select.POLLIN
                if not self._poll(wait, self._write_timeout):
                    raise TimeoutError("the peer takes no data")

    def finish(self, timeout: float = 2.0) -> None:
        """Says that no more comes, waits until the peer closes too, and closes.

        Closing at once while something of the peer's is unread would reset the connection, and the peer could lose
        what was sent last.
        """
        with self._entering:
            if self._closed:
                return
            self._say_goodbye()
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0 and self._poll(select.POLLIN, left):
            with self._entering:
                if self._closed:
                    return
                try:
                    # Beneath TLS: nobody wants to know what it was.
                    if not socket.socket.recv(self._socket, CHUNK):
                        break
                except BlockingIOError:
                    continue
                except OSError:
                    break
        self.close()

    def close(self) -> None:
        """Ends both directions at once; whoever waits comes back."""
        with self._entering:
            if self._closed:
                return
            self._say_goodbye()
            self._closed = True
            with contextlib.suppress(OSError):
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
            self._give_back()

    def _give_back(self) -> None:
        if self._closed and not self._polling:
            with contextlib.suppress(OSError):
                self._socket.close()

    def _say_goodbye(self) -> None:
        if self._said_goodbye:
            return
        self._said_goodbye = True
        # unwrap() would wait for the peer's close_notify; sending ours is all that is owed.
        if isinstance(self._socket, ssl.SSLSocket):
            with contextlib.suppress(OSError, ValueError):
                self._socket.unwrap()
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self._socket, socket.SHUT_WR)

    def _poll(self, events: int, timeout: float | None) -> bool:
        with self._entering:
            if self._closed:
                return False
            self._polling += 1
        try:
            poll = select.poll()
            poll.register(self._socket.fileno(), events)
            return bool(poll.poll(None if timeout is None else timeout * 1000))
        finally:
            with self._entering:
                self._polling -= 1
                self._give_back()
