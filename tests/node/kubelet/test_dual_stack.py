"""A node and its pods with two address families, in namespaces of the test's own."""

import pytest

from kubeshim.node.kubelet import network, network_addresses, network_links, network_rules
from tests import netns

ONE, TWO = ("10.199.3.2", "fd99:0:0:3::2"), ("10.199.3.3", "fd99:0:0:3::3")


def test_a_pod_has_an_address_of_each_range():
    pools = network_addresses.Pools(["10.1.0.0/24", "fd00:10:244::/64"])
    assert pools.take("a") == ["10.1.0.2", "fd00:10:244::2"]
    assert pools.adopt("b", ["10.1.0.9", "fd00:10:244::9"])
    assert not pools.adopt("c", ["10.1.0.9", "fd00:10:244::a"])
    assert pools.take("b") == ["10.1.0.9", "fd00:10:244::9"]


def test_ports_are_published_in_the_words_of_the_family():
    port = network_rules.HostPort("u1", "tcp", "", 80, "fd00::2", 8080)
    assert "add element ip6 kubeshim-pods ports { tcp . 80" in network_rules.nft_publish([], [port], 6)
    text = network_rules.iptables_restore("fd00::/64", ["fd00::/56"], [port])
    assert "--to-destination [fd00::2]:8080" in text
    assert network_rules.from_iptables_save(text) == [port]


@pytest.mark.root
def test_pods_reach_each_other_in_both_families(dual, ns):
    made, in_host = dual
    ports = [network.HostPort("u2", "tcp", "", 8088, address, 8080) for address in TWO]
    with ns.hold() as first, ns.hold() as second:
        for _ in range(2):  # idempotent
            made.attach(first, ONE[0], "u1", others=ONE[1:])
            made.attach(second, TWO[0], "u2", ports, others=TWO[1:])
        assert made.pod_addresses(first) == list(ONE)
        in_first = lambda function: made.run_in_pod(first, function)  # noqa: E731
        ns.serve(lambda function: made.run_in_pod(second, function), "two", 8080)
        for address, mine, node, host in zip(
            TWO, ONE, (netns.NODE, netns.NODE6), (netns.HOST, netns.HOST6), strict=True
        ):
            assert ns.ask(in_first, address, 8080) == f"two {mine}"
            assert ns.ask(made.run_in_node, address, 8080) == f"two {node}"
            assert ns.ask(in_host, address, 8080) == f"two {host}"
            assert ns.ask(in_host, node, 8088) == f"two {host}", "the published port"
            assert ns.ask(in_first, node, 8088) == f"two {mine}"
        for run in (in_first, made.run_in_node, in_host):
            with pytest.raises(OSError, match=r"No route to host|Network is unreachable"):
                ns.ask(run, "fd99:0:0:7::1", 80)


@pytest.mark.root
def test_peers_of_both_families(dual):
    made, _ = dual
    made.set_peers({"10.199.4.0/24": "172.31.77.3", "fd99:0:0:4::/64": "fd77::3", netns.NODE_PODS6: netns.NODE6})
    through = {str(route[0]): route[2] for route in made.run_in_node(lambda: network_links.routes(6))}
    assert through["fd99:0:0:4::/64"] == "fd77::3"
    made.set_peers({})
    assert "fd99:0:0:4::/64" not in {str(route[0]) for route in made.run_in_node(lambda: network_links.routes(6))}
