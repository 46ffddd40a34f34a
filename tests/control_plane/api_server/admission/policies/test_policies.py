"""Policies at a real server: whom they concern, what they deny, warn of and change, and when they cannot be asked."""

import pytest

from tests.control_plane.api_server.subresources import conftest as kit

secure = kit.secure
GROUP = "/apis/admissionregistration.k8s.io/v1"
MAPS = "/api/v1/namespaces/ruled/configmaps"
FORBIDDEN = "Forbidden"
RULE = {"operations": ["CREATE", "UPDATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]}


@pytest.fixture(scope="module", autouse=True)
def namespace(secure):
    secure.ask("POST", "/api/v1/namespaces", {"metadata": {"name": "ruled", "labels": {"tier": "gold"}}})


@pytest.fixture
def policy(secure):
    """Writes a policy and its binding; both go in the end."""
    made = []

    def write(*, mutations=None, rules=(RULE,), binding=None, expect=201, **spec):
        kind = "mutating" if mutations else "validating"
        paths = (f"{GROUP}/{kind}admissionpolicies", f"{GROUP}/{kind}admissionpolicybindings")
        body = {"matchConstraints": {"resourceRules": list(rules)}, **spec}
        if mutations:
            body |= {"mutations": mutations, "reinvocationPolicy": spec.get("reinvocationPolicy", "Never")}
        bound = {"policyName": "p", **({} if mutations else {"validationActions": ["Deny"]}), **(binding or {})}
        answer = secure.ask("POST", paths[0], {"metadata": {"name": "p"}, "spec": body})
        assert answer.status == expect, answer.body
        if expect != 201:
            return answer
        made.append(f"{paths[0]}/p")
        answer = secure.ask("POST", paths[1], {"metadata": {"name": "b"}, "spec": bound})
        assert answer.status == 201, answer.body
        made.append(f"{paths[1]}/b")
        return answer

    yield write
    for path in made:
        secure.ask("DELETE", path)
    for item in secure.ask("GET", MAPS).body["items"]:
        secure.ask("DELETE", f"{MAPS}/{item['metadata']['name']}")


def config(name="it", **data):
    return {"metadata": {"name": name}, "data": data}


def denied(text):
    return f"configmaps \"it\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: {text}"


@pytest.mark.parametrize(
    ("validation", "code", "reason", "text"),
    [
        ({"expression": "object.data.a == '1'"}, 422, "Invalid", "failed expression: object.data.a == '1'"),
        ({"expression": "object.data.a == '1'", "message": "a must be 1"}, 422, "Invalid", "a must be 1"),
        (
            {"expression": "object.data.a == '1'", "messageExpression": "'not ' + object.data.a", "reason": FORBIDDEN},
            403, FORBIDDEN, "not 2",
        ),
        ({"expression": "variables.short", "message": "too long"}, 422, "Invalid", "too long"),
        (
            {"expression": "object.data.b == '1'"}, 422, "Invalid",
            "expression 'object.data.b == '1'' resulted in error: no such key: b",
        ),
        ({"expression": "namespaceObject.metadata.labels.tier == 'silver'", "message": "gold"}, 422, "Invalid", "gold"),
    ],
)  # fmt: skip
def test_denials(secure, policy, validation, code, reason, text):
    policy(validations=[validation], variables=[{"name": "short", "expression": "size(object.data) > 5"}])
    answer = secure.ask("POST", MAPS, config(a="2"))
    assert (answer.status, answer.body["reason"], answer.body["message"]) == (code, reason, denied(text))
    assert [cause["message"] for cause in answer.body["details"]["causes"]] == [denied(text).partition(": ")[2]]
    assert secure.ask("GET", f"{MAPS}/it").status == 404


@pytest.mark.parametrize(
    "spec",
    [
        {"rules": [{**RULE, "operations": ["DELETE"]}]},
        {"rules": [{**RULE, "resourceNames": ["other"]}]},
        {"matchConditions": [{"name": "never", "expression": "request.operation == 'DELETE'"}]},
        {"matchConstraints": {"resourceRules": [RULE], "excludeResourceRules": [RULE]}},
        {"matchConstraints": {"resourceRules": [RULE], "namespaceSelector": {"matchLabels": {"tier": "no"}}}},
        {"binding": {"matchResources": {"objectSelector": {"matchLabels": {"no": "such"}}}}},
        {"binding": {"policyName": "another"}},
    ],
)
def test_whom_it_does_not_concern(secure, policy, spec):
    policy(validations=[{"expression": "false"}], **spec)
    assert secure.ask("POST", MAPS, config()).status == 201


def test_warnings(secure, policy):
    policy(validations=[{"expression": "false", "message": "mind"}], binding={"validationActions": ["Warn"]})
    connection = secure.ask("POST", MAPS, config())
    assert connection.status == 201


def test_parameters(secure, policy):
    for name, limit in (("small", "1"), ("large", "3")):
        body = {"metadata": {"name": name, "labels": {"limit": "yes"}}, "data": {"limit": limit}}
        assert secure.ask("POST", MAPS, body).status == 201
    reference = {"selector": {"matchLabels": {"limit": "yes"}}, "parameterNotFoundAction": "Deny"}
    policy(
        paramKind={"apiVersion": "v1", "kind": "ConfigMap"}, binding={"paramRef": reference},
        validations=[{"expression": "size(object.data) <= int(params.data.limit)", "message": "too many"}],
    )  # fmt: skip
    assert secure.ask("POST", MAPS, config(a="1", b="2")).body["message"] == denied("too many")
    secure.ask("DELETE", f"{MAPS}/small")
    assert secure.ask("POST", MAPS, config(a="1", b="2")).status == 201


@pytest.mark.parametrize(("failure", "status"), [("Fail", 422), ("Ignore", 201)])
def test_a_parameter_that_is_missing(secure, policy, failure, status):
    reference = {"name": "none", "namespace": "ruled", "parameterNotFoundAction": "Deny"}
    policy(
        paramKind={"apiVersion": "v1", "kind": "ConfigMap"}, binding={"paramRef": reference}, failurePolicy=failure,
        validations=[{"expression": "true"}],
    )  # fmt: skip
    answer = secure.ask("POST", MAPS, config())
    assert answer.status == status
    if status != 201:
        assert answer.body["message"] == denied(
            "failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction"
        )


def test_what_does_not_compile_is_refused(policy):
    answer = policy(validations=[{"expression": "object.x ="}], expect=422)
    [cause] = answer.body["details"]["causes"]
    assert cause["field"] == "spec.validations[0].expression"
    assert "compilation failed" in cause["message"]


APPLY = "ApplyConfiguration"


@pytest.mark.parametrize(
    ("mutations", "data", "labels"),
    [
        (
            [{"patchType": APPLY, "applyConfiguration": {"expression":
                "Object{data: {'a': '2', 'c': object.data.a}}"}}],
            {"a": "2", "b": "1", "c": "1"}, None,
        ),
        (
            [{"patchType": "JSONPatch", "jsonPatch": {"expression":
                "[JSONPatch{op: 'test', path: '/data/a', value: '1'}, JSONPatch{op: 'remove', path: '/data/b'}]"}}],
            {"a": "1"}, None,
        ),
        (
            [
                {"patchType": APPLY, "applyConfiguration": {"expression":
                    "Object{metadata: Object.metadata{labels: {'n': 'x'}}}"}},
                {"patchType": APPLY, "applyConfiguration": {"expression":
                    "Object{data: {'label': object.metadata.labels.n}}"}},
            ],
            {"a": "1", "b": "1", "label": "x"}, {"n": "x"},
        ),
        (
            [{"patchType": "JSONPatch", "jsonPatch": {"expression":
                "[JSONPatch{op: 'test', path: '/data/a', value: '2'}, JSONPatch{op: 'remove', path: '/data/b'}]"}}],
            {"a": "1", "b": "1"}, None,
        ),
    ],
)  # fmt: skip
def test_mutations(secure, policy, mutations, data, labels):
    policy(mutations=mutations)
    made = secure.ask("POST", MAPS, config(a="1", b="1"))
    assert made.status == 201, made.body
    assert made.body["data"] == data
    assert made.body["metadata"].get("labels") == labels


def test_lists_are_merged_by_their_keys(secure, policy):
    rule = {"operations": ["CREATE"], "apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments"]}
    expression = """Object{spec: Object.spec{template: Object.spec.template{spec: Object.spec.template.spec{
        initContainers: [Object.spec.template.spec.initContainers{name: "added", image: "y"}]}}}}"""
    policy(rules=[rule], mutations=[{"patchType": APPLY, "applyConfiguration": {"expression": expression}}])
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {
        "containers": [{"name": "c", "image": "x"}], "initContainers": [{"name": "first", "image": "x"}],
    }}  # fmt: skip
    body = {"metadata": {"name": "d"}, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template}}
    made = secure.ask("POST", "/apis/apps/v1/namespaces/ruled/deployments", body).body
    found = made["spec"]["template"]["spec"]["initContainers"]
    assert [(one["name"], one["image"], one["imagePullPolicy"]) for one in found] == [
        ("first", "x", "Always"), ("added", "y", "Always"),
    ]  # fmt: skip


