"""What ``up`` asks of the API server, which may begin anew while it waits."""

import http.client
import io
import json

import pytest

from kubeshim.cluster import api


def event(name, kind="ADDED"):
    return json.dumps({"type": kind, "object": {"metadata": {"name": name}}}).encode() + b"\n"


class Broken(io.BytesIO):
    def readline(self):
        line = super().readline()
        if not line:
            raise http.client.IncompleteRead(b"")
        return line


def asking(*answers):
    """An API whose requests are answered by these, one after another."""
    waiting = list(answers)
    this = object.__new__(api.API)

    def request(method, path, body, kind, timeout):
        assert (method, path) == ("GET", "/api/v1/nodes?watch=true")
        answer = waiting.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    this._request = request
    return this


@pytest.mark.parametrize(
    "end",
    [
        (io.BytesIO, event("a")),
        (io.BytesIO, event("a") + event("b")[:9]),
        (io.BytesIO, event("a") + event("gone", "ERROR")),
        (Broken, event("a")),
    ],
)
@pytest.mark.parametrize("meanwhile", [api.APIError(0, "it does not answer"), api.APIError(503, "not yet")])
def test_a_watch_that_ends_early_is_opened_again(end, meanwhile):
    made, content = end
    this = asking(made(content), meanwhile, io.BytesIO(event("a") + event("b")))
    events = this.watch("/api/v1/nodes", 60)
    assert [next(events)["object"]["metadata"]["name"] for _ in range(3)] == ["a", "a", "b"]


def test_what_is_refused_is_not_asked_for_again():
    with pytest.raises(api.APIError, match="not yours"):
        list(asking(api.APIError(403, "not yours")).watch("/api/v1/nodes", 60))
