"""Definitions over HTTP: acceptance, names, publication, versions, changes, deletion."""

import copy
import json
import threading
import time

import gevent
import pytest

from kubeshim.control_plane.api_server.background import custom_resource_definitions, custom_resource_deletion
from kubeshim.control_plane.api_server.custom_resources import catalog
from kubeshim.machinery.codecs import protobuf
from tests.control_plane.api_server import conftest as api_server
from tests.control_plane.api_server.custom_resources.conftest import CRDS, Types, definition

OPEN = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
MERGE = "application/merge-patch+json"


def version(name, schema=OPEN, *, storage=False, served=True, **more):
    return {"name": name, "served": served, "storage": storage, "schema": {"openAPIV3Schema": schema}, **more}


def gone(running, path):
    end = time.monotonic() + 60
    while running.ask("GET", path).status != 404:
        assert time.monotonic() < end
        time.sleep(0.005)


def test_a_new_definition_is_accepted_and_served(types):
    ask = types.running.ask
    before = {path: ask("GET", path).headers["ETag"] for path in ("/openapi/v2", "/openapi/v3")}
    group = types.define(subresources={"status": {}})
    crd = ask("GET", f"{CRDS}/widgets.{group}").body
    assert crd["spec"]["names"] == {
        "plural": "widgets", "kind": "Widget", "shortNames": ["wd"], "singular": "widget", "listKind": "WidgetList",
    }  # fmt: skip
    assert crd["spec"]["conversion"] == {"strategy": "None"}
    assert crd["status"]["acceptedNames"] == crd["spec"]["names"]
    assert crd["status"]["storedVersions"] == ["v1"]
    told = [(c["type"], c["status"], c["reason"], c["message"]) for c in crd["status"]["conditions"]]
    assert told == [
        ("NamesAccepted", "True", "NoConflicts", "no conflicts found"),
        ("Established", "True", "InitialNamesAccepted", "the initial names have been accepted"),
    ]
    for path, etag in before.items():
        assert ask("GET", path, If_None_Match=etag).status == 200
    listed = ask("GET", f"/apis/{group}/v1").body["resources"]
    assert [entry["name"] for entry in listed] == ["widgets", "widgets/status"]
    name = ".".join(reversed(group.split("."))) + ".v1.Widget"
    v2 = ask("GET", "/openapi/v2").body["definitions"][name]
    assert v2["x-kubernetes-group-version-kind"] == [{"group": group, "version": "v1", "kind": "Widget"}]
    assert "metadata" in v2["properties"]
    v3 = ask("GET", f"/openapi/v3/apis/{group}/v1").body["components"]["schemas"][name]
    assert v3["properties"]["spec"]["properties"]["color"]["default"] == "red"
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    groups = {entry["metadata"]["name"] for entry in ask("GET", "/apis", Accept=accept).body["items"]}
    assert group in groups


def test_created_as_upstream_answers(running):
    made = running.ask("POST", CRDS, definition("fresh.example.com")).body
    assert made["status"] == {
        "conditions": None, "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": ["v1"],
    }  # fmt: skip
    assert made["metadata"]["generation"] == 1


def test_names_of_a_group_are_given_once(types):
    ask = types.running.ask
    group = types.define()
    second = definition(group, "gadgets", "Gadget")
    ask("POST", CRDS, second)
    condition = types.until(f"gadgets.{group}", "NamesAccepted", "False")
    assert (condition["reason"], condition["message"]) == ("ShortNamesConflict", '"wd" is already in use')
    established = types.until(f"gadgets.{group}", "Established", "False")
    assert (established["reason"], established["message"]) == ("NotAccepted", "not all names are accepted")
    assert ask("GET", f"/apis/{group}/v1/gadgets").status == 404
    ask("DELETE", f"{CRDS}/widgets.{group}")
    types.until(f"gadgets.{group}", "Established", "True")
    assert ask("GET", f"/apis/{group}/v1/gadgets").status == 200


