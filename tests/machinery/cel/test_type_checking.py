"""What a policy's status says of its expressions, by types as OpenAPI documents have them."""

import pytest

from kubeshim.machinery import resources
from kubeshim.machinery.cel import type_checking
from kubeshim.machinery.openapi import resolving

MISMATCH = "found no matching overload for '_==_' applied to '(string, int)'"
STRING, LOOP = {"type": "string"}, {"$ref": "#/components/schemas/Loop"}
KINDS = {
    ("apps", "v1", "deployments"): ["Deployment"], ("", "v1", "events"): ["Event"], ("", "v1", "pods"): ["Pod"],
}  # fmt: skip
DOCUMENT = {
    "components": {
        "schemas": {
            "Deployment": {
                "type": "object",
                "properties": {
                    "foo": STRING,
                    "bar": {"allOf": [LOOP], "description": "…"},
                    "number": {"type": "integer"},
                },
                "x-kubernetes-group-version-kind": [{"group": "apps", "version": "v1", "kind": "Deployment"}],
            },
            "Pod": {
                "type": "object",
                "properties": {"port": {"format": "int-or-string", "oneOf": [{}, {}]}, "quantity": {"oneOf": [{}, {}]}},
                "x-kubernetes-group-version-kind": [{"group": "", "version": "v1", "kind": "Pod"}],
            },
            "Loop": {"type": "object", "properties": {"inner": LOOP, "foo": STRING}},
            "Free": {"x-kubernetes-group-version-kind": [{"group": "x.io", "version": "v1", "kind": "Free"}]},
        }
    }
}


def kinds_for(group, version, resource):
    return [resources.GroupVersionKind(group, version, kind) for kind in KINDS.get((group, version, resource), ())]


def schema_of(kind):
    return resolving.schema_of(DOCUMENT, kind.group, kind.version, kind.kind)


def rule(groups=("apps",), versions=("v1",), names=("deployments",)):
    return {"apiGroups": list(groups), "apiVersions": list(versions), "resources": list(names)}


def spec(*expressions, rules=None, **more):
    validations = [{"expression": one} if isinstance(one, str) else one for one in expressions]
    return {"matchConstraints": {"resourceRules": rules or [rule()]}, "validations": validations, **more}


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ([], []),
        ([rule()], ["apps/Deployment"]),
        ([rule(), rule([""], names=["pods"])], ["/Pod", "apps/Deployment"]),
        ([rule(names=["*"])], []),
        ([rule(names=["pods/*", "deployments/scale"])], []),
        ([rule(), rule(versions=["*"])], ["apps/Deployment"]),
        ([rule(["apps", "*"])], []),
    ],
)
def test_which_types_are_looked_at(rules, expected):
    found = type_checking.types_to_check({"matchConstraints": {"resourceRules": rules}}, kinds_for)
    assert [f"{kind.group}/{kind.kind}" for kind in found] == expected


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (spec("object.foo == 'a' && object.metadata.name == 'b' && request.kind == request.requestKind"), {}),
        (spec("object.foo == 1"), {"0].expression": MISMATCH}),
        (spec("object.bar.inner.foo == 'a'"), {"0].expression": "undefined field 'foo'"}),
        (
            spec("true", {"expression": "true", "messageExpression": "object.nope"}),
            {"1].messageExpression": "undefined field 'nope'"},
        ),
        (spec("authorizer.allowed()"), {
            "0].expression": "found no matching overload for 'allowed' applied to "
                             "'kubernetes.authorization.Authorizer.()'",
        }),
        (spec("variables.a == 1 && variables.b.x == 1 && variables.c == 1", variables=[
            {"name": "a", "expression": "object.number"}, {"name": "b", "expression": "object.bar"},
            {"name": "c", "expression": "object.nope"},
        ]), {}),
        (spec("variables.a == 1", variables=[{"name": "a", "expression": "object.foo"}]),
         {"0].expression": MISMATCH}),
        (spec("params.x == 1", paramKind={"apiVersion": "x.io/v1", "kind": "Free"}), {}),
        (spec("params.foo == 1", paramKind={"apiVersion": "apps/v1", "kind": "Deployment"}),
         {"0].expression": MISMATCH}),
        (spec("params.x == 1", paramKind={"apiVersion": "x.io/v1", "kind": "Missing"}),
         {"0].expression": "undeclared reference to 'params' (in container '')"}),
        (spec("object.port == 1 && object.port == 'http'", rules=[rule([""], names=["pods"])]), {}),
        (spec("object.quantity == 1", rules=[rule([""], names=["pods"])]),
         {"0].expression": "undefined field 'quantity'"}),
        (spec("object.nope == 1", rules=[rule([""], names=["events"])]), {}),
    ],
)  # fmt: skip
def test_warnings(policy, expected):
    found = {one["fieldRef"]: one["warning"] for one in type_checking.warnings(policy, kinds_for, schema_of)}
    assert [*found] == [f"spec.validations[{path}" for path in expected]
    for text, wanted in zip(found.values(), expected.values(), strict=True):
        assert f": {wanted}\n" in text


def test_each_type_has_a_part_of_its_own():
    policy = spec("object.nope == 1", rules=[rule(), rule([""], names=["pods"])])
    assert [one["warning"] for one in type_checking.warnings(policy, kinds_for, schema_of)] == [
        "/v1, Kind=Pod: ERROR: <input>:1:7: undefined field 'nope'\n | object.nope == 1\n | ......^\n\n"
        "apps/v1, Kind=Deployment: ERROR: <input>:1:7: undefined field 'nope'\n | object.nope == 1\n | ......^\n"
    ]
