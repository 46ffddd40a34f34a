"""From Services and EndpointSlices to frontends, elements and text: tables over pure functions."""

import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeshim.node.kube_proxy import conntrack, endpoints, iptables_rules, rules, ruleset, services

NODE = services.Node("n1", ("172.30.0.2",), "10.244.0.0/16", ("10.96.0.0/16",), zone="z1")


def service(name="web", **spec):
    base = {"type": "ClusterIP", "clusterIP": "10.96.0.5", "ports": [{"port": 80, "protocol": "TCP"}]}
    return {"metadata": {"namespace": "a", "name": name}, "spec": {**base, **spec}}


def piece(*entries, port=8080, name="", protocol="TCP", **more):
    return {
        "metadata": {"namespace": "a", "name": "s"},
        "addressType": "IPv4",
        "ports": [{"name": name, "port": port, "protocol": protocol}],
        "endpoints": list(entries),
        **more,
    }


def endpoint(address, ready=True, node="n1", **conditions):
    hints = conditions.pop("hints", None)
    entry = {"addresses": [address], "nodeName": node, "conditions": {"ready": ready, **conditions}}
    return {**entry, "hints": hints} if hints else entry


def one(svc, *slices, node=NODE):
    found = services.frontends(svc, slices, node)
    assert len(found) == 1, found
    return found[0]


OWN = rules._own(services.Frontend("cluster", "tcp", "10.96.0.5", 80, (), ()))
TWO = piece(endpoint("10.244.0.2"), endpoint("10.244.1.3", node="n2"))


@pytest.mark.parametrize(
    "spec",
    [{"clusterIP": "None"}, {"clusterIP": ""}, {"type": "ExternalName"}],
)
def test_services_without_an_address_are_left_alone(spec):
    assert services.frontends(service(**spec), [TWO], NODE) == []


@pytest.mark.parametrize("label", [services.PROXY_NAME_LABEL, services.HEADLESS_LABEL])
def test_services_not_meant_for_it_are_left_alone(label):
    svc = service()
    svc["metadata"]["labels"] = {label: "other"}
    assert services.frontends(svc, [TWO], NODE) == []


@pytest.mark.parametrize(
    ("entries", "cluster", "local"),
    [
        ([endpoint("1.1.1.1"), endpoint("1.1.1.2", ready=False)], ["1.1.1.1"], ["1.1.1.1"]),
        ([endpoint("1.1.1.1", node="n2")], ["1.1.1.1"], []),
        ([], [], []),
        (  # nobody is ready: those still serving while they terminate
            [endpoint("1.1.1.1", ready=False, serving=True, terminating=True), endpoint("1.1.1.2", ready=False)],
            ["1.1.1.1"],
            ["1.1.1.1"],
        ),
        (
            [endpoint("1.1.1.1"), endpoint("1.1.1.2", ready=False, serving=True, terminating=True)],
            ["1.1.1.1"],
            ["1.1.1.1"],
        ),
        (
            [
                endpoint("1.1.1.1", hints={"forZones": [{"name": "z1"}]}),
                endpoint("1.1.1.2", hints={"forZones": [{"name": "z2"}]}),
            ],
            ["1.1.1.1"],
            ["1.1.1.1", "1.1.1.2"],
        ),
        (
            [endpoint("1.1.1.1", hints={"forZones": [{"name": "z1"}]}), endpoint("1.1.1.2")],
            ["1.1.1.1", "1.1.1.2"],
            ["1.1.1.1", "1.1.1.2"],
        ),
        (
            [
                endpoint("1.1.1.1", node="n2", hints={"forNodes": [{"name": "n2"}]}),
                endpoint("1.1.1.2", hints={"forNodes": [{"name": "n1"}]}),
            ],
            ["1.1.1.2"],
            ["1.1.1.2"],
        ),
    ],
)
def test_which_endpoints_take_traffic(entries, cluster, local):
    found = one(service(), piece(*entries))
    assert [address for address, _ in found.cluster] == cluster
    assert [address for address, _ in found.local] == local


