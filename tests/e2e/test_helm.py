"""Helm of two generations: a chart with hooks, a custom resource and a test, through all that happens to a release."""

import json
import pathlib
import subprocess
import sys

import pytest

from tests.e2e.conftest import ROOT, cache

CHART = pathlib.Path(__file__).with_name("charts") / "shop"


class Helm:
    def __init__(self, path, cluster, namespace, generation):
        self.path, self.cluster, self.namespace, self.generation = path, cluster, namespace, generation

    def run(self, *arguments, check=True):
        command = [self.path, "--namespace", self.namespace, *map(str, arguments)]
        done = subprocess.run(
            command, env=self.cluster.environment, capture_output=True, text=True, timeout=600, check=False
        )
        if check and done.returncode:
            raise AssertionError(f"helm {' '.join(command[1:])}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def __call__(self, *arguments):
        return self.run(*arguments).stdout

    def data(self, *arguments):
        return json.loads(self(*arguments, "-o", "json"))

    @property
    def all(self):
        """The option by which every release is listed, whatever its state; the newer one does so anyway."""
        return ("-a",) if self.generation == 3 else ()

    @property
    def undone(self):
        """The option by which a failed release is rolled back."""
        return "--atomic" if self.generation == 3 else "--rollback-on-failure"


@pytest.fixture(params=[("1.37", 4), ("1.31", 3)], ids=["helm4", "helm3"])
def helm(request, cluster, namespace):
    version, generation = request.param
    tool = str(ROOT / "tools" / "fetch_kubectl.py")
    command = [sys.executable, tool, "--cache", str(cache()), "--version", version, "--helm"]
    path = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    yield Helm(path, cluster, namespace, generation)
    cluster.kubectl("delete", "crd", "gadgets.shop.example", "--ignore-not-found")


def configured(helm):
    return helm.cluster.get("configmap", "-n", helm.namespace, "shop")["data"]


def image(helm):
    spec = helm.cluster.get("deployment", "-n", helm.namespace, "shop")["spec"]["template"]["spec"]
    return spec["containers"][0]["image"]


def revisions(helm):
    return [(entry["revision"], entry["status"]) for entry in helm.data("history", "shop")]


def test_the_life_of_a_release(helm):
    assert "shop revision 1 says hello." in helm("install", "shop", CHART, "--wait", "--timeout=180s")
    hooks = helm.cluster.get("jobs", "-n", helm.namespace)["items"]
    assert {job["metadata"]["name"]: job["status"]["succeeded"] for job in hooks} == {
        "shop-pre-install": 1,
        "shop-post-install": 1,
    }
    deployment = helm.cluster.get("deployment", "-n", helm.namespace, "shop")
    assert deployment["status"]["readyReplicas"] == 2
    assert deployment["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "Helm"
    assert configured(helm)["server"].startswith("v1.37.")
    assert helm.cluster.get("gadget", "-n", helm.namespace, "shop")["spec"] == {"size": 2}
    (listed,) = helm.data("list")
    assert (listed["name"], listed["status"], listed["chart"]) == ("shop", "deployed", "shop-0.1.0")
    assert "Succeeded" in helm("test", "shop", "--timeout=180s")

    tried = helm("upgrade", "shop", CHART, "--set", "greeting=never", "--dry-run=server")
    assert 'motd: "never"' in tried and configured(helm)["motd"] == "hello"
    changed = ("--set", "greeting=good day,image=kubeshim.example/web:2,replicas=1")
    helm("upgrade", "shop", CHART, *changed, "--wait", "--timeout=180s")
    assert configured(helm) == {**configured(helm), "motd": "good day", "revision": "2"}
    assert image(helm) == "kubeshim.example/web:2"
    assert helm.cluster.get("gadget", "-n", helm.namespace, "shop")["spec"] == {"size": 1}
    assert helm.data("get", "values", "shop")["greeting"] == "good day"
    assert "kubeshim.example/web:2" in helm("get", "manifest", "shop")
    assert "pre-rollback" in helm("get", "hooks", "shop")
    assert helm.data("status", "shop")["info"]["status"] == "deployed"

    helm("rollback", "shop", "1", "--wait", "--timeout=180s")
    assert image(helm) == "kubeshim.example/web:1"
    assert configured(helm)["motd"] == "hello"
    assert revisions(helm) == [(1, "superseded"), (2, "superseded"), (3, "deployed")]

    helm("uninstall", "shop", "--wait", "--timeout=180s")
    left = helm.cluster.get("deployments,services,gadgets", "-n", helm.namespace)["items"]
    assert left == []
    assert helm.cluster.get("job", "-n", helm.namespace, "shop-post-delete")["status"]["succeeded"] == 1
    assert helm.data("list", *helm.all) == []


def test_a_failing_release_is_undone(helm):
    helm("upgrade", "--install", "shop", CHART, "--set", "replicas=1", "--wait", "--timeout=180s")
    failed = helm.run(
        "upgrade", "shop", CHART, "--set", "healthy=false,greeting=bad,replicas=1", helm.undone, "--timeout=10s",
        check=False,
    )  # fmt: skip
    assert failed.returncode, failed.stdout
    assert configured(helm)["motd"] == "hello"
    assert [status for _, status in revisions(helm)] == ["superseded", "failed", "deployed"]
    # what the schema of a custom resource forbids is the server's word
    refused = helm.run("upgrade", "shop", CHART, "--set", "replicas=11", check=False)
    assert "spec.size: Invalid value: 11: spec.size in body should be less than or equal to 10" in refused.stderr
    helm("uninstall", "shop", "--no-hooks")
