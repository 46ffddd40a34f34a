"""Webhook configurations, admission policies and flow control: bad objects and the genuine texts."""
# ruff: noqa: E501 (texts stand as they are sent)

import copy

import pytest

from kubeshim.machinery.validation import admission_policies, flow_control, webhooks

RULE = {"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}
HOOK = {
    "name": "a.example.com", "admissionReviewVersions": ["v1"], "sideEffects": "None", "rules": [RULE],
    "clientConfig": {"url": "https://example.com/x"}, "failurePolicy": "Fail", "matchPolicy": "Equivalent",
}  # fmt: skip


def texts(problems):
    return [str(problem) for problem in problems]


def hook(**changes):
    return {"webhooks": [{**copy.deepcopy(HOOK), **changes}]}


@pytest.mark.parametrize(
    ("groups", "plurals", "named"),
    [
        (["authentication.k8s.io"], ["tokenreviews", "tokenreviews", "pods"], ["tokenreviews.authentication.k8s.io"]),
        (["", "authorization.k8s.io"], ["subjectaccessreviews"], ["subjectaccessreviews.authorization.k8s.io"]),
        (["*"], ["tokenreviews"], []),
        (["authentication.k8s.io"], ["tokenreviews", "*"], []),
        (["example.com"], ["tokenreviews"], []),
    ],
)
def test_warnings_of_rules_without_effect(groups, plurals, named):
    found = hook(rules=[RULE, {**RULE, "apiGroups": groups, "resources": plurals}])
    texts = [
        f"webhooks[0].rules[1]: {one} is excluded from admission webhooks; this rule will have no effect"
        for one in named
    ]
    assert webhooks.warn(found, None) == texts


FORM = "; desired format: https://host[/path]"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"name": "a"}, ['name: Invalid value: "a": should be a domain with at least three segments separated by dots']),
        ({"name": ""}, ["name: Required value"]),
        ({"sideEffects": None}, ["sideEffects: Required value: must specify one of None, NoneOnDryRun"]),
        (
            {"sideEffects": "Some"},
            ['sideEffects: Unsupported value: "Some": supported values: "None", "NoneOnDryRun"'],
        ),
        (
            {"timeoutSeconds": 31},
            ["timeoutSeconds: Invalid value: 31: the timeout value must be between 1 and 30 seconds"],
        ),
        ({"failurePolicy": "x"}, ['failurePolicy: Unsupported value: "x": supported values: "Fail", "Ignore"']),
        ({"matchPolicy": "x"}, ['matchPolicy: Unsupported value: "x": supported values: "Equivalent", "Exact"']),
        (
            {"reinvocationPolicy": "x"},
            ['reinvocationPolicy: Unsupported value: "x": supported values: "IfNeeded", "Never"'],
        ),
        (
            {"admissionReviewVersions": []},
            ["admissionReviewVersions: Required value: must specify one of v1, v1beta1"],
        ),
        (
            {"admissionReviewVersions": ["v2", "v2"]},
            [
                'admissionReviewVersions[1]: Invalid value: "v2": duplicate version',
                'admissionReviewVersions: Invalid value: ["v2","v2"]: must include at least one of v1, v1beta1',
            ],
        ),
        ({"clientConfig": {}}, ["clientConfig: Required value: exactly one of url or service is required"]),
        (
            {"clientConfig": {"url": "http://u@example.com/?a#b"}},
            [
                f"clientConfig.url: Invalid value: \"http\": 'https' is the only allowed URL scheme{FORM}",
                'clientConfig.url: Invalid value: "u": user information is not permitted in the URL',
                'clientConfig.url: Invalid value: "b": fragments are not permitted in the URL',
                'clientConfig.url: Invalid value: "a": query parameters are not permitted in the URL',
            ],
        ),
        (
            {"clientConfig": {"service": {"name": "s", "port": 0, "path": "x//y"}}},
            [
                "clientConfig.service.namespace: Required value: service namespace is required",
                "clientConfig.service.port: Invalid value: 0: port is not valid: must be between 1 and 65535, inclusive",
                "clientConfig.service.path: Invalid value: \"x//y\": must start with a '/'",
                'clientConfig.service.path: Invalid value: "x//y": segment[0] may not be empty',
                'clientConfig.service.path: Invalid value: "x//y": segment[1] may not be empty',
            ],
        ),
        (
            {"rules": [{**RULE, "operations": ["*", "CREATE"], "apiGroups": [], "apiVersions": ["*", "v1"]}]},
            [
                'rules[0].operations: Invalid value: ["*","CREATE"]: if \'*\' is present, must not specify other operations',
                "rules[0].apiGroups: Required value",
                'rules[0].apiVersions: Invalid value: ["*","v1"]: if \'*\' is present, must not specify other API versions',
            ],
        ),
        (
            {"rules": [{**RULE, "operations": ["READ"], "scope": "x", "resources": ["pods/*", "pods/log", "", "*/*"]}]},
            [
                'rules[0].operations[0]: Unsupported value: "READ": supported values: "*", "CONNECT", "CREATE", "DELETE", "UPDATE"',
                "rules[0].resources[1]: Invalid value: \"pods/log\": if 'pods/*' is present, must not specify pods/log",
                "rules[0].resources[2]: Required value",
                'rules[0].resources: Invalid value: ["pods/*","pods/log","","*/*"]: if \'*/*\' is present, must not specify other resources',
                'rules[0].scope: Unsupported value: "x": supported values: "*", "Cluster", "Namespaced"',
            ],
        ),
        (
            {"matchConditions": [{"name": "a", "expression": " "}, {"name": "a", "expression": "true"}, {"expression": "1"}]},
            [
                "matchConditions[0].expression: Required value",
                'matchConditions[1].name: Duplicate value: "a"',
                'matchConditions[2].expression: Invalid value: "1": must evaluate to bool but got int',
                "matchConditions[2].name: Required value",
            ],
        ),
    ],
)  # fmt: skip
def test_webhooks(changes, expected):
    assert texts(webhooks.configuration(hook(**changes))) == [f"webhooks[0].{text}" for text in expected]


