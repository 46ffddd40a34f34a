"""``netexec``: a web and a UDP server that say who they are, dial others, run commands."""

import json
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time

from testhost import web

READY = threading.Event()


def main(arguments):
    options = web.flags(
        arguments, http_port=8080, udp_port=8081, sctp_port=-1, tls_cert_file="", tls_private_key_file="",
        http_override="", udp_listen_addresses="", delay_shutdown=0,
    )  # fmt: skip
    if options.delay_shutdown:

        def later(*_):
            time.sleep(options.delay_shutdown)
            os._exit(0)

        signal.signal(signal.SIGTERM, later)
    else:
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    if options.udp_port != -1:
        for address in sorted(set(options.udp_listen_addresses.split(","))):
            threading.Thread(target=udp, args=(address, options.udp_port), daemon=True).start()
    if options.sctp_port != -1:
        threading.Thread(target=sctp, args=(options.sctp_port,), daemon=True).start()
    respond = web.routes(ROUTES, root)
    if options.http_override:
        respond = overridden(options.http_override, respond)
    key = options.tls_private_key_file
    # the main thread stays free for signals
    web.in_background(options.http_port, respond, certificate=options.tls_cert_file, key=key)
    while True:
        signal.pause()


def overridden(target, respond):
    import urllib.parse

    url = urllib.parse.urlsplit(target)
    query = urllib.parse.parse_qs(url.query, keep_blank_values=True)

    def always(request):
        return respond(web.Request("GET", url.path, query, request.headers, b"", request.peer, request.handler))

    return always


def root(request):
    return f"NOW: {time.strftime('%Y-%m-%d %H:%M:%S')}.{time.time_ns() % 10**9:09d} +0000 UTC m=+{time.monotonic():f}"


def echo(request):
    return web.Answer(request.get("msg"), int(request.get("code") or 200))


def client_ip(request):
    host, port = request.peer
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def server_port(request):
    return str(request.handler.server.server_port)


def header(request):
    return str(request.headers.get(request.get("key"), ""))


def leave(request):
    time.sleep(web.duration(request.get("wait") or "0"))
    pause = web.duration(request.get("timeout") or "0")
    code = int(request.get("code") or 0)
    if not pause:
        os._exit(code)
    threading.Thread(target=lambda: (request.handler.server.shutdown(), os._exit(code)), daemon=True).start()
    return ""


def health(request):
    return web.Answer("", 200 if READY.is_set() else 412)


def redirect(request):
    return web.Answer("", int(request.get("code") or 302), headers={"Location": request.get("location")})


def shell(request):
    command = request.get("shellCommand") or request.get("cmd")
    done = subprocess.run(["/bin/sh", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    output = {}
    if done.stdout:
        output["output"] = done.stdout.decode(errors="replace")
    if done.returncode:
        output["error"] = f"exit status {done.returncode}"
    return json.dumps(output)


def upload(request):
    import email

    kind = request.headers.get("Content-Type", "")
    message = email.message_from_bytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + request.body)
    for part in message.get_payload() if message.is_multipart() else ():
        if part.get_param("name", header="content-disposition") == "file":
            handle, path = tempfile.mkstemp(prefix="upload", dir="/uploads")
            with os.fdopen(handle, "wb") as file:
                file.write(part.get_payload(decode=True))
            os.chmod(path, 0o700)
            return web.Answer(json.dumps({"output": path}), 201)
    return json.dumps({"error": "Unable to upload file."})


def dial(request):
    host, port, what = request.get("host"), request.get("port"), request.get("request")
    protocol = request.get("protocol").lower() or "http"
    dialers = {"http": dial_http, "udp": dial_udp, "sctp": dial_sctp}
    if not what:
        return web.Answer("request parameter not specified.", 400)
    if protocol not in dialers:
        return web.Answer(f"unsupported protocol. {protocol}", 400)
    try:
        tries = int(request.get("tries") or 1)
        number = int(port)
        family, _, _, _, address = socket.getaddrinfo(host, number)[0]
    except (ValueError, OSError) as error:
        return web.Answer(f"host and/or port param are invalid. {error}", 400)
    responses, errors = [], []
    for _ in range(tries):
        try:
            responses.append(dialers[protocol](family, address, what))
        except OSError as error:
            errors.append(str(error))
    output = {"responses": responses} if responses and responses[-1] else {}
    if errors:
        output["errors"] = errors
    return json.dumps(output)


def dial_http(family, address, what):
    host = f"[{address[0]}]" if family == socket.AF_INET6 else address[0]
    return web.fetch(f"http://{host}:{address[1]}/{what}")


def dial_udp(family, address, what):
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.settimeout(5)
        sock.connect(address)
        sock.send(what.encode())
        answer = sock.recv(2048)
    if not answer:
        raise OSError("reading from udp connection failed.")
    return answer.decode()


def dial_sctp(family, address, what):
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_SCTP) as sock:
        sock.settimeout(5)
        sock.connect(address)
        sock.send(what.encode())
        return sock.recv(1024).decode()


def reply(text, peer):
    """What the UDP and SCTP servers say; None is silence."""
    asked = text.strip()
    if asked.lower() == "hostname":
        return web.hostname()
    if asked.lower().startswith("echo "):
        return asked.lower().split(" ", 1)[1]
    if asked.lower() == "clientip":
        host = peer[0].removeprefix("::ffff:")
        return f"[{host}]:{peer[1]}" if ":" in host else f"{host}:{peer[1]}"
    return None


def udp(address, port):
    family = (
        socket.AF_INET6
        if ":" in address or (not address and web.Server.address_family == socket.AF_INET6)
        else socket.AF_INET
    )
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind((address, port))
        # the answer must leave from the address that was asked
        READY.set()
        while True:
            data, peer = sock.recvfrom(2048)
            said = reply(data.decode(errors="replace"), peer)
            if said is not None:
                sock.sendto(said.encode(), peer)


def sctp(port):
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP) as sock:
        sock.bind(("", port))
        sock.listen()
        READY.set()
        while True:
            connection, peer = sock.accept()
            with connection:
                said = reply(connection.recv(1024).decode(errors="replace"), peer)
                if said is not None:
                    connection.send(said.encode())


ROUTES = {
    "/clientip": client_ip,
    "/dial": dial,
    "/echo": echo,
    "/exit": leave,
    "/header": header,
    "/healthz": health,
    "/readyz": health,
    "/hostname": lambda request: web.hostname(),
    "/hostName": lambda request: web.hostname(),
    "/redirect": redirect,
    "/serverport": server_port,
    "/shell": shell,
    "/shutdown": lambda request: os._exit(0),
    "/upload": upload,
}
