import pytest

from kubeshim.cluster import host, ranges

NETWORK = ranges.Network


def test_the_defaults_on_a_machine_that_routes_none_of_them():
    chosen = ranges.choose([NETWORK("192.168.1.0/24")])
    assert (str(chosen.pods), str(chosen.services), str(chosen.nodes)) == (
        "10.244.0.0/16",
        "10.96.0.0/16",
        "172.30.0.0/24",
    )
    assert chosen.gateway == "172.30.0.1"
    assert chosen.node_address(0) == "172.30.0.2"
    assert chosen.kubernetes_service == "10.96.0.1"
    assert chosen.dns_service == "10.96.0.10"


def test_a_second_cluster_takes_the_next_free_ranges():
    first = ranges.choose([])
    second = ranges.choose([first.pods, first.services, first.nodes])
    assert (str(second.pods), str(second.services), str(second.nodes)) == (
        "10.245.0.0/16",
        "10.97.0.0/16",
        "172.30.1.0/24",
    )


@pytest.mark.parametrize("used", ["10.0.0.0/8", "10.244.7.0/24", "10.244.0.0/15"])
def test_a_range_that_was_asked_for_must_be_free(used):
    with pytest.raises(ranges.RangeTaken, match="--pod-range"):
        ranges.choose([NETWORK(used)], pods="10.244.0.0/16")


def test_nothing_free():
    with pytest.raises(ranges.RangeTaken, match="no free range for pods"):
        ranges.choose([NETWORK("10.0.0.0/8")])


def test_reading_the_kernels_routes():
    table = (
        "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
        "eth0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
        "docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
    )
    assert list(ranges.routed(table)) == [NETWORK("172.17.0.0/16")]


def test_nodes_and_load_balancers_share_a_network():
    chosen = ranges.choose([])
    assert str(chosen.load_balancers) == "172.30.0.192/26"
    assert chosen.free_node_address([]) == "172.30.0.2"
    assert chosen.free_node_address(["172.30.0.2", "172.30.0.4"]) == "172.30.0.3"
    with pytest.raises(ranges.RangeTaken):
        chosen.free_node_address(f"172.30.0.{last}" for last in range(2, 192))


def test_a_dual_stack_cluster_has_a_second_range_of_each_kind():
    first = ranges.choose([], dual=True)
    assert (first.text("pods"), first.text("services"), first.text("nodes")) == (
        "10.244.0.0/16,fd00:10:244::/56",
        "10.96.0.0/16,fd00:10:96::/112",
        "172.30.0.0/24,fd00:172:30::/64",
    )
    assert ranges.parse(first.text("pods"), first.text("services"), first.text("nodes")) == first
    assert first.second_address("172.30.0.2") == "fd00:172:30::2"
    assert first.second.gateway == "fd00:172:30::1"
    assert str(first.second.load_balancers) == "fd00:172:30::ffff:0/112"
    second = ranges.choose(first.every, dual=True)
    assert not any(a.version == b.version and a.overlaps(b) for a in first.every for b in second.every)
    single = ranges.choose([])
    assert (single.text("pods"), single.second, single.second_address("172.30.0.2")) == ("10.244.0.0/16", None, "")


def test_an_ipv6_range_makes_the_cluster_dual_stack():
    chosen = ranges.choose([], pods="10.9.0.0/16,fd12:3456:789a::/56")
    assert str(chosen.second.pods) == "fd12:3456:789a::/56"
    assert str(chosen.second.services) == "fd00:10:96::/112"
    with pytest.raises(ranges.RangeTaken, match="overlaps fd12::/16"):
        ranges.choose([ranges.Network6("fd12::/16")], pods="10.9.0.0/16,fd12:3456:789a::/56")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pods": "fd00::/56"}, "an IPv4 range, or one and after a comma an IPv6 range"),
        ({"pods": "fd00::/56,10.0.0.0/16"}, "an IPv4 range, or one"),
        ({"pods": "10.0.0.0/16,10.1.0.0/16"}, "an IPv4 range, or one"),
        ({"pods": "10.0.0.0/16,fd00::/72"}, "must be from /48 to /64"),
        ({"services": "10.0.0.0/16,fd00::/48"}, "must be from /64 to /120"),
        ({"nodes": "10.0.0.0/24,fd00::/65"}, "must be from /64 to /64"),
        ({"nodes": "nonsense"}, "--node-range nonsense"),
    ],
)
def test_what_is_no_pair_of_ranges(options, message):
    with pytest.raises(ranges.RangeTaken, match=message):
        ranges.choose([], **options)


def test_reading_the_kernels_ipv6_routes():
    def line(network, prefix):
        return f"{network} {prefix:02x} {'0' * 32} 00 {'0' * 32} 00000400 00000001 00000000 00000001     eth0\n"

    table = line("fd000010024400000000000000000000", 56) + line("0" * 32, 0) + line("fe80" + "0" * 28, 64)
    table += line("ff00" + "0" * 28, 8) + line("0" * 31 + "1", 128)
    assert list(ranges.routed6(table)) == [ranges.Network6("fd00:10:244::/56")]


def test_connections_in_both_families():
    header = "  sl  local_address rem_address   st tx_queue\n"
    four = "   0: 0100007F:1F90 050A6A0A:0050 01 00000000:00000000\n"
    remote = "".join(f"{int.from_bytes(bytes.fromhex(word), 'little'):08X}" for word in
                     ("fd000010", "00960000", "00000000", "00000005"))  # fmt: skip
    six = f"   0: {'0' * 32}:1F90 {remote}:0050 01 00000000:00000000\n"
    found = host.connected([NETWORK("10.106.0.0/16"), ranges.Network6("fd00:10:96::/112")], header + four + six)
    assert found == ["127.0.0.1:8080 → 10.106.10.5:80", "[::]:8080 → [fd00:10:96::5]:80"]
