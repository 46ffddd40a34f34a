"""Many who write one object: each attempt of one that fails is another's success, and none is given up for it."""

import contextlib
import itertools

import pytest

MANY = 40


@contextlib.contextmanager
def overtaken(running, times):
    """So many writes of the next object find that another writer has just been faster."""
    storage, left = running.server.storage, itertools.count(times, -1)
    held = {name: getattr(storage, name) for name in ("update", "delete")}

    def first(resource, key):
        if next(left) > 0:
            item = storage.get(resource, *key)
            obj = item.copy()
            obj["data"] = {"others": str(item.revision)}
            held["update"](resource, obj, item.revision)

    def update(resource, obj, revision):
        first(resource, (obj["metadata"].get("namespace", ""), obj["metadata"]["name"]))
        return held["update"](resource, obj, revision)

    def delete(resource, item):
        first(resource, (item.namespace, item.name))
        return held["delete"](resource, item)

    storage.update, storage.delete = update, delete
    try:
        yield
    finally:
        storage.update, storage.delete = held["update"], held["delete"]


@pytest.mark.parametrize(
    ("method", "body", "kind"),
    [
        ("PATCH", {"metadata": {"labels": {"a": "b"}}}, "application/merge-patch+json"),
        (
            "PATCH",
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one", "labels": {"a": "b"}}},
            "application/apply-patch+yaml",
        ),
        ("PUT", {"metadata": {"name": "one", "labels": {"a": "b"}}}, "application/json"),
        ("DELETE", None, "application/json"),
    ],
)
def test_a_write_is_made_however_often_others_are_faster(running, configmaps, method, body, kind):
    assert running.ask("POST", configmaps, {"metadata": {"name": "one"}}).status == 201
    query = "?fieldManager=me" if "apply" in kind else ""
    with overtaken(running, MANY):
        answer = running.ask(method, f"{configmaps}/one{query}", body, content_type=kind)
    assert answer.status == 200, answer.body


def test_a_write_that_names_a_revision_is_refused_when_another_is_faster(running, configmaps):
    made = running.ask("POST", configmaps, {"metadata": {"name": "one"}}).body
    with overtaken(running, 1):
        assert running.ask("PUT", f"{configmaps}/one", made | {"data": {"a": "b"}}).status == 409


def test_what_is_put_where_nothing_is_replaces_what_another_makes_in_that_moment(running, namespace):
    storage, original = running.server.storage, running.server.storage.create

    def create(resource, obj, still):
        storage.create = original
        original(resource, {**obj, "metadata": {**obj["metadata"], "uid": "other", "labels": {"by": "other"}}})
        return original(resource, obj, still)

    storage.create = create
    try:
        body = {"metadata": {"name": "one", "labels": {"by": "me"}}, "spec": {"ports": [{"port": 80}]}}
        answer = running.ask("PUT", f"/api/v1/namespaces/{namespace}/services/one", body)
    finally:
        storage.create = original
    assert answer.status == 200, answer.raw
    metadata = answer.body["metadata"]
    assert (metadata["uid"], metadata["labels"]) == ("other", {"by": "me"})


def made_late(running, path, body, meanwhile):
    """The answer to a POST of which other servers are asked for so long that ``meanwhile`` is done."""
    server = running.server
    original = server.admission.validate

    def validate(attributes):
        original(attributes)
        if attributes.operation == "CREATE" and attributes.object["metadata"].get("name") == "late":
            server.admission.validate = original
            meanwhile()

    server.admission.validate = validate
    try:
        return running.ask("POST", path, body)
    finally:
        server.admission.validate = original


def test_nothing_is_made_in_a_namespace_that_went_while_other_servers_were_asked(running, namespace, configmaps):
    namespaces = running.server.registry.get("", "v1", "namespaces")

    def terminate():
        item = running.server.storage.get(namespaces, "", namespace)
        obj = item.copy()
        obj["status"] = {"phase": "Terminating"}
        running.server.storage.update(namespaces, obj, item.revision)

    refused = made_late(running, configmaps, {"metadata": {"name": "late"}}, terminate)
    assert (refused.status, refused.body["details"]["causes"][0]["reason"]) == (403, "NamespaceTerminating")
