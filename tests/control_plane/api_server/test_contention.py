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