def test_what_was_wrong_with_an_old_webhook_may_stay():
    twice = {"webhooks": [dict(HOOK, sideEffects="Some"), dict(HOOK, admissionReviewVersions=["v9"])]}
    assert webhooks.configuration_update(twice, twice) == []
    assert len(webhooks.configuration(twice)) == 3


def policy(**changes):
    match = {"resourceRules": [RULE], "matchPolicy": "Equivalent", "namespaceSelector": {}, "objectSelector": {}}
    spec = {"failurePolicy": "Fail", "matchConstraints": match, "validations": [{"expression": "true"}]}
    return {"metadata": {"name": "p"}, "spec": {**spec, **changes}}


EMPTY = "validations or auditAnnotations must contain at least one item"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"failurePolicy": None}, ["failurePolicy: Required value"]),
        ({"matchConstraints": None}, ["matchConstraints: Required value"]),
        ({"validations": []}, [f"validations: Required value: {EMPTY}", f"auditAnnotations: Required value: {EMPTY}"]),
        ({"validations": [{}]}, ["validations[0].expression: Required value: expression is not specified"]),
        (
            {"validations": [{"expression": "true", "message": "a\nb", "messageExpression": " ", "reason": "x"}]},
            [
                'validations[0].messageExpression: Invalid value: " ": must be non-empty if specified',
                'validations[0].message: Invalid value: "a\\nb": must not contain line breaks',
                'validations[0].reason: Unsupported value: "x": supported values: "Forbidden", "Invalid", "RequestEntityTooLarge"',
            ],
        ),
        (
            {"variables": [{"name": "in", "expression": "1"}, {"name": " "}]},
            [
                'variables[0].name: Invalid value: "in": must be a valid CEL identifier',
                "variables[1].name: Required value: name is not specified",
                "variables[1].expression: Required value: expression is not specified",
            ],
        ),
        (
            {"paramKind": {"apiVersion": "a/b/c", "kind": ""}},
            [
                'paramKind.apiVersion: Invalid value: "a/b/c": unexpected GroupVersion string: a/b/c',
                "paramKind.kind: Required value",
            ],
        ),
        (
            {"auditAnnotations": [{"key": "k", "valueExpression": "'1'"}, {"key": "k", "valueExpression": ""}]},
            [
                "auditAnnotations[1].valueExpression: Required value: valueExpression is not specified",
                'auditAnnotations[1].key: Duplicate value: "k"',
            ],
        ),
    ],
)  # fmt: skip
def test_validating_policies(changes, expected):
    assert texts(admission_policies.validating(policy(**changes))) == [f"spec.{text}" for text in expected]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"policyName": "p", "validationActions": ["Deny"]}, []),
        (
            {"validationActions": ["Deny", "Warn", "Deny"]},
            [
                "policyName: Required value",
                'validationActions[2]: Duplicate value: "Deny"',
                'validationActions: Invalid value: ["Deny","Warn","Deny"]: must not contain both Deny and Warn (repeating '
                "the same validation failure information in the API response and headers serves no purpose)",
            ],
        ),
        (
            {"policyName": "p", "paramRef": {"name": "a", "selector": {}}},
            [
                "paramRef.name: Forbidden: name and selector are mutually exclusive",
                "paramRef.selector: Forbidden: name and selector are mutually exclusive",
                "paramRef.parameterNotFoundAction: Required value",
                "validationActions: Required value: at least one validation action is required",
            ],
        ),
        (
            {"policyName": "p", "validationActions": ["Deny"], "paramRef": {"parameterNotFoundAction": "x"}},
            [
                "paramRef: Required value: one of name or selector must be specified",
                'paramRef.parameterNotFoundAction: Unsupported value: "x": supported values: "Deny", "Allow"',
            ],
        ),
    ],
)  # fmt: skip
def test_bindings(spec, expected):
    assert texts(admission_policies.validating_binding({"spec": spec})) == [f"spec.{text}" for text in expected]


