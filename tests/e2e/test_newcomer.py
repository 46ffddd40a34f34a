"""The README's ten minutes, in its order."""

import re

import pytest

from tests.e2e.conftest import EXAMPLES, asked, directory, eventually, kubeshim, make_namespace

WEB = str(EXAMPLES / "02-web")
CLIENT = str(EXAMPLES / "01-pod" / "pod.yaml")


def test_look_around(cluster):
    assert re.search(
        r"e2e-node\s+Ready\s+\S+\s+\S+\s+v1\.37\.\S+\s+172\.30\.", cluster.out("get", "nodes", "-o", "wide")
    )
    assert cluster.kubectl("get", "pods", "-A").returncode == 0
    described = cluster.out("describe", "node", "e2e-node")
    assert "KubeletReady" in described and "Allocatable:" in described
    assert "Kubernetes control plane" in cluster.out("cluster-info")
    resources = cluster.out("api-resources")
    assert re.search(r"deployments\s+deploy\s+apps/v1\s+true\s+Deployment", resources)
    assert "Image" in cluster.out("explain", "pod.spec.containers")
    assert "Server Version: v1.37" in cluster.out("version")


def test_a_second_up_finds_everything_running(cluster):
    before = cluster.component_pid("api-server")
    assert "was running already" in kubeshim("up", "--name", "e2e", "--kubeconfig", str(cluster.kubeconfig)).stdout
    assert cluster.component_pid("api-server") == before
    assert kubeshim("status", "--name", "e2e").returncode == 0


@pytest.fixture(scope="module")
def web(cluster):
    """The example application in a namespace of its own, with a client pod."""
    name = "web"
    make_namespace(cluster, name)
    cluster.kubectl("apply", "-n", name, "-f", WEB)
    cluster.kubectl("apply", "-n", name, "-f", CLIENT)
    cluster.kubectl("rollout", "status", "-n", name, "deployment/web", "--timeout=180s")
    cluster.kubectl("wait", "-n", name, "--for=condition=Ready", "pod/client", "--timeout=180s")
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")


def web_pods(cluster, web):
    pods = cluster.get("pods", "-n", web, "-l", "app=web")["items"]
    return [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]


def test_each_pod_has_an_address_of_its_own(cluster, web):
    addresses = {pod["status"]["podIP"] for pod in web_pods(cluster, web)}
    assert len(addresses) == 3
    assert all(address.startswith("10.2") for address in addresses)


def test_a_pod_reaches_all_three_by_name(cluster, web):
    script = "for i in $(seq 40); do wget -qO- http://web; done"
    names = {pod["metadata"]["name"] for pod in web_pods(cluster, web)}

    def all_three():
        """Their answers; the rules of the last may follow its being ready."""
        lines = cluster.kubectl("exec", "-n", web, "client", "--", "sh", "-c", script, check=False).stdout.splitlines()
        return lines if {line.split()[3] for line in lines} == names else None

    answers = eventually(all_three)
    assert all(line.endswith("and-from-a-Secret hello from a ConfigMap") for line in answers)
    long_name = f"http://web.{web}.svc.cluster.local:80"
    assert "web version 1" in cluster.out("exec", "-n", web, "client", "--", "wget", "-qO-", long_name)


def test_the_host_reaches_cluster_ip_and_node_port(cluster, web, fetch):
    service = cluster.get("service", "-n", web, "web")
    node = cluster.get("node", "e2e-node")
    address = next(a["address"] for a in node["status"]["addresses"] if a["type"] == "InternalIP")
    port = service["spec"]["ports"][0]["nodePort"]
    for place in (service["spec"]["clusterIP"], f"{address}:{port}"):
        eventually(lambda place=place: asked(fetch, f"http://{place}/").startswith("web version 1"))


def test_rollout_and_undo(cluster, web):
    def says(version):
        # a pod that ends is no more counted, and still leaves the rules
        done = cluster.kubectl("exec", "-n", web, "client", "--", "wget", "-qO-", "http://web", check=False)
        return f"web version {version}" in done.stdout

    cluster.kubectl("set", "image", "-n", web, "deployment/web", "web=kubeshim.example/web:2")
    cluster.kubectl("rollout", "status", "-n", web, "deployment/web", "--timeout=180s")
    eventually(lambda: says(2))
    cluster.kubectl("rollout", "undo", "-n", web, "deployment/web")
    cluster.kubectl("rollout", "status", "-n", web, "deployment/web", "--timeout=180s")
    eventually(lambda: says(1))
    assert len(cluster.out("rollout", "history", "-n", web, "deployment/web").strip().splitlines()) == 4


def test_scale(cluster, web):
    cluster.kubectl("scale", "-n", web, "deployment/web", "--replicas=1")
    eventually(lambda: len(web_pods(cluster, web)) == 1)
    cluster.kubectl("scale", "-n", web, "deployment/web", "--replicas=3")
    cluster.kubectl("rollout", "status", "-n", web, "deployment/web", "--timeout=180s")
    assert len(web_pods(cluster, web)) == 3


def test_a_changed_config_map_reaches_the_running_pods(cluster, web):
    cluster.kubectl("patch", "-n", web, "configmap", "web", "-p", '{"data":{"motd":"changed"}}')
    pod = web_pods(cluster, web)[0]["metadata"]["name"]
    eventually(lambda: cluster.out("exec", "-n", web, pod, "--", "cat", "/etc/web/motd") == "changed")


def test_a_namespace_goes_with_everything_in_it(cluster):
    cluster.kubectl("create", "namespace", "gone")
    cluster.kubectl("apply", "-n", "gone", "-f", WEB)
    cluster.kubectl("rollout", "status", "-n", "gone", "deployment/web", "--timeout=180s")
    cluster.kubectl("delete", "namespace", "gone", "--timeout=180s")
    assert "NotFound" in cluster.kubectl("get", "namespace", "gone", check=False).stderr
    assert cluster.get("pods", "-n", "gone")["items"] == []
    eventually(lambda: not list((directory("e2e") / "nodes" / "e2e-node" / "pods").glob("*-gone-*")))
