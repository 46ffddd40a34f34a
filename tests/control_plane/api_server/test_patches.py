"""What is said of patches that cannot be applied, and what they may not change."""

import json

import pytest

JSON, MERGE, STRATEGIC, APPLY = (
    "application/json-patch+json", "application/merge-patch+json", "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
)  # fmt: skip
REJECTED = (422, "Invalid", "the server rejected our request due to an error in our request")
NO_NAME = (400, "BadRequest", "the name of the object (a based on URL) was undeterminable: name must be provided")
DUPLICATE = '{"data":{"a":"1","a":"2"}}'
REPEATED_PATH = '[{"op":"test","path":"/data","foo":1,"path":"/data/k","value":"v"}]'


def bad(text):
    return 400, "BadRequest", text


CASES = [
    (JSON, [{"op": "test", "path": "/data/k", "value": "x"}], "", REJECTED),
    (JSON, [{"op": "replace", "path": "/data/no", "value": "x"}], "", REJECTED),
    (JSON, [{"op": "remove", "path": "/data/no"}], "", REJECTED),
    (JSON, [{"op": "what", "path": "/data/k"}], "", REJECTED),
    (JSON, {"op": "add"}, "", bad("error decoding patch: json: cannot unmarshal object into Go value of type "
                                  "[]handlers.jsonPatchOp")),
    (JSON, {"op": "add"}, "Ignore", bad("json: cannot unmarshal object into Go value of type jsonpatch.Patch")),
    (JSON, ["x"], "", bad("error decoding patch: json: cannot unmarshal string into Go value of type "
                          "handlers.jsonPatchOp")),
    (JSON, [{"op": 1}], "", bad("error decoding patch: json: cannot unmarshal number into Go struct field "
                                "jsonPatchOp.op of type string")),
    (JSON, "{", "", bad("error decoding patch: unexpected end of JSON input")),
    (JSON, [{"op": "remove", "path": "/metadata"}], "", NO_NAME),
    (JSON, [{"op": "test", "path": "/data/k", "value": "v"}] * 10_001, "",
     (413, "RequestEntityTooLarge", "The allowed maximum operations in a JSON patch is 10000, got 10001")),
    (MERGE, [], "", bad("error decoding patch: json: cannot unmarshal array into Go value of type "
                        "map[string]interface {}")),
    (MERGE, "null", "", bad("Invalid JSON Patch")),
    (MERGE, {"metadata": None}, "", NO_NAME),
    (MERGE, {"metadata": {"name": "b"}}, "",
     bad("the name of the object (b) does not match the name on the URL (a)")),
    (MERGE, {"metadata": {"namespace": "b"}}, "",
     bad("the namespace of the provided object does not match the namespace sent on the request")),
    (MERGE, {"metadata": {"uid": "b"}}, "",
     (422, "Invalid", 'ConfigMap "a" is invalid: metadata.uid: Invalid value: "b": field is immutable')),
    (MERGE, {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}, "",
     (422, "Invalid", 'ConfigMap "a" is invalid: metadata.deletionTimestamp: Invalid value: "2026-01-01T00:00:00Z": '
      "field is immutable")),
    (STRATEGIC, [], "", bad("json: cannot unmarshal array into Go value of type map[string]interface {}")),
    (STRATEGIC, {"foo": 1}, "Strict",
     (422, "Invalid", ' "" is invalid: patch: Invalid value: "map[foo:1]": strict decoding error: unknown field '
      '"foo"')),
    (STRATEGIC, DUPLICATE, "Strict",
     (422, "Invalid", ' "" is invalid: patch: Invalid value: "map[data:map[a:2]]": strict decoding error: duplicate '
      'field "data.a"')),
    (STRATEGIC, {"data": {"a": 1}}, "",
     (422, "Invalid", ' "" is invalid: patch: Invalid value: "map[data:map[a:1]]": cannot convert int64 to '
      "string")),
    (APPLY, {"apiVersion": "v2", "kind": "ConfigMap", "metadata": {"name": "a"}}, "",
     bad("invalid object type: /v2, Kind=ConfigMap")),
    (APPLY, {"apiVersion": "apps/v1", "kind": "Deployment"}, "", bad("invalid object type: apps/v1, Kind=Deployment")),
    (APPLY, "", "", bad("invalid object type: /, Kind=")),
    (APPLY, [], "", bad("error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal "
                        "array into Go value of type map[string]interface {}")),
    (APPLY, "a: b: c", "", bad("error decoding YAML: error converting YAML to JSON: yaml: mapping values are not "
                               "allowed in this context")),
    (APPLY, "{apiVersion: v1, kind: ConfigMap, data: {a: b, a: c}}", "Strict",
     bad('error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n  line 1: key "a" '
         "already set in map")),
    (APPLY, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "managedFields": []}}, "",
     bad("metadata.managedFields must be nil")),
    (APPLY, {"apiVersion": "v1", "kind": "Nothing", "metadata": {"name": "a"}}, "",
     bad("invalid object type: /v1, Kind=Nothing")),
    (APPLY, "{apiVersion: v1, kind: ConfigMap, foo: 1, data: {a: b, a: c}}", "Strict",
     (500, None, "failed to create typed patch object (/; /v1, Kind=ConfigMap): .foo: field not declared in schema")),
    (APPLY, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "b"}}, "",
     bad("the name of the object (b) does not match the name on the URL (a)")),
]  # fmt: skip


