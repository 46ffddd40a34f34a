"""``grpc-health-checking``: the gRPC health protocol over as much of HTTP/2 as a server of one method needs.

Requests' headers are not decoded: whatever is asked here is a health check. Its message names the service.
"""

import contextlib
import socket
import struct
import threading
import time

from testhost import web

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, SETTINGS, PING = 0, 1, 4, 6
END_STREAM, END_HEADERS, ACK, PADDED = 1, 4, 1, 8
SERVING, NOT_SERVING = 1, 2


class Health:
    def __init__(self, service, delay):
        self.service, self.delay, self.started, self.forced = service, delay, time.monotonic(), None

    def status(self):
        late = self.delay >= 0 and time.monotonic() - self.started >= self.delay
        return NOT_SERVING if self.forced or (late and self.forced is None) else SERVING

    def force(self, unhealthy):
        def respond(request):
            self.forced = unhealthy
            return f"{time.monotonic() - self.started}s"

        return respond


def main(arguments):
    options = web.flags(arguments, port=5000, http_port=8080, delay_unhealthy_sec=-1, service="")
    health = Health(options.service, options.delay_unhealthy_sec)
    table = {"/make-serving": health.force(False), "/make-not-serving": health.force(True)}
    web.in_background(options.http_port, web.routes(table))
    with socket.create_server(("", options.port)) as listening:
        while True:
            connection, _ = listening.accept()
            threading.Thread(target=serve, args=(connection, health), daemon=True).start()


def serve(connection, health):
    """Until the client has had enough, which it may say by going away."""
    with contextlib.suppress(OSError):
        talk(connection, health)


def talk(connection, health):
    with connection, connection.makefile("rb") as stream:
        if stream.read(len(PREFACE)) != PREFACE:
            return
        connection.sendall(frame(SETTINGS, 0, 0, b""))
        messages = {}
        while True:
            head = stream.read(9)
            if len(head) < 9:
                return
            size = struct.unpack(">I", b"\0" + head[:3])[0]
            kind, flags, number = struct.unpack(">BBI", head[3:])
            payload = stream.read(size)
            if kind == SETTINGS and not flags & ACK:
                connection.sendall(frame(SETTINGS, ACK, 0, b""))
            elif kind == PING and not flags & ACK:
                connection.sendall(frame(PING, ACK, 0, payload))
            elif kind == DATA:
                data = payload[1 : len(payload) - payload[0]] if flags & PADDED else payload
                messages[number] = messages.get(number, b"") + data
                if flags & END_STREAM:
                    connection.sendall(answer(number, messages.pop(number), health))


def answer(number, message, health):
    if asked(message) != health.service:
        return frame(
            HEADERS, END_HEADERS | END_STREAM, number,
            opening() + header("grpc-status", "5") + header("grpc-message", "unknown service"),
        )  # fmt: skip
    body = bytes([0x08, health.status()])
    return (
        frame(HEADERS, END_HEADERS, number, opening())
        + frame(DATA, 0, number, b"\0" + struct.pack(">I", len(body)) + body)
        + frame(HEADERS, END_HEADERS | END_STREAM, number, header("grpc-status", "0"))
    )


def asked(message):
    """Field 1 of ``HealthCheckRequest``."""
    body = message[5:]
    return body[2 : 2 + body[1]].decode() if len(body) > 1 and body[0] == 0x0A else ""


def opening():
    return b"\x88" + header("content-type", "application/grpc")  # ":status: 200" of the static table


def header(name, value):
    return b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()


def frame(kind, flags, number, payload):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, number) + payload
