import pytest

from kubeshim.cluster import ranges

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