def test_what_is_atomic_cannot_be_merged(secure, policy):
    rule = {"operations": ["CREATE"], "apiGroups": ["networking.k8s.io"], "apiVersions": ["v1"], "resources": ["*"]}
    expression = "Object{spec: Object.spec{policyTypes: ['Egress']}}"
    policy(rules=[rule], mutations=[{"patchType": APPLY, "applyConfiguration": {"expression": expression}}])
    body = {"metadata": {"name": "n"}, "spec": {"podSelector": {}}}
    answer = secure.ask("POST", "/apis/networking.k8s.io/v1/namespaces/ruled/networkpolicies", body)
    assert answer.status == 403
    assert "may not mutate atomic arrays, maps or structs: .spec.policyTypes" in answer.body["message"]


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        (
            "Object{metadata: Object.data{}}",
            'type mismatch: unexpected type name "Object.data", expected "Object.metadata", which matches field name '
            "path from root Object type",
        ),
        (
            "Object{nope: 'x'}",
            "error applying patch: failed to convert patch object to typed object: .nope: field not declared in schema",
        ),
        ("Object{data: {'c': object.data.b}}", "{e} resulted in error: no such key: b"),
    ],
)
def test_mutations_that_fail(secure, policy, expression, problem):
    policy(mutations=[{"patchType": APPLY, "applyConfiguration": {"expression": expression}}])
    answer = secure.ask("POST", MAPS, config(a="1"))
    problem = problem.replace("{e}", f"expression '{expression}'")
    text = f"policy 'p' with binding 'b' denied request: {problem}"
    assert (answer.status, answer.body["reason"], answer.body["message"]) == (403, "Invalid", text)
    assert answer.body["details"]["causes"] == [{"message": text}]


@pytest.mark.parametrize(("failure", "status"), [("Fail", 422), ("Ignore", 201)])
def test_audit_annotations_must_have_values(secure, policy, failure, status):
    annotations = [{"key": "k", "valueExpression": "string(object.data.b)"}]
    policy(auditAnnotations=annotations, failurePolicy=failure, binding={"validationActions": ["Audit"]})
    answer = secure.ask("POST", MAPS, config(a="1"))
    assert answer.status == status
    if status != 201:
        text = denied("expression 'string(object.data.b)' resulted in error: no such key: b")
        assert answer.body["message"] == text


def test_long_expressions_stop(secure, policy):
    many = "[1,2,3,4,5,6,7,8,9,10]"
    loops = "".join(f"{many}.all(x{n}, " for n in range(8)) + "x0 > 0" + ")" * 8
    policy(validations=[{"expression": loops}])
    assert "cost limit exceeded" in secure.ask("POST", MAPS, config()).body["message"]
