import pytest

from kubeshim.control_plane.api_server.authorization import rules


def one(**rule):
    return rules.compile_rules([rule])[0]


PODS = one(verbs=["get", "list"], apiGroups=[""], resources=["pods", "pods/log"])
NAMED = one(verbs=["*"], apiGroups=["apps"], resources=["deployments"], resourceNames=["web"])
SCALE = one(verbs=["get"], apiGroups=["*"], resources=["*/scale"])
ALL = one(verbs=["*"], apiGroups=["*"], resources=["*"])


@pytest.mark.parametrize(
    ("rule", "question", "answer"),
    [
        (PODS, ("get", "", "pods", "", "x"), True),
        (PODS, ("get", "", "pods", "log", "x"), True),
        (PODS, ("get", "", "pods", "exec", "x"), False),
        (PODS, ("get", "apps", "pods", "", "x"), False),
        (PODS, ("delete", "", "pods", "", "x"), False),
        (NAMED, ("delete", "apps", "deployments", "", "web"), True),
        (NAMED, ("delete", "apps", "deployments", "", "other"), False),
        (NAMED, ("create", "apps", "deployments", "", ""), False),
        (SCALE, ("get", "apps", "deployments", "scale", "x"), True),
        (SCALE, ("get", "apps", "deployments", "", "x"), False),
        (ALL, ("escalate", "rbac.authorization.k8s.io", "roles", "", ""), True),
    ],
)
def test_a_rule_allows(rule, question, answer):
    assert rule.allows(*question) is answer


@pytest.mark.parametrize(
    ("urls", "path", "answer"),
    [
        (["/healthz"], "/healthz", True),
        (["/healthz"], "/healthz/ping", False),
        (["/healthz/*"], "/healthz/ping", True),
        (["*"], "/anything", True),
        (["/api*"], "/apis", True),
    ],
)
def test_a_rule_allows_a_path(urls, path, answer):
    assert one(verbs=["get"], nonResourceURLs=urls).allows_url("get", path) is answer


@pytest.mark.parametrize(
    ("held", "wanted", "missing"),
    [
        ([ALL], [PODS, NAMED, SCALE], []),
        ([PODS], [PODS], []),
        (
            [PODS],
            [one(verbs=["get", "delete"], apiGroups=[""], resources=["pods"])],
            ['Resources:["pods"], Verbs:["delete"]'],
        ),
        ([NAMED], [one(verbs=["get"], apiGroups=["apps"], resources=["deployments"])], ['Verbs:["get"]']),
        ([SCALE], [one(verbs=["get"], apiGroups=["apps"], resources=["deployments/scale"])], []),
        ([ALL], [one(verbs=["get"], nonResourceURLs=["/metrics"])], ['NonResourceURLs:["/metrics"]']),
        ([one(verbs=["get"], nonResourceURLs=["/a/*"])], [one(verbs=["get"], nonResourceURLs=["/a/b"])], []),
        (
            [
                one(verbs=["get"], apiGroups=[""], resources=["pods"]),
                one(verbs=["list"], apiGroups=[""], resources=["pods"]),
            ],
            [one(verbs=["get", "list"], apiGroups=[""], resources=["pods"])],
            [],
        ),
    ],
)
def test_rules_cover_others(held, wanted, missing):
    found = [rules.text(rule) for rule in rules.compact(rules.uncovered(held, wanted))]
    assert len(found) == len(missing)
    assert all(part in text for part, text in zip(missing, found, strict=True))
