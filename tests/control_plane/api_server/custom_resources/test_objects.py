"""Objects of custom types over HTTP: what is kept, filled in, refused, and how they change."""

import json

import pytest

from tests.control_plane.api_server.custom_resources import conftest

MERGE, APPLY = "application/merge-patch+json", "application/apply-patch+yaml"
FULL = {
    "subresources": {
        "status": {},
        "scale": {
            "specReplicasPath": ".spec.size",
            "statusReplicasPath": ".status.replicas",
            "labelSelectorPath": ".status.selector",
        },
    },
    "additionalPrinterColumns": [
        {"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
        {"name": "Color", "type": "string", "jsonPath": ".spec.color", "priority": 1},
    ],
    "selectableFields": [{"jsonPath": ".spec.color"}],
}


class Widgets:
    """The objects of one type in one namespace."""

    def __init__(self, types, namespace, **options):
        self.ask = types.running.ask
        self.group = types.define(**options)
        self.version = f"{self.group}/v1"
        self.path = f"/apis/{self.version}/namespaces/{namespace}/widgets"

    def body(self, name, spec, **more):
        return {"apiVersion": self.version, "kind": "Widget", "metadata": {"name": name}, "spec": spec, **more}

    def make(self, name, spec, query="", **more):
        return self.ask("POST", self.path + query, self.body(name, spec, **more))

    def patch(self, name, content, kind=MERGE, query=""):
        return self.ask("PATCH", f"{self.path}/{name}{query}", json.dumps(content), kind)

    def get(self, name):
        return self.ask("GET", f"{self.path}/{name}").body


@pytest.fixture
def widgets(types, namespace):
    return Widgets(types, namespace, **FULL)


def test_prunes_fills_in_and_warns(widgets):
    template = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "odd": 1}, "spec": {"a": "x", "b": 2}}
    spec = {
        "size": 1,
        "odd": 2,
        "parts": [{"name": "x", "odd": 1}],
        "raw": {"any": 1},
        "port": 80,
        "template": template,
    }
    made = widgets.make("a", {**spec, "tags": None}, status={"replicas": 3})
    assert made.status == 201
    assert made.body["spec"] == {
        "size": 1, "color": "red", "parts": [{"name": "x", "count": 1}], "raw": {"any": 1}, "port": 80,
        "template": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"a": "x"}},
    }  # fmt: skip
    assert "status" not in made.body
    warned = [text.split('"', 1)[1].replace('\\"', '"') for text in made.headers.get_all("Warning")]
    assert warned == [
        'unknown field "spec.odd""', 'unknown field "spec.parts[0].odd""',
        'unknown field "spec.template.spec.b""', 'unknown field "spec.template.metadata.odd""',
    ]  # fmt: skip


def test_strict_bodies(widgets):
    body = json.dumps(widgets.body("a", {"size": 1, "odd": 1})).replace('"size": 1', '"size": 1, "size": 2')
    answer = widgets.ask("POST", widgets.path + "?fieldValidation=Strict", body.replace('"name"', '"x": 1, "name"'))
    assert (answer.status, answer.body["message"]) == (
        400,
        'Widget in version "v1" cannot be handled as a Widget: strict decoding error: duplicate field "spec.size", '
        'unknown field "metadata.x", unknown field "spec.odd"',
    )


@pytest.mark.parametrize(
    ("spec", "causes"),
    [
        ({}, ["spec.size: Required value"]),
        (
            {"size": "3"},
            [
                'spec.size: Invalid value: "string": spec.size in body must be of type integer: "string"',
                ".spec.size: Invalid value: 0: .spec.size accessor error: 3 is of the type string, expected int64",
            ],
        ),
        ({"size": 11}, ["spec.size: Invalid value: 11: spec.size in body should be less than or equal to 10"]),
        ({"size": 1, "color": "x"}, ['spec.color: Unsupported value: "x": supported values: "red", "green"']),
        ({"size": 1, "tags": ["a", "a"]}, ['spec.tags[1]: Duplicate value: "a"']),
        ({"size": 1, "parts": [{"name": "a"}, {"name": "a"}]}, ['spec.parts[1]: Duplicate value: {"name":"a"}']),
        (
            {"size": 1, "template": {}},
            ["spec.template.apiVersion: Required value", "spec.template.kind: Required value"],
        ),
    ],
)
def test_refuses(widgets, spec, causes):
    answer = widgets.make("a", spec)
    assert answer.status == 422
    assert [f"{cause['field']}: {cause['message']}" for cause in answer.body["details"]["causes"]] == causes