def schema(**changes):
    rule = {
        "subjects": [{"kind": "User", "user": {"name": "u"}}],
        "nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": ["/x"]}],
    }
    spec = {"priorityLevelConfiguration": {"name": "l"}, "matchingPrecedence": 5, "rules": [rule]}
    return {"metadata": {"name": "s"}, "spec": {**spec, **changes}}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"matchingPrecedence": 0}, ["matchingPrecedence: Invalid value: 0: must be a positive value"]),
        ({"matchingPrecedence": 10001}, ["matchingPrecedence: Invalid value: 10001: must not be greater than 10000"]),
        (
            {"matchingPrecedence": 1},
            ["matchingPrecedence: Invalid value: 1: only the schema named 'exempt' may have matchingPrecedence 1"],
        ),
        (
            {"priorityLevelConfiguration": {}},
            ["priorityLevelConfiguration.name: Required value: must reference a priority level"],
        ),
        (
            {"rules": [{}]},
            [
                "rules[0].subjects: Required value: subjects must contain at least one value",
                "rules[0]: Required value: at least one of resourceRules and nonResourceRules has to be non-empty",
            ],
        ),
        (
            {"rules": [{"subjects": [{"kind": "Group", "user": {}}], "nonResourceRules": [{"nonResourceURLs": ["x"]}]}]},
            [
                "rules[0].subjects[0].group: Required value: group is required when subject kind is 'Group'",
                "rules[0].subjects[0].user: Forbidden: user is forbidden when subject kind is not 'User'",
                "rules[0].nonResourceRules[0].verbs: Required value: verbs must contain at least one value",
                'rules[0].nonResourceRules[0].nonResourceURLs[0]: Invalid value: "x": must start with slash',
            ],
        ),
    ],
)  # fmt: skip
def test_flow_schemas(changes, expected):
    assert texts(flow_control.flow_schema(schema(**changes))) == [f"spec.{text}" for text in expected]


def level(name="l", **spec):
    return {"metadata": {"name": name}, "spec": spec}


def queued(**queuing):
    return {
        "limitResponse": {"type": "Queue", "queuing": {"queues": 8, "handSize": 2, "queueLengthLimit": 5, **queuing}}
    }


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        (level(type="Limited", limited={"limitResponse": {"type": "Reject"}}), []),
        (level(type="Limited", limited=queued()), []),
        (
            level(type="Exempt"),
            ["spec.type: Invalid value: \"Exempt\": type must be 'Exempt' if and only if name is 'exempt'"],
        ),
        (level(type="Limited"), ["spec.limited: Required value: must not be empty when type is Limited"]),
        (
            level(type="Limited", limited={"lendablePercent": 101, "limitResponse": {"type": "x"}}),
            [
                "spec.limited.lendablePercent: Invalid value: 101: must be between 0 and 100, inclusive",
                'spec.limited.limitResponse.type: Unsupported value: "x": supported values: "Queue", "Reject"',
            ],
        ),
        (
            level(type="Limited", limited=queued(handSize=9)),
            ["spec.limited.limitResponse.queuing.handSize: Invalid value: 9: should not be greater than queues (8)"],
        ),
        (
            level(type="Limited", limited=queued(queues=512, handSize=8)),
            [
                "spec.limited.limitResponse.queuing.handSize: Invalid value: 8: required entropy bits of deckSize 512 and "
                "handSize 8 should not be greater than 60"
            ],
        ),
    ],
)  # fmt: skip
def test_priority_levels(obj, expected):
    assert texts(flow_control.priority_level(obj)) == expected


def test_mandatory_objects_are_what_they_are():
    text = "spec of 'catch-all' must equal the fixed value"
    assert text in texts(flow_control.flow_schema({**schema(), "metadata": {"name": "catch-all"}}))[-1]
    changed = level("catch-all", type="Limited", limited={"limitResponse": {"type": "Reject"}})
    assert text in texts(flow_control.priority_level(changed))[-1]
    changed["metadata"]["name"], changed["spec"]["limited"]["nominalConcurrencyShares"] = "exempt", 0
    shown = (
        '{"Type":"Limited","Limited":{"NominalConcurrencyShares":0,"LimitResponse":{"Type":"Reject","Queuing":null},'
        '"LendablePercent":null,"BorrowingLimitPercent":null},"Exempt":null}'
    )
    text = "spec of 'exempt' except the 'spec.exempt' field must equal the fixed value"
    assert texts(flow_control.priority_level(changed))[-1] == f"spec: Invalid value: {shown}: {text}"


def test_names_of_what_stands_in_files():
    assert admission_policies.not_static({"metadata": {"name": "static.k8s.io"}}) == []
    text = 'names ending with ".static.k8s.io" are reserved for static manifest-based configurations and cannot be managed via the API'
    assert texts(admission_policies.not_static({"metadata": {"name": "a.static.k8s.io"}})) == [
        f'metadata.name: Invalid value: "a.static.k8s.io": {text}'
    ]
