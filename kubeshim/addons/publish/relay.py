"""Carries connections and datagrams from sockets of the machine to wherever ``places`` says at that moment.

A connection is tried at each place in turn; either side may end its half. A datagram's sender keeps its place until it
has been silent for a while. Both are bounded in number: what is too much is refused, not queued.
"""

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence
from typing import cast

from kubeshim.addons.publish.targets import Place

log = logging.getLogger(__name__)

CONNECT_SECONDS = 2.0
CONNECTIONS = 4096
SENDERS = 1024
SILENT_SECONDS = 60.0
_CHUNK = 1 << 16

Places = Callable[[], Sequence[Place]]


async def serve_tcp(listener: socket.socket, places: Places) -> asyncio.Server:
    busy = 0

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal busy
        if busy >= CONNECTIONS:
            writer.transport.abort()
            return
        busy += 1
        try:
            opened = await _connect(places())
            if opened is None:
                writer.transport.abort()  # a reset, as from a port nobody listens on
                return
            await _join(reader, writer, *opened)
        finally:
            busy -= 1

    return await asyncio.start_server(carry, sock=listener)


async def _connect(places: Sequence[Place]) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
    for address, port in places:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                return await asyncio.open_connection(address, port)
        except OSError as error:  # a time-out is one
            log.info("%s port %d: %s", address, port, error or "no answer")
    return None


async def _join(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    there_reader: asyncio.StreamReader,
    there_writer: asyncio.StreamWriter,
) -> None:
    """Until both halves have ended, or either side is cut off: then so is the other."""
    pumps = [asyncio.ensure_future(_pump(reader, there_writer)), asyncio.ensure_future(_pump(there_reader, writer))]
    done, _ = await asyncio.wait(pumps, return_when=asyncio.FIRST_EXCEPTION)
    cut = any(pump.exception() for pump in done)
    for pump in pumps:
        pump.cancel()
    for each in (writer, there_writer):
        if cut:
            each.transport.abort()
        else:
            each.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until the reader's side has ended; then that half of the writer's side ends too."""
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


class Datagrams(asyncio.DatagramProtocol):
    """Of one socket: a connected socket to the cluster for each sender."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._senders: dict[tuple[str, int], _Sender] = {}
        self._opening: dict[tuple[str, int], list[bytes]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        sender = self._senders.get(addr)
        if sender is not None:
            sender.send(data)
        elif addr in self._opening:
            self._opening[addr].append(data)
        elif len(self._senders) + len(self._opening) < SENDERS:
            self._opening[addr] = [data]
            task = asyncio.get_running_loop().create_task(self._open(addr))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def error_received(self, exc: Exception) -> None:
        log.debug("a sender is not there any more: %s", exc)

    def connection_lost(self, exc: Exception | None) -> None:
        for sender in list(self._senders.values()):
            sender.end()

    async def _open(self, addr: tuple[str, int]) -> None:
        place = next(iter(self._places()), None)
        try:
            if place is None:
                return
            loop = asyncio.get_running_loop()
            _, sender = await loop.create_datagram_endpoint(
                lambda: _Sender(addr, self.transport, lambda: self._senders.pop(addr, None)), remote_addr=place
            )
            self._senders[addr] = sender
            for data in self._opening[addr]:
                sender.send(data)
        except OSError as error:
            log.info("%s: %s", place, error)
        finally:
            del self._opening[addr]


class _Sender(asyncio.DatagramProtocol):
    """The cluster's side of one sender."""

    def __init__(self, addr: tuple[str, int], back: asyncio.DatagramTransport, gone: Callable[[], object]) -> None:
        self._addr, self._back, self._gone = addr, back, gone
        self._transport: asyncio.DatagramTransport
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)
        self._again()

    def send(self, data: bytes) -> None:
        self._again()
        self._transport.sendto(data)

    def datagram_received(self, data: bytes, addr: object) -> None:
        self._again()
        self._back.sendto(data, self._addr)

    def error_received(self, exc: Exception) -> None:
        """Nobody is there: the next datagram asks anew where to go."""
        self.end()

    def connection_lost(self, exc: Exception | None) -> None:
        self._gone()

    def _again(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(SILENT_SECONDS, self.end)

    def end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._gone()
        self._transport.close()
