"""Objects of another kind than the one expected."""

import pytest

from kubeshim.machinery import resources, scheme

POD = resources.GroupVersionKind("", "v1", "Pod")
ROLE = resources.GroupVersionKind("rbac.authorization.k8s.io", "v1", "Role")
AUTOSCALER = resources.GroupVersionKind("autoscaling", "v2", "HorizontalPodAutoscaler")
EVENT = resources.GroupVersionKind("events.k8s.io", "v1", "Event")


@pytest.mark.parametrize(
    ("api_version", "kind", "expected", "text"),
    [
        ("v1", "Pod", POD, ""),
        ("autoscaling/v1", "HorizontalPodAutoscaler", AUTOSCALER, ""),
        ("v1", "Event", EVENT, ""),
        ("apps/v1", "Deployment", POD, "converting (v1.Deployment) to (core.Pod): unknown conversion"),
        ("v1", "Pod", ROLE, "converting (v1.Pod) to (rbac.Role): unknown conversion"),
        (
            "apps/v9",
            "Deployment",
            POD,
            'no kind "Deployment" is registered for version "apps/v9" in scheme "pkg/api/legacyscheme/scheme.go:30"',
        ),
    ],
)
def test_refusals(api_version, kind, expected, text):
    assert scheme.refusal(api_version, kind, expected) == text
