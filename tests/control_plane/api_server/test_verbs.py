"""Create, get, update, patch, delete over HTTP."""

import concurrent.futures

import pytest


def create(running, path, name, **fields):
    answer = running.ask("POST", path, {"metadata": {"name": name, **fields.pop("metadata", {})}, **fields})
    assert answer.status == 201, answer.body
    return answer.body


def test_create_sets_what_the_server_owns(running, configmaps):
    made = create(running, configmaps, "a", data={"k": "v"}, metadata={"uid": "mine", "creationTimestamp": None})
    metadata = made["metadata"]
    assert (made["kind"], made["apiVersion"], made["data"]) == ("ConfigMap", "v1", {"k": "v"})
    assert metadata["uid"] not in ("", "mine")
    assert metadata["creationTimestamp"].endswith("Z")
    assert int(metadata["resourceVersion"]) > 0
    assert metadata["managedFields"][0]["manager"] == "test"
    assert running.ask("GET", f"{configmaps}/a").body == made


def test_create_twice_conflicts(running, configmaps, namespace):
    create(running, configmaps, "a")
    again = running.ask("POST", configmaps, {"metadata": {"name": "a"}})
    assert (again.status, again.body["reason"]) == (409, "AlreadyExists")
    assert again.body["message"] == 'configmaps "a" already exists'
    assert again.body["details"] == {"name": "a", "kind": "configmaps"}


def test_generated_names(running, configmaps):
    first, second = (running.ask("POST", configmaps, {"metadata": {"generateName": "x-"}}).body for _ in range(2))
    assert first["metadata"]["name"].startswith("x-")
    assert len(first["metadata"]["name"]) == 7
    assert first["metadata"]["name"] != second["metadata"]["name"]


def test_a_namespace_of_a_generated_name_is_labelled_with_it(running):
    made = running.ask("POST", "/api/v1/namespaces", {"metadata": {"generateName": "x-"}}).body["metadata"]
    assert made["labels"] == {"kubernetes.io/metadata.name": made["name"]}


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ({"metadata": {"name": "a", "namespace": "other"}}, 400,
         "the namespace of the provided object does not match the namespace sent on the request"),
        ({"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "a"}}, 400,
         'Secret in version "v1" cannot be handled as a ConfigMap: converting (v1.Secret) to (core.ConfigMap): unknown '
         "conversion"),
        ({"kind": "Sekret", "apiVersion": "v1", "metadata": {"name": "a"}}, 400,
         'Sekret in version "v1" cannot be handled as a ConfigMap: no kind "Sekret" is registered for version "v1" in '
         'scheme "pkg/api/legacyscheme/scheme.go:30"'),
        ({"kind": "ConfigMap", "apiVersion": "v2", "metadata": {"name": "a"}}, 400,
         'ConfigMap in version "v2" cannot be handled as a ConfigMap: no kind "ConfigMap" is registered for version '
         '"v2" in scheme "pkg/api/legacyscheme/scheme.go:30"'),
        ({"metadata": {}}, 422, "name or generateName is required"),
        ({"metadata": {"name": "A_b"}}, 422, "a lowercase RFC 1123 subdomain"),
        ({"metadata": {"name": "a"}, "data": {"k": 1}}, 400, "json: cannot unmarshal number"),
        ({"metadata": {"name": "a", "resourceVersion": "5"}}, 500,
         "resourceVersion should not be set on objects to be created"),
        (b"{nonsense", 400, "the object provided is unrecognized (must be of type ConfigMap)"),
    ],
)  # fmt: skip
def test_bodies_that_are_refused(running, configmaps, body, status, text):
    answer = running.ask("POST", configmaps, body)
    assert answer.status == status, answer.body
    assert text in answer.body["message"]


@pytest.mark.parametrize(("export", "status"), [("true", 400), ("1", 400), ("", 400), ("0", 200), ("False", 200)])
def test_nothing_is_read_for_export(running, configmaps, export, status):
    running.ask("POST", configmaps, {"metadata": {"name": "a"}})
    answer = running.ask("GET", f"{configmaps}/a?export={export}")
    assert answer.status == status
    assert running.ask("GET", f"{configmaps}?export={export}").status == 200


