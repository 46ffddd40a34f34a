"""Ways to a pod: UDP, host ports, the API server's proxy; with the test image's servers at their ends."""

import http.client
import json
import ssl
import time
import urllib.parse

import pytest

from tests.conformance.kube import IDLE, JSON_PATCH, PATIENCE, Refused, container, is_ready, pod
from tests.conformance.names import answers, case
from tests.conformance.pod_servers import has_ready_endpoint
from tests.conformance.test_network import addresses, service, slices_of


def host(testhost, name, *arguments, ports=(), env=(), labels=None, **spec):
    main = container(image=testhost, args=list(arguments), ports=list(ports), env=list(env))
    probe = spec.pop("probe", None)
    if probe:
        main["readinessProbe"] = {**probe, "periodSeconds": 1}
    return pod(name, main, labels=labels, **spec)


def has_endpoint(kube):
    """By its slices, which is where the API server looks; the Endpoints are another controller's."""
    kube.wait_all("EndpointSlice", lambda found: any(map(has_ready_endpoint, found)), **slices_of())


HEALTHY = {"httpGet": {"path": "/healthz", "port": 8080}}


@pytest.mark.parametrize(
    "host_network",
    [
        case(
            False, of="[sig-network] Networking Granular Checks: Pods should function for intra-pod communication: udp"
        ),
        case(True, of="[sig-network] Networking Granular Checks: Pods should function for node-pod communication: udp"),
    ],
)
def test_udp_reaches_every_pod(kube, testhost, host_network):
    nodes = [node["metadata"]["name"] for node in kube.items("Node")]
    for index, node in enumerate(nodes):
        kube.create(host(testhost, f"server-{index}", "netexec", nodeName=node, probe=HEALTHY))
    where = ["netexec", "--http-port=18080", "--udp-port=18081"] if host_network else ["netexec", "--http-port=18080"]
    kube.start(host(testhost, "client", *where, hostNetwork=host_network))
    for index in range(len(nodes)):
        ip = kube.wait("Pod", f"server-{index}", is_ready)["status"]["podIP"]
        url = f"http://127.0.0.1:18080/dial?host={ip}&port=8081&request=hostname&protocol=udp&tries=3"
        said = json.loads(kube.execute("client", "curl", "-g", "-q", "-s", "--retry", "20", "--retry-connrefused", url))
        assert said == {"responses": [f"server-{index}"] * 3}


@answers(
    "[sig-network] HostPort validates that there is no conflict between pods with same hostPort but different hostIP and protocol"
)
def test_host_ports_side_by_side(kube, testhost):
    node = kube.items("Node")[0]
    address = next(a["address"] for a in node["status"]["addresses"] if a["type"] == "InternalIP")
    here = {"nodeSelector": {"kubernetes.io/hostname": node["metadata"]["labels"]["kubernetes.io/hostname"]}}

    def on(name, ip, protocol):
        port = {"containerPort": 8080, "hostPort": 54323, "hostIP": ip, "protocol": protocol}
        arguments = ("netexec", "--http-port=8080", "--udp-port=8080")
        return host(testhost, name, *arguments, ports=[port], probe=HEALTHY, **here)

    for name, ip, protocol in (("one", "127.0.0.1", "TCP"), ("two", address, "TCP"), ("three", address, "UDP")):
        kube.create(on(name, ip, protocol))
    for name in ("one", "two", "three"):
        kube.wait("Pod", name, is_ready)
    kube.start(host(testhost, "client", hostNetwork=True, **here))

    def asked(*command):
        return kube.execute("client", *command)

    curl = ("curl", "-g", "-s", "--connect-timeout", "60")
    assert asked(*curl, "--interface", address, "http://127.0.0.1:54323/hostname") == "one"
    assert asked(*curl, f"http://{address}:54323/hostname") == "two"
    script = (
        "import socket\n"
        "with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:\n"
        f"    s.settimeout(60); s.connect(('{address}', 54323)); s.send(b'hostname'); print(s.recv(100).decode())"
    )
    assert asked("python3", "-c", script).strip() == "three"


