"""Pulling from a registry that asks for a password: Debian's docker-registry on loopback."""

import json
import os
import subprocess

import pytest

from kubeshim.client import kinds, kubeconfig, rest
from tests.e2e import registries
from tests.e2e.conftest import eventually


@pytest.fixture(scope="module")
def registry(tmp_path_factory, images):
    """``127.0.0.1:PORT`` with one image, for user ``me`` with password ``secret``."""
    work = tmp_path_factory.mktemp("registry")
    with registries.serving(work, password="secret") as host:
        environment = {**os.environ, "DOCKER_CONFIG": str(work)}
        login = ["docker", "login", "-u", "me", "--password-stdin", host]
        subprocess.run(login, input="secret", text=True, env=environment, check=True, capture_output=True)
        registries.push("kubeshim.example/web:1", f"{host}/web:1", environment)
        yield host
        subprocess.run(["docker", "rmi", "-f", f"{host}/web:1"], check=False, capture_output=True)


def pod(name, image, secret=None):
    spec = {"containers": [{"name": "main", "image": image}], "terminationGracePeriodSeconds": 0}
    if secret:
        spec["imagePullSecrets"] = [{"name": secret}]
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})


def events(cluster, namespace, name):
    found = cluster.get("events", "-n", namespace, f"--field-selector=involvedObject.name={name}")["items"]
    return {event["reason"]: event["message"] for event in found}


def waiting_reason(cluster, namespace, name):
    return waiting(cluster.get("pod", "-n", namespace, name))


def waiting(obj):
    statuses = obj["status"].get("containerStatuses") or [{}]
    return statuses[0].get("state", {}).get("waiting", {}).get("reason")


def test_a_pull_with_a_secret(cluster, namespace, registry):
    cluster.kubectl(
        "create", "secret", "docker-registry", "-n", namespace, "login", f"--docker-server={registry}",
        "--docker-username=me", "--docker-password=secret",
    )  # fmt: skip
    cluster.kubectl("apply", "-n", namespace, "-f", "-", stdin=pod("good", f"{registry}/web:1", "login"))
    cluster.kubectl("wait", "-n", namespace, "--for=condition=Ready", "pod/good", "--timeout=180s")
    found = eventually(lambda: (e := events(cluster, namespace, "good")) and "Pulled" in e and e)
    assert found["Pulling"] == f'Pulling image "{registry}/web:1"'
    assert found["Pulled"].startswith(f'Successfully pulled image "{registry}/web:1" in ')
    status = cluster.get("pod", "-n", namespace, "good")["status"]["containerStatuses"][0]
    assert f"{registry}/web@sha256:" in status["imageID"]


def test_a_pull_without_the_password_backs_off(cluster, namespace, registry):
    cluster.kubectl("apply", "-n", namespace, "-f", "-", stdin=pod("bad", f"{registry}/web:none"))
    seen, client = set(), rest.Client(kubeconfig.load(str(cluster.kubeconfig)))
    try:
        # each for a moment only: a watch misses none
        with client.watch(kinds.PODS, namespace, field_selector="metadata.name=bad", timeout=180) as watched:
            for _, obj in watched:
                seen.add(waiting(obj))
                if {"ErrImagePull", "ImagePullBackOff"} <= seen:
                    break
    finally:
        client.close()
    assert {"ErrImagePull", "ImagePullBackOff"} <= seen
    found = eventually(lambda: (e := events(cluster, namespace, "bad")) and {"Failed", "BackOff"} <= e.keys() and e)
    assert found["Failed"].startswith(("Failed to pull image", "Error: "))
    assert found["BackOff"].startswith("Back-off pulling image")


def test_never_and_an_absent_image(cluster, namespace):
    spec = json.loads(pod("never", "kubeshim.example/absent:1"))
    spec["spec"]["containers"][0]["imagePullPolicy"] = "Never"
    cluster.kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(spec))
    eventually(lambda: waiting_reason(cluster, namespace, "never") == "ErrImageNeverPull")
