"""Paths and methods of custom resources: their handler goes by the verb, and knows nothing of routers."""

import pytest

NOBODY = (404, "404 page not found\n")
COLLECTION = "/namespaces/{namespace}/widgets"
ITEM = f"{COLLECTION}/a"


@pytest.fixture(scope="module")
def group(types):
    return types.define(subresources={"status": {}})


def refused(verb):
    return 405, verb + ' is not supported on resources of kind "widgets.{group}"'


CASES = [
    ("GET", COLLECTION, (200, None)),
    ("GET", "/widgets", (200, None)),
    ("HEAD", COLLECTION, (200, None)),
    ("GET", "/widgets/a", NOBODY),
    ("POST", "/widgets", NOBODY),
    ("GET", "/namespaces/{namespace}/things", NOBODY),
    ("GET", f"{ITEM}/status", (404, 'widgets.{group} "a" not found')),
    ("GET", f"{ITEM}/scale", (404, 'widgets.{group} "a" not found')),
    ("POST", f"{ITEM}/status", refused("create")),
    ("DELETE", f"{ITEM}/status", refused("delete")),
    ("OPTIONS", ITEM, refused("")),
    ("PUT", COLLECTION, (400, "name must be provided")),
    ("PATCH", COLLECTION, (400, "name must be provided")),
]


@pytest.mark.parametrize(("method", "path", "expected"), CASES, ids=[f"{case[0]} {case[1]}" for case in CASES])
def test_paths(running, group, namespace, method, path, expected):
    status, message = expected
    path = f"/apis/{group}/v1{path.format(namespace=namespace)}"
    answer = running.ask(method, path, {} if method in ("POST", "PUT", "PATCH") else None)
    assert answer.status == status, answer.raw
    if expected == NOBODY:
        assert answer.raw.decode() == message
    elif message is not None:
        assert answer.body["message"] == message.format(group=group)
