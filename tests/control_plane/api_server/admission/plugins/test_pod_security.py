import pytest

from kubeshim.control_plane.api_server import request
from kubeshim.control_plane.api_server.admission import plugin
from kubeshim.control_plane.api_server.admission.plugins import pod_security as plugins
from kubeshim.machinery import errors, resources

PODS = resources.Resource("", "v1", "pods", "Pod", True, ())
NAMESPACES = resources.Resource("", "v1", "namespaces", "Namespace", False, ())
DEPLOYMENTS = resources.Resource("apps", "v1", "deployments", "Deployment", True, ())

SAFE = {
    "allowPrivilegeEscalation": False,
    "runAsNonRoot": True,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


def spec(context=None, **fields):
    return {"containers": [{"name": "a", "image": "a:1", "securityContext": context or {}}], **fields}


class Reader:
    def __init__(self, labels, pods=()):
        self.labels, self.pods = labels, list(pods)

    def get(self, gvr, namespace, name):
        return {"metadata": {"name": name, "labels": self.labels}}

    def list(self, gvr, namespace=""):
        return self.pods


def ask(resource, obj, reader, operation="CREATE", old=None):
    attributes = plugin.Attributes(request.UserInfo("u"), operation, resource, "", "n", "", obj, old, {}, False, [])
    plugins.PodSecurity().validate(attributes, reader)
    return attributes.warnings


def labels(**modes):
    return {f"pod-security.kubernetes.io/{mode.replace('_', '-')}": value for mode, value in modes.items()}


def test_enforced_levels_refuse():
    reader = Reader(labels(enforce="baseline", enforce_version="v1.30"))
    with pytest.raises(errors.Forbidden) as caught:
        ask(PODS, {"metadata": {"name": "a"}, "spec": spec({"privileged": True})}, reader)
    assert caught.value.message == (
        'pods "a" is forbidden: violates PodSecurity "baseline:v1.30": privileged (container "a" must not set '
        "securityContext.privileged=true)"
    )
    ask(PODS, {"metadata": {"name": "a"}, "spec": spec()}, reader)


def test_warnings_reach_workloads():
    deployment = {"metadata": {"name": "a"}, "spec": {"template": {"spec": spec({"privileged": True})}}}
    assert ask(DEPLOYMENTS, deployment, Reader(labels(enforce="baseline", warn="baseline"))) == [
        'would violate PodSecurity "baseline:latest": privileged (container "a" must not set '
        "securityContext.privileged=true)"
    ]


def test_namespaces():
    old = {"metadata": {"name": "n"}}
    new = {"metadata": {"name": "n", "labels": labels(enforce="restricted")}}
    pods = [{"metadata": {"name": name}, "spec": spec({**SAFE, "privileged": True})} for name in ("b", "a")]
    assert ask(NAMESPACES, new, Reader({}, pods), "UPDATE", old) == [
        'existing pods in namespace "n" violate the new PodSecurity enforce level "restricted:latest"',
        "a (and 1 other pod): privileged",
    ]
    new["metadata"]["labels"] = labels(enforce="strict")
    with pytest.raises(errors.Invalid, match="must be one of privileged, baseline, restricted"):
        ask(NAMESPACES, new, Reader({}), "UPDATE", old)
