"""Services: their addresses, endpoints, slices, names, and that what they promise can be reached."""

import time

import pytest

from tests.conformance.kube import IDLE, PATIENCE, STRATEGIC, WEB, container, is_ready, meta, pod
from tests.conformance.names import answers, case
from tests.conformance.test_workloads import workload


def service(name="it", selector=None, ports=None, **spec):
    body = {"ports": ports or [{"port": 80, "targetPort": 8080}], **spec}
    if selector:
        body["selector"] = selector
    return {"kind": "Service", "metadata": meta(name), "spec": body}


def web(name, labels, **spec):
    probe = {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1}
    return pod(
        name,
        container(image=WEB, readinessProbe=probe, ports=[{"containerPort": 8080, "name": "http"}]),
        labels=labels,
        **spec,
    )


def client(kube, name="client", **spec):
    return kube.start(pod(name, **spec))


def reach(kube, url, *, name="client", good=bool):
    """What a web server behind ``url`` says to the client pod, asked until ``good``."""
    script = f"for i in $(seq 40); do timeout 10 wget -qO- {url} && exit; sleep 0.1; done"
    deadline = time.monotonic() + PATIENCE
    while not good(said := kube.execute(name, "sh", "-c", script)):
        assert time.monotonic() < deadline, said
    return said


def who(kube, host, port=80, **options):
    return reach(kube, f"http://{host}:{port}/cgi-bin/index.cgi", **options)


def addresses(endpoints):
    return sorted(a["ip"] for subset in (endpoints or {}).get("subsets") or [] for a in subset.get("addresses") or [])


def of_slices(slices):
    return sorted(
        a
        for one in slices
        for e in one["endpoints"] or []
        if e["conditions"].get("ready", True)
        for a in e["addresses"]
    )


def slices_of(name="it"):
    return {"labelSelector": f"kubernetes.io/service-name={name}"}


@answers("[sig-network] API Server should provide secure master service")
def test_the_api_server_is_a_service(everywhere):
    found = everywhere.get("Service", "kubernetes", namespace="default")
    assert [(p["name"], p["port"]) for p in found["spec"]["ports"]] == [("https", 443)]
    items = everywhere.items("Service", namespace="")
    assert ("default", "kubernetes") in [(s["metadata"]["namespace"], s["metadata"]["name"]) for s in items]


@answers("[sig-network] Services should find a service from listing all namespaces")
def test_services_of_all_namespaces(everywhere):
    assert "kubernetes" in [s["metadata"]["name"] for s in everywhere.items("Service", namespace="")]


@answers("[sig-network] API Server should have Endpoints and EndpointSlices pointing to API Server")
def test_endpoints_of_the_api_server(everywhere):
    endpoints = everywhere.get("Endpoints", "kubernetes", namespace="default")
    slices = everywhere.items("EndpointSlice", namespace="default", **slices_of("kubernetes"))
    assert addresses(endpoints) == of_slices(slices) != []
    assert {p["port"] for s in endpoints["subsets"] for p in s["ports"]} == {
        p["port"] for s in slices for p in s["ports"]
    }


@answers(
    "[sig-network] EndpointSlice should create and delete EndpointSlices for a Service with a selector that matches no pods",
    "[sig-network] EndpointsController should create and delete Endpoints for a Service with a selector that matches no pods",
)
def test_endpoints_of_nothing(kube):
    kube.create(service(selector={"does-not-match": "anything"}))
    kube.wait("Endpoints", "it", bool)
    (found,) = kube.wait_all("EndpointSlice", lambda found: len(found) == 1, **slices_of())
    assert found["endpoints"] in ([], None)
    assert found["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"] == "endpointslice-controller.k8s.io"
    kube.delete("Service", "it")
    kube.gone("Endpoints", "it")
    kube.wait_all("EndpointSlice", lambda left: not left, **slices_of())


