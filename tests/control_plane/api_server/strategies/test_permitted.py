"""What of an object only some may write, or only in some namespaces."""
# ruff: noqa: E501 (texts stand as they are sent)

import copy

import pytest

from kubeshim.control_plane.api_server import request
from kubeshim.control_plane.api_server.authorization import attributes
from kubeshim.control_plane.api_server.strategies import strategy, table
from kubeshim.machinery import builtin

BUILT_IN = {r.kind: r for r in builtin.load()}
TABLE = table.table(["10.96.0.0/16"], (30000, 32767))
ADMIN = "Forbidden: admin access to devices requires the `resource.kubernetes.io/admin-access: true` label on the containing namespace"


class Allowing:
    """Allows some (verb, resource/subresource, name)."""

    def __init__(self, *allowed):
        self.allowed = allowed

    def authorize(self, question):
        asked = (question.verb, f"{question.resource}/{question.subresource}", question.name)
        if asked in self.allowed:
            return attributes.Decision(attributes.Verdict.ALLOW)
        return attributes.NO_OPINION


class Namespaces:
    def __init__(self, **labels):
        self.labels = labels

    def get(self, gvr, namespace, name):
        return {"metadata": {"name": name, "labels": self.labels}} if name == "ns" else None


def told(kind, obj, old=None, *, subresource="", verb="update", allowed=(), labels=None, extra=None):
    found = BUILT_IN[kind]
    user = request.UserInfo("system:serviceaccount:ns:driver", extra=extra or {})
    asker = strategy.Asker(user, verb, subresource, Allowing(*allowed), Namespaces(**(labels or {})))
    return [str(problem) for problem in TABLE[found.strategy].permitted(found, obj, old, asker)]


def claim(**status):
    exactly = {"deviceClassName": "c", "adminAccess": True}
    spec = {"devices": {"requests": [{"name": "a"}, {"name": "b", "exactly": exactly}]}}
    return {"metadata": {"name": "x", "namespace": "ns"}, "spec": spec, "status": status}


def test_admin_access_needs_the_namespace_s_label():
    assert told("ResourceClaim", claim()) == [f"spec.devices.requests[1].adminAccess: {ADMIN}"]
    template = {"metadata": {"name": "x", "namespace": "ns"}, "spec": {"spec": claim()["spec"]}}
    assert told("ResourceClaimTemplate", template) == [f"spec.devices.requests[1].adminAccess: {ADMIN}"]
    labels = {"resource.kubernetes.io/admin-access": "true"}
    assert told("ResourceClaim", claim(), labels=labels) == []
    assert told("ResourceClaim", claim(), claim()) == []


KIND = {"apiVersion": "v1", "kind": "ConfigMap"}
MAY = ("get", "*/", "*")


def test_who_lets_a_policy_read_parameters_may_read_them():
    def policy(**spec):
        rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
        constraints = {"resourceRules": [rule], "namespaceSelector": {}, "objectSelector": {}}
        constraints["matchPolicy"] = "Equivalent"
        spec = {"matchConstraints": constraints, "validations": [{"expression": "true"}], **spec}
        return {"metadata": {"name": "x"}, "spec": {"failurePolicy": "Fail", **spec}}

    wrong = 'spec.paramKind: Forbidden: user &{system:serviceaccount:ns:driver  [] map[]} must have "get" permission on all objects of the referenced paramKind (kind=ConfigMap, apiVersion=v1)'
    assert told("ValidatingAdmissionPolicy", policy(paramKind=KIND)) == [wrong]
    assert told("ValidatingAdmissionPolicy", policy(paramKind=KIND), allowed=[MAY]) == []
    assert told("ValidatingAdmissionPolicy", policy(paramKind=KIND), policy(paramKind=KIND)) == []
    assert told("ValidatingAdmissionPolicy", policy()) == []
    reference = {"name": "a", "namespace": "b", "parameterNotFoundAction": "Deny"}
    spec = {"policyName": "x", "validationActions": ["Deny"], "paramRef": reference}
    wrong = 'spec.paramRef: Forbidden: user &{system:serviceaccount:ns:driver  [] map[]} does not have "get" permission on the object referenced by paramRef'
    assert told("ValidatingAdmissionPolicyBinding", {"metadata": {"name": "x"}, "spec": spec}) == [wrong]