ASK_BY_UDP = """import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    s.settimeout(5)
    s.connect((sys.argv[1], 80))
    try:
        s.send(b"hostname")
        print(s.recv(100).decode())
    except OSError:
        print("nobody")
"""


@answers("[sig-network] Services should serve endpoints on same port and different protocols")
def test_one_port_of_two_protocols(kube, testhost):
    ports = [{"name": p.lower(), "port": 80, "protocol": p, "targetPort": 80} for p in ("TCP", "UDP")]
    address = kube.create(service(selector={"app": "it"}, ports=ports))["spec"]["clusterIP"]
    listening = {"httpGet": {"path": "/healthz", "port": 80}}
    arguments = ("netexec", "--http-port", "80", "--udp-port", "80")
    ip = kube.start(host(testhost, "it", *arguments, labels={"app": "it"}, probe=listening))["status"]["podIP"]
    found = kube.wait("Endpoints", "it", lambda e: addresses(e) == [ip])
    assert sorted((p["protocol"], p["port"]) for s in found["subsets"] for p in s["ports"]) == [
        ("TCP", 80),
        ("UDP", 80),
    ]
    kube.start(host(testhost, "client"))
    ways = {
        "TCP": ("sh", "-c", f"curl -s -m 5 http://{address}/hostname || echo nobody"),
        "UDP": ("python3", "-c", ASK_BY_UDP, address),
    }

    def until(protocol, wanted):
        deadline = time.monotonic() + PATIENCE
        while (said := kube.execute("client", *ways[protocol]).strip()) != wanted:
            assert time.monotonic() < deadline, (protocol, said)

    for offered in (ports, ports[:1], ports[1:]):
        kube.patch("Service", "it", [{"op": "replace", "path": "/spec/ports", "value": offered}], how=JSON_PATCH)
        for protocol in ways:
            until(protocol, "it" if protocol in {p["protocol"] for p in offered} else "nobody")


# ---- through the API server


PORTS = {
    "SERVE_PORT_80": '<a href="/rewriteme">test</a>',
    "SERVE_PORT_1080": '<a href="/rewriteme">test</a>',
    "SERVE_PORT_160": "foo",
    "SERVE_PORT_162": "bar",
    "SERVE_TLS_PORT_443": '<a href="/tlsrewriteme">test</a>',
    "SERVE_TLS_PORT_460": "tls baz",
    "SERVE_TLS_PORT_462": "tls qux",
}


@answers("[sig-network] Proxy version v1 should proxy through a service and a pod")
def test_proxy(kube, testhost):
    env = [{"name": name, "value": value} for name, value in PORTS.items()]
    ports = [{"containerPort": 80}]
    ports += [{"name": name, "containerPort": port} for name, port in (("dest1", 160), ("tlsdest1", 460))]
    ready = {"httpGet": {"path": "/", "port": 80}}
    kube.start(host(testhost, "it", "porter", ports=ports, env=env, labels={"app": "it"}, probe=ready))
    kube.create(
        service(
            selector={"app": "it"},
            ports=[
                {"name": "portname1", "port": 80, "targetPort": "dest1"},
                {"name": "portname2", "port": 81, "targetPort": 162},
                {"name": "tlsportname1", "port": 443, "targetPort": "tlsdest1"},
                {"name": "tlsportname2", "port": 444, "targetPort": 462},
            ],
        )
    )
    has_endpoint(kube)
    base = f"/api/v1/namespaces/{kube.namespace}"

    def rewritten(target, path):
        return f'<a href="{base}/pods/{target}/proxy/{path}">test</a>'

    expected = {
        f"{base}/services/it:portname1/proxy/": "foo",
        f"{base}/services/http:it:portname1/proxy/": "foo",
        f"{base}/services/it:portname2/proxy/": "bar",
        f"{base}/services/http:it:portname2/proxy/": "bar",
        f"{base}/services/https:it:tlsportname1/proxy/": "tls baz",
        f"{base}/services/https:it:tlsportname2/proxy/": "tls qux",
        f"{base}/services/https:it:443/proxy/": "tls baz",
        f"{base}/pods/it/proxy/": rewritten("it", "rewriteme"),
        f"{base}/pods/it:1080/proxy/": rewritten("it:1080", "rewriteme"),
        f"{base}/pods/it:160/proxy/": "foo",
        f"{base}/pods/it:162/proxy/": "bar",
        f"{base}/pods/http:it:1080/proxy/": rewritten("http:it:1080", "rewriteme"),
        f"{base}/pods/http:it:160/proxy/": "foo",
        f"{base}/pods/http:it:162/proxy/": "bar",
        f"{base}/pods/https:it:443/proxy/": rewritten("https:it:443", "tlsrewriteme"),
        f"{base}/pods/https:it:460/proxy/": "tls baz",
        f"{base}/pods/https:it:462/proxy/": "tls qux",
    }
    assert {path: kube.call("get", path) for path in expected} == expected


