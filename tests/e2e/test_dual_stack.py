"""A cluster of two address families over two nodes: what the API shows, and who reaches whom."""

import ipaddress
import json

import pytest

from kubeshim.cluster import host
from tests.e2e.conftest import asked, directory, eventually, kubeshim, settled, start

NAME = "e2e-dual"
OBJECTS = """
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  nodeName: %(name)s-node-1
  containers:
    - name: web
      image: kubeshim.example/web:1
      ports: [{name: http, containerPort: 8080, hostPort: 8088}]
      readinessProbe: {httpGet: {path: /, port: http}, periodSeconds: 1}
---
apiVersion: v1
kind: Pod
metadata: {name: client, labels: {app: client}}
spec:
  nodeName: %(name)s-node-2
  containers:
    - name: c
      image: kubeshim.example/busybox:1
      args: [sleep, "1000"]
      env: [{name: ADDRESSES, valueFrom: {fieldRef: {fieldPath: status.podIPs}}},
            {name: HOSTS, valueFrom: {fieldRef: {fieldPath: status.hostIPs}}}]
---
apiVersion: v1
kind: Service
metadata: {name: one}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: http}]}
---
apiVersion: v1
kind: Service
metadata: {name: both}
spec:
  type: LoadBalancer
  ipFamilyPolicy: RequireDualStack
  selector: {app: web}
  ports: [{port: 80, targetPort: http}]
---
apiVersion: v1
kind: Service
metadata: {name: six}
spec: {ipFamilies: [IPv6], selector: {app: web}, ports: [{port: 80, targetPort: http}]}
---
apiVersion: v1
kind: Service
metadata: {name: headless}
spec: {clusterIP: None, ipFamilyPolicy: PreferDualStack, selector: {app: web}, ports: [{port: 80, targetPort: http}]}
"""
DENY = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny}
spec: {podSelector: {matchLabels: {app: web}}}
"""

pytestmark = pytest.mark.skipif(not host.has_ipv6(), reason="this machine has no IPv6")


@pytest.fixture(scope="module")
def dual(tmp_path_factory, kubectl_path, images):
    running = start(NAME, tmp_path_factory.mktemp("dual"), kubectl_path, "--nodes", "2", "--ip-family", "dual")
    try:
        running.kubectl("apply", "-f", "-", stdin=OBJECTS % {"name": NAME})
        running.kubectl("wait", "--for=condition=Ready", "pod", "--all", "--timeout=180s")
        eventually(lambda: len(balancers(running)) == 2)
        yield running
    finally:
        done = kubeshim("down", "--name", NAME, "--kubeconfig", str(running.kubeconfig))
        assert "warning" not in done.stderr, done.stderr
        assert not directory(NAME).exists()


def balancers(cluster):
    ingress = cluster.get("service", "both")["status"]["loadBalancer"].get("ingress") or ()
    return [entry["ip"] for entry in ingress]


def versions(addresses):
    return [ipaddress.ip_address(text).version for text in addresses]


def url(address, port=80):
    return f"http://[{address}]:{port}/" if ":" in address else f"http://{address}:{port}/"


def asks(cluster, where):
    done = cluster.kubectl("exec", "client", "--", "timeout", "10", "wget", "-qO-", where, check=False)
    return "web version 1" in done.stdout


def test_nodes_and_pods_have_an_address_of_each_family(dual):
    for node in dual.get("nodes")["items"]:
        assert [ipaddress.ip_network(cidr).version for cidr in node["spec"]["podCIDRs"]] == [4, 6]
        internal = [a["address"] for a in node["status"]["addresses"] if a["type"] == "InternalIP"]
        assert versions(internal) == [4, 6]
    pod = dual.get("pod", "client")
    addresses = [entry["ip"] for entry in pod["status"]["podIPs"]]
    assert versions(addresses) == versions(entry["ip"] for entry in pod["status"]["hostIPs"]) == [4, 6]
    assert pod["status"]["podIP"] == addresses[0]
    told = dual.out("exec", "client", "--", "sh", "-c", "echo $ADDRESSES; echo $HOSTS; cat /etc/hosts").splitlines()
    assert told[0] == ",".join(addresses)
    assert versions(told[1].split(",")) == [4, 6]
    assert all(any(line.split()[:1] == [address] for line in told) for address in addresses)


def test_services_have_the_families_they_ask_for(dual):
    found = {item["metadata"]["name"]: item for item in dual.get("services")["items"]}
    shown = {
        name: (spec["spec"]["ipFamilyPolicy"], spec["spec"]["ipFamilies"], spec["spec"]["clusterIPs"][0] == "None")
        for name, spec in found.items()
    }
    assert shown["kubernetes"] == shown["one"] == ("SingleStack", ["IPv4"], False)
    assert shown["both"] == ("RequireDualStack", ["IPv4", "IPv6"], False)
    assert shown["six"] == ("SingleStack", ["IPv6"], False)
    assert shown["headless"] == ("PreferDualStack", ["IPv4", "IPv6"], True)
    assert versions(found["both"]["spec"]["clusterIPs"]) == [4, 6]
    assert versions(balancers(dual)) == [4, 6]
    ranges = dual.get("servicecidr", "kubernetes")["spec"]["cidrs"]
    assert [ipaddress.ip_network(cidr).version for cidr in ranges] == [4, 6]

    def slices():
        pieces = dual.get("endpointslices", "-l", "kubernetes.io/service-name=both")["items"]
        return sorted(piece["addressType"] for piece in pieces)

    assert settled(slices, ["IPv4", "IPv6"]) == ["IPv4", "IPv6"]


def test_everything_answers_in_both_families(dual, fetch):
    service, node = dual.get("service", "both"), dual.get("node", f"{NAME}-node-2")
    pods = [entry["ip"] for entry in dual.get("pod", "web")["status"]["podIPs"]]
    nodes = [entry["address"] for entry in node["status"]["addresses"] if entry["type"] == "InternalIP"]
    node_port = service["spec"]["ports"][0]["nodePort"]
    places = [url(address, 8080) for address in pods]
    places += [url(address) for address in (*service["spec"]["clusterIPs"], *balancers(dual))]
    places += [url(address, node_port) for address in nodes]
    places.append(url(dual.get("service", "six")["spec"]["clusterIP"]))
    first = dual.get("pod", "web")["status"]["hostIPs"]
    places += [url(entry["ip"], 8088) for entry in first]
    for place in places:
        # rules follow endpoints
        eventually(lambda place=place: asks(dual, place))
        eventually(lambda place=place: "web version 1" in asked(fetch, place))
    for name in ("both", "six", "headless"):
        place = url(f"{name}.default.svc.cluster.local", 8080 if name == "headless" else 80)
        eventually(lambda place=place: asks(dual, place))


def test_names_have_records_of_both_families(dual):
    def looked_up(name, wanted):
        return settled(lambda: [look_up(name, kind) for kind in ("A", "AAAA")], wanted) == wanted

    def look_up(name, kind):
        done = dual.kubectl("exec", "client", "--", "nslookup", f"-type={kind}", name, check=False)
        # what comes first is the server's own address
        return [line.split()[-1] for line in done.stdout.splitlines()[2:] if line.startswith("Address")]

    zone = "default.svc.cluster.local"
    both = dual.get("service", "both")["spec"]["clusterIPs"]
    assert looked_up(f"both.{zone}", [[both[0]], [both[1]]])
    six = dual.get("service", "six")["spec"]["clusterIP"]
    assert looked_up(f"six.{zone}", [[], [six]])
    pods = [entry["ip"] for entry in dual.get("pod", "web")["status"]["podIPs"]]
    assert looked_up(f"headless.{zone}", [[pods[0]], [pods[1]]])


def test_policies_hold_in_both_families(dual):
    addresses = dual.get("service", "both")["spec"]["clusterIPs"]
    dual.kubectl("apply", "-f", "-", stdin=DENY)
    eventually(lambda: not any(asks(dual, url(address)) for address in addresses))
    assert dual.get("pod", "web")["status"]["containerStatuses"][0]["ready"], "probes are let through"
    dual.kubectl("delete", "networkpolicy", "deny")
    eventually(lambda: all(asks(dual, url(address)) for address in addresses))


def test_a_service_becomes_dual_stack_and_single_again(dual):
    def spec():
        return dual.get("service", "one")["spec"]

    single = spec()["clusterIPs"]
    patch = {"spec": {"ipFamilyPolicy": "PreferDualStack"}}
    dual.kubectl("patch", "service", "one", "-p", json.dumps(patch))
    both = spec()
    assert both["ipFamilies"] == ["IPv4", "IPv6"]
    assert both["clusterIPs"][:1] == single
    eventually(lambda: asks(dual, url(both["clusterIPs"][1])))
    dual.kubectl("patch", "service", "one", "-p", json.dumps({"spec": {"ipFamilyPolicy": "SingleStack"}}))
    assert (spec()["ipFamilies"], spec()["clusterIPs"]) == (["IPv4"], single)


def test_ipv6_does_not_leave_the_machine(dual):
    """It fails at once, so that programs turn to IPv4; and the machine has not become a router."""
    done = dual.kubectl("exec", "client", "--", "timeout", "5", "wget", "-qO-", "http://[2001:db8::1]/", check=False)
    assert "unreachable" in done.stderr or "No route" in done.stderr
