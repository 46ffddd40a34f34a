import pytest

from kubeshim.control_plane.api_server import request
from kubeshim.control_plane.api_server.admission import plugin, pod_security
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


@pytest.mark.parametrize(
    ("found", "baseline"),
    [
        (spec(), []),
        (spec({"privileged": True}), ['privileged (container "a" must not set securityContext.privileged=true)']),
        (spec(hostNetwork=True, hostPID=True), ["host namespaces (hostNetwork=true, hostPID=true)"]),
        (spec(volumes=[{"name": "v", "hostPath": {"path": "/"}}]), ['hostPath volumes (volume "v")']),
        (
            spec({"capabilities": {"add": ["NET_ADMIN", "CHOWN"]}}),
            [
                'non-default capabilities (container "a" must not include "NET_ADMIN" in '
                "securityContext.capabilities.add)"
            ],
        ),
        (
            {"containers": [{"name": "a", "ports": [{"hostPort": 80}]}]},
            ['hostPort (container "a" uses hostPort 80)'],
        ),
        (spec(securityContext={"sysctls": [{"name": "kernel.msgmax"}]}), ["forbidden sysctls (kernel.msgmax)"]),
        (
            spec(securityContext={"seccompProfile": {"type": "Unconfined"}}),
            ['seccompProfile (pod must not set securityContext.seccompProfile.type to "Unconfined")'],
        ),
    ],
)
def test_baseline(found, baseline):
    assert [str(finding) for finding in pod_security.evaluate(found, "baseline")] == baseline


def test_restricted():
    assert pod_security.evaluate(spec(SAFE), "restricted") == []
    assert [str(finding) for finding in pod_security.evaluate(spec(), "restricted")] == [
        'allowPrivilegeEscalation != false (container "a" must set securityContext.allowPrivilegeEscalation=false)',
        'unrestricted capabilities (container "a" must set securityContext.capabilities.drop=["ALL"])',
        'runAsNonRoot != true (pod or container "a" must set securityContext.runAsNonRoot=true)',
        'seccompProfile (pod or container "a" must set securityContext.seccompProfile.type to "RuntimeDefault" or '
        '"Localhost")',
    ]
    mounted = spec(SAFE, volumes=[{"name": "v", "nfs": {}}, {"name": "c", "configMap": {}}])
    assert [str(finding) for finding in pod_security.evaluate(mounted, "restricted")] == [
        'restricted volume types (volume "v" uses restricted volume type "nfs")'
    ]


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
