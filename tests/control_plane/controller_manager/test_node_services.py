"""What depends on nodes being Ready: the host's routes, load balancers' addresses, cluster DNS."""

import ipaddress

import pytest

from kubeshim.control_plane.controller_manager import host_routes
from kubeshim.control_plane.controller_manager.controllers import dns_endpoints, service_lb
from kubeshim.machinery import joining

RANGES = ("10.96.0.0/16", "172.30.0.192/26")


def node(name, address, ready="True"):
    status = {
        "addresses": [{"type": "Hostname", "address": name}, {"type": "InternalIP", "address": address}],
        "conditions": [{"type": "Ready", "status": ready}],
    }
    return {"metadata": {"name": name}, "status": status}


def balancer(address, policy="Local", **spec):
    return {
        "metadata": {"namespace": "a", "name": "lb"},
        "spec": {"type": "LoadBalancer", "externalTrafficPolicy": policy, **spec},
        "status": {"loadBalancer": {"ingress": [{"ip": address}]}},
    }


def endpoints_on(*names, ready=True):
    return [{"endpoints": [{"nodeName": name, "conditions": {"ready": ready}} for name in names]}]


ONE, TWO = node("n1", "172.30.0.2"), node("n2", "172.30.0.3")
LOST = node("n1", "172.30.0.2", "Unknown")


@pytest.mark.parametrize(
    ("nodes", "before", "expected"),
    [
        ([TWO, ONE], "", "172.30.0.2"),
        ([ONE, TWO], "172.30.0.3", "172.30.0.3"),  # stays
        ([LOST, TWO], "172.30.0.2", "172.30.0.3"),  # moves
        ([LOST], "172.30.0.2", None),  # nobody to move to
        ([{**ONE, "metadata": {"name": "n1", "deletionTimestamp": "now"}}, TWO], "172.30.0.2", "172.30.0.3"),
    ],
)
def test_who_carries_the_service_range(nodes, before, expected):
    found = host_routes.wanted(host_routes.ready_nodes(nodes), [], {}, RANGES, before)
    assert found == (dict.fromkeys(RANGES, expected) if expected else {})


def test_nodes_of_other_machines_carry_nothing_here():
    far = node("a-far-one", "10.244.7.2")
    far["metadata"]["annotations"] = {joining.JOINED: "192.0.2.7"}
    assert host_routes.ready_nodes([far, ONE]) == {"n1": "172.30.0.2"}
    assert host_routes.seen_elsewhere(far) != host_routes.seen_elsewhere(node("a-far-one", "10.244.7.2"))


@pytest.mark.parametrize(
    ("service", "slices", "expected"),
    [
        (balancer("172.30.0.193"), endpoints_on("n2"), "172.30.0.3"),
        (balancer("172.30.0.193"), endpoints_on("n1", "n2"), "172.30.0.2"),  # with the others
        (balancer("172.30.0.193"), endpoints_on("n2", ready=False), None),
        (balancer("172.30.0.193"), endpoints_on("gone"), None),
        (balancer("172.30.0.193", "Cluster"), endpoints_on("n2"), None),
        (balancer("203.0.113.9"), endpoints_on("n2"), None),  # not of our range: not ours to route
    ],
)
def test_a_local_policy_has_a_route_of_its_own(service, slices, expected):
    found = host_routes.wanted(host_routes.ready_nodes([ONE, TWO]), [service], {"a/lb": slices}, RANGES, "172.30.0.2")
    own = {cidr: through for cidr, through in found.items() if cidr not in RANGES}
    assert list(own.values()) == ([expected] if expected else [])


@pytest.mark.parametrize(
    ("taken", "asked", "expected"),
    [
        (set(), "", "172.30.0.1"),
        ({"172.30.0.1"}, "", "172.30.0.2"),
        ({"172.30.0.1", "172.30.0.2"}, "", None),
        (set(), "172.30.0.2", "172.30.0.2"),
        ({"172.30.0.2"}, "172.30.0.2", None),
        (set(), "10.0.0.1", None),
        (set(), "172.30.0.3", None),  # the network's last is nobody's
    ],
)
def test_the_first_free_address(taken, asked, expected):
    assert service_lb.first_free(ipaddress.IPv4Network("172.30.0.0/30"), taken, asked) == expected


def test_whose_load_balancer_it_is():
    assert service_lb.is_ours(balancer("x"))
    assert not service_lb.is_ours(balancer("x", loadBalancerClass="example.com/other"))
    assert not service_lb.is_ours({"spec": {"type": "NodePort"}})


def test_dns_endpoints_are_ready_as_their_nodes_are():
    assert [e["conditions"]["ready"] for e in dns_endpoints.endpoints([TWO, LOST])] == [False, True]
    assert [e["conditions"]["ready"] for e in dns_endpoints.endpoints([LOST])] == [True], "a last hope"
    service = {"spec": {"ports": [{"name": "dns", "port": 53, "protocol": "UDP", "targetPort": 10053}]}}
    piece = dns_endpoints.slice_of(service, [ONE])
    assert piece["ports"] == [{"name": "dns", "port": 10053, "protocol": "UDP"}]
    assert piece["endpoints"][0]["nodeName"] == "n1"
    assert piece["endpoints"][0]["hints"] == {"forNodes": [{"name": "n1"}]}