def test_field_validation(running, configmaps):
    body = b'{"metadata":{"name":"strict"},"data":{"a":"1","a":"2"},"nope":1}'
    refused = running.ask("POST", configmaps + "?fieldValidation=Strict", body)
    assert refused.status == 400
    assert 'strict decoding error: duplicate field "data.a", unknown field "nope"' in refused.body["message"]
    warned = running.ask("POST", configmaps + "?dryRun=All", body)
    assert warned.status == 201
    told = warned.headers.get_all("Warning")
    assert told == ['299 - "duplicate field \\"data.a\\""', '299 - "unknown field \\"nope\\""']
    ignored = running.ask("POST", configmaps + "?fieldValidation=Ignore&dryRun=All", body)
    assert ignored.headers.get_all("Warning") is None
    assert running.ask("POST", configmaps + "?fieldValidation=Perhaps", body).status == 422


def test_dry_runs_leave_no_trace(running, configmaps):
    made = create(running, configmaps, "a", data={"k": "v"})
    for method, path, body in (
        ("POST", "", {"metadata": {"name": "b"}}),
        ("PUT", "/a", {**made, "data": {"k": "changed"}}),
        ("DELETE", "/a", None),
    ):
        answer = running.ask(method, f"{configmaps}{path}?dryRun=All", body)
        assert answer.status < 300, answer.body
    listed = running.ask("GET", configmaps).body
    names = [item["metadata"]["name"] for item in listed["items"] if item["metadata"]["name"] != "kube-root-ca.crt"]
    assert names == ["a"]
    assert running.ask("GET", f"{configmaps}/a").body == made
    assert running.ask("POST", configmaps + "?dryRun=All", {"metadata": {"name": "a"}}).status == 409


def test_update_needs_the_current_resource_version(running, configmaps):
    made = create(running, configmaps, "a", data={"k": "1"})
    changed = running.ask("PUT", f"{configmaps}/a", {**made, "data": {"k": "2"}})
    assert changed.status == 200
    assert int(changed.body["metadata"]["resourceVersion"]) > int(made["metadata"]["resourceVersion"])
    stale = running.ask("PUT", f"{configmaps}/a", {**made, "data": {"k": "3"}})
    assert stale.status == 409
    assert stale.body["message"] == (
        'Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your changes to '
        "the latest version and try again"
    )
    unconditional = running.ask("PUT", f"{configmaps}/a", {"metadata": {"name": "a"}, "data": {"k": "4"}})
    assert unconditional.status == 200
    assert unconditional.body["metadata"]["uid"] == made["metadata"]["uid"]


