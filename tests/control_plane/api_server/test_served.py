"""A whole server as a process: TLS, certificates, RBAC, signals, and what survives."""

import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time

import pytest

from kubeshim import pki

SCRIPT = """
import pathlib, socket, sys
from kubeshim import pki
from kubeshim.control_plane.api_server import config, server
directory = pathlib.Path(sys.argv[1])
files = pki.Files(directory / "pki")
certificate, key = files.pair("apiserver")
server.run(config.Config(
    data_dir=directory, tls_certificate=str(certificate), tls_key=str(key), client_ca=str(files.ca),
    front_proxy_ca=str(files.front_proxy_ca), service_account_key=str(files.service_account_key),
    certificate_authority=str(files.ca), advertise_address="192.0.2.1",
), [socket.socket(fileno=int(sys.argv[2]))])
"""


class Process:
    """The server over an inherited listening socket, which stays open while the process is away."""

    def __init__(self, directory):
        self.directory = directory
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.files = pki.create_all(directory / "pki", server=f"https://127.0.0.1:{self.port}")
        self.process = None
        self.start()

    def start(self):
        descriptor = self.listener.fileno()
        command = [sys.executable, "-c", SCRIPT, str(self.directory), str(descriptor)]
        self.process = subprocess.Popen(command, pass_fds=[descriptor])

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.process.wait(60)

    def connection(self, *, certificate=True):
        context = ssl.create_default_context(cafile=str(self.files.ca))
        if certificate:
            context.load_cert_chain(*self.admin())
        return http.client.HTTPSConnection("127.0.0.1", self.port, context=context, timeout=60)

    def admin(self):
        """The administrator's certificate out of the kubeconfig, as files."""
        import base64

        import yaml

        user = yaml.safe_load(self.files.kubeconfig("admin").read_text())["users"][0]["user"]
        paths = []
        for field in ("client-certificate-data", "client-key-data"):
            path = self.directory / field
            path.write_bytes(base64.b64decode(user[field]))
            paths.append(str(path))
        return paths

    def ask(self, method, path, body=None, **options):
        connection = self.connection(**options)
        headers = {"User-Agent": "test/1", "Content-Type": "application/json"}
        connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return answer.status, json.loads(text) if text[:1] == b"{" else text


@pytest.fixture(scope="module")
def process(tmp_path_factory):
    made = Process(tmp_path_factory.mktemp("served"))
    end = time.monotonic() + 60
    while made.ask("GET", "/readyz")[0] != 200:
        assert time.monotonic() < end
        time.sleep(0.05)
    yield made
    made.stop(signal.SIGKILL)
    made.listener.close()


CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"


def test_a_certificate_says_who_asks(process):
    status, review = process.ask("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {})
    assert status == 201
    assert review["status"]["userInfo"]["username"] == "kubernetes-admin"


def test_anonymous_sees_health_and_version_only(process):
    assert process.ask("GET", "/livez", certificate=False) == (200, b"ok")
    assert process.ask("GET", "/version", certificate=False)[0] == 200
    status, refusal = process.ask("GET", "/api/v1/nodes", certificate=False)
    assert (status, refusal["reason"]) == (403, "Forbidden")
    assert refusal["message"] == (
        'nodes is forbidden: User "system:anonymous" cannot list resource "nodes" in API group "" at the cluster scope'
    )


def test_tls_is_not_older_than_1_2(process):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2", "http/1.1"])
    with context.wrap_socket(socket.create_connection(("127.0.0.1", process.port))) as sock:
        assert sock.version() in ("TLSv1.2", "TLSv1.3")
        assert sock.selected_alpn_protocol() == "http/1.1"


def watch(process, version):
    connection = process.connection()
    connection.request("GET", f"{CONFIG_MAPS}?watch=1&resourceVersion={version}", headers={"User-Agent": "test/1"})
    return connection, connection.getresponse()


def test_termination_ends_watches_and_a_new_process_takes_over_where_they_were(process):
    made = process.ask("POST", CONFIG_MAPS, {"metadata": {"name": "before"}})[1]
    connection, stream = watch(process, made["metadata"]["resourceVersion"])
    process.ask("POST", CONFIG_MAPS, {"metadata": {"name": "seen"}})
    event = json.loads(stream.readline())
    assert event["object"]["metadata"]["name"] == "seen"
    assert process.stop() == 0
    assert stream.read() == b""
    connection.close()
    process.start()
    # This request waits in the listening socket until the new process takes it.
    assert process.ask("POST", CONFIG_MAPS, {"metadata": {"name": "later"}})[0] == 201
    connection, stream = watch(process, event["object"]["metadata"]["resourceVersion"])
    assert json.loads(stream.readline())["object"]["metadata"]["name"] == "later"
    connection.close()


def test_nothing_acknowledged_is_lost_by_a_kill(process):
    acknowledged = []
    for number in range(50):
        status, made = process.ask("POST", CONFIG_MAPS, {"metadata": {"name": f"kill-{number}"}})
        assert status == 201
        acknowledged.append(made)
    os.kill(process.process.pid, signal.SIGKILL)
    process.process.wait()
    process.start()
    for made in acknowledged:
        assert process.ask("GET", f"{CONFIG_MAPS}/{made['metadata']['name']}") == (200, made)
