"""How endpoints are spread over zones for ``topology-mode: Auto``: tables, and any numbers at all."""

import collections
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeshim.control_plane.controller_manager import topology_hints


def node(zone, cpu="4", ready="True", **labels):
    labels = {**({topology_hints.ZONE: zone} if zone else {}), **labels}
    status = {"allocatable": {"cpu": cpu} if cpu else {}, "conditions": [{"type": "Ready", "status": ready}]}
    return {"metadata": {"name": f"n-{zone}", "labels": labels}, "status": status}


@pytest.mark.parametrize(
    ("nodes", "shares"),
    [
        ([node("a"), node("b", "2"), node("b", "2000m")], {"a": 0.5, "b": 0.5}),
        ([node("a"), node("b", ready="False")], {"a": 1.0}),
        ([node("a"), node("b", **{"node-role.kubernetes.io/control-plane": ""})], {"a": 1.0}),
        ([node("a"), node("")], {}),
        ([node("a"), node("b", "")], {}),
    ],
)
def test_shares_are_of_the_processors(nodes, shares):
    assert topology_hints.shares(nodes) == shares


@pytest.mark.parametrize(
    ("zones", "parts", "serving"),
    [
        ("aabb", {"a": 0.5, "b": 0.5}, "aabb"),
        ("aaab", {"a": 0.5, "b": 0.5}, "aabb"),  # two of three is what a may keep
        ("aaaa", {"a": 0.5, "b": 0.5}, "aabb"),
        ("aaabbc", {"a": 1 / 3, "b": 1 / 3, "c": 1 / 3}, "aacbbc"),
    ],
)
def test_surplus_serves_those_that_lack(zones, parts, serving):
    assert "".join(topology_hints.assign(list(zones), parts)) == serving


@pytest.mark.parametrize(
    ("zones", "parts", "why"),
    [
        ("ab", {}, topology_hints.NO_NODE_INFORMATION),
        ("ab", {"a": 1.0}, topology_hints.ONE_ZONE),
        ("a", {"a": 0.5, "b": 0.5}, topology_hints.TOO_FEW),
        ("aab", {"a": 0.5, "b": 0.5}, topology_hints.OVERLOADED),
    ],
)
def test_why_there_are_none(zones, parts, why):
    with pytest.raises(topology_hints.Impossible, match=why.split("(")[0]):
        topology_hints.assign(list(zones), parts)


def test_an_endpoint_without_a_zone_spoils_it():
    with pytest.raises(topology_hints.Impossible, match=topology_hints.NO_ZONE):
        topology_hints.assign(["a", "", "b", "b"], {"a": 0.5, "b": 0.5})


@given(st.lists(st.sampled_from("abcd"), min_size=2, max_size=60), st.lists(st.integers(1, 64), min_size=2, max_size=4))
def test_no_zone_is_overloaded_or_forgotten(zones, processors):
    total = sum(processors)
    parts = {zone: number / total for zone, number in zip("abcd", processors, strict=False)}
    try:
        serving = topology_hints.assign(zones, parts)
    except topology_hints.Impossible:
        return
    counted = collections.Counter(serving)
    assert set(counted) == set(parts)
    for zone, part in parts.items():
        assert counted[zone] >= math.ceil(part * len(zones) / 1.2)