def test_an_update_that_changes_nothing_writes_nothing(running, configmaps):
    made = create(running, configmaps, "a", data={"k": "1"})
    again = running.ask("PUT", f"{configmaps}/a", {"metadata": {"name": "a"}, "data": {"k": "1"}})
    assert again.body["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


def test_updates_that_do_not_fit_the_path(running, configmaps):
    create(running, configmaps, "a")
    wrong = running.ask("PUT", f"{configmaps}/a", {"metadata": {"name": "b"}})
    assert wrong.body["message"] == "the name of the object (b) does not match the name on the URL (a)"
    missing = running.ask("PUT", f"{configmaps}/none", {"metadata": {"name": "none"}})
    assert (missing.status, missing.body["message"]) == (404, 'configmaps "none" not found')
    other = running.ask("PUT", f"{configmaps}/a", {"metadata": {"name": "a", "uid": "another"}})
    assert "Precondition failed: UID in precondition: another" in other.body["message"]


@pytest.mark.parametrize(
    ("content_type", "patch"),
    [
        ("application/json-patch+json", [{"op": "replace", "path": "/data/k", "value": "new"}]),
        ("application/merge-patch+json", {"data": {"k": "new"}}),
        ("application/strategic-merge-patch+json", {"data": {"k": "new"}}),
    ],
)
def test_patches(running, configmaps, content_type, patch):
    create(running, configmaps, "a", data={"k": "old", "l": "kept"})
    answer = running.ask("PATCH", f"{configmaps}/a", patch, content_type)
    assert (answer.status, answer.body["data"]) == (200, {"k": "new", "l": "kept"})
    assert running.ask("PATCH", f"{configmaps}/none", patch, content_type).status == 404


def test_patches_that_are_refused(running, configmaps):
    made = create(running, configmaps, "a")
    merge = "application/merge-patch+json"
    assert running.ask("PATCH", f"{configmaps}/a", {}, "application/json").status == 415
    assert running.ask("PATCH", f"{configmaps}/a?force=true", {}, merge).status == 422
    renamed = running.ask("PATCH", f"{configmaps}/a", {"metadata": {"name": "b"}}, merge)
    assert (renamed.status, renamed.body["reason"]) == (400, "BadRequest")
    create_version = {"metadata": {"resourceVersion": "1"}, "data": {"k": "v"}}
    assert running.ask("PATCH", f"{configmaps}/a", create_version, merge).status == 409
    assert running.ask("GET", f"{configmaps}/a").body == made


def test_server_side_apply_creates_owns_and_conflicts(running, configmaps):
    apply = "application/apply-patch+yaml"
    wanted = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "1"}}
    path = f"{configmaps}/a"
    assert running.ask("PATCH", path, wanted, apply).status == 422
    first = running.ask("PATCH", path + "?fieldManager=one", wanted, apply)
    assert first.status == 201
    assert running.ask("PATCH", path + "?fieldManager=one", wanted, apply).status == 200
    theirs = {**wanted, "data": {"k": "2"}}
    refused = running.ask("PATCH", path + "?fieldManager=two", theirs, apply)
    assert refused.status == 409
    assert refused.body["details"]["causes"][0]["reason"] == "FieldManagerConflict"
    forced = running.ask("PATCH", path + "?fieldManager=two&force=true", theirs, apply)
    assert forced.body["data"] == {"k": "2"}


def test_eight_clients_patching_one_object_all_succeed(running, configmaps):
    create(running, configmaps, "a", data={})

    def patch(number):
        path, body = f"{configmaps}/a", {"data": {f"k{number}": "v"}}
        return running.ask("PATCH", path, body, "application/merge-patch+json").status

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert set(pool.map(patch, range(40))) == {200}
    assert len(running.ask("GET", f"{configmaps}/a").body["data"]) == 40


def test_delete_answers_with_a_status_and_preconditions(running, configmaps):
    made = create(running, configmaps, "a")
    refused = running.ask("DELETE", f"{configmaps}/a", {"preconditions": {"uid": "other"}})
    assert (refused.status, refused.body["reason"]) == (409, "Conflict")
    gone = running.ask("DELETE", f"{configmaps}/a")
    assert gone.status == 200
    details = {"name": "a", "kind": "configmaps", "uid": made["metadata"]["uid"]}
    assert (gone.body["kind"], gone.body["status"], gone.body["details"]) == ("Status", "Success", details)
    assert running.ask("DELETE", f"{configmaps}/a").status == 404


def test_finalizers_hold_an_object_until_the_last_is_gone(running, configmaps):
    create(running, configmaps, "a", metadata={"finalizers": ["example.com/hold"]})
    held = running.ask("DELETE", f"{configmaps}/a")
    assert held.status == 200
    assert held.body["metadata"]["deletionTimestamp"]
    assert (
        running.ask("DELETE", f"{configmaps}/a").body["metadata"]["resourceVersion"]
        == (held.body["metadata"]["resourceVersion"])
    )
    released = running.ask(
        "PATCH", f"{configmaps}/a", {"metadata": {"finalizers": None}}, "application/merge-patch+json"
    )
    assert released.status == 200
    assert running.ask("GET", f"{configmaps}/a").status == 404