@pytest.fixture(scope="module")
def object_path(running):
    running.ask("POST", "/api/v1/namespaces", {"metadata": {"name": "patches"}})
    path = "/api/v1/namespaces/patches/configmaps"
    running.ask("POST", path, {"metadata": {"name": "a"}, "data": {"k": "v"}})
    return f"{path}/a"


@pytest.mark.parametrize(("kind", "patch", "validation", "expected"), CASES)
def test_refusals(running, object_path, kind, patch, validation, expected):
    query = "?fieldManager=m" + (f"&fieldValidation={validation}" if validation else "")
    answer = running.ask("PATCH", object_path + query, patch, kind)
    assert (answer.status, answer.body.get("reason"), answer.body["message"]) == expected
    if expected == REJECTED:
        assert answer.body["details"] == {}


STRICT = [
    (JSON, REPEATED_PATH, ['json patch unknown field "[0].foo"', 'json patch duplicate field "[0].path"']),
    (JSON, [{"op": "add", "path": "/zoo", "value": 1}, {"op": "add", "path": "/foo", "value": 1}],
     ['unknown field "foo"', 'unknown field "zoo"']),
    (MERGE, '{"zoo":1,"foo":2,"foo":3}', ['duplicate field "foo"', 'unknown field "foo"', 'unknown field "zoo"']),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "patch", "texts"), STRICT)
def test_strictness(running, object_path, kind, patch, texts):
    refused = running.ask("PATCH", object_path + "?fieldValidation=Strict", patch, kind)
    assert refused.status == 422
    assert refused.body["message"].endswith(f": strict decoding error: {', '.join(texts)}"), refused.body
    warned = running.ask("PATCH", object_path + "?fieldValidation=Warn", patch, kind)
    quoted = [text.replace('"', '\\"') for text in texts]
    assert warned.headers.get_all("Warning") == [f'299 - "{text}"' for text in quoted]
    assert running.ask("PATCH", object_path + "?fieldValidation=Ignore", patch, kind).headers["Warning"] is None


@pytest.mark.parametrize(
    ("patch", "why"),
    [
        ({"kind": "Secret"}, "converting (v1.Secret) to (core.ConfigMap): unknown conversion"),
        ({"apiVersion": "v2"}, 'no kind "ConfigMap" is registered for version "v2" in scheme '
         '"pkg/api/legacyscheme/scheme.go:30"'),
    ],
)  # fmt: skip
def test_the_kind_stays(running, object_path, patch, why):
    refused = running.ask("PATCH", object_path, patch, MERGE)
    assert refused.status == 422
    assert refused.body["message"].endswith(why)
    assert running.ask("PATCH", object_path, patch, STRATEGIC).body["kind"] == "ConfigMap"
    assert running.ask("PATCH", object_path, "null", STRATEGIC).status == 200