@answers(
    "[sig-network] EndpointSlice should create Endpoints and EndpointSlices for Pods matching a Service",
    "[sig-network] EndpointsController should create Endpoints for Pods matching a Service",
)
def test_endpoints_of_pods(kube):
    for name, port, labels in (("pod1", 3000, {"foo": "bar", "shared": "yes"}), ("pod2", 3001, {"shared": "yes"})):
        ports = [{"name": "named", "containerPort": port}, {"name": "other", "containerPort": port + 10}]
        kube.create(pod(name, container(IDLE, ports=ports), labels=labels))
    for name, chosen, target in (
        ("one", {"foo": "bar"}, 3000),
        ("two", {"shared": "yes"}, "named"),
        ("none", {"no": "pod"}, 80),
    ):
        ports = [{"name": "http", "port": 80, "targetPort": target}]
        kube.create(service(name, chosen, ports=ports, publishNotReadyAddresses=True))
    running = {name: kube.wait("Pod", name, lambda p: p["status"].get("podIP")) for name in ("pod1", "pod2")}

    def told(addresses, ports):
        """{(pod, port)} of a subset or a slice, each of which says who is meant."""
        for address in addresses:
            target = address["targetRef"]
            meant = running[target["name"]]["metadata"]
            assert (target["kind"], target["namespace"], target["uid"]) == ("Pod", kube.namespace, meant["uid"])
        return {(address["targetRef"]["name"], port["port"]) for address in addresses for port in ports}

    def expect(name, wanted, slices):
        def of_endpoints(obj):
            subsets = obj.get("subsets") or [] if obj else [{}]
            return (
                all(told(s.get("addresses") or [], s.get("ports") or []) for s in subsets)
                and {pair for s in subsets for pair in told(s["addresses"], s["ports"])} == wanted
            )

        def of_all_slices(found):
            pairs = [told(s["endpoints"] or [], s["ports"] or []) for s in found]
            return len(found) == slices and set().union(*pairs) == wanted

        kube.wait("Endpoints", name, of_endpoints)
        return kube.wait_all("EndpointSlice", of_all_slices, **slices_of(name))

    expect("one", {("pod1", 3000)}, 1)
    [empty] = expect("none", set(), 1)
    assert not empty["ports"]
    # a port of the same name is another of each pod
    for again in (False, True):
        for one in expect("two", {("pod1", 3000), ("pod2", 3001)}, 2):
            if not again:
                kube.delete("EndpointSlice", one["metadata"]["name"])


def by_hand(name, ips, ports):
    return {
        "kind": "EndpointSlice",
        "metadata": meta(
            name,
            labels={"kubernetes.io/service-name": "it", "endpointslice.kubernetes.io/managed-by": "e2e.example.com"},
        ),
        "addressType": "IPv4",
        "endpoints": [{"addresses": [ip]} for ip in ips],
        "ports": ports,
    }


@pytest.mark.parametrize(
    "what",
    [
        case(
            "ports",
            of="[sig-network] EndpointSlice should support a Service with multiple ports specified in multiple EndpointSlices",
        ),
        case(
            "ips",
            of="[sig-network] EndpointSlice should support a Service with multiple endpoint IPs specified in multiple EndpointSlices",
        ),
    ],
)
def test_slices_by_hand(kube, what):
    ports = [{"name": "a", "port": 80, "protocol": "TCP"}, {"name": "b", "port": 81, "protocol": "TCP"}]
    address = kube.create(service(ports=ports))["spec"]["clusterIP"]
    servers = [kube.start(web(name, {"app": name})) for name in ("first", "second")]
    for name, server, port in zip("ab", servers, ports, strict=True):
        ips = [server["status"]["podIP"]] if what == "ports" else [s["status"]["podIP"] for s in servers]
        kube.create(by_hand(f"it-{name}", ips, [{"name": port["name"], "port": 8080, "protocol": "TCP"}]))
    client(kube)
    for port, expected in ((80, "first"), (81, "second")):
        said = who(kube, address, port)
        assert (f" {expected} " in said) if what == "ports" else (" first " in said or " second " in said)


