"""A small web server: a table from path to handler, and the flags as Go's programs spell them."""

import argparse
import dataclasses
import http.server
import json
import os
import re
import socket
import ssl
import sys
import threading
import time
import urllib.parse

UNITS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def log(text):
    print(time.strftime("%Y/%m/%d %H:%M:%S"), text, file=sys.stderr, flush=True)


def duration(text):
    """Seconds of a Go duration."""
    found = re.findall(r"(\d+(?:\.\d+)?)(ns|us|ms|s|m|h)", text)
    if "".join(number + unit for number, unit in found) != text and text != "0":
        raise ValueError(f"invalid duration {text!r}")
    return sum(float(number) * UNITS[unit] for number, unit in found)


def switch(text):
    return text.lower() in ("true", "1", "t")


def flags(arguments, *, positional=0, **defaults):
    """Parsed flags; names have dashes in place of underscores unless they start with ``raw__``."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("-v", type=int, default=0)  # how much to log: every subcommand of the original takes it
    for name, default in defaults.items():
        option = f"--{name.removeprefix('raw__')}" if name.startswith("raw__") else f"--{name.replace('_', '-')}"
        if isinstance(default, bool):
            parser.add_argument(option, dest=name, nargs="?", const=True, default=default, type=switch)
        else:
            parser.add_argument(option, dest=name, default=default, type=type(default))
    if positional:
        parser.add_argument("positional", nargs=positional)
    return parser.parse_args(arguments)


def hostname():
    return os.uname().nodename


@dataclasses.dataclass
class Request:
    method: str
    path: str
    query: dict
    headers: object
    body: bytes
    peer: tuple
    handler: object

    def get(self, name, default=""):
        return self.query.get(name, [default])[0]


@dataclasses.dataclass
class Answer:
    body: bytes | str = b""
    code: int = 200
    kind: str = "text/plain; charset=utf-8"
    headers: dict = dataclasses.field(default_factory=dict)


def as_json(value, code=200, kind="application/json"):
    return Answer(json.dumps(value), code, kind)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    address_family = socket.AF_INET6 if socket.has_ipv6 and os.path.exists("/proc/net/if_inet6") else socket.AF_INET

    def server_bind(self):
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super(http.server.HTTPServer, self).server_bind()  # not its own: it looks the host's name up
        self.server_name, self.server_port = hostname(), self.server_address[1]

    def finish_request(self, request, client_address):
        """Any TLS handshake happens in the connection's own thread."""
        context = getattr(self, "context", None)
        if context is not None:
            request = context.wrap_socket(request, server_side=True)
        super().finish_request(request, client_address)

    def handle_error(self, request, client_address):
        log(f"connection of {client_address[0]}: {sys.exc_info()[1]}")


def server(port, respond, *, certificate="", key=""):
    """``respond(Request) -> Answer | str | bytes | None``; None when it has answered by itself."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self):
            url = urllib.parse.urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            query = urllib.parse.parse_qs(url.query, keep_blank_values=True)
            if self.headers.get("Content-Type", "").startswith("application/x-www-form-urlencoded"):
                query |= urllib.parse.parse_qs(body.decode(), keep_blank_values=True)
            peer = (self.client_address[0].removeprefix("::ffff:"), self.client_address[1])
            found = respond(Request(self.command, url.path, query, self.headers, body, peer, self))
            if found is None:
                self.close_connection = True
                return
            if not isinstance(found, Answer):
                found = Answer(found)
            data = found.body.encode() if isinstance(found.body, str) else found.body
            self.send_response(found.code)
            self.send_header("Content-Type", found.kind)
            self.send_header("Content-Length", str(len(data)))
            for name, value in found.headers.items():
                self.send_header(name, value)
            if found.headers.get("Connection") == "close":
                self.close_connection = True
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = answer

        def log_message(self, *_):
            log(f"{self.command} {self.path}")

    made = Server(("::" if Server.address_family == socket.AF_INET6 else "0.0.0.0", port), Handler)
    if certificate:
        made.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.context.load_cert_chain(certificate, key or certificate)
    return made


def routes(table, otherwise=None):
    """A responder by path."""

    def respond(request):
        chosen = table.get(request.path) or otherwise
        return chosen(request) if chosen else Answer("404 page not found\n", 404)

    return respond


def serve(port, respond, **options):
    made = server(port, respond, **options)
    log(f"serving on port {made.server_port}")
    made.serve_forever()


def in_background(port, respond, **options):
    """The port is open when this returns: of several servers, all are before the first can be found ready."""
    made = server(port, respond, **options)
    log(f"serving on port {made.server_port}")
    threading.Thread(target=made.serve_forever, daemon=True).start()


def fetch(url, timeout=5.0, data=None):
    """Body of a GET or POST, whatever its status."""
    import urllib.error
    import urllib.request

    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(urllib.request.Request(url, data), timeout=timeout) as answer:
            return answer.read().decode(errors="replace")
    except urllib.error.HTTPError as error:
        return error.read().decode(errors="replace")
