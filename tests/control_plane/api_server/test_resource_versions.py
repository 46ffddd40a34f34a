"""The table of resourceVersions: get, list and watch, by what is asked for and how it is matched.

``then`` is a revision at which there were six config maps, c0 without data; c0 has been changed three times since.
``gone`` is the same after everything before the last change has been compacted.
"""

import json

import pytest

OK, BAD, INVALID, GONE, TOO_LARGE, FAILED = (
    (200, None), (400, "BadRequest"), (422, "Invalid"), (410, "Expired"), (504, "Timeout"), (500, None),
)  # fmt: skip
# (what is asked of the future takes three seconds each; two more are in test_lists.py)
CASES = [
    # what, resourceVersion, other parameters, answer, where the answer is from
    ("get", "", "", OK, "now"),
    ("get", "0", "", OK, "now"),
    ("get", "then", "", OK, "now"),
    ("get", "gone", "", OK, "now"),
    ("get", "x", "", FAILED, ""),
    ("get", "-1", "", FAILED, ""),
    ("get", "18446744073709551616", "", FAILED, ""),
    ("list", "", "", OK, "now"),
    ("list", "", "limit=2", OK, "now"),
    ("list", "", "resourceVersionMatch=Exact", INVALID, ""),
    ("list", "", "resourceVersionMatch=NotOlderThan", INVALID, ""),
    ("list", "0", "", OK, "now"),
    ("list", "0", "limit=2", OK, "now"),
    ("list", "0", "resourceVersionMatch=Exact", INVALID, ""),
    ("list", "0", "resourceVersionMatch=NotOlderThan", OK, "now"),
    ("list", "then", "", OK, "now"),
    ("list", "then", "limit=2", OK, "then"),
    ("list", "then", "resourceVersionMatch=Exact", OK, "then"),
    ("list", "then", "resourceVersionMatch=Exact&limit=2", OK, "then"),
    ("list", "then", "resourceVersionMatch=NotOlderThan", OK, "now"),
    ("list", "then", "resourceVersionMatch=NotOlderThan&limit=2", OK, "now"),
    ("list", "then", "resourceVersionMatch=Near", INVALID, ""),
    ("list", "then", "continue=TOKEN", BAD, ""),
    ("list", "then", "continue=TOKEN&resourceVersionMatch=Exact", INVALID, ""),
    ("list", "", "continue=TOKEN", OK, "then"),
    ("list", "0", "continue=TOKEN", OK, "then"),
    ("list", "gone", "", OK, "now"),
    ("list", "gone", "limit=2", GONE, ""),
    ("list", "gone", "resourceVersionMatch=Exact", GONE, ""),
    ("list", "gone", "resourceVersionMatch=NotOlderThan", OK, "now"),
    ("list", "", "continue=EXPIRED", GONE, ""),
    ("list", "future", "limit=2", TOO_LARGE, ""),
    ("list", "x", "", BAD, ""),
    ("list", "x", "limit=2", BAD, ""),
    ("watch", "", "", OK, "6 ADDED"),
    ("watch", "0", "", OK, "6 ADDED"),
    ("watch", "then", "", OK, "3 MODIFIED"),
    ("watch", "", "sendInitialEvents=true&resourceVersionMatch=NotOlderThan", OK, "6 ADDED"),
    ("watch", "then", "sendInitialEvents=true&resourceVersionMatch=NotOlderThan", OK, "6 ADDED"),
    ("watch", "then", "sendInitialEvents=false&resourceVersionMatch=NotOlderThan", OK, "3 MODIFIED"),
    ("watch", "then", "sendInitialEvents=true", INVALID, ""),
    ("watch", "then", "resourceVersionMatch=NotOlderThan", INVALID, ""),
    ("watch", "then", "sendInitialEvents=true&resourceVersionMatch=Exact", INVALID, ""),
    ("watch", "then", "continue=TOKEN", OK, "3 MODIFIED"),
    ("watch", "then", "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&continue=TOKEN", INVALID, ""),
    ("watch", "x", "", FAILED, ""),
    ("watch", "future", "sendInitialEvents=true&resourceVersionMatch=NotOlderThan", OK, "1 ERROR"),
]  # fmt: skip