@answers(
    "[sig-network] EndpointSliceMirroring should mirror a custom Endpoints resource through create update and delete"
)
def test_mirrored(kube):
    kube.create(service(ports=[{"name": "example", "port": 80}]))

    def endpoints(ip, port):
        subset = {"addresses": [{"ip": ip}], "ports": [{"port": port}]}
        return {"kind": "Endpoints", "metadata": meta("it"), "subsets": [subset]}

    kube.create(endpoints("10.1.2.3", 80))
    (found,) = kube.wait_all("EndpointSlice", lambda s: of_slices(s) == ["10.1.2.3"], **slices_of())
    assert (
        found["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"]
        == "endpointslicemirroring-controller.k8s.io"
    )
    # whatever was there before
    kube.update(endpoints("10.2.3.4", 90))
    (found,) = kube.wait_all("EndpointSlice", lambda s: of_slices(s) == ["10.2.3.4"], **slices_of())
    assert found["ports"][0]["port"] == 90
    kube.delete("Endpoints", "it")
    kube.wait_all("EndpointSlice", lambda left: not left, **slices_of())


@pytest.mark.parametrize(
    "ports",
    [
        case([("", 80)], of="[sig-network] Services should serve a basic endpoint from pods"),
        case([("a", 80), ("b", 81)], of="[sig-network] Services should serve multiport endpoints from pods"),
    ],
)
def test_endpoints_come_and_go(kube, ports):
    listed = [{"name": name, "port": port, "targetPort": 8080 if port == 80 else 8081} for name, port in ports]
    address = kube.create(service(selector={"app": "it"}, ports=listed))["spec"]["clusterIP"]
    client(kube)
    ips = {}
    for name in ("pod1", "pod2"):
        ips[name] = kube.start(web(name, {"app": "it"}))["status"]["podIP"]
        kube.wait("Endpoints", "it", lambda e: addresses(e) == sorted(ips.values()))
    assert who(kube, address).startswith("web version")
    kube.delete("Pod", "pod1", grace=0)
    kube.wait("Endpoints", "it", lambda e: addresses(e) == [ips["pod2"]])
    who(kube, address, good=lambda said: " pod2 " in said)
    kube.delete("Pod", "pod2", grace=0)
    kube.wait("Endpoints", "it", lambda e: addresses(e) == [])


@answers("[sig-network] Services should be able to create a functioning NodePort service")
def test_node_port(kube):
    kube.create(workload("ReplicationController", "it", 2))
    made = kube.create(service(selector={"web": "it"}, type="NodePort"))
    port = made["spec"]["ports"][0]["nodePort"]
    for name in ("pod1", "pod2"):
        kube.start(web(name, {"web": "it"}))
    client(kube)
    hosts = ["it", made["spec"]["clusterIP"]]
    for node in kube.items("Node"):
        hosts += [f"{a['address']}:{port}" for a in node["status"]["addresses"] if a["type"] == "InternalIP"]
    for host in hosts:
        said = reach(kube, f"http://{host if ':' in host else host + ':80'}/cgi-bin/index.cgi")
        assert " pod1 " in said or " pod2 " in said


@pytest.mark.parametrize(
    ("before", "after"),
    [
        case(a, b, of=f"[sig-network] Services should be able to change the type from {a} to {b}")
        for a, b in (
            ("ClusterIP", "ExternalName"),
            ("ExternalName", "ClusterIP"),
            ("ExternalName", "NodePort"),
            ("NodePort", "ExternalName"),
        )
    ],
)
def test_types_change(kube, before, after):
    kube.start(web("server", {"app": "it"}))
    kube.create(service("target", {"app": "it"}))
    name = f"target.{kube.namespace}.svc.cluster.local"
    ports = [{"port": 80, "targetPort": 8080}]
    if before == "ExternalName":
        kube.create(service(selector={"app": "it"}, type=before, externalName="foo.example.com"))
    else:
        kube.create(service(selector={"app": "it"}, type=before))

    def edit(found):
        # addresses and node ports stay in what is written: the server takes back what the new type has not
        if after == "ExternalName":
            found["spec"].update(type=after, externalName=name)
        else:
            found["spec"].update(type=after, externalName="", ports=ports)

    changed = kube.change("Service", "it", edit)["spec"]
    client(kube)
    if after == "ExternalName":
        assert not changed.get("clusterIP")
        assert not changed.get("clusterIPs")
        assert not any("nodePort" in p for p in changed["ports"])
        found = kube.execute(
            "client",
            "sh",
            "-c",
            "until nslookup -type=cname it.$0.svc.cluster.local; do sleep 0.1; done",
            kube.namespace,
        )
        assert name in found
    else:
        assert changed["clusterIP"]
        assert bool(changed["ports"][0].get("nodePort")) == (after == "NodePort")
        who(kube, "it", good=lambda said: " server " in said)


