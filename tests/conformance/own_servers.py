"""HTTPS servers of a test's own, which the API server finds behind a Service as it finds a pod.

They listen on the machine's address in the nodes' network. The Service has no selector; its EndpointSlice is written
here.
"""

import contextlib
import http.server
import ipaddress
import ssl
import threading

from kubeshim import pki
from tests.conformance.kube import meta


@contextlib.contextmanager
def serving(everywhere, handler, directory, *, client_ca=""):
    """A server; ``identify`` gives it a certificate for a Service. ``client_ca`` is who vouches for its clients."""
    node = everywhere.items("Node")[0]
    address = next(a["address"] for a in node["status"]["addresses"] if a["type"] == "InternalIP")
    gateway = str(next(ipaddress.ip_network(f"{address}/24", strict=False).hosts()))
    listening = http.server.ThreadingHTTPServer((gateway, 0), handler)
    listening.daemon_threads, listening.go_on = True, threading.Event()
    listening.authority, listening.directory = pki.Authority.create("own servers"), directory
    listening.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if client_ca:
        listening.context.load_verify_locations(cadata=client_ca)
        listening.context.verify_mode = ssl.CERT_REQUIRED
    listening.socket = listening.context.wrap_socket(listening.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=listening.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield listening
    finally:
        listening.go_on.set()
        listening.shutdown()
        listening.server_close()


def publish(kube, listening, name, port):
    """Puts the server behind a Service of the test's namespace."""
    certificate, key = listening.authority.issue("own", dns=[f"{name}.{kube.namespace}.svc"], usages=pki.SERVER)
    for file, content in (("crt", certificate), ("key", key)):
        (listening.directory / file).write_bytes(content)
    listening.context.load_cert_chain(listening.directory / "crt", listening.directory / "key")
    kube.create({"kind": "Service", "metadata": meta(name), "spec": {"ports": [{"port": port}]}})
    host, number = listening.server_address
    kube.create(
        {
            "kind": "EndpointSlice",
            "metadata": meta(name, labels={"kubernetes.io/service-name": name}),
            "addressType": "IPv4",
            "endpoints": [{"addresses": [host]}],
            "ports": [{"name": "", "port": number}],
        }
    )
