"""How refusals come out: the message, the details and their causes, word for word; and warnings."""
# ruff: noqa: E501 (texts stand as they are sent)

import pytest

CONTAINERS = [{"name": "c", "image": "d:1"}]
TEMPLATE = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": CONTAINERS}}


@pytest.fixture
def pods_path(running, namespace):
    account = {"metadata": {"name": "default"}}
    assert running.ask("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts", account).status == 201
    return f"/api/v1/namespaces/{namespace}/pods"


def deployment(**changes):
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": TEMPLATE, **changes}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "x"}, "spec": spec}


MISMATCH = 'Invalid value: {"a":"b"}: `selector` does not match template `labels`'


def test_one_complaint(running, namespace):
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    answer = running.ask("POST", path, deployment(selector={"matchLabels": {"a": "c"}}))
    assert answer.status == 422
    assert answer.body == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": f'Deployment.apps "x" is invalid: spec.template.metadata.labels: {MISMATCH}',
        "reason": "Invalid",
        "details": {
            "name": "x",
            "group": "apps",
            "kind": "Deployment",
            "causes": [
                {"reason": "FieldValueInvalid", "message": MISMATCH, "field": "spec.template.metadata.labels"},
            ],
        },
        "code": 422,
    }


def test_several_complaints(running, pods_path):
    body = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "A", "image": ""}], "restartPolicy": "Maybe"}}
    answer = running.ask("POST", pods_path, body)
    label = (
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
        "with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
    )
    assert answer.status == 422
    assert answer.body["message"] == (
        f'Pod "p" is invalid: [spec.containers[0].name: Invalid value: "A": {label}, spec.containers[0].image: Required value, '
        'spec.restartPolicy: Unsupported value: "Maybe": supported values: "Always", "OnFailure", "Never"]'
    )
    assert answer.body["details"] == {
        "name": "p",
        "kind": "Pod",
        "causes": [
            {
                "reason": "FieldValueInvalid",
                "message": f'Invalid value: "A": {label}',
                "field": "spec.containers[0].name",
            },
            {"reason": "FieldValueRequired", "message": "Required value", "field": "spec.containers[0].image"},
            {
                "reason": "FieldValueNotSupported",
                "message": 'Unsupported value: "Maybe": supported values: "Always", "OnFailure", "Never"',
                "field": "spec.restartPolicy",
            },
        ],
    }


@pytest.mark.parametrize(
    ("spec", "reason", "message"),
    [
        ({"tolerations": [{"key": "a", "operator": "Exists", "value": "b"}]}, "FieldValueInvalid",
         "Invalid value: \"b\": value must be empty when `operator` is 'Exists'"),
        ({"containers": [*CONTAINERS, *CONTAINERS]}, "FieldValueDuplicate", 'Duplicate value: "c"'),
        ({"containers": [{**CONTAINERS[0], "volumeMounts": [{"name": "v", "mountPath": "/v"}]}]}, "FieldValueNotFound",
         'Not found: "v"'),
        ({"ephemeralContainers": [{"name": "e", "image": "f"}]}, "FieldValueForbidden", "Forbidden: cannot be set on create"),
        ({"dnsConfig": {"searches": ["x" * 300]}}, "FieldValueInvalid", None),
    ],
)  # fmt: skip
def test_reasons(running, pods_path, spec, reason, message):
    body = {"metadata": {"name": "p"}, "spec": {"containers": CONTAINERS, **spec}}
    answer = running.ask("POST", pods_path, body)
    assert answer.status == 422
    assert answer.body["details"]["causes"][0]["reason"] == reason
    if message is not None:
        assert answer.body["details"]["causes"][0]["message"] == message


def test_changes_are_told_with_the_uid_of_nothing(running, namespace):
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    made = running.ask("POST", path, {"metadata": {"name": "c"}, "immutable": True, "data": {"a": "b"}}).body
    made["data"] = {"a": "c"}
    answer = running.ask("PUT", f"{path}/c", made)
    assert answer.status == 422
    assert (
        answer.body["message"]
        == 'ConfigMap "c" is invalid: data: Forbidden: field is immutable when `immutable` is set'
    )
    assert "uid" not in answer.body["details"]


def test_the_same_complaint_is_told_once_and_counted_twice(running, namespace):
    """Metadata is judged by itself and with the change; the message repeats nothing."""
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    made = running.ask("POST", path, {"metadata": {"name": "m"}}).body
    made["metadata"]["labels"] = {"a b": "c"}
    answer = running.ask("PUT", f"{path}/m", made)
    assert answer.body["message"].count("a b") == 1
    assert [cause["field"] for cause in answer.body["details"]["causes"]] == ["metadata.labels"] * 2


@pytest.mark.parametrize(
    ("query", "field", "warns"),
    [("Strict", "nope", None), ("Warn", "nope", 'unknown field "nope"'), ("Ignore", "nope", None)],
)
def test_unknown_fields(running, namespace, query, field, warns):
    path = f"/api/v1/namespaces/{namespace}/configmaps?fieldValidation={query}"
    answer = running.ask("POST", path, {"metadata": {"name": f"u-{query.lower()}"}, field: 1})
    if query == "Strict":
        assert (answer.status, answer.body["reason"]) == (400, "BadRequest")
        assert answer.body["message"] == (
            'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: unknown field "nope"'
        )
        return
    assert answer.status == 201
    found = answer.headers.get("Warning")
    assert found == (f'299 - "{warns}"'.replace('"nope"', '\\"nope\\"') if warns else None)


def test_bad_bodies(running, namespace):
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    answer = running.ask("POST", path, deployment(replicas="two"))
    assert answer.body["message"] == (
        'Deployment in version "v1" cannot be handled as a Deployment: json: cannot unmarshal string into Go struct field '
        "DeploymentSpec.spec.replicas of type int32"
    )


def test_what_is_warned_of(running, namespace):
    body = {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}], "externalIPs": ["1.2.3.4"]}}
    answer = running.ask("POST", f"/api/v1/namespaces/{namespace}/services", body)
    assert answer.status == 201
    assert answer.headers.get("Warning") == (
        '299 - "spec.externalIPs is deprecated and may no longer be implemented in some clusters"'
    )


ALLOCATED = "provided port is already allocated"


@pytest.mark.parametrize(
    ("name", "ports", "text"),
    [
        ("S_x", [{"port": 1, "nodePort": 30050}, {"port": 2, "nodePort": 30050}], f"spec.ports[1].nodePort: Invalid value: 30050: {ALLOCATED}"),
        ("s", [{"port": 0, "nodePort": 7}], "spec.ports[0].nodePort: Invalid value: 7: provided port is not in the valid range. The range of valid ports is 30000-32767"),
        ("s", [{"name": "a", "port": 1, "nodePort": 30050}, {"name": "b", "port": 1, "nodePort": 30050}],
         '[spec.ports[1].nodePort: Duplicate value: 30050, spec.ports[1]: Duplicate value: {"Name":"","Protocol":"TCP","AppProtocol":null,"Port":1,"TargetPort":0,"NodePort":0}]'),
    ],
)  # fmt: skip
def test_what_a_new_service_cannot_have_is_told_alone(running, namespace, name, ports, text):
    body = {"metadata": {"name": name}, "spec": {"type": "NodePort", "ports": ports}}
    answer = running.ask("POST", f"/api/v1/namespaces/{namespace}/services", body)
    assert answer.body["message"] == f'Service "{name}" is invalid: {text}'
