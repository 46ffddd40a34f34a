"""Ways to nodes on other machines: which there are, and that the kernel has them."""

import pytest

from kubeshim.machinery import joining
from kubeshim.node.kubelet import forwarding, network_addresses, network_links, network_peers, remote, remote_links
from kubeshim.node.kubelet.remote_links import Route

NODES = "172.30.0.0/24"


def a_node(name, number, machine="", *, address="", where="192.0.2.1", prefix=24, ready=True, direct=True, tells=True):
    end = joining.Endpoint(machine or where, prefix, f"02:00:00:00:00:0{number}", number, 8472, direct)
    annotations = {joining.ENDPOINT: end.encoded()} if tells else {}
    if machine:
        annotations[joining.JOINED] = machine
    cidr = f"10.244.{number}.0/24"
    return {
        "metadata": {"name": name, "annotations": annotations},
        "spec": {"podCIDR": cidr, "podCIDRs": [cidr]},
        "status": {
            "addresses": [{"type": "InternalIP", "address": address or f"10.244.{number}.2"}],
            "conditions": [{"type": "Ready", "status": str(ready)}],
        },
    }


A1, A2 = a_node("a1", 1, address="172.30.0.2"), a_node("a2", 2, address="172.30.0.3")
B, C = a_node("b", 3, "192.0.2.7"), a_node("c", 4, "198.51.100.9")


@pytest.mark.parametrize(
    ("nodes", "own", "backend", "expected"),
    [
        ([A1, A2], "a1", "auto", {}),
        ([A1, A2, B, C], "a1", "auto", {"10.244.3.0/24": True, "10.244.4.0/24": False}),
        ([A1, B, C], "a1", "vxlan", {"10.244.3.0/24": False, "10.244.4.0/24": False}),
        ([A1, B, C], "a1", "host-gw", {"10.244.3.0/24": True}),
        ([A1, a_node("b", 3, "192.0.2.7", direct=False)], "a1", "auto", {"10.244.3.0/24": False}),
        ([A1, a_node("b", 3, "192.0.2.7", prefix=25)], "a1", "auto", {"10.244.3.0/24": False}),
        (
            [A1, A2, B, C],
            "b",
            "auto",
            {"10.244.1.0/24": True, "172.30.0.2/32": True, "10.244.2.0/24": True, "172.30.0.3/32": True,
             "10.244.4.0/24": False, NODES: True},
        ),
        ([a_node("a1", 1, address="172.30.0.2", tells=False), B], "a1", "auto", {}),
        ([A1, a_node("b", 3, "192.0.2.7", tells=False)], "a1", "auto", {}),
        ([B], "a1", "auto", {}),
    ],
)  # fmt: skip
def test_ways_and_whether_they_are_direct(nodes, own, backend, expected):
    assert {hop.cidr: hop.direct for hop in remote.hops(nodes, own, NODES, backend)} == expected


def test_the_first_machine_is_reached_through_a_node_that_is_ready():
    down = a_node("a1", 1, address="172.30.0.2", ready=False)
    through = {hop.cidr: hop.node for hop in remote.hops([down, A2, C], "c", NODES, "auto")}
    assert through[NODES] == "172.30.0.3"
    none_ready = remote.hops([down, C], "c", NODES, "auto")
    assert NODES not in {hop.cidr for hop in none_ready}


def test_routes_of_node_and_machine():
    ways = remote.hops([A1, B, C], "a1", NODES, "auto")
    assert remote.node_routes(ways, "172.30.0.2", "172.30.0.1") == {
        "10.244.3.0/24": Route("172.30.0.1", source="172.30.0.2"),
        "10.244.4.0/24": Route("10.244.4.2", remote.DEVICE, "172.30.0.2"),
    }
    assert remote.machine_routes(ways, "172.30.0.2", "172.30.0.1") == {
        "10.244.3.0/24": Route("192.0.2.7", source="172.30.0.1"),
        "10.244.4.0/24": Route("172.30.0.2", source="172.30.0.1"),
    }
    assert remote.neighbours(ways) == {
        "10.244.4.2": remote_links.Neighbour("02:00:00:00:00:04", "198.51.100.9", 4)
    }  # fmt: skip


def test_neighbours_on_the_same_machine_are_no_remote_ones():
    assert network_peers.routes(remote.near([A1, A2, B], "a1"), "a1") == {"10.244.2.0/24": "172.30.0.3"}
    assert network_peers.routes(remote.near([A1, A2, B], "b"), "b") == {}


