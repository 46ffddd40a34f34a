"""Servers with one job each."""

import html
import json
import mimetypes
import os
import signal
import socket
import threading
import time
import urllib.parse

from testhost import web


def serve_hostname(arguments):
    options = web.flags(arguments, tcp=False, udp=False, http=True, close=False, port=9376)
    name = web.hostname().encode()
    if options.http and (options.tcp or options.udp):
        web.log("Can't server TCP/UDP mode and HTTP mode at the same time")
        return 1
    if options.tcp:
        threading.Thread(target=_tcp, args=(options.port, name), daemon=True).start()
    if options.udp:
        threading.Thread(target=_udp, args=(options.port, name), daemon=True).start()
    if options.http:
        headers = {"Connection": "close"} if options.close else {}
        web.in_background(options.port, lambda request: web.Answer(name, headers=headers))
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    ended.wait()
    web.log("Awaiting pod deletion.")
    time.sleep(60)
    return 0


def _tcp(port, said):
    with socket.create_server(("", port)) as listening:
        while True:
            connection, _ = listening.accept()
            with connection:
                connection.sendall(said)


def _udp(port, said):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("", port))
        while True:
            _, peer = sock.recvfrom(16)
            sock.sendto(said, peer)


def porter(arguments):
    options = web.flags(arguments, json_response=False)

    def saying(value):
        def respond(request):
            if not options.json_response:
                kind = "text/html; charset=utf-8" if value.startswith("<a") else "text/plain; charset=utf-8"
                return web.Answer(value, kind=kind)
            return web.as_json({"Method": request.method, "Body": value})

        return respond

    certificate, key = os.environ.get("CERT_FILE", "/localhost.crt"), os.environ.get("KEY_FILE", "/localhost.key")
    for name, value in os.environ.items():
        kind, _, port = name.partition("_PORT_")
        if kind == "SERVE_TLS" and port.isdigit():
            web.in_background(int(port), saying(value), certificate=certificate, key=key)
        elif kind in ("SERVE", "SERVE_TCP") and port.isdigit():
            web.in_background(int(port), saying(value))
        elif kind == "SERVE_UDP" and port.isdigit():
            threading.Thread(target=_udp, args=(int(port), value.encode()), daemon=True).start()
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    while True:
        signal.pause()


def liveness(arguments):
    started = time.monotonic()

    def age():
        return time.monotonic() - started

    def healthy(request):
        return web.Answer("ok") if age() <= 10 else web.Answer(f"error: {age()}", 500)

    def redirect(request):
        target = urllib.parse.unquote(request.get("loc"))
        return web.Answer("", 302, headers={"Location": target})

    def slow(request):
        time.sleep(int(request.get("time") or 0))
        text = f"Slept for {request.get('time') or 0} secs\n" + "0123456789abcdef" * 64 * int(request.get("size") or 0)
        return web.Answer(text, int(request.get("code") or 500))

    def disconnect(request):
        request.handler.connection.close()

    table = {
        "/started": lambda request: f"{age()}s",
        "/healthz": healthy,
        "/redirect": redirect,
        "/sleep-headers": slow,
        "/sleep-body": slow,
        "/slow-response": slow,
        "/disconnect-headers": disconnect,
    }
    web.serve(8080, web.routes(table))


def nettest(arguments):
    options = web.flags(arguments, port=8080, peers=8, service="nettest", namespace="default", delay_shutdown=0)
    state = {
        "Hostname": web.hostname(), "Sent": {}, "Received": {}, "Errors": None, "Log": [], "StillContactingPeers": True,
    }  # fmt: skip
    lock = threading.Lock()
    if options.delay_shutdown:

        def later(*_):
            web.log(f"Sleeping {options.delay_shutdown} seconds before exit ...")
            time.sleep(options.delay_shutdown)
            os._exit(0)

        signal.signal(signal.SIGTERM, later)

    def write(request):
        with lock:
            source = json.loads(request.body or b"{}").get("Source", "")
            if source:
                state["Received"][source] = state["Received"].get(source, 0) + 1
            else:
                state["Errors"] = [*(state["Errors"] or []), f"{web.hostname()}: Got request with no source"]
        return json.dumps({"Hostname": web.hostname()})

    def status(request):
        if min(len(state["Sent"]), len(state["Received"])) >= options.peers:
            return "pass"
        return "running" if state["StillContactingPeers"] else "fail"

    table = {
        "/quit": lambda request: os._exit(0),
        "/read": lambda request: json.dumps(state, indent="\t"),
        "/write": write,
        "/status": status,
    }
    web.in_background(options.port, web.routes(table))
    while True:
        signal.pause()


def test_webserver(arguments):
    options = web.flags(arguments, port=80)

    def respond(request):
        path = os.path.normpath("/" + urllib.parse.unquote(request.path))
        if os.path.isdir(path):
            names = sorted(name + ("/" if os.path.isdir(os.path.join(path, name)) else "") for name in os.listdir(path))
            lines = "".join(f'<a href="{urllib.parse.quote(name)}">{html.escape(name)}</a>\n' for name in names)
            return web.Answer(f"<pre>\n{lines}</pre>\n", kind="text/html; charset=utf-8")
        try:
            with open(path, "rb") as file:
                kind = mimetypes.guess_type(path)[0] or "text/plain; charset=utf-8"
                return web.Answer(file.read(), kind=kind)
        except OSError:
            return web.Answer("404 page not found\n", 404)

    web.serve(options.port, respond)