METHODS = ("DELETE", "OPTIONS", "PATCH", "POST", "PUT")


@pytest.fixture
def echoing(kube, testhost):
    """The paths of a pod and a service whose answers name the method."""
    env = [{"name": "SERVE_PORT_80", "value": "foo"}]
    ready = {"httpGet": {"path": "/", "port": 80}}
    kube.start(host(testhost, "it", "porter", "--json-response", env=env, labels={"app": "it"}, probe=ready))
    kube.create(service(selector={"app": "it"}, ports=[{"port": 80}]))
    has_endpoint(kube)
    base = f"/api/v1/namespaces/{kube.namespace}"
    return [f"{base}/pods/it/proxy", f"{base}/services/it/proxy"]


def status(kube, method, path):
    """Of the answer itself, redirections not followed; and its body."""
    configuration = kube.client.configuration
    url = urllib.parse.urlsplit(configuration.host)
    context = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
    context.load_cert_chain(configuration.cert_file, configuration.key_file)
    connection = http.client.HTTPSConnection(url.hostname, url.port, context=context, timeout=PATIENCE)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


@answers("[sig-network] Proxy version v1 A set of valid responses are returned for both pod and service ProxyWithPath")
def test_proxied_methods_with_a_path(kube, echoing):
    for base in echoing:
        for method in (*METHODS, "GET"):
            code, body = status(kube, method, f"{base}/some/path/with/{method}")
            assert (code, json.loads(body)) == (200, {"Method": method, "Body": "foo"})
        assert status(kube, "HEAD", f"{base}/some/path/with/HEAD") == (200, "")


@answers("[sig-network] Proxy version v1 A set of valid responses are returned for both pod and service Proxy")
def test_proxied_methods(kube, echoing):
    for base in echoing:
        for method in METHODS:
            code, body = status(kube, method, f"{base}?method={method}")
            assert (code, json.loads(body)) == (200, {"Method": method, "Body": "foo"})
        for method in ("GET", "HEAD"):
            assert status(kube, method, f"{base}?method={method}")[0] == 301


@answers("[sig-network] Service endpoints latency should not be very high")
def test_endpoints_follow_services(kube):
    kube.start(pod("it", container(IDLE), labels={"app": "it"}))
    names = [f"it-{number}" for number in range(40)]
    since = kube.list("Endpoints")["metadata"]["resourceVersion"]
    waiting = set(names)
    with kube.watch("Endpoints", since=since) as events:
        for name in names:
            kube.create(service(name, selector={"app": "it"}))
        for _, obj in events:
            if addresses(obj):
                waiting.discard(obj["metadata"]["name"])
            if not waiting:
                break
    assert not waiting


def test_what_no_port_serves_is_refused(kube, testhost):
    kube.start(host(testhost, "it"))
    with pytest.raises(Refused) as caught:
        kube.call("get", f"/api/v1/namespaces/{kube.namespace}/pods/it:1/proxy/")
    assert caught.value.status == 503