def test_owners_are_named_once(running, configmaps):
    owner = {"apiVersion": "v1", "kind": "Node", "name": "n", "uid": "u"}
    begin = '299 - ".metadata.ownerReferences contains duplicate entries'
    made = running.ask("POST", configmaps, {"metadata": {"name": "o", "ownerReferences": [owner, owner]}})
    assert made.body["metadata"]["ownerReferences"] == [owner]
    assert made.headers["Warning"].startswith(f"{begin}; API server dedups")
    assert made.headers["Warning"].endswith('please fix your requests; duplicate UID(s) observed: u"')
    patched = running.ask("PATCH", f"{configmaps}/o", {"metadata": {"ownerReferences": [owner, owner]}}, MERGE)
    assert patched.body["metadata"]["ownerReferences"] == [owner]
    assert patched.headers["Warning"].startswith(f"{begin} after mutating admission happens")


DEPLOYMENT = {
    "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "w"},
    "spec": {
        "replicas": 1, "selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}},
    },
}  # fmt: skip


def scale(replicas, **metadata):
    spec = {"replicas": replicas}
    return {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": {"name": "w", **metadata}, "spec": spec}


def test_who_owns_the_replicas(running, namespace):
    """The steps of upstream's test of applying to ``scale``."""
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments/w"

    def ask(method, manager, body, kind="application/json", *, part="/scale", force=False):
        query = f"?fieldManager={manager}" + ("&force=true" if force else "")
        answer = running.ask(method, path + part + query, body, kind)
        found = running.ask("GET", path).body
        entries = found["metadata"]["managedFields"]
        owners = [one["manager"] for one in entries if "f:replicas" in one["fieldsV1"].get("f:spec", {})]
        return answer, found["spec"]["replicas"], owners

    assert ask("PATCH", "main", DEPLOYMENT, APPLY, part="")[1:] == (1, ["main"])
    assert ask("PATCH", "merger", {"spec": {"replicas": 5}}, MERGE)[1:] == (5, ["merger"])
    refused, *same = ask("PATCH", "main", DEPLOYMENT, APPLY, part="")
    who = 'conflict with "merger" with subresource "scale" using apps/v1'
    assert refused.body["message"] == f"Apply failed with 1 conflict: {who}: .spec.replicas"
    assert same == [5, ["merger"]]
    assert ask("PATCH", "main", DEPLOYMENT, APPLY, part="", force=True)[1:] == (1, ["main"])
    refused = ask("PATCH", "applier", scale(17), APPLY)[0]
    cause = {"reason": "FieldManagerConflict", "message": 'conflict with "main"', "field": ".spec.replicas"}
    assert (refused.status, refused.body["details"]["causes"]) == (409, [cause])
    assert ask("PATCH", "applier", scale(17), APPLY, force=True)[1:] == (17, ["applier"])
    assert ask("PUT", "replacer", scale(7))[1:] == (7, ["replacer"])
    assert ask("PATCH", "sharer", scale(7), APPLY)[1:] == (7, ["sharer", "replacer"])
    assert ask("PATCH", "merger", {"spec": {"replicas": 5}}, MERGE)[1:] == (5, ["merger"])
    unknown = ask("PATCH", "applier", {**scale(7), "spec": {"replica": 1}}, APPLY)[0].body["message"]
    assert unknown.endswith("autoscaling/v1, Kind=Scale): .spec.replica: field not declared in schema")
    negative = ask("PUT", "replacer", scale(-1))[0].body["message"]
    assert negative.startswith('Scale.autoscaling "w" is invalid: spec.replicas: Invalid value: -1: ')


def test_a_scale_is_of_one_object(running, namespace):
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    uid = running.ask("POST", path, DEPLOYMENT).body["metadata"]["uid"]
    conflict = f"Precondition failed: UID in precondition: x, UID in object meta: {uid}"
    put = running.ask("PUT", f"{path}/w/scale", scale(1, uid="x"))
    assert (put.status, put.body["message"]) == (
        409,
        'Operation cannot be fulfilled on deployments.apps "w": StorageError: invalid object, Code: 4, Key: '
        f"/registry/deployments/{namespace}/w, ResourceVersion: 0, AdditionalErrorMsg: {conflict}",
    )
    patched = running.ask("PATCH", f"{path}/w/scale", {"metadata": {"uid": "x"}}, MERGE)
    assert patched.body["message"] == f'Operation cannot be fulfilled on deployments/scale.apps "w": {conflict}'
    assert running.ask("PATCH", f"{path}/no/scale?fieldManager=m", scale(1), APPLY).status == 404


def test_records_of_ownership_change_at_the_main_door_only(running, namespace):
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    running.ask("POST", path, DEPLOYMENT)
    entries = running.ask("GET", f"{path}/w").body["metadata"]["managedFields"]
    reset = {"metadata": {"managedFields": [{}]}}
    assert running.ask("PATCH", f"{path}/w/status", reset, MERGE).body["metadata"]["managedFields"] == entries
    assert "managedFields" not in running.ask("PATCH", f"{path}/w", reset, MERGE).body["metadata"]
    text = json.dumps({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "w"}})
    running.ask("PATCH", f"{path}/w?fieldManager=m", text, APPLY)
    found = running.ask("GET", f"{path}/w").body["metadata"]["managedFields"]
    assert [one["manager"] for one in found] == ["before-first-apply"]