def test_ports_are_joined_by_name_and_protocol():
    svc = service(ports=[{"name": "http", "port": 80}, {"name": "dns", "port": 53, "protocol": "UDP"}])
    slices = [
        piece(endpoint("1.1.1.1"), port=8080, name="http"),
        piece(endpoint("1.1.1.2"), port=9053, name="dns", protocol="UDP"),
        piece(endpoint("1.1.1.3"), port=9053, name="dns", protocol="TCP"),
    ]
    found = {(each.protocol, each.port): each.cluster for each in services.frontends(svc, slices, NODE)}
    assert found == {("tcp", 80): (("1.1.1.1", 8080),), ("udp", 53): (("1.1.1.2", 9053),)}


def test_all_kinds_of_frontends():
    svc = service(
        type="LoadBalancer",
        clusterIPs=["10.96.0.5", "fd00::5"],
        externalIPs=["192.0.2.9"],
        externalTrafficPolicy="Local",
        sessionAffinity="ClientIP",
        loadBalancerSourceRanges=["10.0.0.0/8", "10.1.0.0/16"],
        ports=[{"port": 80, "nodePort": 30080}],
    )
    svc["status"] = {"loadBalancer": {"ingress": [{"ip": "192.0.2.10"}, {"ip": "192.0.2.11", "ipMode": "Proxy"}]}}
    found = services.frontends(svc, [TWO], NODE)
    assert [(f.kind, f.address, f.port, f.local_only, f.sources) for f in found] == [
        ("cluster", "10.96.0.5", 80, False, ()),
        ("external", "192.0.2.9", 80, True, ()),
        ("external", "192.0.2.10", 80, True, ("10.0.0.0/8",)),
        ("node-port", "", 30080, True, ()),
    ]
    assert {f.affinity for f in found} == {10800}


def texts(svc, *slices):
    return sorted(f"{e.map}: {e.text}" for e in rules.elements(services.frontends(svc, slices, NODE)))


def test_elements_of_a_cluster_ip():
    assert texts(service(), TWO) == [
        "eps: 10.96.0.5 . tcp . 80 . 0 : 10.244.0.2 . 8080",
        "eps: 10.96.0.5 . tcp . 80 . 1 : 10.244.1.3 . 8080",
        "hairpin: 10.244.0.2 . 10.244.0.2",
        "hairpin: 10.244.1.3 . 10.244.1.3",
        "svc: 10.96.0.5 . tcp . 80 : goto ip-cluster-2",
    ]


@pytest.mark.parametrize(
    ("spec", "slices", "verdict"),
    [
        ({"internalTrafficPolicy": "Local"}, [TWO], "svc: 10.96.0.5 . tcp . 80 : goto ip-cluster-1"),
        (
            {"internalTrafficPolicy": "Local"},
            [piece(endpoint("1.1.1.1", node="n2"))],
            "svc: 10.96.0.5 . tcp . 80 : drop",
        ),
        ({}, [], "no-endpoints: 10.96.0.5 . tcp . 80"),
        ({"ports": [{"port": 80, "nodePort": 30080}], "type": "NodePort"}, [], "np-no-endpoints: tcp . 30080"),
        (
            {"ports": [{"port": 80, "nodePort": 30080}], "type": "NodePort", "externalTrafficPolicy": "Local"},
            [TWO],
            "node-ports: tcp . 30080 : goto np-local-2-1",
        ),
        ({"sessionAffinity": "ClientIP"}, [TWO], f"svc: 10.96.0.5 . tcp . 80 : goto ip-cluster-2-a10800-{OWN}"),
    ],
)
def test_verdicts(spec, slices, verdict):
    assert verdict in texts(service(**spec), *slices)


def test_a_local_policy_without_local_endpoints_drops_only_strangers():
    chain = rules.Chain("local", True, 2, 0)
    assert rules.chain_rules(chain, NODE) == [
        "ip saddr 10.244.0.0/16 goto np-cluster-2",
        "fib saddr type local goto np-external-2",
        "drop",
    ]


def test_affinity_numbers_do_not_depend_on_the_others():
    def numbers(*addresses):
        svc = service(sessionAffinity="ClientIP")
        found = rules.elements(services.frontends(svc, [piece(*map(endpoint, addresses))], NODE))
        return {e.value: e.key.split()[-1] for e in found if e.map == "by-id"}

    few, many = numbers("1.1.1.1", "1.1.1.3"), numbers("1.1.1.1", "1.1.1.2", "1.1.1.3")
    assert len(few) == 2
    assert few.items() <= many.items()


