import pytest

from kubeshim.control_plane.api_server.strategies import service_families

V4, V6, BOTH, BACK = ("IPv4",), ("IPv6",), ("IPv4", "IPv6"), ("IPv6", "IPv4")
SELECTED = {"selector": {"a": "b"}}
DUAL = "must be 'RequireDualStack' or 'PreferDualStack'"
HEADLESS = {"clusterIP": "None", "clusterIPs": ["None"]}


@pytest.mark.parametrize(
    ("spec", "configured", "families", "policy"),
    [
        (SELECTED, V4, V4, "SingleStack"),
        (SELECTED, BOTH, V4, "SingleStack"),
        (SELECTED, BACK, V6, "SingleStack"),
        ({"ipFamilyPolicy": "PreferDualStack"}, V4, V4, "PreferDualStack"),
        ({"ipFamilyPolicy": "PreferDualStack"}, BOTH, BOTH, "PreferDualStack"),
        ({"ipFamilyPolicy": "PreferDualStack", "ipFamilies": ["IPv6"]}, BOTH, BACK, "PreferDualStack"),
        ({"ipFamilyPolicy": "RequireDualStack"}, BACK, BACK, "RequireDualStack"),
        ({"ipFamilies": ["IPv6", "IPv4"], "ipFamilyPolicy": "PreferDualStack"}, BOTH, BACK, "PreferDualStack"),
        ({"clusterIPs": ["10.96.0.7"]}, BACK, V4, "SingleStack"),
        (
            {"clusterIPs": ["10.96.0.7", "fd00::7"], "ipFamilyPolicy": "RequireDualStack"},
            BOTH,
            BOTH,
            "RequireDualStack",
        ),
        (HEADLESS, V4, BOTH, "RequireDualStack"),
        (HEADLESS, V6, BACK, "RequireDualStack"),
        ({**HEADLESS, "ipFamilyPolicy": "SingleStack"}, V4, V4, "SingleStack"),
        ({**HEADLESS, "ipFamilies": ["IPv6"]}, V4, BACK, "RequireDualStack"),
        ({**HEADLESS, **SELECTED}, V4, V4, "SingleStack"),
    ],
)
def test_what_is_left_out(spec, configured, families, policy):
    spec = dict(spec)
    assert service_families.fill(spec, {}, configured) == []
    assert (tuple(spec["ipFamilies"]), spec["ipFamilyPolicy"]) == (families, policy)


@pytest.mark.parametrize(
    ("spec", "texts"),
    [
        (
            {"ipFamilyPolicy": "RequireDualStack"},
            ['spec.ipFamilyPolicy: Invalid value: "RequireDualStack": this cluster is not configured for dual-stack '
             "services"],
        ),
        ({"ipFamilies": ["IPv6"]}, ['spec.ipFamilies[0]: Invalid value: "IPv6": not configured on this cluster']),
        (
            {"clusterIPs": ["fd00::1"]},
            ['spec.clusterIPs[0]: Invalid value: ["fd00::1"]: IPv6 is not configured on this cluster'],
        ),
        (
            {"clusterIPs": ["10.96.0.7", "fd00::7"], "ipFamilies": ["IPv4", "IPv6"]},
            [f'spec.ipFamilyPolicy: Invalid value: "SingleStack": {DUAL} when multiple {what} are specified'
             for what in ("cluster IPs", "IP families")],
        ),
    ],
)  # fmt: skip
def test_what_the_cluster_cannot_give(spec, texts):
    assert [str(problem) for problem in service_families.fill(dict(spec), {}, V4)] == texts


PREFERS = {"clusterIPs": ["10.96.0.7"], "ipFamilies": ["IPv4"], "ipFamilyPolicy": "PreferDualStack"}
HAS_BOTH = {
    "clusterIPs": ["10.96.0.7", "fd00::7"], "ipFamilies": ["IPv4", "IPv6"], "ipFamilyPolicy": "RequireDualStack"
}  # fmt: skip


def test_two_stacks_are_left_only_on_purpose():
    spec = {**HAS_BOTH, "clusterIPs": ["10.96.0.7"], "ipFamilies": ["IPv4"]}
    assert [problem.message for problem in service_families.fill(spec, HAS_BOTH, BOTH)] == [
        f"Invalid value: \"RequireDualStack\": must be 'SingleStack' to release the secondary {what}"
        for what in ("cluster IP", "IP family")
    ]


def test_preferences_wait_until_something_else_changes():
    unchanged = dict(PREFERS)
    assert service_families.fill(unchanged, PREFERS, BOTH) == []
    assert unchanged == PREFERS
    upgraded = dict(PREFERS)
    service_families.fill(upgraded, {**PREFERS, "ipFamilyPolicy": "SingleStack"}, BOTH)
    assert upgraded["ipFamilies"] == ["IPv4", "IPv6"]


def test_a_single_stack_needs_no_second_address():
    spec = {**HAS_BOTH, "ipFamilyPolicy": "SingleStack"}
    service_families.downgrade(spec, HAS_BOTH)
    assert (spec["clusterIPs"], spec["ipFamilies"]) == (["10.96.0.7"], ["IPv4"])
    chosen = {**spec, "ipFamilies": ["IPv6", "IPv4"]}
    service_families.downgrade(chosen, HAS_BOTH)
    assert chosen["ipFamilies"] == ["IPv6", "IPv4"]