RESULT = {"request": "b", "driver": "d", "pool": "p", "device": "e", "adminAccess": True}
ON_NODE = {"nodeSelectorTerms": [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n"]}]}]}
ALLOCATION = {"devices": {"results": [RESULT]}, "nodeSelector": ON_NODE}
BINDING = ("update", "resourceclaims/binding", "")


def test_admin_access_is_not_given_without_the_label_either():
    given = claim(allocation=ALLOCATION)
    path = "status.allocation.devices.results[0].adminAccess"
    assert told("ResourceClaim", given, claim(), subresource="status", allowed=[BINDING]) == [f"{path}: {ADMIN}"]
    assert told("ResourceClaim", given, given, subresource="status") == []


def test_claims_are_bound_by_who_may():
    old = claim(allocation=ALLOCATION)
    new = claim(allocation=ALLOCATION, reservedFor=[{"resource": "pods", "name": "p", "uid": "u"}])
    assert told("ResourceClaim", new, old, subresource="status", allowed=[BINDING]) == []
    [text] = told("ResourceClaim", new, old, subresource="status", verb="patch")
    assert text == (
        'status: Forbidden: changing status.allocation or status.reservedFor requires resource="resourceclaims/binding", '
        'verb="patch" permission: resourceclaims.resource.k8s.io is forbidden: User "system:serviceaccount:ns:driver" '
        'cannot patch resource "resourceclaims/binding" in API group "resource.k8s.io" at the cluster scope'
    )


@pytest.mark.parametrize(
    ("verb", "node", "fine"),
    [
        ("arbitrary-node:update", "", True),
        ("associated-node:update", "n", True),
        ("associated-node:update", "m", False),
        ("associated-node:update", "", False),
        ("update", "n", False),
    ],
)
def test_devices_are_their_driver_s(verb, node, fine):
    old = claim(allocation=ALLOCATION)
    new = claim(allocation=ALLOCATION, devices=[{"driver": "d", "pool": "p", "device": "e"}])
    extra = {"authentication.kubernetes.io/node-name": (node,)} if node else {}
    allowed = [(verb, "resourceclaims/driver", "d")]
    wrong = told("ResourceClaim", new, old, subresource="status", allowed=allowed, extra=extra)
    assert bool(wrong) is not fine
    if wrong:
        verbs = "[associated-node:update arbitrary-node:update]" if node == "n" else "[arbitrary-node:update]"
        start = f'status: Forbidden: changing status.devices requires resource="resourceclaims/driver", verb="{verbs}" permission: '
        assert wrong[0].startswith(start)


def test_what_is_said_of_a_device_goes_with_its_allocation():
    said = [{"driver": "d", "pool": "p", "device": "e"}, {"driver": "d", "pool": "p", "device": "other"}]
    old, new = claim(allocation=ALLOCATION, devices=said), claim(devices=copy.deepcopy(said))
    found = BUILT_IN["ResourceClaim"]
    TABLE[found.strategy].prepare_for_status_update(found, new, old)
    assert new["status"]["devices"] == said[1:]


def test_certificates_of_pods_are_their_signer_s():
    def asked(**status):
        spec = {"signerName": "a.b/c", "pkixPublicKey": ""}
        return {"metadata": {"name": "x", "namespace": "ns"}, "spec": spec, "status": status}

    failed = asked(
        conditions=[
            {
                "type": "Failed",
                "status": "True",
                "reason": "r",
                "message": "m",
                "lastTransitionTime": "2020-01-01T00:00:00Z",
            }
        ]
    )
    wrong = 'spec.signerName: Forbidden: User "system:serviceaccount:ns:driver" is not permitted to "sign" for signer "a.b/c"'
    assert told("PodCertificateRequest", failed, asked(), subresource="status") == [wrong]
    assert told("PodCertificateRequest", failed, failed, subresource="status") == []
    for name in ("a.b/c", "a.b/*"):
        assert (
            told("PodCertificateRequest", failed, asked(), subresource="status", allowed=[("sign", "signers/", name)])
            == []
        )