def test_unreadable_bodies(widgets):
    wrong = widgets.body("a", {"size": 1})
    cases = [
        ({**wrong, "kind": "Gadget"}, 422, 'Gadget": must be Widget'),
        ({**wrong, "kind": ""}, 400, "Object 'Kind' is missing in '"),
        ({**wrong, "apiVersion": "x/v1"}, 400, "the API version in the data (x/v1) does not match the expected"),
        ({**wrong, "metadata": {"name": 3}}, 400, "json: cannot unmarshal number into Go struct field ObjectMeta.name"),
    ]
    for body, code, text in cases:
        answer = widgets.ask("POST", widgets.path, body)
        assert answer.status == code
        assert text in answer.body["message"]


def test_main_endpoint_and_status_leave_each_other_alone(widgets):
    widgets.make("a", {"size": 1})
    answer = widgets.ask(
        "PATCH", f"{widgets.path}/a/status",
        json.dumps({"metadata": {"labels": {"x": "y"}}, "spec": {"size": 9}, "status": {"replicas": 3}}), MERGE,
    )  # fmt: skip
    assert (answer.body["spec"]["size"], answer.body["status"], answer.body["metadata"].get("labels")) == (
        1, {"replicas": 3}, None,
    )  # fmt: skip
    assert answer.body["metadata"]["generation"] == 1
    changed = widgets.patch("a", {"spec": {"size": 2}, "status": {"replicas": 9}}).body
    assert (changed["metadata"]["generation"], changed["status"]) == (2, {"replicas": 3})
    assert widgets.patch("a", {"metadata": {"labels": {"x": "y"}}}).body["metadata"]["generation"] == 2
    refused = widgets.ask("PATCH", f"{widgets.path}/a/status", '{"status":{"replicas":"x"}}', MERGE)
    assert refused.status == 422


def test_without_a_status_subresource_status_is_part_of_the_object(types, namespace):
    plain = Widgets(types, namespace)
    assert plain.make("a", {"size": 1}, status={"replicas": 1}).body["status"] == {"replicas": 1}
    assert plain.patch("a", {"status": {"replicas": 2}}).body["metadata"]["generation"] == 2
    assert plain.ask("GET", f"{plain.path}/a/status").status == 404
    assert plain.ask("GET", f"{plain.path}/a/scale").status == 404


