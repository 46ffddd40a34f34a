"""ipFamilyPolicy and ipFamilies: every combination a client may send, on clusters of one and two families."""

import copy

import pytest

from kubeshim.control_plane.api_server.strategies import service_families

ONE, TWO = ["IPv4"], ["IPv4", "IPv6"]
V4, V6 = "10.96.0.7", "fd00:10:96::7"


def settle(configured, before=None, **spec):
    spec = {"type": "ClusterIP", "selector": {"a": "b"}, **spec}
    wrong = service_families.settle(spec, before, configured)
    return wrong, spec


@pytest.mark.parametrize(
    ("configured", "asked", "policy", "families"),
    [
        (ONE, {}, "SingleStack", ["IPv4"]),
        (TWO, {}, "SingleStack", ["IPv4"]),
        (TWO, {"ipFamilies": ["IPv6"]}, "SingleStack", ["IPv6"]),
        (TWO, {"clusterIPs": [V6]}, "SingleStack", ["IPv6"]),
        (ONE, {"ipFamilyPolicy": "PreferDualStack"}, "PreferDualStack", ["IPv4"]),
        (TWO, {"ipFamilyPolicy": "PreferDualStack"}, "PreferDualStack", ["IPv4", "IPv6"]),
        (
            TWO,
            {"ipFamilyPolicy": "PreferDualStack", "ipFamilies": ["IPv6"]},
            "PreferDualStack",
            ["IPv6", "IPv4"],
        ),
        (TWO, {"ipFamilyPolicy": "RequireDualStack", "clusterIPs": [V6]}, "RequireDualStack", ["IPv6", "IPv4"]),
        (TWO, {"ipFamilyPolicy": "RequireDualStack", "clusterIPs": [V6, V4]}, "RequireDualStack", ["IPv6", "IPv4"]),
        (ONE, {"clusterIP": "None", "clusterIPs": ["None"]}, "SingleStack", ["IPv4"]),
        (
            ONE,
            {"clusterIP": "None", "clusterIPs": ["None"], "selector": {}},
            "RequireDualStack",
            ["IPv4", "IPv6"],
        ),
        (
            ONE,
            {"clusterIP": "None", "clusterIPs": ["None"], "selector": {}, "ipFamilyPolicy": "SingleStack"},
            "SingleStack",
            ["IPv4"],
        ),
    ],
)
def test_what_is_asked_for_is_completed(configured, asked, policy, families):
    wrong, spec = settle(configured, **asked)
    assert wrong == []
    assert (spec["ipFamilyPolicy"], spec["ipFamilies"]) == (policy, families)


@pytest.mark.parametrize(
    ("configured", "asked", "field", "text"),
    [
        (ONE, {"ipFamilies": ["IPv6"]}, "spec.ipFamilies[0]", "not configured on this cluster"),
        (ONE, {"clusterIPs": [V6]}, "spec.clusterIPs[0]", "IPv6 is not configured on this cluster"),
        (
            ONE,
            {"ipFamilyPolicy": "RequireDualStack"},
            "spec.ipFamilyPolicy",
            "this cluster is not configured for dual-stack services",
        ),
        (
            TWO,
            {"ipFamilies": ["IPv4", "IPv6"]},
            "spec.ipFamilyPolicy",
            "must be 'RequireDualStack' or 'PreferDualStack' when multiple IP families are specified",
        ),
        (
            TWO,
            {"clusterIPs": [V4, V6], "ipFamilyPolicy": "SingleStack"},
            "spec.ipFamilyPolicy",
            "must be 'RequireDualStack' or 'PreferDualStack' when multiple cluster IPs are specified",
        ),
    ],
)
def test_what_cannot_be_is_refused(configured, asked, field, text):
    [error], _ = settle(configured, **asked)
    assert error.field == field
    assert text in error.message


def stored(policy, *families):
    return {
        "type": "ClusterIP", "selector": {"a": "b"}, "ipFamilyPolicy": policy, "ipFamilies": list(families),
        "clusterIPs": [V4, V6][: len(families)],
    }  # fmt: skip


def test_the_policy_makes_a_service_dual_stack_and_single_again():
    before = stored("SingleStack", "IPv4")
    wrong, spec = settle(TWO, before, **{**copy.deepcopy(before), "ipFamilyPolicy": "PreferDualStack"})
    assert (wrong, spec["ipFamilies"], spec["clusterIPs"]) == ([], ["IPv4", "IPv6"], [V4])
    before = stored("PreferDualStack", "IPv4", "IPv6")
    wrong, spec = settle(TWO, before, **{**copy.deepcopy(before), "ipFamilyPolicy": "SingleStack"})
    assert (wrong, spec["ipFamilies"], spec["clusterIPs"]) == ([], ["IPv4"], [V4])


def test_a_preference_does_not_follow_the_cluster():
    before = stored("PreferDualStack", "IPv4")
    _, spec = settle(TWO, before, **copy.deepcopy(before))
    assert spec["ipFamilies"] == ["IPv4"]


@pytest.mark.parametrize(("name", "kept"), [("clusterIPs", [V4]), ("ipFamilies", ["IPv4"])])
def test_the_second_is_not_taken_away_without_the_policy(name, kept):
    before = stored("RequireDualStack", "IPv4", "IPv6")
    wrong, _ = settle(TWO, before, **{**copy.deepcopy(before), name: kept})
    assert "must be 'SingleStack' to release the secondary" in wrong[0].message
