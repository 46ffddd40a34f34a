"""The deprecated paths of watches, which the official client has no calls for: each type has them."""

import contextlib
import http.client
import json

import pytest

from tests.control_plane.api_server.operations import catalogue

LISTS = sorted(
    {
        one.path
        for family in catalogue.families().values()
        for one in family
        if one.method == "GET" and one.place[-1] != "{name}" and len(one.place) == 1
        and not one.path.endswith("componentstatuses")
    }
)  # fmt: skip


def old(path):
    """``/apis/apps/v1/namespaces/{namespace}/deployments`` → ``/apis/apps/v1/watch/namespaces/default/deployments``."""
    parts = path.split("/")
    depth = 4 if parts[1] == "apis" else 3
    return "/".join([*parts[:depth], "watch", *parts[depth:]]).replace("{namespace}", "default")


@pytest.mark.parametrize("path", LISTS)
def test_an_old_watch(secure, path):
    """One of the whole collection, and one of a single name."""
    assert status(secure, old(path)) == 200
    assert secure.ask("POST", old(path), {}).status == 405
    single = "{namespace}" in path or not any(other == path for other in _across())
    assert status(secure, f"{old(path)}/nobody") == (200 if single else 404)


def status(secure, path):
    connection = http.client.HTTPSConnection("127.0.0.1", secure.port, timeout=60, context=secure.context("admin"))
    with contextlib.closing(connection):
        connection.request("GET", path)
        with connection.getresponse() as answer:
            return answer.status


def _across():
    """Collections of namespaced types in all namespaces."""
    namespaced = {path.replace("/namespaces/{namespace}", "") for path in LISTS if "{namespace}" in path}
    return [path for path in LISTS if path in namespaced]


def test_what_an_old_watch_tells(secure):
    secure.ask("POST", "/api/v1/namespaces", {"metadata": {"name": "old-watch"}})
    for name in ("a", "b"):
        secure.ask("POST", "/api/v1/namespaces/old-watch/configmaps", {"metadata": {"name": name}})
    told = secure.ask("GET", "/api/v1/watch/namespaces/old-watch/configmaps/a?timeoutSeconds=1").raw
    (event,) = [json.loads(line) for line in told.splitlines()]
    assert (event["type"], event["object"]["metadata"]["name"]) == ("ADDED", "a")
