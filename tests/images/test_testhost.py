"""The test image's own words and servers, without the image; and that it can be made."""

import base64
import json
import pathlib
import socket
import stat
import subprocess
import sys
import threading
import types
import urllib.request

import pytest

from kubeshim.node.kubelet import grpc_health as client
from tests.images import build

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from testhost import certificates, files, grpc_health, netexec, talking, web, webhook


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        (stat.S_IFREG | 0o644, "-rw-r--r--"),
        (stat.S_IFDIR | 0o777, "drwxrwxrwx"),
        (stat.S_IFDIR | stat.S_ISVTX | 0o777, "dtrwxrwxrwx"),
        (stat.S_IFREG | stat.S_ISUID | 0o755, "urwxr-xr-x"),
        (stat.S_IFLNK | 0o777, "Lrwxrwxrwx"),
    ],
)
def test_modes_in_gos_words(mode, words):
    assert files.mode_words(types.SimpleNamespace(st_mode=mode)) == words


def test_a_new_file_is_told(tmp_path, capsys):
    path = tmp_path / "new"
    assert files.mounttest([f"--new_file_0660={path}", f"--file_perm={path}", f"--file_content={path}"]) == 0
    content = f'content of file "{path}": mount-tester new file\n\n'
    assert capsys.readouterr().out == content + f'perms of file "{path}": -rw-rw----\n' + content
    assert files.mounttest([f"--file_content={tmp_path}/none"]) == 1


def listening(respond):
    made = web.server(0, respond)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    return made


def test_dialing():
    made = listening(web.routes(netexec.ROUTES, netexec.root))
    try:
        port = made.server_port
        base = f"http://127.0.0.1:{port}"
        answer = json.loads(web.fetch(f"{base}/dial?host=127.0.0.1&port={port}&request=echo?msg=hi&tries=2"))
        assert answer == {"responses": ["hi", "hi"]}
        refused = json.loads(web.fetch(f"{base}/dial?host=127.0.0.1&port=1&request=x"))
        assert list(refused) == ["errors"]
        assert json.loads(web.fetch(f"{base}/shell?cmd=exit%203")) == {"error": "exit status 3"}
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"{base}/echo?msg=no&code=418")
        assert (caught.value.code, caught.value.read()) == (418, b"no")
        caught.value.close()
    finally:
        made.shutdown()
        made.server_close()


@pytest.mark.parametrize(
    ("asked", "forced", "delay", "found"),
    [("", None, -1, client.SERVING), ("svc", None, -1, None), ("", True, -1, client.NOT_SERVING), ("", None, 0, 2)],
)
def test_the_health_protocol_as_the_kubelet_asks(asked, forced, delay, found):
    health = grpc_health.Health("", delay)
    health.forced = forced
    here, there = socket.socketpair()
    thread = threading.Thread(target=grpc_health.serve, args=(there, health))
    thread.start()
    here.settimeout(5)
    try:
        if found is None:
            with pytest.raises(client.Broken):
                client.check(here, "x", asked)
        else:
            assert client.check(here, "x", asked) == found
    finally:
        here.close()
        thread.join(60)


def review(decide, obj=None, **more):
    return decide({"uid": "u", "operation": "CREATE", "object": obj or {}, **more})


UNDELETABLE = {"data": {"webhook-e2e-test": "webhook-nondeletable"}}


@pytest.mark.parametrize(
    ("path", "obj", "more", "allowed"),
    [
        ("/always-deny", {}, {}, False),
        ("/configmaps", {"data": {"webhook-e2e-test": "webhook-disallow"}}, {}, False),
        ("/configmaps", {"data": {"webhook-e2e-test": "fine"}}, {}, True),
        ("/configmaps", None, {"operation": "DELETE", "oldObject": UNDELETABLE}, False),
        ("/pods", {"spec": {"containers": [{"name": "webhook-disallow"}]}}, {}, False),
        ("/pods/attach", {"stdin": True, "container": "container1"}, {"name": "to-be-attached-pod"}, False),
        ("/crd", {"metadata": {"labels": {"webhook-e2e-test": "webhook-disallow"}}}, {}, False),
    ],
)  # fmt: skip
def test_what_webhooks_decide(path, obj, more, allowed):
    assert review(webhook.DECISIONS[path], obj, **more)["allowed"] is allowed


def test_what_webhooks_change():
    answer = review(webhook.DECISIONS["/mutating-configmaps"], {"data": {"mutation-start": "yes"}})
    assert json.loads(base64.b64decode(answer["patch"])) == [
        {"op": "add", "path": "/data/mutation-stage-1", "value": "yes"}
    ]


def test_conversion_both_ways():
    old = {"apiVersion": "x/v1", "hostPort": "h:80"}
    new = {"apiVersion": "x/v2", "host": "h", "port": "80"}
    assert webhook.converted(old, "x/v2") == new
    assert webhook.converted(new, "x/v1") == old


def test_a_token_is_verified_by_hand():
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    key = rsa.generate_private_key(65537, 2048)
    signature = key.sign(b"head.body", padding.PKCS1v15(), hashes.SHA256())
    numbers = key.public_key().public_numbers()
    encoded = {
        name: base64.urlsafe_b64encode(number.to_bytes((number.bit_length() + 7) // 8, "big")).decode()
        for name, number in (("n", numbers.n), ("e", numbers.e))
    }
    assert certificates.verified(encoded, b"head.body", signature)
    assert not certificates.verified(encoded, b"head.other", signature)


def test_connecting_says_why_not(capsys):
    assert talking.connect(["--timeout=1s", "127.0.0.1:1"]) == 1
    assert capsys.readouterr().err == "REFUSED\n"
    assert talking.connect(["nowhere"]) == 1
    assert capsys.readouterr().err.startswith("UNKNOWN")


@pytest.mark.docker
def test_the_image_runs():
    name = build.ensure()
    run = ["docker", "run", "--rm", "--network", "none", name, "entrypoint-tester", "a b", "c"]
    done = subprocess.run(run, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[/agnhost entrypoint-tester a b c]\n"
