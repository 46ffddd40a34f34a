"""The node's network with real namespaces: each is held by a process that only sleeps."""

import ipaddress

import pytest

from kubeshim.client import kinds
from kubeshim.node.kubelet import (
    network,
    network_addresses,
    network_host,
    network_links,
    network_peers,
    network_rules,
)
from tests import fake_api


def test_addresses_are_handed_out_in_turn_and_found_again():
    pool = network_addresses.AddressPool("10.1.0.0/29")
    assert [pool.take(uid) for uid in "aab"] == ["10.1.0.2", "10.1.0.2", "10.1.0.3"]
    pool.release("a")
    assert pool.take("c") == "10.1.0.4"
    assert pool.adopt("d", "10.1.0.2")
    assert not pool.adopt("e", "10.1.0.2")
    assert not pool.adopt("e", "10.2.0.2")
    assert pool.take("f") == "10.1.0.5"
    assert pool.take("g") == "10.1.0.6"
    with pytest.raises(network_addresses.Exhausted, match="no IP addresses available"):
        pool.take("h")
    pool.release("b")
    assert pool.take("h") == "10.1.0.3"


def test_collisions_name_the_route():
    routes = [
        (ipaddress.IPv4Network("10.0.0.0/8"), "tun0", "10.0.0.1"),
        (ipaddress.IPv4Network("192.168.1.0/24"), "eth0", ""),
    ]
    found = network_host.overlapping(routes, ("10.244.0.0/16", "172.30.0.0/24"))
    assert found == ["10.244.0.0/16 overlaps the route to 10.0.0.0/8 via 10.0.0.1 on tun0"]


def test_publishing_changes_only_what_differs():
    one = network_rules.HostPort("u1", "tcp", "", 80, "10.1.0.2", 8080)
    two = network_rules.HostPort("u2", "udp", "127.0.0.1", 53, "10.1.0.3", 53)
    assert network_rules.nft_publish([one], [one, two]) == (
        'add element ip kubeshim-pods ports-of-address { 127.0.0.1 . udp . 53 comment "u2" : 10.1.0.3 . 53 }\n'
        'add element ip kubeshim-pods hairpin { 10.1.0.3 . 10.1.0.3 comment "u2" }\n'
    )
    assert "delete element ip kubeshim-pods ports { tcp . 80 }" in network_rules.nft_publish([one, two], [two])


def test_iptables_text_reads_back():
    ports = [
        network_rules.HostPort("u1", "tcp", "", 80, "10.1.0.2", 8080),
        network_rules.HostPort("u2", "udp", "127.0.0.1", 53, "10.1.0.3", 53),
    ]
    text = network_rules.iptables_restore("10.1.0.0/24", ["10.0.0.0/8"], ports)
    assert network_rules.from_iptables_save(text) == ports


