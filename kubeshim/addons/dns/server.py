"""The DNS server: UDP and TCP on sockets it is given, a few threads, answers from ``resolver``.

The thread that reads UDP answers names of the cluster itself, in well under a millisecond; what must be asked
elsewhere goes to a pool, so that a silent upstream holds nobody up. Nothing is read before the informers are filled
(for ``SYNC_PATIENCE`` seconds at most): questions wait in the socket's buffer over a restart instead of being
answered wrongly. After that, unfilled, names of the cluster get SERVFAIL, never a false NXDOMAIN.
"""

import concurrent.futures
import contextlib
import http.server
import logging
import os
import select
import socket
import threading
import time
from collections.abc import Sequence
from typing import Protocol

from kubeshim.addons.dns import cluster_view, forwarder, message, records, resolver
from kubeshim.client import rest

log = logging.getLogger(__name__)

SYNC_PATIENCE = 5.0
FORWARDING_THREADS = 32
FORWARDING_QUEUE = 1000
TCP_CONNECTIONS = 200
TCP_IDLE_SECONDS = 10.0
RECEIVE_BYTES = 1 << 22
_SO_RCVBUFFORCE = 33


class LiveView(records.View, Protocol):
    """A view that is kept up to date: ``cluster_view.ClusterView``."""

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def wait_for_sync(self, timeout: float) -> bool: ...