def test_scale(widgets):
    widgets.make("a", {"size": 3})
    widgets.ask("PATCH", f"{widgets.path}/a/status", '{"status":{"replicas":2,"selector":"a=b"}}', MERGE)
    scale = widgets.ask("GET", f"{widgets.path}/a/scale").body
    assert (scale["kind"], scale["apiVersion"]) == ("Scale", "autoscaling/v1")
    assert (scale["spec"], scale["status"]) == ({"replicas": 3}, {"replicas": 2, "selector": "a=b"})
    scale["spec"]["replicas"] = 5
    assert widgets.ask("PUT", f"{widgets.path}/a/scale", scale).body["spec"] == {"replicas": 5}
    assert widgets.ask("PUT", f"{widgets.path}/a/scale", scale).status == 409
    assert widgets.get("a")["spec"]["size"] == 5
    assert widgets.get("a")["metadata"]["generation"] == 2
    owners = {entry.get("subresource"): entry["fieldsV1"] for entry in widgets.get("a")["metadata"]["managedFields"]}
    assert owners["scale"] == {"f:spec": {"f:size": {}}}
    refused = widgets.ask("PATCH", f"{widgets.path}/a/scale", '{"spec":{"replicas":11}}', MERGE)
    assert "spec.size in body should be less than or equal to 10" in refused.body["message"]
    negative = widgets.ask("PATCH", f"{widgets.path}/a/scale", '{"spec":{"replicas":-1}}', MERGE)
    assert "spec.replicas: Invalid value: -1: must be greater than or equal to 0" in negative.body["message"]
    for replicas, problem in (
        ("2", ".status.replicas: Invalid value: 0: .status.replicas accessor error: 2 is of the type string, expected"),
        (-1, ".status.replicas: Invalid value: -1: should be a non-negative integer"),
    ):
        refused = widgets.ask(
            "PATCH", f"{widgets.path}/a/status", json.dumps({"status": {"replicas": replicas}}), MERGE
        )
        assert problem in refused.body["message"]


def test_patches(widgets):
    widgets.make("a", {"size": 3})
    assert widgets.patch("a", {"spec": {"color": None}}).body["spec"]["color"] == "red"
    assert widgets.patch("a", {}, "application/strategic-merge-patch+json").status == 415
    replace = [{"op": "replace", "path": "/spec/size", "value": 4}]
    assert widgets.patch("a", replace, "application/json-patch+json").body["spec"]["size"] == 4
    strict = widgets.patch("a", {"spec": {"odd": 1}}, query="?fieldValidation=Strict")
    assert (strict.status, strict.body["reason"]) == (422, "Invalid")
    assert 'strict decoding error: unknown field "spec.odd"' in strict.body["message"]
    put = widgets.ask("PUT", f"{widgets.path}/a", widgets.body("a", {"size": 4}))
    assert (put.status, put.body["message"].split(": ", 1)[1]) == (
        422, "metadata.resourceVersion: Invalid value: 0: must be specified for an update",
    )  # fmt: skip


def test_apply_merges_by_list_types(widgets):
    def apply(manager, spec, name="a", **query):
        return widgets.patch(name, widgets.body(name, spec), APPLY, f"?fieldManager={manager}")

    assert apply("one", {"size": 1, "parts": [{"name": "x"}], "tags": ["a"]}).status == 201
    both = apply("two", {"size": 1, "parts": [{"name": "y", "count": 2}], "tags": ["b"]}).body["spec"]
    assert both["parts"] == [{"name": "x", "count": 1}, {"name": "y", "count": 2}]
    assert both["tags"] == ["a", "b"]
    gone = apply("one", {"size": 1}).body["spec"]
    assert (gone["parts"], gone["tags"]) == ([{"name": "y", "count": 2}], ["b"])
    conflict = apply("two", {"size": 2})
    assert (conflict.status, conflict.body["details"]["causes"][0]["field"]) == (409, ".spec.size")
    refused = apply("one", {"size": 1, "odd": 1}, "b")
    assert refused.status == 500
    assert refused.body["message"].endswith(".spec.odd: field not declared in schema")
    assert widgets.get("a")["metadata"]["managedFields"][0]["apiVersion"] == widgets.version


def test_unchanged_parts_are_not_judged_again(types, widgets):
    widgets.make("a", {"size": 9, "color": "green"})
    name = f"{conftest.CRDS}/widgets.{widgets.group}"
    crd = types.running.ask("GET", name).body
    size = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["size"]
    size["maximum"] = 5
    assert types.running.ask("PUT", name, crd).status == 200
    assert widgets.patch("a", {"spec": {"color": "red"}}).status == 200
    assert widgets.patch("a", {"spec": {"size": 8}}).status == 422
    assert widgets.make("b", {"size": 8}).status == 422