def test_versions_are_views_of_one_store(types, namespace):
    ask = types.running.ask
    group = types.define(versions=[version("v1", storage=True), version("v2"), version("v3", served=False)])
    space = f"/namespaces/{namespace}/widgets"
    body = {"apiVersion": f"{group}/v2", "kind": "Widget", "metadata": {"name": "a"}, "spec": {"x": 1}}
    assert ask("POST", f"/apis/{group}/v2{space}", body).body["apiVersion"] == f"{group}/v2"
    assert ask("GET", f"/apis/{group}/v1{space}/a").body["apiVersion"] == f"{group}/v1"
    assert [item["apiVersion"] for item in ask("GET", f"/apis/{group}/v2{space}").body["items"]] == [f"{group}/v2"]
    assert ask("GET", f"/apis/{group}/v3{space}/a").status == 404
    events = types.running.watch(f"/apis/{group}/v2{space}?watch=1&timeoutSeconds=5")
    assert next(events)["object"]["apiVersion"] == f"{group}/v2"
    ask("PATCH", f"/apis/{group}/v1{space}/a", '{"spec":{"x":2}}', MERGE)
    assert next(events)["object"]["apiVersion"] == f"{group}/v2"
    events.close()


def test_owners_in_a_version_that_is_gone(types, namespace):
    """Nothing is applied any more, and the record stays as it is until it is reset: upstream's way."""
    ask = types.running.ask
    group = types.define(versions=[version("v1"), version("v2", storage=True)])
    space = f"/namespaces/{namespace}/widgets/a"

    def apply(number):
        body = {"apiVersion": f"{group}/{number}", "kind": "Widget", "metadata": {"name": "a"}, number: 1}
        kind = "application/apply-patch+yaml"
        return ask("PATCH", f"/apis/{group}/{number}{space}?fieldManager={number}", json.dumps(body), kind)

    owned = [apply("v1"), apply("v2")][-1].body["metadata"]["managedFields"]
    assert [one["manager"] for one in owned] == ["v1", "v2"]
    path = f"{CRDS}/widgets.{group}"
    crd = ask("GET", path).body
    del crd["spec"]["versions"][0]
    assert ask("PUT", path, crd).status == 200
    gone(types.running, f"/apis/{group}/v1")
    refused = apply("v2")
    text = f"request to convert CR to an invalid group/version: {group}/v1"
    assert (refused.status, refused.body["message"], refused.body.get("reason")) == (500, text, None)
    merged = ask("PATCH", f"/apis/{group}/v2{space}", '{"v1":2}', MERGE).body
    assert (merged["v1"], merged["metadata"]["managedFields"]) == (2, owned)
    reset = ask("PATCH", f"/apis/{group}/v2{space}", '{"metadata":{"managedFields":[{}]}}', MERGE)
    assert "managedFields" not in reset.body["metadata"]
    assert apply("v2").status == 200


def test_the_storage_version_moves_and_the_old_one_must_stay(types):
    ask = types.running.ask
    group = types.define(versions=[version("v1", storage=True), version("v2")])
    path = f"{CRDS}/widgets.{group}"
    crd = ask("GET", path).body
    crd["spec"]["versions"][0]["storage"], crd["spec"]["versions"][1]["storage"] = False, True
    moved = ask("PUT", path, crd)
    assert moved.body["status"]["storedVersions"] == ["v1", "v2"]
    crd = moved.body
    del crd["spec"]["versions"][0]
    refused = ask("PUT", path, crd)
    assert refused.status == 422
    assert refused.body["message"].endswith(
        'status.storedVersions[0]: Invalid value: "v1": missing from spec.versions; v1 was previously a storage '
        "version, and must remain in spec.versions until a storage migration ensures no data remains persisted in v1 "
        "and removes v1 from status.storedVersions"
    )
    crd["status"]["storedVersions"] = ["v2"]
    status = '{"metadata":{"labels":{"a":"b"}},"status":{"storedVersions":["v2"]}}'
    stored = ask("PATCH", path + "/status?fieldManager=m", status, MERGE)
    assert stored.status == 200
    # written is the label as well, but not owned
    [entry] = [one for one in stored.body["metadata"]["managedFields"] if one["manager"] == "m"]
    assert (entry["fieldsV1"], stored.body["metadata"]["labels"]) == (
        {"f:status": {"f:storedVersions": {}}},
        {"a": "b"},
    )
    crd["metadata"]["resourceVersion"] = stored.body["metadata"]["resourceVersion"]
    assert ask("PUT", path, crd).status == 200