@pytest.mark.parametrize(
    ("kind", "switch"),
    [
        case(kind, switch, of=f"[sig-network] Services should {words} for {what}")
        for kind, what in (("ClusterIP", "service with type clusterIP"), ("NodePort", "NodePort service"))
        for switch, words in ((False, "have session affinity work"), (True, "be able to switch session affinity"))
    ],
)
def test_affinity(kube, kind, switch):
    made = kube.create(service(selector={"app": "it"}, type=kind, sessionAffinity="None" if switch else "ClientIP"))
    for name in ("pod1", "pod2", "pod3"):
        kube.create(web(name, {"app": "it"}))
    client(kube)
    kube.wait("Endpoints", "it", lambda e: len(addresses(e)) == 3)
    host = f"{made['spec']['clusterIP']}:80"
    if kind == "NodePort":
        node = kube.get("Node", kube.get("Pod", "client")["spec"]["nodeName"])
        ip = next(a["address"] for a in node["status"]["addresses"] if a["type"] == "InternalIP")
        host = f"{ip}:{made['spec']['ports'][0]['nodePort']}"

    def answered(want_one):
        """Asks until 15 answers in a row come from one, or one of them from another."""
        url = f"http://{host}/cgi-bin/index.cgi"
        round_ = f"for i in $(seq 15); do timeout 3 wget -qO- {url} | cut -d' ' -f4; done | sort -u | wc -l"
        test = "-eq" if want_one else "-gt"
        loop = f"for j in $(seq 20); do n=$({round_}); [ $n {test} 1 ] && echo yes && exit; sleep 0.2; done; echo no"
        return kube.execute("client", "sh", "-c", loop).strip() == "yes"

    assert answered(not switch)
    if switch:
        kube.patch("Service", "it", {"spec": {"sessionAffinity": "ClientIP"}})
        assert answered(True)
        kube.patch("Service", "it", {"spec": {"sessionAffinity": "None"}})
        assert answered(False)


@answers("[sig-network] Services should complete a service status lifecycle")
def test_status_of_a_service(kube):
    kube.create(service(type="LoadBalancer", loadBalancerClass="example.com/internal-vip"))
    given = {"loadBalancer": {"ingress": [{"ip": "203.0.113.1"}]}}
    patch = {"metadata": {"annotations": {"patchedstatus": "true"}}, "status": given}
    answer = kube.patch("Service", "it", patch, subresource="status")
    assert answer["metadata"]["annotations"]["patchedstatus"] == "true"
    assert answer["status"]["loadBalancer"]["ingress"] == [{"ip": "203.0.113.1", "ipMode": "VIP"}]
    # a time is not asked for
    one = {"type": "StatusUpdate", "status": "True", "reason": "E2E", "message": "x", "lastTransitionTime": None}
    kube.change("Service", "it", lambda s: s["status"].setdefault("conditions", []).append(one), subresource="status")
    # as a client writes that has types: with all that is nothing
    nothing = {"spec": {}, "status": {"loadBalancer": {}}}
    patch = {"metadata": {"creationTimestamp": None, "labels": {"test-service": "patched"}}, **nothing}
    assert kube.patch("Service", "it", patch, how=STRATEGIC)["metadata"]["labels"] == {"test-service": "patched"}
    assert kube.get("Service", "it", subresource="status")["status"]["conditions"][0]["type"] == "StatusUpdate"
    kube.delete("Service", "it")
    kube.gone("Service", "it")


@answers("[sig-network] Services should delete a collection of services")
def test_collection_of_services(kube):
    for i in range(3):
        made = service(f"it-{i}")
        made["metadata"]["labels"] = {"run": "x"} if i else {}
        kube.create(made)
    kube.delete_all("Service", labelSelector="run=x")
    assert [s["metadata"]["name"] for s in kube.items("Service")] == ["it-0"]


# ---- names


