"""Routes of the machine into Services, in a network namespace of the test's own."""

import pytest

from kubeshim.cluster import routes
from kubeshim.node import namespaces
from kubeshim.node.kubelet import network_host, network_links
from tests import netns

SERVICES, BALANCERS = "10.198.0.0/16", "172.31.99.192/26"


@pytest.fixture
def in_host():
    with netns.hold() as host, netns.hold() as other:
        run = lambda function: namespaces.run_in(namespaces.of_process(host), function)  # noqa: E731

        def link():
            network_links.create_pair("kst-h", 1500, "eth0", other)
            netns.add_address("kst-h", "172.31.77.1")
            netns.add_address("kst-h", "fd77::1", 64)
            network_host.protect_ranges(SERVICES, BALANCERS)
            network_links.route_via("10.200.0.0/16", "172.31.77.9")

        run(link)
        yield run


def ways(version=4):
    """What is routed through somebody, the protecting routes and those on links left out."""
    return {str(network): gateway for network, _, gateway in network_links.routes(version) if gateway}


@pytest.mark.root
def test_they_become_exactly_what_is_wanted(in_host):
    strange = {"10.200.0.0/16": "172.31.77.9"}
    kept = routes.Routes([SERVICES, BALANCERS])
    for wanted in (
        {SERVICES: "172.31.77.2", BALANCERS: "172.31.77.2"},
        {SERVICES: "172.31.77.3", BALANCERS: "172.31.77.2", "172.31.99.193/32": "172.31.77.4"},
        {SERVICES: "172.31.77.3"},
        {},
    ):
        in_host(lambda wanted=wanted: kept.set(wanted))
        assert in_host(ways) == {**strange, **wanted}
    assert in_host(lambda: network_host.collisions(SERVICES)), "the protecting route stands"


@pytest.mark.root
def test_those_of_an_earlier_process_are_taken_over(in_host):
    in_host(lambda: routes.Routes([SERVICES]).set({SERVICES: "172.31.77.2"}))
    in_host(lambda: routes.Routes([SERVICES]).set({SERVICES: "172.31.77.3"}))
    assert in_host(ways)[SERVICES] == "172.31.77.3"


@pytest.mark.root
@pytest.mark.skipif(not netns.HAS_IPV6, reason="this kernel has no IPv6")
def test_both_families(in_host):
    kept = routes.Routes([SERVICES, netns.SERVICES6])
    in_host(lambda: kept.set({SERVICES: "172.31.77.2", netns.SERVICES6: "fd77::2"}))
    in_host(lambda: kept.set({SERVICES: "172.31.77.2", netns.SERVICES6: "fd77::3"}))
    assert in_host(lambda: ways(6)) == {netns.SERVICES6: "fd77::3"}
    assert in_host(ways)[SERVICES] == "172.31.77.2"


@pytest.mark.root
def test_what_the_kernel_refuses_is_told(in_host):
    with pytest.raises(OSError, match=r"via 192\.0\.2\.1: \S"):
        in_host(lambda: routes.Routes([SERVICES]).set({SERVICES: "192.0.2.1"}))
