"""``guestbook``: a store with replicas and a front end, as the guestbook application has them."""

import json
import socket
import sys
import threading
import time
import urllib.parse

from testhost import web

STORE = {}
REPLICAS = []


def main(arguments):
    options = web.flags(arguments, http_port=80, backend_port=6379, replicaof="")
    port = options.backend_port

    def register_self():
        for _ in range(15):
            try:
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                    sock.connect((options.replicaof, port))
                    own = sock.getsockname()[0]
                answer = web.fetch(f"http://{options.replicaof}:{port}/register?host={own}")
                STORE.update(json.loads(answer)["data"])
                return
            except (OSError, ValueError) as error:
                web.log(f"encountered error while registering to primary: {error}. Retrying in 1s.")
                time.sleep(1)
        web.log("Timed out while registering to primary.")
        sys.exit(1)

    def register(request):
        REPLICAS.append(request.get("host"))
        return json.dumps({"data": STORE})

    def get(request):
        key = request.get("key")
        return json.dumps({"data": STORE.get(key, "") if key else STORE})

    def put(request):
        key, value = request.get("key"), request.get("value")
        if not key:
            return web.Answer("cannot set with empty key.", 400)
        STORE[key] = value
        for replica in REPLICAS:
            try:
                web.fetch(f"http://{replica}:{port}/set?{urllib.parse.urlencode({'key': key, 'value': value})}")
            except OSError as error:
                return web.Answer(f"encountered error while propagating to replica '{replica}': {error}", 417)
        return json.dumps({"message": "Updated"})

    def front(request):
        command = request.get("cmd").lower()
        if command not in ("get", "set"):
            return web.Answer(f"unsupported cmd: '{command}'", 400)
        host = "agnhost-replica" if command == "get" else "agnhost-primary"
        query = urllib.parse.urlencode({"key": request.get("key"), "value": request.get("value")})
        try:
            return web.fetch(f"http://{host}:{port}/{command}?{query}")
        except OSError as error:
            return web.Answer(f"encountered error: {error}", 417)

    if options.replicaof:
        threading.Thread(target=register_self, daemon=True).start()
    web.serve(options.http_port, web.routes({"/register": register, "/get": get, "/set": put, "/guestbook": front}))