@pytest.mark.parametrize(
    ("host", "kind"),
    [
        case("kubernetes.default.svc.cluster.local", "a", of="[sig-network] DNS should provide DNS for the cluster"),
        case("it.{ns}.svc.cluster.local", "a", of="[sig-network] DNS should provide DNS for services"),
        case("it.{ns}", "a", of="[sig-network] DNS should resolve DNS of partial qualified names for services"),
    ],
)
def test_names_of_services(kube, host, kind):
    address = kube.create(service(ports=[{"name": "http", "port": 80}]))["spec"]["clusterIP"]
    if host.startswith("kubernetes"):
        address = kube.get("Service", "kubernetes", namespace="default")["spec"]["clusterIP"]
    client(kube)
    name = host.format(ns=kube.namespace)
    # wget asks through the resolver, with the search list
    script = f"for i in $(seq 50); do ping -c1 -W1 {name} 2>/dev/null | head -1 | grep -F '({address})' && exit; sleep 0.1; done; ping -c1 -W1 {name} 2>&1"
    assert address in kube.execute("client", "sh", "-c", script)


@answers("[sig-network] DNS should provide DNS for ExternalName services")
def test_external_names(kube):
    kube.create(service(type="ExternalName", externalName="foo.example.com"))
    client(kube)
    loop = "for i in $(seq 50); do nslookup -type=cname it.$0.svc.cluster.local 2>&1 | grep {} && exit; sleep 0.1; done"
    assert "foo.example.com" in kube.execute("client", "sh", "-c", loop.format("foo.example.com"), kube.namespace)
    kube.patch("Service", "it", {"spec": {"externalName": "bar.example.com"}})
    assert "bar.example.com" in kube.execute("client", "sh", "-c", loop.format("bar.example.com"), kube.namespace)


@pytest.mark.parametrize(
    "subdomain",
    [
        case(False, of="[sig-network] DNS should provide DNS for pods for Hostname"),
        case(
            True,
            of=[
                "[sig-network] DNS should provide DNS for pods for Subdomain",
                "[sig-network] DNS should provide /etc/hosts entries for the cluster",
            ],
        ),
    ],
)
def test_names_of_pods(kube, subdomain):
    kube.create(service("sub", {"app": "it"}, clusterIP="None"))
    kube.start(pod("it", labels={"app": "it"}, hostname="querier", subdomain="sub"))
    full = f"querier.sub.{kube.namespace}.svc.cluster.local"
    ip = kube.get("Pod", "it")["status"]["podIP"]
    assert f"{ip}\t{full}\tquerier" in kube.execute("it", "cat", "/etc/hosts")
    name = f"sub.{kube.namespace}.svc.cluster.local" if subdomain else full
    loop = f"for i in $(seq 50); do nslookup -type=a {name} 2>&1 | grep {ip} && exit; sleep 0.1; done"
    assert ip in kube.execute("it", "sh", "-c", loop)


@answers("[sig-network] DNS should support configurable pod DNS nameservers")
def test_own_nameservers(kube):
    dns = {"nameservers": ["1.1.1.1"], "searches": ["resolv.conf.local"]}
    found = kube.run(pod("it", container("cat /etc/resolv.conf"), dnsPolicy="None", dnsConfig=dns))
    assert sorted(found.splitlines()) == ["nameserver 1.1.1.1", "search resolv.conf.local"]


@pytest.mark.parametrize(
    "host_network",
    [
        case(
            False, of="[sig-network] Networking Granular Checks: Pods should function for intra-pod communication: http"
        ),
        case(
            True, of="[sig-network] Networking Granular Checks: Pods should function for node-pod communication: http"
        ),
    ],
)
def test_every_pod_reaches_every_pod(kube, host_network):
    nodes = [node["metadata"]["name"] for node in kube.items("Node")]
    for i, node in enumerate(nodes):
        kube.create(web(f"server-{i}", {"app": "it"}, nodeName=node))
    client(kube, hostNetwork=host_network)
    for i in range(len(nodes)):
        ip = kube.wait("Pod", f"server-{i}", is_ready)["status"]["podIP"]
        who(kube, ip, 8080, good=lambda said, i=i: f" server-{i} " in said)