class DnsServer:
    """Serves ``domain`` on listening TCP and bound UDP ``sockets``.

    ``upstreams`` are ``(IP, port)`` to ask about other names; none switches forwarding off (REFUSED then).
    ``http_socket``, a listening one, serves ``/health``, ``/ready`` and ``/metrics``.
    """

    def __init__(
        self,
        client: rest.Client | LiveView,
        sockets: Sequence[socket.socket],
        domain: str = "cluster.local",
        upstreams: Sequence[forwarder.Address] = (),
        *,
        http_socket: socket.socket | None = None,
    ) -> None:
        self._view: LiveView = cluster_view.ClusterView(client) if isinstance(client, rest.Client) else client
        self.resolver = resolver.Resolver(
            records.Zone(domain, self._view), forwarder.Forwarder(forwarder.order(upstreams))
        )
        self._sockets = list(sockets)
        self._http_socket = http_socket
        self._http: http.server.ThreadingHTTPServer | None = None
        self._pool = concurrent.futures.ThreadPoolExecutor(FORWARDING_THREADS, "dns-forward")
        self._waiting = threading.BoundedSemaphore(FORWARDING_QUEUE)
        self._tcp = threading.BoundedSemaphore(TCP_CONNECTIONS)
        self._stopping = threading.Event()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC)
        self._own: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Returns at once; ``wait_for_sync`` tells when names of the cluster are answered."""
        self._view.start()
        self._spawn("dns-sync", self._become_ready)
        for sock in self._sockets:
            own = sock.dup()
            own.setblocking(False)
            self._own.append(own)
            if sock.type == socket.SOCK_DGRAM:
                _make_room(own)
                self._spawn("dns-udp", self._serve_udp, own)
            else:
                self._spawn("dns-tcp", self._serve_tcp, own)
        if self._http_socket is not None:
            self._start_http(self._http_socket)

    def stop(self) -> None:
        """The sockets given stay open: who starts next answers what has come meanwhile."""
        self._stopping.set()
        os.eventfd_write(self._wake, 1)
        self._view.stop()
        if self._http is not None:
            self._http.shutdown()
        for thread in self._threads:
            thread.join(2.0)
        self._pool.shutdown(wait=False, cancel_futures=True)
        for own in self._own:
            own.close()
        os.close(self._wake)

    @property
    def ready(self) -> bool:
        return self.resolver.ready

    def wait_for_sync(self, timeout: float) -> bool:
        return self._view.wait_for_sync(timeout)

    def metrics(self) -> str:
        """Prometheus text."""
        return self.resolver.metrics()

    def _spawn(self, name: str, target: object, *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, name=name, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _become_ready(self) -> None:
        while not self._view.wait_for_sync(0.5):
            if self._stopping.is_set():
                return
        self.resolver.ready = True
        self.resolver.forwarder.probe()

    def _hold(self) -> None:
        """Until answers can be right, or patience ends."""
        deadline = time.monotonic() + SYNC_PATIENCE
        while not self.resolver.ready and time.monotonic() < deadline and not self._stopping.wait(0.01):
            pass

    def _readable(self, sock: socket.socket) -> bool:
        """Waits without waking up for nothing; False when stopping."""
        poll = select.poll()
        poll.register(sock, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        poll.poll()
        return not self._stopping.is_set()

    def _serve_udp(self, sock: socket.socket) -> None:
        self._hold()
        version = _version(sock)
        while self._readable(sock):
            try:
                data, asker = sock.recvfrom(65535)
            except BlockingIOError:
                continue
            except OSError as error:
                log.debug("dns: %s", error)  # an ICMP error of an earlier answer
                continue
            try:
                answer = self.resolver.answer(data, udp=True, version=version)
            except resolver.Elsewhere as elsewhere:
                self._later(sock, asker, elsewhere.query)
                continue
            except Exception:
                self.resolver.counting.panics += 1
                log.exception("answering a question from %s", asker)
                continue
            if answer is not None:
                _send(sock, answer, asker)

    def _later(self, sock: socket.socket, asker: forwarder.Address, query: message.Query) -> None:
        """Asks an upstream in the pool; with too much waiting already, says so at once."""
        if not self._waiting.acquire(blocking=False):
            _send(sock, self.resolver.failure(query, message.SERVFAIL), asker)
            return

        def work() -> None:
            try:
                _send(sock, self.resolver.elsewhere(query, udp=True), asker)
            finally:
                self._waiting.release()

        with contextlib.suppress(RuntimeError):  # the pool is closed: stopping
            self._pool.submit(work)

    def _serve_tcp(self, listener: socket.socket) -> None:
        self._hold()
        while self._readable(listener):
            try:
                connection, _ = listener.accept()
            except BlockingIOError:
                continue
            except OSError as error:
                log.warning("dns: accept: %s", error)
                self._stopping.wait(0.1)  # out of descriptors: they come back
                continue
            if not self._tcp.acquire(blocking=False):
                connection.close()
                continue
            threading.Thread(target=self._converse, args=(connection,), name="dns-tcp", daemon=True).start()

    def _converse(self, connection: socket.socket) -> None:
        try:
            with connection, connection.makefile("rb") as stream:
                connection.settimeout(TCP_IDLE_SECONDS)
                while len(head := stream.read(2)) == 2:
                    data = stream.read(int.from_bytes(head))
                    try:
                        answer = self.resolver.answer(data, udp=False, version=_version(connection))
                    except resolver.Elsewhere as elsewhere:
                        answer = self.resolver.elsewhere(elsewhere.query, udp=False)
                    if answer is None:
                        return
                    connection.sendall(len(answer).to_bytes(2) + answer)
        except OSError as error:
            log.debug("dns over TCP: %s", error)
        finally:
            self._tcp.release()

    def _start_http(self, sock: socket.socket) -> None:
        answering = self.resolver

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                texts = {"/health": "OK", "/ready": "OK", "/metrics": answering.metrics()}
                text = texts.get(self.path, "404 page not found\n")
                status = 200 if self.path in texts else 404
                if self.path == "/ready" and not answering.ready:
                    status, text = 503, "kubernetes"
                self.send_response(status)
                self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, format: str, *args: object) -> None:
                log.debug(format, *args)

        self._http = http.server.ThreadingHTTPServer(sock.getsockname(), Handler, bind_and_activate=False)
        self._http.socket.close()
        self._http.socket = sock
        self._http.daemon_threads = True
        self._spawn("dns-http", self._http.serve_forever)


def _make_room(sock: socket.socket) -> None:
    """For the questions of a restart or a burst; the usual room is for some three hundred."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, RECEIVE_BYTES)
    except OSError:  # without CAP_NET_ADMIN: as far as the system's limit goes
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)


def _version(sock: socket.socket) -> int:
    return 6 if sock.family == socket.AF_INET6 else 4


def _send(sock: socket.socket, data: bytes, asker: forwarder.Address) -> None:
    try:
        sock.sendto(data, asker)
    except OSError as error:
        log.debug("dns: answer to %s: %s", asker, error)
