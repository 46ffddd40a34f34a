"""Who may talk to whom, as pure rules and as the text that changes them."""

import itertools

import pytest

from kubeshim.node.network_policy import enforcer, policies, rules

SPACES = {"x": {"team": "blue"}, "y": {"team": "red"}, "kube-system": {}}
HTTP = frozenset({("http", "TCP", 8080)})
PODS = [
    policies.Pod("x", "10.0.1.2", {"app": "a"}, "here", HTTP),
    policies.Pod("x", "10.0.1.3", {"app": "b"}, "here"),
    policies.Pod("x", "10.0.2.2", {"app": "a"}, "there"),
    policies.Pod("y", "10.0.2.3", {"app": "a"}, "there", HTTP),
]
DNS = frozenset({("172.30.0.2", "UDP", 10053)})


def policy(name="p", namespace="x", **spec):
    return {"metadata": {"namespace": namespace, "name": name}, "spec": {"podSelector": {}, **spec}}


def only_rule(direction, **entry):
    found = policies.isolation([policy(**{direction: [entry], "policyTypes": [direction.capitalize()]})],
                               PODS, SPACES, "here", DNS)  # fmt: skip
    (rule,) = found.rules[("x/p", direction)]
    return rule


def test_who_is_isolated():
    found = policies.isolation(
        [
            policy("both", podSelector={"matchLabels": {"app": "a"}}, policyTypes=["Ingress", "Egress"]),
            policy("in"),
            policy("elsewhere", "y"),
        ],
        PODS,
        SPACES,
        "here",
    )
    assert found.selected == {
        ("10.0.1.2", "ingress"): ("x/both", "x/in"),
        ("10.0.1.2", "egress"): ("x/both",),
        ("10.0.1.3", "ingress"): ("x/in",),
    }
    assert ("y/elsewhere", "ingress") not in found.rules, "none of its pods is here"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, ("ingress",)),
        ({"egress": [{}]}, ("ingress", "egress")),
        ({"policyTypes": ["Egress"]}, ("egress",)),
        ({"policyTypes": []}, ()),
    ],
)
def test_directions(spec, expected):
    assert policies.types_of(spec) == expected


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        ({"podSelector": {}}, {"10.0.1.2", "10.0.1.3", "10.0.2.2"}),
        ({"podSelector": {"matchLabels": {"app": "b"}}}, {"10.0.1.3"}),
        ({"namespaceSelector": {}}, {"10.0.1.2", "10.0.1.3", "10.0.2.2", "10.0.2.3"}),
        ({"namespaceSelector": {"matchLabels": {"team": "red"}}}, {"10.0.2.3"}),
        (
            {"namespaceSelector": {}, "podSelector": {"matchExpressions": [{"key": "app", "operator": "In",
                                                                            "values": ["a"]}]}},
            {"10.0.1.2", "10.0.2.2", "10.0.2.3"},
        ),
        ({"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.0.1.0/24"]}}, set()),
    ],
)  # fmt: skip
def test_peers(peer, expected):
    rule = only_rule("ingress", **{"from": [peer]})
    assert rule.peers == expected
    assert not rule.anyone
    assert bool(rule.blocks) == ("ipBlock" in peer)


@pytest.mark.parametrize(
    ("direction", "entry", "expected"),
    [
        # at the server: only the selected pod here that has a port of that name
        ("ingress", {"ports": [{"port": "http"}]}, {("10.0.1.2", "TCP", 8080)}),
        ("egress", {"ports": [{"port": "http"}]}, {("10.0.1.2", "TCP", 8080), ("10.0.2.3", "TCP", 8080)}),
        (
            "egress",
            {"ports": [{"port": "http"}], "to": [{"namespaceSelector": {"matchLabels": {"team": "red"}}}]},
            {("10.0.2.3", "TCP", 8080)},
        ),
        ("egress", {"ports": [{"port": "http", "protocol": "UDP"}]}, set()),
    ],
)
def test_named_ports(direction, entry, expected):
    assert only_rule(direction, **entry).named == expected


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"ports": [{"port": 53, "protocol": "UDP"}]}, True),
        ({"ports": [{"port": 50, "endPort": 60, "protocol": "UDP"}]}, True),
        ({"ports": [{"port": 443}]}, False),
        ({"to": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}}]}, True),
        ({"to": [{"podSelector": {}}]}, False),
        ({"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}], "ports": [{"port": 53}]}, True),
        ({"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["172.30.0.0/24"]}}]}, False),
    ],
)
def test_cluster_dns_is_a_pod_to_policies(entry, expected):
    assert only_rule("egress", **entry).dns is expected


def lines(direction="ingress", **entry):
    found = policies.isolation([policy(**{direction: [entry], "policyTypes": [direction.capitalize()]})],
                               PODS, SPACES, "here", DNS)  # fmt: skip
    state = rules.state(found)
    (chain,) = [body for name, body in state.chains.items() if name.startswith(f"{direction}-of-")]
    return list(chain)


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({}, ["accept"]),
        (
            {"ports": [{"port": 80}, {"port": 90, "endPort": 99}, {"port": 95, "endPort": 120}, {"protocol": "UDP"}]},
            ["meta l4proto tcp th dport { 80, 90-120 } accept", "meta l4proto udp accept"],
        ),
        (
            {"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16", "10.1.2.0/24"]}}]},
            ["ip saddr 10.0.0.0/8 ip saddr != { 10.1.0.0/16 } accept"],
        ),
        ({"from": [{"podSelector": {"matchLabels": {"app": "nobody"}}}]}, []),
    ],
)
def test_the_text_of_an_entry(entry, expected):
    assert lines(**entry) == expected


def test_a_change_writes_only_what_differs():
    spec = {"ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "b"}}}]}]}
    before = rules.state(policies.isolation([policy(**spec)], PODS, SPACES, "here"))
    assert not any(rules.change(before, before))
    more = [*PODS, policies.Pod("x", "10.0.2.9", {"app": "b"}, "there")]
    change = rules.change(before, rules.state(policies.isolation([policy(**spec)], more, SPACES, "here")))
    assert (change.before, change.after) == ("", "")
    text = change.switch
    assert text.count("\n") == 1
    assert text.startswith("add element ip kubeshim-policy peers-")
    assert text.rstrip().endswith("{ 10.0.2.9 }")


def test_no_verdict_ever_leads_to_an_empty_chain():
    states = [
        rules.state(policies.isolation(found, PODS, SPACES, "here"))
        for found in ([policy()], [policy(), policy("more", ingress=[{}])], [])
    ]
    for old, new in itertools.pairwise([rules.empty(), *states]):
        change = rules.change(old, new)
        for name in new.chains.keys() - old.chains.keys():
            assert all(f"add rule ip kubeshim-policy {name} {rule}\n" in change.before for rule in new.chains[name])
            assert f"goto {name}" not in change.before
        for name in old.chains.keys() - new.chains.keys():
            assert name not in change.before
            assert f"flush chain ip kubeshim-policy {name}" not in change.switch
            assert f"delete chain ip kubeshim-policy {name}\n" in change.after


def test_where_dns_answers():
    piece = {
        "endpoints": [{"addresses": ["172.30.0.2"]}, {"addresses": ["172.30.0.3"]}],
        "ports": [{"name": "dns", "port": 10053, "protocol": "UDP"}],
    }
    assert enforcer.dns_of([piece]) == [("172.30.0.2", "UDP", 10053), ("172.30.0.3", "UDP", 10053)]