def test_defaults_and_pruning_on_reading_what_is_stored(types, namespace):
    ask = types.running.ask
    group = types.define(versions=[version("v1", storage=True)])
    space = f"/apis/{group}/v1/namespaces/{namespace}/widgets"
    body = {"apiVersion": f"{group}/v1", "kind": "Widget", "metadata": {"name": "a"}, "old": 1, "spec": {}}
    first = ask("POST", space, body).body
    assert first["old"] == 1
    path = f"{CRDS}/widgets.{group}"
    crd = ask("GET", path).body
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = {
        "type": "object",
        "properties": {"spec": {"type": "object", "properties": {"color": {"type": "string", "default": "red"}}}},
    }
    watched = types.running.watch(space + "?watch=1&timeoutSeconds=5")
    assert next(watched)["object"]["old"] == 1
    ask("PUT", path, crd)
    assert list(watched) == []
    for found in (ask("GET", f"{space}/a").body, ask("GET", space).body["items"][0]):
        assert "old" not in found
        assert found["spec"] == {"color": "red"}
        assert found["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


def test_a_version_is_no_longer_served(types):
    ask = types.running.ask
    group = types.define(versions=[version("v1", storage=True), version("v2")])
    path = f"{CRDS}/widgets.{group}"
    ask("PATCH", path, json.dumps([{"op": "replace", "path": "/spec/versions/1/served", "value": False}]),
        "application/json-patch+json")  # fmt: skip
    assert ask("GET", f"/apis/{group}/v2/widgets").status == 404
    assert [entry["version"] for entry in ask("GET", f"/apis/{group}").body["versions"]] == ["v1"]
    definitions = ask("GET", "/openapi/v2").body["definitions"]
    assert [name[-9:] for name in definitions if group.split(".")[0] in name.split(".")] == ["v1.Widget", "idgetList"]


def test_deprecated_versions_warn(types):
    group = types.define(versions=[version("v1", storage=True), version("v2", deprecated=True)])
    warned = types.running.ask("GET", f"/apis/{group}/v2/widgets").headers["Warning"]
    assert warned == f'299 - "{group}/v2 Widget is deprecated"'


def test_what_an_established_definition_keeps(types):
    group = types.define()
    path = f"{CRDS}/widgets.{group}"
    crd = types.running.ask("GET", path).body
    crd["spec"]["scope"] = "Cluster"
    crd["spec"]["names"]["kind"] = "Gadget"
    refused = types.running.ask("PUT", path, crd).body["details"]["causes"]
    assert [(cause["field"], cause["message"]) for cause in refused] == [
        ("spec.scope", 'Invalid value: "Cluster": field is immutable'),
        ("spec.names.kind", 'Invalid value: "Gadget": field is immutable'),
    ]


def test_deletion_waits_for_the_instances(types, namespace):
    ask = types.running.ask
    group = types.define()
    path = f"{CRDS}/widgets.{group}"
    space = f"/apis/{group}/v1/namespaces/{namespace}/widgets"
    for name, finalizers in (("a", []), ("b", ["example.com/hold"])):
        metadata = {"name": name, "finalizers": finalizers}
        body = {"apiVersion": f"{group}/v1", "kind": "Widget", "metadata": metadata, "spec": {"size": 1}}
        assert ask("POST", space, body).status == 201
    deleted = ask("DELETE", path).body
    assert deleted["metadata"]["finalizers"] == ["customresourcecleanup.apiextensions.k8s.io"]
    assert deleted["status"]["conditions"][-1]["reason"] == "InstanceDeletionPending"
    condition = types.until(f"widgets.{group}", "Terminating", "True")
    gone(types.running, space + "/a")
    assert condition["reason"] in ("InstanceDeletionPending", "InstanceDeletionInProgress")
    refused = ask("POST", space, {**body, "metadata": {"name": "c"}})
    assert (refused.status, refused.body["message"]) == (
        405, "create not allowed while custom resource definition is terminating",
    )  # fmt: skip
    assert ask("PATCH", space + "/b", '{"metadata":{"finalizers":null}}', MERGE).status == 200
    gone(types.running, path)
    assert ask("GET", space).raw == b"404 page not found\n"
    types.define(group=group)
    assert ask("GET", space).body["items"] == []


class Emptying:
    """Follows the work on deleted definitions."""

    def __init__(self, monkeypatch):
        self.begun, self.ended = threading.Semaphore(0), threading.Semaphore(0)
        original = custom_resource_deletion.empty

        def empty(*arguments):
            self.begun.release()
            try:
                original(*arguments)
            finally:
                self.ended.release()

        monkeypatch.setattr(custom_resource_deletion, "empty", empty)


def held(ask, group, space, name):
    """Makes an instance that stays when it is deleted."""
    metadata = {"name": name, "finalizers": ["example.com/hold"]}
    body = {"apiVersion": f"{group}/v1", "kind": "Widget", "metadata": metadata, "spec": {"size": 1}}
    assert ask("POST", space, body).status == 201


def test_a_definition_that_was_taken_away_by_force_and_made_anew_keeps_its_instances(types, namespace, monkeypatch):
    """Emptying the former one goes on for as long as an instance is held, but no longer than the definition is."""
    emptying = Emptying(monkeypatch)
    ask = types.running.ask
    group = types.define()
    path, space = f"{CRDS}/widgets.{group}", f"/apis/{group}/v1/namespaces/{namespace}/widgets"
    held(ask, group, space, "old")
    assert ask("DELETE", path).status == 200
    types.until(f"widgets.{group}", "Terminating", "True")
    end = time.monotonic() + 60
    while "deletionTimestamp" not in ask("GET", space + "/old").body["metadata"]:
        assert time.monotonic() < end
    assert ask("PATCH", path, '{"metadata":{"finalizers":null}}', MERGE).status == 200
    types.define(group=group)
    held(ask, group, space, "new")
    assert emptying.ended.acquire(timeout=60)
    assert "deletionTimestamp" not in ask("GET", space + "/new").body["metadata"]
    assert ask("DELETE", path).status == 200  # and this one is emptied as any other
    for name in ("old", "new"):
        assert ask("PATCH", f"{space}/{name}", '{"metadata":{"finalizers":null}}', MERGE).status == 200
    gone(types.running, path)


def test_nothing_is_made_of_a_type_that_went_while_other_servers_were_asked(types, namespace):
    """It would be there again when the type is."""
    ask, server = types.running.ask, types.running.server
    group = types.define()
    space = f"/apis/{group}/v1/namespaces/{namespace}/widgets"
    original = server.admission.validate

    def validate(attributes):
        original(attributes)
        if attributes.resource.group == group and attributes.operation == "CREATE":
            server.admission.validate = original
            server.client.delete(catalog.DEFINITIONS, f"widgets.{group}")

    server.admission.validate = validate
    body = {"apiVersion": f"{group}/v1", "kind": "Widget", "metadata": {"name": "late"}, "spec": {"size": 1}}
    refused = ask("POST", space, body)
    assert refused.status in (404, 405)
    gone(types.running, f"{CRDS}/widgets.{group}")
    types.define(group=group)
    assert ask("GET", space).body["items"] == []


def test_a_server_that_stops_lets_no_definition_go_before_its_instances(tmp_path):
    running = api_server.Running(f"sqlite:{tmp_path / 'state.db'}", tmp_path)
    server = running.server
    kinds = Types(running)
    running.call(lambda: gevent.spawn(custom_resource_definitions.run, server) and None)
    try:
        group = kinds.define(scope="Cluster")
        held(running.ask, group, f"/apis/{group}/v1/widgets", "a")
        path = f"{CRDS}/widgets.{group}"
        assert running.ask("DELETE", path).status == 200
        kinds.until(f"widgets.{group}", "Terminating", "True")
        end = time.monotonic() + 60
        while running.ask("GET", path).body["status"]["conditions"][-1]["reason"] != "InstanceDeletionInProgress":
            assert time.monotonic() < end

        def stop():
            worker = gevent.spawn(custom_resource_deletion.empty, server, f"widgets.{group}")
            gevent.sleep(0)
            server.stop()
            worker.join()
            return server.storage.reader.get(catalog.DEFINITIONS, "", f"widgets.{group}")

        assert running.call(stop)["metadata"]["finalizers"]
    finally:
        running.close()


def test_survives_a_restart(tmp_path):
    store = f"sqlite:{tmp_path / 'state.db'}"
    running = api_server.Running(store, tmp_path)
    group = "kept.example.com"
    body = {"apiVersion": f"{group}/v1", "kind": "Widget", "metadata": {"name": "a"}, "spec": {"size": 1}}
    try:
        running.ask("POST", CRDS, definition(group, scope="Cluster"))
        path = f"{CRDS}/widgets.{group}/status"
        crd = copy.deepcopy(running.ask("GET", path).body)
        crd["status"]["acceptedNames"] = crd["spec"]["names"]
        crd["status"]["conditions"] = [{"type": "Established", "status": "True"}]
        running.ask("PUT", path, crd)
        assert running.ask("POST", f"/apis/{group}/v1/widgets", body).status == 201
    finally:
        running.close()
    running = api_server.Running(store, tmp_path)
    try:
        assert running.ask("GET", f"/apis/{group}/v1/widgets/a").body["spec"] == {"size": 1, "color": "red"}
    finally:
        running.close()


@pytest.mark.parametrize("scope", ["Namespaced", "Cluster"])
def test_scopes(types, scope):
    group = types.define(scope=scope)
    assert types.running.ask("GET", f"/apis/{group}/v1/widgets").status == 200
    inside = types.running.ask("GET", f"/apis/{group}/v1/namespaces/default/widgets").status
    assert inside == (200 if scope == "Namespaced" else 404)


def test_fields_become_selectable_with_their_definition(types, namespace):
    ask = types.running.ask
    group = types.define()
    space = f"/apis/{group}/v1/namespaces/{namespace}/widgets"
    body = {"apiVersion": f"{group}/v1", "kind": "Widget", "metadata": {"name": "a"}, "spec": {"size": 1}}
    ask("POST", space, body)
    assert len(ask("GET", space + "?fieldSelector=metadata.name%3Da").body["items"]) == 1
    path = f"{CRDS}/widgets.{group}"
    change = [{"op": "add", "path": "/spec/versions/0/selectableFields", "value": [{"jsonPath": ".spec.color"}]}]
    assert ask("PATCH", path, json.dumps(change), "application/json-patch+json").status == 200
    assert len(ask("GET", space + "?fieldSelector=spec.color%3Dred").body["items"]) == 1
    assert len(ask("GET", space + "?fieldSelector=spec.color%3Dgreen").body["items"]) == 0


def test_built_in_types_cannot_be_replaced(types):
    body = definition("networking.k8s.io", "ingresses", "Ingress")
    body["metadata"]["annotations"] = {"api-approved.kubernetes.io": "unapproved, a test"}
    assert types.running.ask("POST", CRDS, body).status == 201
    condition = types.until("ingresses.networking.k8s.io", "KubernetesAPIApprovalPolicyConformant", "False")
    assert (condition["reason"], condition["message"]) == (
        "UnapprovedAnnotation", 'not approved: "unapproved, a test"',
    )  # fmt: skip
    listed = types.running.ask("GET", "/apis/networking.k8s.io/v1/ingresses").body
    assert listed["kind"] == "IngressList"
    assert "wd" not in json.dumps(types.running.ask("GET", "/apis/networking.k8s.io/v1").body)


def test_a_definition_of_definitions_changes_nothing(types):
    ask, group = types.running.ask, types.define()
    body = definition("apiextensions.k8s.io", "customresourcedefinitions", "CustomResourceDefinition", "Cluster")
    body["metadata"]["annotations"] = {"api-approved.kubernetes.io": "unapproved, a test"}
    name = body["metadata"]["name"]
    assert ask("POST", CRDS, body).status == 201
    types.until(name, "Established", "True")
    assert types.define()
    assert ask("GET", f"{CRDS}/widgets.{group}").body["spec"]["group"] == group
    assert ask("DELETE", f"{CRDS}/{name}").status == 200
    gone(types.running, f"{CRDS}/{name}")
    assert ask("GET", f"{CRDS}/widgets.{group}").status == 200


def test_a_column_whose_path_cannot_be_read_ends_the_table(types):
    columns = [
        {"name": "A", "type": "string", "jsonPath": ".spec.color"},
        {"name": "B", "type": "string", "jsonPath": ".spec[?"},
    ]
    group = types.define(additionalPrinterColumns=columns)
    accept = "application/json;as=Table;v=v1;g=meta.k8s.io"
    table = types.running.ask("GET", f"/apis/{group}/v1/widgets", Accept=accept).body
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "A"]


def test_nulls_in_lists_and_maps_are_empty(running):
    body = definition("nulls.example.com")
    body["spec"]["versions"].append(None)
    body["spec"]["names"]["shortNames"] = [None]
    body["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = {"type": "object", "properties": {"a": None}}
    answer = running.ask("POST", CRDS, body)
    assert answer.status == 422
    fields = {cause["field"] for cause in answer.body["details"]["causes"]}
    assert {"spec.versions[1].name", "spec.names.shortNames[0]"} <= fields
    assert "spec.versions[0].schema.openAPIV3Schema.properties[a].type" in fields


def test_definitions_in_protobuf(running):
    body = definition("binary.example.com")
    sent = protobuf.encode(body)
    answer = running.ask("POST", CRDS, sent, "application/vnd.kubernetes.protobuf")
    assert answer.status == 201
    assert answer.body["spec"]["versions"] == body["spec"]["versions"]
    assert b'"maximum":10,' in answer.raw.replace(b": ", b":")
