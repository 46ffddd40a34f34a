"""Pulling from a registry that asks for a password: Debian's docker-registry on loopback."""

import ctypes
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request

import pytest

from tests.e2e.conftest import eventually

CONFIG = """
version: 0.1
storage: {filesystem: {rootdirectory: ROOT}}
http: {addr: "127.0.0.1:PORT"}
auth: {htpasswd: {realm: test, path: HTPASSWD}}
"""


@pytest.fixture(scope="module")
def registry(tmp_path_factory, images):
    """``127.0.0.1:PORT`` with one image, for user ``me`` with password ``secret``."""
    binary = shutil.which("docker-registry")
    assert binary, "docker-registry is missing: tools/setup.sh test installs it"
    work = tmp_path_factory.mktemp("registry")
    libcrypt = ctypes.CDLL("libcrypt.so.1")
    libcrypt.crypt.restype = ctypes.c_char_p
    hashed = libcrypt.crypt(b"secret", b"$2y$05$abcdefghijklmnopqrstuu").decode()
    (work / "htpasswd").write_text(f"me:{hashed}\n")
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    text = CONFIG.replace("ROOT", str(work / "data")).replace("PORT", str(port))
    (work / "config.yml").write_text(text.replace("HTPASSWD", str(work / "htpasswd")))
    process = subprocess.Popen(
        [binary, "serve", str(work / "config.yml")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    host = f"127.0.0.1:{port}"
    eventually(lambda: answers(f"http://{host}/v2/"))
    environment = {**os.environ, "DOCKER_CONFIG": str(work)}
    login = ["docker", "login", "-u", "me", "--password-stdin", host]
    subprocess.run(login, input="secret", text=True, env=environment, check=True, capture_output=True)
    subprocess.run(["docker", "tag", "kubeshim.example/web:1", f"{host}/web:1"], check=True)
    subprocess.run(["docker", "push", "-q", f"{host}/web:1"], env=environment, check=True, capture_output=True)
    subprocess.run(["docker", "rmi", f"{host}/web:1"], check=True, capture_output=True)
    yield host
    process.terminate()
    process.wait(10)
    subprocess.run(["docker", "rmi", "-f", f"{host}/web:1"], check=False, capture_output=True)


def answers(url):
    try:
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=2)
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def pod(name, image, secret=None):
    spec = {"containers": [{"name": "main", "image": image}], "terminationGracePeriodSeconds": 0}
    if secret:
        spec["imagePullSecrets"] = [{"name": secret}]
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})


def events(cluster, namespace, name):
    found = cluster.get("events", "-n", namespace, f"--field-selector=involvedObject.name={name}")["items"]
    return {event["reason"]: event["message"] for event in found}


def waiting_reason(cluster, namespace, name):
    statuses = cluster.get("pod", "-n", namespace, name)["status"].get("containerStatuses") or [{}]
    return statuses[0].get("state", {}).get("waiting", {}).get("reason")


def test_a_pull_with_a_secret(cluster, namespace, registry):
    cluster.kubectl(
        "create", "secret", "docker-registry", "-n", namespace, "login", f"--docker-server={registry}",
        "--docker-username=me", "--docker-password=secret",
    )  # fmt: skip
    cluster.kubectl("apply", "-n", namespace, "-f", "-", stdin=pod("good", f"{registry}/web:1", "login"))
    cluster.kubectl("wait", "-n", namespace, "--for=condition=Ready", "pod/good", "--timeout=60s")
    found = eventually(lambda: (e := events(cluster, namespace, "good")) and "Pulled" in e and e)
    assert found["Pulling"] == f'Pulling image "{registry}/web:1"'
    assert found["Pulled"].startswith(f'Successfully pulled image "{registry}/web:1" in ')
    status = cluster.get("pod", "-n", namespace, "good")["status"]["containerStatuses"][0]
    assert f"{registry}/web@sha256:" in status["imageID"]


def test_a_pull_without_the_password_backs_off(cluster, namespace, registry):
    cluster.kubectl("apply", "-n", namespace, "-f", "-", stdin=pod("bad", f"{registry}/web:none"))
    seen = set()
    deadline = time.monotonic() + 40
    while not {"ErrImagePull", "ImagePullBackOff"} <= seen:
        assert time.monotonic() < deadline, seen
        seen.add(waiting_reason(cluster, namespace, "bad"))
    found = events(cluster, namespace, "bad")
    assert found["Failed"].startswith(("Failed to pull image", "Error: "))
    assert found["BackOff"].startswith("Back-off pulling image")


def test_never_and_an_absent_image(cluster, namespace):
    spec = json.loads(pod("never", "kubeshim.example/absent:1"))
    spec["spec"]["containers"][0]["imagePullPolicy"] = "Never"
    cluster.kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(spec))
    eventually(lambda: waiting_reason(cluster, namespace, "never") == "ErrImageNeverPull")