class World:
    """Config maps of which some revisions are known by name."""

    def __init__(self, running, path):
        self.path = path
        for number in range(6):
            running.ask("POST", path, {"metadata": {"name": f"c{number}"}})
        first = running.ask("GET", f"{path}?limit=2").body["metadata"]
        self.names = {"then": first["resourceVersion"], "gone": first["resourceVersion"], "future": "99999999"}
        self.token = first["continue"]
        for number in range(3):
            running.ask("PUT", f"{path}/c0", {"metadata": {"name": "c0"}, "data": {"k": str(number)}})

    def query(self, version, rest):
        rest = rest.replace("TOKEN", self.token).replace("EXPIRED", self.token)
        return "&".join(filter(None, [f"resourceVersion={self.names.get(version, version)}", rest]))


@pytest.fixture(scope="module")
def world(running):
    running.ask("POST", "/api/v1/namespaces", {"metadata": {"name": "versions"}})
    return World(running, "/api/v1/namespaces/versions/configmaps")


@pytest.fixture(scope="module")
def compacted(running, world):
    """To be asked for after everything that is still there has been looked at."""
    running.call(lambda: running.server.storage.compact(running.server.storage.revision))


def _expects_compaction(case):
    return case[1] == "gone" or "EXPIRED" in case[2]


@pytest.mark.parametrize("case", sorted(CASES, key=_expects_compaction), ids=lambda case: " ".join(case[:3]))
def test_the_table(running, world, request, case):
    what, version, rest, (status, reason), source = case
    if _expects_compaction(case):
        request.getfixturevalue("compacted")
    path = f"{world.path}/c0" if what == "get" else world.path
    query = world.query(version, rest)
    if what == "watch":
        _check_watch(running, f"{path}?watch=1&timeoutSeconds=1&{query}", status, reason, source)
        return
    answer = running.ask("GET", f"{path}?{query}")
    assert (answer.status, answer.body.get("reason")) == (status, reason), answer.body
    if status == 200:
        found = answer.body if what == "get" else answer.body["items"][0]
        changed = found["metadata"]["name"] == "c0" and found.get("data") == {"k": "2"}
        assert changed is (source == "now")
    if "EXPIRED" in rest:
        _check_fresh_token(running, path, answer.body)


def _check_watch(running, path, status, reason, source):
    answer = running.ask("GET", path) if status != 200 else None
    if answer is not None:
        assert (answer.status, answer.body.get("reason")) == (status, reason), answer.body
        return
    count, kind = source.split()
    events = running.watch(path)
    assert [next(events)["type"] for _ in range(int(count))] == [kind] * int(count)
    events.close()


def _check_fresh_token(running, path, refusal):
    fresh = refusal["metadata"]["continue"]
    rest = running.ask("GET", f"{path}?limit=2&continue={fresh}").body
    assert [item["metadata"]["name"] for item in rest["items"]] == ["c2", "c3"]
    assert json.dumps(rest["metadata"]["resourceVersion"]) != json.dumps(refusal["metadata"].get("resourceVersion"))


def test_quiet_types_expire_as_well(running, namespace):
    """Nothing of the type has changed since: the caches know the old state, and yet it is gone."""
    path = f"/api/v1/namespaces/{namespace}/podtemplates"
    for number in range(3):
        pod = {"spec": {"containers": [{"name": "c", "image": "i"}]}}
        assert running.ask("POST", path, {"metadata": {"name": f"t{number}"}, "template": pod}).status == 201
    token = running.ask("GET", f"{path}?limit=1").body["metadata"]["continue"]
    running.ask("POST", f"/api/v1/namespaces/{namespace}/configmaps", {"metadata": {"name": "other"}})
    running.call(lambda: running.server.storage.compact(running.server.storage.revision))
    gone = running.ask("GET", f"{path}?limit=1&continue={token}")
    assert (gone.status, gone.body["reason"]) == (410, "Expired")
    _check = running.ask("GET", f"{path}?limit=1&continue={gone.body['metadata']['continue']}").body
    assert _check["items"][0]["metadata"]["name"] == "t1"


@pytest.mark.parametrize(
    ("method", "suffix"),
    [("PUT", ""), ("PATCH", ""), ("POST", "/a"), ("OPTIONS", ""), ("TRACE", ""), ("OPTIONS", "/a")],
)
def test_methods_that_are_not_allowed(running, configmaps, method, suffix):
    answer = running.ask(method, configmaps + suffix, {})
    assert (answer.status, answer.body["reason"]) == (405, "MethodNotAllowed")
    assert answer.body["message"] == "the server does not allow this method on the requested resource"


def test_a_token_that_is_none_is_told_before_a_version_beside_it(running, configmaps):
    refused = running.ask("GET", f"{configmaps}?continue=nonsense&resourceVersion=1")
    assert refused.status == 400
    assert refused.body["message"].startswith("invalid continue token: continue key is not valid: ")