class Now:
    seconds = 0.0

    def __call__(self):
        return self.seconds


def written(state):
    """Of the transactions to what is wanted, each committed."""
    found = []
    for change in state.changes():
        found.append(change.text)
        state.committed(change)
    return found


def test_changes_are_the_difference():
    now = Now()
    state = ruleset.Ruleset(NODE, now)
    state.replace("a/web", rules.elements(services.frontends(service(), [TWO], NODE)))
    around, switch = written(state)
    assert "add chain ip kube-proxy ip-cluster-2\n" in around
    assert switch == "add element ip kube-proxy svc { 10.96.0.5 . tcp . 80 : goto ip-cluster-2 }\n"
    assert not written(state)
    assert not state.lingers()
    state.replace("a/web", rules.elements(services.frontends(service(), [piece(endpoint("10.244.0.2"))], NODE)))
    assert written(state) == [
        "add chain ip kube-proxy ip-cluster-1\n"
        "flush chain ip kube-proxy ip-cluster-1\n"
        "add rule ip kube-proxy ip-cluster-1 ip saddr != 10.244.0.0/16 ct mark set 0x4000\n"
        "add rule ip kube-proxy ip-cluster-1 meta mark set numgen random mod 1\n"
        "add rule ip kube-proxy ip-cluster-1 "
        "dnat ip addr . port to ip daddr . meta l4proto . th dport . meta mark map @eps\n",
        "delete element ip kube-proxy svc { 10.96.0.5 . tcp . 80 }\n"
        "add element ip kube-proxy svc { 10.96.0.5 . tcp . 80 : goto ip-cluster-1 }\n",
    ]
    now.seconds += ruleset.LINGER / 2
    assert not written(state)
    assert state.lingers()
    now.seconds += ruleset.LINGER
    assert written(state) == [
        "delete element ip kube-proxy eps { 10.96.0.5 . tcp . 80 . 1 }\n"
        "delete element ip kube-proxy hairpin { 10.244.1.3 . 10.244.1.3 }\n"
        "flush chain ip kube-proxy ip-cluster-2\n"
        "delete chain ip kube-proxy ip-cluster-2\n"
    ]
    assert not state.lingers()
    state.replace("a/web", frozenset())
    assert written(state) == ["delete element ip kube-proxy svc { 10.96.0.5 . tcp . 80 }\n"]
    assert state.whole().text == ruleset.Ruleset(NODE).whole().text


LISTS = st.lists(st.sampled_from(["10.244.0.2", "10.244.0.3", "10.244.1.3"]), unique=True)
STEPS = st.lists(st.tuples(st.sampled_from("xy"), LISTS, st.booleans(), st.sampled_from([0.0, 0.06, 0.2])), max_size=12)


@given(STEPS)
def test_a_packet_finds_an_endpoint_whatever_is_written_meanwhile(steps):
    """The verdict it found, of before a transaction, leads to something after it."""
    now = Now()
    state = ruleset.Ruleset(NODE, now)
    standing, chains = {}, set()

    def write():
        for change in state.changes():
            before = [element for element in standing.values() if element.chain is not None]
            standing.update(change.standing)
            for key in [key for key, element in standing.items() if element is None]:
                del standing[key]
            chains.update(change.chains)
            chains.difference_update(chain for chain, stands in change.chains.items() if not stands)
            state.committed(change)
            for verdict in before:
                assert verdict.chain in chains
                assert all(("eps", f"{verdict.key} . {place}") in standing for place in range(verdict.chain.count))

    for name, addresses, sticky, pause in steps:
        svc = service(name, clusterIP=f"10.96.0.{ord(name)}", sessionAffinity="ClientIP" if sticky else "None")
        pieces = [piece(*map(endpoint, addresses))]
        state.replace(f"a/{name}", rules.elements(services.frontends(svc, pieces, NODE)))
        now.seconds += pause
        write()
    now.seconds += 2 * ruleset.LINGER
    write()
    wanted = state.whole()
    assert not state.lingers()
    assert standing == wanted.standing
    assert chains == set(wanted.chains)