@pytest.mark.root
def test_pods_reach_each_other_and_keep_their_address(node, ns):
    made, in_host = node
    with ns.hold() as first, ns.hold() as second:
        for _ in range(2):  # idempotent
            made.attach(first, "10.199.3.2", "uid-1")
            made.attach(second, "10.199.3.3", "uid-2", [network.HostPort("uid-2", "tcp", "", 8088, "10.199.3.3", 0)])
        assert made.pod_address(first) == "10.199.3.2"
        in_first = lambda function: made.run_in_pod(first, function)  # noqa: E731
        in_second = lambda function: made.run_in_pod(second, function)  # noqa: E731
        port = ns.serve(in_second)
        assert ns.ask(in_first, "10.199.3.3", port) == "10.199.3.2"
        assert ns.ask(made.run_in_node, "10.199.3.3", port) == "172.31.77.2"
        assert ns.ask(in_host, "10.199.3.3", port) == "172.31.77.1"
        host_port = ns.serve(in_host)
        assert ns.ask(in_first, "172.31.77.1", host_port) == "10.199.3.2"
        made.attach(second, "10.199.3.3", "uid-2", [network.HostPort("uid-2", "tcp", "", 8088, "10.199.3.3", port)])
        assert ns.ask(in_host, "172.31.77.2", 8088) == "172.31.77.1"
        assert ns.ask(in_first, "172.31.77.2", 8088) == "10.199.3.2"
        assert ns.ask(in_second, "172.31.77.2", 8088) == "172.31.77.2"
        assert ns.ask(made.run_in_node, "127.0.0.1", 8088) == "172.31.77.2"
        again = network.NodeNetwork(None, "172.31.77.2", "10.199.0.0/16", "10.198.0.0/16", "172.31.77.1")
        again._path = made._path
        in_host(lambda: again.set_up("10.199.3.0/24"))
        assert ns.ask(in_host, "172.31.77.2", 8088) == "172.31.77.1", "a restart finds published ports"
        again.detach("uid-2")
        again.close()
        with pytest.raises(ConnectionRefusedError):
            ns.ask(in_host, "172.31.77.2", 8088)
        with pytest.raises(OSError, match=r"No route to host|Network is unreachable"):
            ns.ask(in_first, "10.199.3.99", port)
        with pytest.raises(OSError):
            ns.ask(in_host, "10.199.4.1", port)


@pytest.mark.root
def test_a_new_sandbox_takes_over_the_link(node, ns):
    made, _ = node
    with ns.hold() as old:
        made.attach(old, "10.199.3.9", "uid-9")
        with ns.hold() as new:
            made.attach(new, "10.199.3.9", "uid-9")
            assert made.pod_address(new) == "10.199.3.9"
            port = ns.serve(lambda function: made.run_in_pod(new, function))
            assert ns.ask(made.run_in_node, "10.199.3.9", port) == "172.31.77.2"


@pytest.mark.root
def test_peers_are_routed_and_forgotten(node):
    made, _ = node
    made.set_peers({"10.199.3.0/24": "172.31.77.2", "10.199.4.0/24": "172.31.77.3"})
    through = {str(route[0]): route[2] for route in made.run_in_node(network_links.routes)}
    assert through["10.199.4.0/24"] == "172.31.77.3"
    made.set_peers({})
    assert "10.199.4.0/24" not in {str(route[0]) for route in made.run_in_node(network_links.routes)}


@pytest.mark.root
def test_ranges_are_protected_and_released(node):
    _, in_host = node
    assert any("10.198.0.0/16 overlaps" in line for line in in_host(lambda: network_host.collisions("10.198.0.0/16")))
    in_host(lambda: network_host.remove_node_routes("10.199.3.0/24", "10.198.0.0/16", "172.31.77.2"))
    in_host(lambda: network_host.unprotect_ranges("10.199.0.0/16", "10.198.0.0/16"))
    in_host(lambda: network_host.unprotect_ranges("10.199.0.0/16", "10.198.0.0/16"))
    assert in_host(lambda: network_host.collisions("10.198.0.0/16", "10.199.0.0/16")) == []


def test_peers_follow_the_nodes():
    api, seen = fake_api.FakeApi(), []

    class Network:
        def set_peers(self, peers):
            seen.append(peers)

    client = api.client()
    for number in (1, 2):
        client.create(kinds.NODES, {
            "apiVersion": "v1", "kind": "Node", "metadata": {"name": f"n{number}"},
            "spec": {"podCIDR": f"10.199.{number}.0/24", "podCIDRs": [f"10.199.{number}.0/24"]},
            "status": {"addresses": [{"type": "InternalIP", "address": f"172.31.77.{number}"}]},
        })  # fmt: skip
    peers = network_peers.Peers(client, Network(), "n1")
    peers.start()
    fake_api.eventually(lambda: seen and seen[-1] == {"10.199.2.0/24": "172.31.77.2"})
    client.delete(kinds.NODES, "n2")
    fake_api.eventually(lambda: seen[-1] == {})
    peers.stop()
    client.close()
    api.stop()