@pytest.mark.parametrize(
    ("options", "finalizer"),
    [
        ({"propagationPolicy": "Foreground"}, "foregroundDeletion"),
        ({"propagationPolicy": "Orphan"}, "orphan"),
        ({"orphanDependents": True}, "orphan"),
    ],
)
def test_propagation_is_left_to_finalizers(running, configmaps, options, finalizer):
    create(running, configmaps, "a")
    held = running.ask("DELETE", f"{configmaps}/a", options)
    assert held.body["metadata"]["finalizers"] == [finalizer]
    cleared = running.ask("DELETE", f"{configmaps}/a", {"propagationPolicy": "Background"})
    assert cleared.status == 200
    assert running.ask("GET", f"{configmaps}/a").status == 404


def test_delete_options_that_make_no_sense(running, configmaps):
    create(running, configmaps, "a")
    both = {"propagationPolicy": "Orphan", "orphanDependents": True}
    for options in (both, {"propagationPolicy": "Sideways"}, {"dryRun": ["Some"]}):
        assert running.ask("DELETE", f"{configmaps}/a", options).status == 422


def test_what_can_be_read_is_not_deleted_as_unreadable(running, configmaps):
    create(running, configmaps, "a")
    option = "ignoreStoreReadErrorWithClusterBreakingPotential"
    refused = f"is invalid: {option}: Invalid value: true:"
    text = (
        f'configmaps "a" {refused} is exclusively used to delete corrupt object(s), try again by removing this option'
    )
    assert running.ask("DELETE", f"{configmaps}/a?{option}=true").body["message"] == text
    assert running.ask("DELETE", f"{configmaps}/a", {option: True}).body["message"] == text
    both = running.ask("DELETE", f"{configmaps}/a", {option: True, "gracePeriodSeconds": 0})
    kind = 'DeleteOptions.meta.k8s.io ""'
    assert both.body["message"] == f"{kind} {refused} cannot be set together with .gracePeriodSeconds"
    every = running.ask("DELETE", f"{configmaps}?{option}=true")
    text = "is not allowed with DELETECOLLECTION, try again after removing the option"
    assert every.body["message"] == f"{kind} {refused} {text}"
    assert running.ask("DELETE", f"{configmaps}/a?{option}=false").status == 200


def test_delete_collection_by_selector(running, configmaps):
    for name, labels in (("a", {"x": "1"}), ("b", {"x": "2"}), ("c", {"x": "1"})):
        create(running, configmaps, name, metadata={"labels": labels})
    deleted = running.ask("DELETE", configmaps + "?labelSelector=x%3D1")
    assert deleted.body["kind"] == "ConfigMapList"
    assert [item["metadata"]["name"] for item in deleted.body["items"]] == ["a", "c"]
    assert running.ask("GET", f"{configmaps}/b").status == 200
    assert running.ask("GET", f"{configmaps}/a").status == 404


def deployment(name, replicas=2):
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template}
    return {"metadata": {"name": name}, "spec": spec}


def test_status_and_spec_have_endpoints_of_their_own(running, namespace):
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    made = running.ask("POST", path, {**deployment("a"), "status": {"replicas": 9}}).body
    assert (made.get("status") or {}).get("replicas", 0) == 0
    assert made["metadata"]["generation"] == 1
    merge = "application/merge-patch+json"
    both = {"spec": {"replicas": 5}, "status": {"replicas": 5}}
    status = running.ask("PATCH", f"{path}/a/status", both, merge).body
    assert (status["spec"]["replicas"], status["status"]["replicas"]) == (2, 5)
    assert status["metadata"]["generation"] == 1
    main = running.ask("PATCH", f"{path}/a", {"spec": {"replicas": 5}, "status": {"replicas": 7}}, merge).body
    assert (main["spec"]["replicas"], main["status"]["replicas"], main["metadata"]["generation"]) == (5, 5, 2)
    assert "status" in {entry.get("subresource") for entry in main["metadata"]["managedFields"]}