def test_the_map_of_an_affinity_goes_with_its_last_chain():
    now = Now()
    state = ruleset.Ruleset(NODE, now)

    def put(spec, *slices):
        state.replace("a/web", rules.elements(services.frontends(service(**spec), slices, NODE)))
        found = written(state)
        now.seconds += ruleset.LINGER
        lines = "".join(found + written(state)).splitlines()
        return [line for line in lines if " map " in line and "rule" not in line]

    name = f"ip kube-proxy affinity-{OWN}"
    spec = "type ipv4_addr : mark ; flags dynamic,timeout ; size 65535 ;"
    assert put({"sessionAffinity": "ClientIP"}, TWO) == [f"add map {name} {{ {spec} }}"]
    assert put({"sessionAffinity": "ClientIP"}, piece(endpoint("10.244.0.2"))) == [f"add map {name} {{ {spec} }}"]
    assert f"delete map {name}" not in state.whole((), [f"affinity-{OWN}"]).text, "a new process keeps it"
    assert put({}, TWO) == [f"delete map {name}"]
    assert f"delete map {name}" in state.whole((), [f"affinity-{OWN}", "svc"]).text


NODE6 = services.Node("n1", ("fd00:172::2",), "fd00:10:244::/56", ("fd00:10:96::/112",), zone="z1")
DUAL = {"clusterIPs": ["10.96.0.5", "fd00:10:96::5"], "ipFamilies": ["IPv4", "IPv6"]}


def test_each_family_sees_its_own():
    svc = service(
        **DUAL, type="LoadBalancer", externalIPs=["192.0.2.9", "2001:db8::9"], ports=[{"port": 80, "nodePort": 30080}],
        loadBalancerSourceRanges=["10.0.0.0/8", "2001:db8::/32", "2001:db8:1::/48"],
    )  # fmt: skip
    svc["status"] = {"loadBalancer": {"ingress": [{"ip": "192.0.2.10"}, {"ip": "2001:db8::10"}]}}
    six = piece(endpoint("fd00:10:244::2"), addressType="IPv6")
    found = services.frontends(svc, [TWO, six], NODE6)
    assert [(f.kind, f.address, f.sources) for f in found] == [
        ("cluster", "fd00:10:96::5", ()),
        ("external", "2001:db8::9", ()),
        ("external", "2001:db8::10", ("2001:db8::/32",)),
        ("node-port", "", ()),
    ]
    assert {f.cluster for f in found} == {(("fd00:10:244::2", 8080),)}
    assert [f.address for f in services.frontends(svc, [TWO, six], NODE)] == [
        "10.96.0.5", "192.0.2.9", "192.0.2.10", "",
    ]  # fmt: skip
    assert services.frontends(service(type="NodePort"), [TWO, six], NODE6) == [], "no ClusterIP of the family"


def test_ipv6_in_the_words_of_both_firewalls():
    svc, six = service(**DUAL), piece(endpoint("fd00:10:244::2"), addressType="IPv6")
    frontends = services.frontends(svc, [six], NODE6)
    state = ruleset.Ruleset(NODE6)
    state.replace("a/web", rules.elements(frontends))
    text = state.whole().text
    assert "add map ip6 kube-proxy svc { type ipv6_addr . inet_proto . inet_service : verdict ; }" in text
    assert "add element ip6 kube-proxy eps { fd00:10:96::5 . tcp . 80 . 0 : fd00:10:244::2 . 8080 }" in text
    assert "reject with icmpv6 type port-unreachable" in text
    assert "ipv4" not in text
    lines = iptables_rules.restore(iptables_rules.whole([iptables_rules.part(f, NODE6) for f in frontends], NODE6))
    assert "-d fd00:10:96::5/128 -p tcp" in lines
    assert "--to-destination [fd00:10:244::2]:8080" in lines


