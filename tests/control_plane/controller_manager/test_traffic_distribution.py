"""What ``trafficDistribution`` makes of a Service's endpoints, and what kube-proxy makes of that on each node."""

import pytest

from kubeshim.control_plane.controller_manager.controllers import endpointslice
from kubeshim.node.kube_proxy import endpoints

ZONES = {"n1": "z1", "n2": "z1", "n3": "z2", "n4": ""}


def service(distribution):
    spec = {"clusterIP": "10.96.0.5", "ipFamilies": ["IPv4"], "ports": [{"port": 80}], "selector": {"a": "b"}}
    if distribution:
        spec["trafficDistribution"] = distribution
    return {"metadata": {"namespace": "ns", "name": "web"}, "spec": spec}


def pod(number, node, ready="True"):
    return {
        "metadata": {"namespace": "ns", "name": f"p{number}", "uid": str(number), "labels": {"a": "b"}},
        "spec": {"nodeName": node, "containers": []},
        "status": {
            "podIP": f"10.244.0.{number}", "podIPs": [{"ip": f"10.244.0.{number}"}],
            "conditions": [{"type": "Ready", "status": ready}],
        },
    }  # fmt: skip


def hints(distribution, *pods):
    [group] = endpointslice.group(service(distribution), pods, ZONES)
    return {entry["addresses"][0]: entry.get("hints") for entry in group.endpoints}


@pytest.mark.parametrize("distribution", ["PreferClose", "PreferSameZone"])
def test_zones(distribution):
    assert hints(distribution, pod(1, "n1"), pod(2, "n3"), pod(3, "n1", "False"), pod(4, "n4")) == {
        "10.244.0.1": {"forZones": [{"name": "z1"}]},
        "10.244.0.2": {"forZones": [{"name": "z2"}]},
        "10.244.0.3": None,
        "10.244.0.4": None,
    }


def test_nodes_have_their_zone_too():
    assert hints("PreferSameNode", pod(1, "n1")) == {
        "10.244.0.1": {"forZones": [{"name": "z1"}], "forNodes": [{"name": "n1"}]}
    }


def test_without_a_wish_there_are_none():
    assert hints(None, pod(1, "n1")) == {"10.244.0.1": None}


@pytest.mark.parametrize(
    ("distribution", "node", "reached"),
    [
        ("PreferSameNode", "n1", {"10.244.0.1"}),
        ("PreferSameNode", "n2", {"10.244.0.2"}),
        ("PreferSameNode", "n9", {"10.244.0.1", "10.244.0.2"}),  # of its zone, where its node has none
        ("PreferSameZone", "n1", {"10.244.0.1", "10.244.0.2"}),
        ("PreferSameZone", "n3", {"10.244.0.3"}),
        ("PreferSameZone", "n4", {"10.244.0.1", "10.244.0.2", "10.244.0.3"}),
        (None, "n1", {"10.244.0.1", "10.244.0.2", "10.244.0.3"}),
    ],
)
def test_the_proxy_goes_by_them(distribution, node, reached):
    pods = [pod(1, "n1"), pod(2, "n2"), pod(3, "n3")]
    [group] = endpointslice.group(service(distribution), pods, ZONES)
    piece = {"addressType": group.address_type, "ports": group.ports, "endpoints": group.endpoints}
    [found] = endpoints.by_port([piece], node).values()
    choice = endpoints.choose(found, node_name=node, zone={**ZONES, "n9": "z1"}[node])
    assert {address for address, _ in choice.cluster} == reached