def test_wrong_options_are_told_together(running, object_path):
    query = "?dryRun=Some&fieldManager=%01&fieldValidation=None"
    told = running.ask("PATCH", object_path + query, {}, APPLY).body["message"]
    starts = [told.index(text) for text in ("fieldManager: Invalid value", "dryRun: ", "fieldValidation: ")]
    assert starts == sorted(starts), told
    assert 'supported values: "", "Ignore", "Strict", "Warn"' in told


@pytest.mark.parametrize("kind", [JSON, MERGE, STRATEGIC])
def test_what_is_not_there_is_told_before_the_patch_is_read(running, object_path, kind):
    assert running.ask("PATCH", f"{object_path}-not", "{", kind).status == 404


def test_unknown_fields_of_yaml_are_told_in_order(running, object_path):
    text = "{zoo: 1, metadata: {name: new}, kind: ConfigMap, foo: 1, apiVersion: v1}"
    answer = running.ask("POST", object_path.rpartition("/")[0] + "?dryRun=All", text, "application/yaml")
    assert answer.headers.get_all("Warning") == [f'299 - "unknown field \\"{name}\\""' for name in ("foo", "zoo")]


def test_daemonsets_count_the_changes_of_their_template(running, namespace):
    path = f"/apis/apps/v1/namespaces/{namespace}/daemonsets"
    name = "deprecated.daemonset.template.generation"
    spec = {key: value for key, value in DEPLOYMENT["spec"].items() if key != "replicas"}
    made = running.ask("POST", path, {"metadata": {"name": "d"}, "spec": spec})

    def counted(change):
        return running.ask("PATCH", f"{path}/d", change, MERGE).body["metadata"]["annotations"][name]

    assert made.body["metadata"]["annotations"] == {name: "1"}
    assert counted({"metadata": {"annotations": {name: "7"}}}) == "1"
    assert counted({"spec": {"template": {"metadata": {"labels": {"more": "x"}}}}}) == "2"


@pytest.mark.parametrize(
    ("group", "kind", "spec", "stays"),
    [
        ("policy/v1", "poddisruptionbudgets", {}, False),
        ("networking.k8s.io/v1", "servicecidrs", {"cidrs": ["10.8.0.0/24"]}, True),
    ],
)
def test_labels_through_status(running, namespace, group, kind, spec, stays):
    path = f"/apis/{group}/{kind}" if stays else f"/apis/{group}/namespaces/{namespace}/{kind}"
    running.ask("POST", path, {"metadata": {"name": "s"}, "spec": spec})
    patched = running.ask("PATCH", f"{path}/s/status", {"metadata": {"labels": {"a": "b"}}}, MERGE)
    assert (patched.status, "labels" in patched.body["metadata"]) == (200, not stays)


def test_objects_may_be_as_large_as_a_store_takes(running, namespace):
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"

    def answer(length):
        containers = [{"name": "c", "image": "i", "args": ["x" * length]}]
        template = {**DEPLOYMENT["spec"]["template"], "spec": {"containers": containers}}
        return running.ask("POST", path, {**DEPLOYMENT, "spec": {**DEPLOYMENT["spec"], "template": template}})

    refused = answer(3 << 19)
    assert (refused.status, refused.body["message"]) == (500, "etcdserver: request is too large")
    assert answer((3 << 19) - 4096).status == 201
