"""How a server waits: on gevent's loop or in standard threads.

The one place that knows which. ``GEVENT`` and ``THREADS`` give the same few operations; sockets they hand out have
the standard methods. gevent is imported when it is first used, so that a process of threads never loads it.

Why is it safe to read a TLS socket for the peer's leaving while another greenlet writes to it? gevent's TLS sockets
wait for reading and writing apart, and OpenSSL is entered by one greenlet at a time. Between threads it would not be
safe, so there the kernel is asked about the TCP connection (``POLLRDHUP``) and nothing is read.
"""

import contextlib
import os
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

KEEPALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 15),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
)
"""A peer whose machine is gone says no goodbye; a watch of its would stay open for ever. Found out in 45 seconds."""

Socket = Any
"""A connected or listening socket of the transport: ``socket.socket``, ``ssl.SSLSocket`` or gevent's of the kind."""


class Transport(Protocol):
    """What the HTTP server needs of its concurrency."""

    def spawn(self, function: Callable[..., None], *arguments: Any) -> None: ...

    def sleep(self, seconds: float) -> None: ...

    def listen(self, listener: socket.socket) -> Socket:
        """The listening socket as this transport's, on a descriptor of its own."""

    def accept(self, listener: Socket, stopping: Callable[[], bool]) -> tuple[Socket, Any] | None:
        """The next connection; None when ``stopping``. Raises OSError for a connection that failed."""

    def wake(self, listener: Socket) -> None:
        """Makes ``accept`` look at ``stopping`` (may be called from the same loop only); nothing where it is closed."""

    def close(self, listener: Socket) -> None:
        """Gives the listening socket back, by whoever was the last to ``accept``."""

    def tls_context(self) -> ssl.SSLContext:
        """A fresh server-side context whose sockets are this transport's."""

    def abort(self, sock: Socket) -> None:
        """Ends both directions at once; whoever waits on the socket finds it closed."""

    def when_gone(self, sock: Socket, gone: Callable[[], None], early: Callable[[bytes], None]) -> Callable[[], None]:
        """Calls ``gone`` once when the peer closes; bytes it sends meanwhile go to ``early``. Returns how to stop."""


class ThreadTransport:
    """Standard sockets, a thread a connection."""

    def __init__(self) -> None:
        self._wakers: dict[int, int] = {}
        self._lock = threading.Lock()
        """Nobody writes to a waker's number while it is closed: it may be another's the moment after."""

    def spawn(self, function: Callable[..., None], *arguments: Any) -> None:
        threading.Thread(target=function, args=arguments, daemon=True).start()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def listen(self, listener: socket.socket) -> Socket:
        own = listener.dup()
        # Others may share the open file: a connection they took must not make this accept wait.
        own.setblocking(False)
        self._wakers[own.fileno()] = os.eventfd(0, os.EFD_CLOEXEC)
        return own

    def accept(self, listener: Socket, stopping: Callable[[], bool]) -> tuple[Socket, Any] | None:
        poll = select.poll()
        poll.register(listener.fileno(), select.POLLIN)
        poll.register(self._wakers[listener.fileno()], select.POLLIN)
        while not stopping():
            poll.poll()
            if stopping():
                break
            try:
                sock, address = listener.accept()
            except BlockingIOError:
                continue
            sock.setblocking(True)
            return sock, address
        return None

    def wake(self, listener: Socket) -> None:
        with self._lock:
            waker = self._wakers.get(listener.fileno())
            if waker is not None:
                os.eventfd_write(waker, 1)

    def close(self, listener: Socket) -> None:
        with self._lock:
            os.close(self._wakers.pop(listener.fileno()))
            listener.close()

    def tls_context(self) -> ssl.SSLContext:
        return ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)

    def abort(self, sock: Socket) -> None:
        with contextlib.suppress(OSError):
            socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def when_gone(self, sock: Socket, gone: Callable[[], None], early: Callable[[bytes], None]) -> Callable[[], None]:
        waker = os.eventfd(0, os.EFD_CLOEXEC)
        poll = select.poll()
        poll.register(sock.fileno(), select.POLLRDHUP | select.POLLHUP | select.POLLERR)
        poll.register(waker, select.POLLIN)

        watching = True

        def watch() -> None:
            nonlocal watching
            ready = {descriptor for descriptor, _ in poll.poll()}
            with self._lock:
                watching = False
                os.close(waker)
            if waker not in ready:
                gone()

        threading.Thread(target=watch, daemon=True).start()

        def stop() -> None:
            with self._lock:
                if watching:
                    os.eventfd_write(waker, 1)

        return stop


class GeventTransport:
    """gevent's sockets, a greenlet a connection; everything in the thread that runs the loop."""

    def __init__(self) -> None:
        self._acceptors: dict[int, Any] = {}

    def spawn(self, function: Callable[..., None], *arguments: Any) -> None:
        import gevent

        gevent.spawn(function, *arguments)

    def sleep(self, seconds: float) -> None:
        import gevent

        gevent.sleep(seconds)

    def listen(self, listener: socket.socket) -> Socket:
        import gevent.socket

        return gevent.socket.socket(listener.family, listener.type, listener.proto, fileno=os.dup(listener.fileno()))

    def accept(self, listener: Socket, stopping: Callable[[], bool]) -> tuple[Socket, Any] | None:
        import gevent

        self._acceptors[listener.fileno()] = gevent.getcurrent()
        try:
            return None if stopping() else listener.accept()
        except gevent.GreenletExit:
            return None

    def wake(self, listener: Socket) -> None:
        acceptor = self._acceptors.pop(listener.fileno(), None)
        if acceptor is not None:
            acceptor.kill(block=False)

    def close(self, listener: Socket) -> None:
        self._acceptors.pop(listener.fileno(), None)
        listener.close()

    def tls_context(self) -> ssl.SSLContext:
        import gevent.ssl

        context: ssl.SSLContext = gevent.ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        return context

    def abort(self, sock: Socket) -> None:
        with contextlib.suppress(OSError, AttributeError):
            sock._sock.shutdown(socket.SHUT_RDWR)

    def when_gone(self, sock: Socket, gone: Callable[[], None], early: Callable[[bytes], None]) -> Callable[[], None]:
        import gevent

        watcher = gevent.get_hub().loop.io(sock.fileno(), 1)
        reader: list[Any] = []

        def readable() -> None:
            watcher.stop()
            reader[:] = [gevent.spawn(read)]

        def read() -> None:
            try:
                data = sock.recv(65536)
            except OSError:
                data = b""
            reader.clear()
            if data:
                early(data)
                watcher.start(readable)
            else:
                gone()

        def stop() -> None:
            # Waiting greenlets hold no bytes, so killing one loses none.
            for greenlet in reader:
                if greenlet is not gevent.getcurrent():
                    greenlet.kill()
            watcher.stop()
            watcher.close()

        # Bytes OpenSSL has already taken in do not make the descriptor readable.
        if getattr(sock, "pending", int)():
            readable()
        else:
            watcher.start(readable)
        return stop


GEVENT: Transport = GeventTransport()
THREADS: Transport = ThreadTransport()


def server_tls(
    transport: Transport, certificate: str, key: str, *, client_ca: str = "", ciphers: str = ""
) -> ssl.SSLContext:
    """A context for serving: TLS 1.2 and up, HTTP/1.1; with ``client_ca`` a client may show a certificate of it."""
    context = transport.tls_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols(["http/1.1"])
    if ciphers:
        context.set_ciphers(ciphers)
    if client_ca:
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_OPTIONAL
    return context