def test_tables(widgets):
    widgets.make("a", {"size": 3})
    table = widgets.ask("GET", widgets.path, Accept="application/json;as=Table;v=v1;g=meta.k8s.io").body
    assert [(column["name"], column["priority"]) for column in table["columnDefinitions"]] == [
        ("Name", 0), ("Size", 0), ("Color", 1),
    ]  # fmt: skip
    assert table["columnDefinitions"][1]["description"] == (
        "Custom resource definition column (in JSONPath format): .spec.size"
    )
    assert table["rows"][0]["cells"] == ["a", 3, "red"]


def test_without_columns_the_age_is_shown(types, namespace):
    plain = Widgets(types, namespace)
    plain.make("a", {"size": 1})
    table = plain.ask("GET", plain.path, Accept="application/json;as=Table;v=v1;g=meta.k8s.io").body
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Age"]
    assert table["rows"][0]["cells"][1].endswith("s")


def test_selectable_fields(types, widgets):
    for name, color in (("a", "red"), ("b", "green")):
        widgets.make(name, {"size": 1, "color": color})
    found = widgets.ask("GET", widgets.path + "?fieldSelector=spec.color%3Dgreen").body["items"]
    assert [item["metadata"]["name"] for item in found] == ["b"]
    unknown = widgets.ask("GET", widgets.path + "?fieldSelector=spec.size%3D1")
    assert (unknown.status, unknown.body["message"]) == (400, "field label not supported: spec.size")
    events = types.running.watch(widgets.path + "?watch=1&fieldSelector=spec.color%3Dgreen&timeoutSeconds=5")
    assert next(events)["object"]["metadata"]["name"] == "b"
    widgets.patch("a", {"spec": {"color": "green"}})
    assert next(events)["type"] == "ADDED"
    widgets.patch("b", {"spec": {"color": "red"}})
    assert next(events)["type"] == "DELETED"
    events.close()


def test_collections(widgets):
    for name in "abc":
        widgets.make(name, {"size": 1})
    assert len(widgets.ask("GET", widgets.path + "?limit=2").body["items"]) == 2
    assert widgets.ask("DELETE", widgets.path).status == 200
    assert widgets.ask("GET", widgets.path).body["items"] == []
    assert widgets.make("a", {"size": 1}, "?dryRun=All").status == 201
    assert widgets.ask("GET", widgets.path + "/a").body["message"] == f'widgets.{widgets.group} "a" not found'


def test_rules_judge_creation_and_change(types, namespace):
    rules = [
        {"rule": "self.low <= self.high", "message": "low must not exceed high"},
        {"rule": "self.low >= oldSelf.low", "messageExpression": "'low must ' + 'grow'"},
    ]
    spec = {"type": "object", "properties": {"low": {"type": "integer"}, "high": {"type": "integer"}}}
    root = {"type": "object", "properties": {"spec": {**spec, "x-kubernetes-validations": rules}}}
    widgets = Widgets(types, namespace, schema={"openAPIV3Schema": root})
    refused = widgets.make("a", {"low": 3, "high": 2})
    assert refused.body["message"].endswith("is invalid: spec: Invalid value: low must not exceed high")
    assert widgets.make("a", {"low": 1, "high": 2}).status == 201
    refused = widgets.patch("a", {"spec": {"low": 0}})
    assert refused.body["message"].endswith("is invalid: spec: Invalid value: low must grow")
    wrong = widgets.make("b", {"low": "x"})
    assert [cause["field"] for cause in wrong.body["details"]["causes"]] == ["spec.low", "<nil>"]


def test_rules_that_do_not_compile_are_refused(running):
    field = {"type": "string", "x-kubernetes-validations": [{"rule": "self.nope"}]}
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"x": field}}}
    answer = running.ask("POST", conftest.CRDS, conftest.definition("wrong.example.com", schema=schema))
    assert answer.status == 422
    cause = answer.body["details"]["causes"][0]
    assert cause["field"] == "spec.validation.openAPIV3Schema.properties[x].x-kubernetes-validations[0].rule"