def test_scale(running, namespace):
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    running.ask("POST", path, deployment("a"))
    scale = running.ask("GET", f"{path}/a/scale").body
    assert (scale["kind"], scale["spec"]) == ("Scale", {"replicas": 2})
    assert scale["status"] == {"replicas": 0, "selector": "app=a"}
    assert running.ask("PUT", f"{path}/a/scale", {**scale, "spec": {"replicas": 4}}).body["spec"] == {"replicas": 4}
    assert running.ask("PUT", f"{path}/a/scale", scale).status == 409
    patched = running.ask("PATCH", f"{path}/a/scale", {"spec": {"replicas": 1}}, "application/merge-patch+json")
    assert patched.body["spec"] == {"replicas": 1}
    assert running.ask("GET", f"{path}/a").body["spec"]["replicas"] == 1
    table = running.ask("GET", f"{path}/a/scale", Accept="application/json;as=Table;v=v1;g=meta.k8s.io").body
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Desired", "Available", "Age"]
    assert table["rows"][0]["cells"][:3] == ["a", 1, 0]
    assert running.ask("PUT", f"{path}/a/scale", {"metadata": {"name": "a"}, "spec": {"replicas": -1}}).status == 422


@pytest.mark.parametrize(
    ("method", "path", "status", "text"),
    [
        ("GET", "/api/v1/nothings", 404, "the server could not find the requested resource"),
        ("POST", "/api/v1/namespaces/x", 405, "the server does not allow this method on the requested resource"),
        ("DELETE", "/api/v1/namespaces", 405, "the server does not allow this method on the requested resource"),
        ("GET", "/api/v1/namespaces/x/configmaps/y/status", 404, "the server could not find the requested resource"),
        ("GET", "/api/v1/namespaces/x/configmaps/y", 404, 'configmaps "y" not found'),
        ("POST", "/api/v1/configmaps", 405, "the server does not allow this method on the requested resource"),
        ("DELETE", "/api/v1/configmaps", 405, "the server does not allow this method on the requested resource"),
        ("GET", "/api/v1/namespaces/x/nodes", 404, "the server could not find the requested resource"),
        ("POST", "/version", 405, "the server does not allow this method on the requested resource"),
    ],
)
def test_paths_that_lead_nowhere(running, method, path, status, text):
    answer = running.ask(method, path, {} if method == "POST" else None)
    assert (answer.status, answer.body["message"]) == (status, text)


@pytest.mark.parametrize("path", ["/nothing", "/apis/none.example/v1/things", "/swagger.json", "/healthz/nothing"])
def test_paths_nobody_knows_are_plain_text(running, path):
    answer = running.ask("GET", path)
    assert (answer.status, answer.raw) == (404, b"404 page not found\n")


def test_a_body_beyond_the_limit(running, configmaps):
    answer = running.ask("POST", configmaps, b'{"x":"' + b"y" * (3 << 20) + b'"}')
    assert (answer.status, answer.body["reason"]) == (413, "RequestEntityTooLarge")


def test_a_json_patch_is_held_against_fieldvalidation(running, configmaps):
    running.ask("POST", configmaps, {"metadata": {"name": "a"}, "data": {"k": "1"}})
    patch = (
        '[{"op":"add","path":"/data/b","value":"1","foo":"x"},'
        '{"op":"add","path":"/data/c","path":"/data/c","value":"1"},{"op":"add","path":"/odd","value":1}]'
    )
    texts = ['json patch unknown field "[0].foo"', 'json patch duplicate field "[1].path"', 'unknown field "odd"']
    kind = "application/json-patch+json"
    strict = running.ask("PATCH", f"{configmaps}/a?fieldValidation=Strict", patch, kind)
    assert strict.status == 422
    assert f"strict decoding error: {', '.join(texts)}" in strict.body["message"]
    warned = running.ask("PATCH", f"{configmaps}/a", patch, kind)
    expected = ['299 - "' + text.replace('"', '\\"') + '"' for text in texts]
    assert (warned.status, warned.headers.get_all("Warning")) == (200, expected)
    ignored = running.ask("PATCH", f"{configmaps}/a?fieldValidation=Ignore", patch, kind)
    assert (ignored.status, ignored.headers.get_all("Warning")) == (200, None)