def test_two_services_with_one_external_address_take_turns():
    state = ruleset.Ruleset(NODE)
    for name, address in (("x", "10.244.0.2"), ("y", "10.244.0.3")):
        svc = service(name, clusterIP=f"10.96.0.{ord(name)}", externalIPs=["192.0.2.9"])
        state.replace(f"a/{name}", rules.elements(services.frontends(svc, [piece(endpoint(address))], NODE)))
    assert "192.0.2.9 . tcp . 80 . 0 : 10.244.0.2 . 8080" in state.whole().text
    state.committed(state.whole())
    state.replace("a/x", frozenset())
    assert "192.0.2.9 . tcp . 80 . 0 : 10.244.0.3 . 8080" in "".join(written(state))


def chains_of(*svcs_and_slices):
    found = [f for svc, slices in svcs_and_slices for f in services.frontends(svc, slices, NODE)]
    return iptables_rules.whole([iptables_rules.part(each, NODE) for each in found], NODE)


def test_iptables_text():
    svc = service(type="NodePort", ports=[{"port": 80, "nodePort": 30080}])
    lines = iptables_rules.restore(chains_of((svc, [TWO])), None, ["KUBE-SVC-OLD"]).splitlines()
    entry = next(line for line in lines if line.startswith("-A KUBE-SERVICES -d 10.96.0.5/32 -p tcp -m tcp --dport 80"))
    chain = entry.split()[-1]
    assert f"-A {chain} ! -s 10.244.0.0/16 -j KUBE-MARK-MASQ" in lines
    assert any(line.startswith(f"-A {chain} -m statistic --mode random --probability 0.5000000000") for line in lines)
    assert sum("--to-destination 10.244.0.2:8080" in line for line in lines) == 2
    assert "-A KUBE-REFUSE -d 10.96.0.0/16 -j REJECT" in lines
    assert "-X KUBE-SVC-OLD" in lines


def test_an_iptables_change_writes_no_other_services_chains():
    other = service("other", clusterIP="10.96.0.6"), [TWO]
    before = chains_of((service(), [TWO]), other)
    after = chains_of((service(), [piece(endpoint("10.244.0.2"))]), other)
    lines = iptables_rules.restore(after, before).splitlines()
    assert not any("KUBE-SERVICES" in line or "10.96.0.6" in line for line in lines)
    assert [line.split()[0] for line in lines].count("-X") == 1, "the chain of the endpoint that is gone"
    assert sum(line.startswith(":") for line in lines) == 2
    assert iptables_rules.restore(after, after) == ""


def test_stale_flows_are_those_answered_by_nobody_present():
    def flow(to, by):
        return conntrack.Flow(17, to, by, 53, b"")

    svc = service(type="NodePort", ports=[{"port": 53, "nodePort": 30053, "protocol": "UDP"}])
    wanted = conntrack.targets(
        services.frontends(svc, [piece(endpoint("1.1.1.1"), port=53, protocol="UDP")], NODE), NODE
    )
    flows = [
        flow(("10.96.0.5", 53), "1.1.1.1"),
        flow(("10.96.0.5", 53), "1.1.1.9"),
        flow(("172.30.0.2", 30053), "1.1.1.9"),
        flow(("9.9.9.9", 53), "9.9.9.9"),
    ]
    assert list(conntrack.stale(flows, wanted)) == flows[1:3]


def test_a_flow_is_read_from_the_kernels_form():
    def attribute(kind, data):
        return struct.pack("=HH", 4 + len(data), kind) + data + b"\0" * (-len(data) % 4)

    def tuple_of(source, destination, sport, dport):
        addresses = attribute(1, socket.inet_aton(source)) + attribute(2, socket.inet_aton(destination))
        ports = attribute(1, b"\x11") + attribute(2, sport.to_bytes(2)) + attribute(3, dport.to_bytes(2))
        return attribute(0x8001, addresses) + attribute(0x8002, ports)

    original = tuple_of("10.1.0.2", "10.96.0.10", 4000, 53)
    body = attribute(0x8001, original) + attribute(0x8002, tuple_of("10.1.0.9", "10.1.0.2", 10053, 4000))
    assert conntrack.parse(body) == conntrack.Flow(17, ("10.96.0.10", 53), "10.1.0.9", 10053, original)


def test_endpoints_without_a_port_number_are_skipped():
    assert endpoints.by_port([{"ports": [{"name": "x"}], "endpoints": [endpoint("1.1.1.1")]}], "n1") == {}