@pytest.mark.parametrize(("changed", "matters"), [
    (a_node("b", 3, "192.0.2.7"), False),
    (a_node("b", 3, "192.0.2.8"), True),
    (a_node("b", 3, "192.0.2.7", ready=False), True),
])  # fmt: skip
def test_what_changes_the_ways(changed, matters):
    assert remote.same(B, changed) is not matters


def test_pods_leave_the_nodes_own_link_alone():
    pool = network_addresses.AddressPool("10.244.3.0/24", "10.244.3.2")
    assert [pool.take("a"), pool.take("b")] == ["10.244.3.4", "10.244.3.5"]
    assert network_addresses.AddressPool("10.244.3.0/24", "172.30.0.2").take("a") == "10.244.3.2"


SAVED = """*filter
:DOCKER-USER - [0:0]
-A DOCKER-USER -s 10.244.0.0/16 -o ks-x-0 -m comment --comment "kubeshim:x" -j ACCEPT
-A DOCKER-USER -s 10.1.0.0/16 -o ks-y-0 -m comment --comment "kubeshim:y" -j ACCEPT
COMMIT
*nat
-A POSTROUTING -s 10.244.7.0/30 -d 10.244.0.0/16 -m comment --comment "kubeshim:x" -j RETURN
COMMIT
"""


def test_rules_are_found_by_their_mark():
    found = list(forwarding.standing(SAVED, forwarding.comment("x")))
    made = list(forwarding.rules("ks-x-0", "10.244.7.0/30", ["10.244.0.0/16"], forwarding.comment("x")))
    assert found == [(table, [chain, *rule]) for table, chain, rule in made]


@pytest.mark.parametrize(("line", "drops"), [
    ("-A PREROUTING -d 10.244.7.2/32 ! -i ks-x-0 -j DROP", True),
    ("-A PREROUTING -d 10.244.7.3/32 ! -i ks-x-0 -j DROP", False),
])  # fmt: skip
def test_engines_that_drop_what_comes_for_a_container(line, drops):
    assert forwarding.drops_directly(f"*raw\n{line}\nCOMMIT\n", "10.244.7.2") is drops


@pytest.mark.root
def test_the_kernel_has_the_ways_and_forgets_them(node, ns):
    made, in_host = node
    tunnel = remote_links.Tunnel("172.31.77.1", 8472, "02:00:00:00:00:01", 1400)
    in_node = made.run_in_node
    pid = int(made._path.split("/")[2])
    assert in_host(lambda: remote_links.create_tunnel(remote.DEVICE, 7, tunnel, pid))
    assert not in_host(lambda: remote_links.create_tunnel("kst-other", 7, tunnel, None)), "the number is taken"
    assert in_node(lambda: remote_links.tunnel_number(remote.DEVICE, tunnel)) == 7
    in_node(lambda: remote_links.up(remote.DEVICE))
    near = remote_links.Neighbour("02:00:00:00:00:02", "172.31.77.9", 9)
    route = {"10.199.8.0/24": Route("10.199.8.2", remote.DEVICE, "172.31.77.2")}

    def standing():
        return {str(found[0]): found[1:] for found in in_node(network_links.routes)}

    for _ in range(2):  # idempotent
        in_node(lambda: remote_links.set_neighbours(remote.DEVICE, {"10.199.8.2": near}))
        in_node(lambda: remote_links.set_routes(route, ("10.199.0.0/16",)))
    assert standing()["10.199.8.0/24"] == (remote.DEVICE, "10.199.8.2")
    moved = remote_links.Neighbour("02:00:00:00:00:02", "172.31.77.10", 9)
    in_node(lambda: remote_links.set_neighbours(remote.DEVICE, {"10.199.8.2": moved}))
    before = standing()
    in_node(lambda: remote_links.set_routes({}, ("10.198.0.0/16",)))
    assert standing() == before, "other ranges' routes stay"
    in_node(lambda: remote_links.set_routes({}, ("10.199.0.0/16",)))
    assert set(before) - set(standing()) == {"10.199.8.0/24"}
    other = remote_links.Tunnel("172.31.77.1", 8472, "02:00:00:00:00:01", 1300)
    assert in_node(lambda: remote_links.tunnel_number(remote.DEVICE, other)) is None, "it stood otherwise and is gone"
