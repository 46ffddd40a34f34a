"""Logs, exec, attach, port-forward: what reaches the kubelet, and what comes back."""

import json

import pytest

EXEC = "exec?container=main&command=sh&command=-c&stdin=true&stdout=true&tty=false"


@pytest.fixture
def upgrade(secure):
    """Sends an upgrade request; gives the socket, the answer's head and what came after it."""
    opened = []

    def send(*arguments, **options):
        answer = _upgrade(secure, *arguments, **options)
        opened.append(answer[0])
        return answer

    yield send
    for sock in opened:
        sock.close()


def _upgrade(secure, method, target, who="admin", protocol="websocket", **headers):
    sock = secure.raw(who)
    lines = [f"{method} {target} HTTP/1.1", "Host: x", "Connection: Upgrade", f"Upgrade: {protocol}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    sock.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
    data = b""
    while b"\r\n\r\n" not in data:
        data += sock.recv(65536)
    head, _, rest = data.partition(b"\r\n\r\n")
    return sock, head.decode(), rest


def test_a_log_is_passed_on(secure, shop, kubelet):
    path = shop("logger")
    answer = secure.ask("GET", f"{path}/log?tailLines=5&timestamps=true", headers={"Accept": "application/json, */*"})
    assert (answer.status, answer.raw) == (200, b"line one\nline two\n")
    asked, _, certificate = kubelet.asked[-1]
    assert asked == "/containerLogs/shop/logger/main?timestamps=true&tailLines=5"
    assert (("commonName", "kube-apiserver-kubelet-client"),) in certificate["subject"]
    assert secure.ask("GET", f"{path}/log?limitBytes=8").raw == b"line one"


def test_where_no_node_has_a_log_there_is_no_content(secure, shop):
    answer = secure.ask("GET", f"{shop('placeless', bound=False)}/log")
    assert (answer.status, answer.raw, answer.headers["Cache-Control"]) == (204, b"", "no-cache, private")


def test_a_followed_log_ends_when_the_client_leaves(secure, shop, kubelet):
    path = shop("follower")
    sock = secure.raw()
    sock.sendall(f"GET {path}/log?follow=true HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    data = b""
    while b"first\n" not in data:
        data += sock.recv(65536)
    sock.close()
    assert kubelet.gone.wait(60)


@pytest.mark.parametrize(
    ("target", "status", "text"),
    [
        ("two/log", 400, "a container name must be specified for pod two, choose one of: [a b]"),
        ("two/log?container=c", 400, "container c is not valid for pod two"),
        ("two/log?container=a&tailLines=-1", 422, "must be greater than or equal to 0"),
        ("two/log?container=a&sinceSeconds=x", 400, 'strconv.ParseInt: parsing "x": invalid syntax'),
        ("two/log?container=a&tailLines=", 400, 'strconv.ParseInt: parsing "": invalid syntax'),
        ("missing/log", 404, "container not found"),
        ("nobody/log", 404, 'pods "nobody" not found'),
        ("homeless/exec?command=x&stdout=true", 400, "pod homeless does not have a host assigned"),
        ("two/exec?container=a&command=x&stdout=true", 400, "Upgrade request required"),
        ("two/exec?container=a&command=x", 400, "you must specify at least 1 of stdin, stdout, stderr"),
    ],
)
def test_refusals(secure, shop, target, status, text):
    for name, options in (("two", {"containers": ("a", "b")}), ("missing", {}), ("homeless", {"bound": False})):
        if secure.ask("GET", f"/api/v1/namespaces/shop/pods/{name}").status == 404 and target.startswith(name):
            shop(name, **options)
    answer = secure.ask("GET", f"/api/v1/namespaces/shop/pods/{target}")
    assert answer.status == status
    assert text in answer.body["message"]


@pytest.mark.parametrize(("method", "protocol"), [("GET", "websocket"), ("POST", "SPDY/3.1")])
def test_exec_is_a_pipe_to_the_kubelet(upgrade, secure, shop, kubelet, method, protocol):
    path = shop(f"exec-{method.lower()}")
    headers = {"Sec_WebSocket_Protocol": "v5.channel.k8s.io, base64url.bearer.authorization.k8s.io.eA"}
    sock, head, rest = upgrade(method, f"{path}/{EXEC}", protocol=protocol, Authorization="Basic x", **headers)
    assert head.startswith("HTTP/1.1 101")
    asked, sent, _ = kubelet.asked[-1]
    assert asked.partition("?")[2] == "input=1&output=1&command=sh&command=-c"
    assert sent["Upgrade"] == protocol
    assert "Authorization" not in sent
    assert sent["Sec-WebSocket-Protocol"] == "v5.channel.k8s.io"
    sock.sendall(b"x" * 300_000 + b"bye")
    while chunk := sock.recv(65536):
        rest += chunk
    assert rest == b"X" * 300_000 + b"BYE"


def test_a_kubelets_refusal_is_quoted(upgrade, secure, shop):
    path = shop("refuse")
    _, head, rest = upgrade("GET", f"{path}/{EXEC}")
    assert head.startswith("HTTP/1.1 403")
    assert rest == b"not this one"


def test_to_stream_by_get_one_must_be_allowed_to_create(upgrade, secure, shop):
    path = shop("guarded-exec")
    rule = {"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["get"]}
    roles = "/apis/rbac.authorization.k8s.io/v1"
    secure.ask("POST", f"{roles}/clusterroles", {"metadata": {"name": "get-exec"}, "rules": [rule]})
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "get-exec"}
    subjects = [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "system:kube-proxy"}]
    body = {"metadata": {"name": "get-exec"}, "roleRef": reference, "subjects": subjects}
    secure.ask("POST", f"{roles}/clusterrolebindings", body)
    sock, head, rest = upgrade("GET", f"{path}/{EXEC}", who="kube-proxy")
    assert head.startswith("HTTP/1.1 403")
    while not rest.endswith(b"}\n"):
        rest += sock.recv(65536)
    assert 'cannot create resource "pods/exec"' in json.loads(rest)["message"]


def test_port_forward_is_a_pipe_too(upgrade, secure, shop, kubelet):
    path = shop("forwarded")
    version = {"X_Stream_Protocol_Version": "portforward.k8s.io"}
    sock, head, _ = upgrade("POST", f"{path}/portforward", protocol="SPDY/3.1", **version)
    assert head.startswith("HTTP/1.1 101")
    assert kubelet.asked[-1][0] == "/portForward/shop/forwarded"
    assert kubelet.asked[-1][1]["X-Stream-Protocol-Version"] == "portforward.k8s.io"
    sock.sendall(b"bye")
    assert sock.recv(10) == b"BYE"


def test_a_log_over_a_websocket(upgrade, secure, shop):
    path = shop("browser")
    key = {"Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec_WebSocket_Version": "13"}
    sock, head, rest = upgrade("GET", f"{path}/log", Sec_WebSocket_Protocol="binary.k8s.io", **key)
    assert head.startswith("HTTP/1.1 101")
    assert "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head
    while chunk := sock.recv(65536):
        rest += chunk
    assert rest.startswith(b"\x82\x12line one\nline two\n")
    assert rest[20:22] == b"\x88\x02"
