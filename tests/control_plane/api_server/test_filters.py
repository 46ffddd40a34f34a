"""Filters that answer in plain text, where upstream's outer handlers do."""

import collections
import types

from kubeshim.control_plane.api_server import filters, request, request_info


def asked(method="GET", path="/api/v1/pods"):
    made = request.Request(method, path, {}, {}, b"", {}, request_info.parse(method, path, {}))
    made.user = request.UserInfo("eve")
    return made


def server(**limits):
    metrics = types.SimpleNamespace(in_flight=collections.Counter(), observe=lambda *_: None)
    config = types.SimpleNamespace(
        **{"max_mutating_requests_in_flight": 1, "max_requests_in_flight": 1, "request_timeout": 60, **limits}
    )
    return types.SimpleNamespace(config=config, metrics=metrics)


def test_too_many_requests():
    made, answers = server(), []

    def inner(again, of):
        answers.append(filters.in_flight(asked(), of, lambda *_: request.Response(200)))
        return request.Response(200)

    assert filters.in_flight(asked(), made, inner).status == 200
    (refused,) = answers
    assert (refused.status, refused.body) == (429, b"Too many requests, please try again later.\n")
    assert ("Retry-After", "1") in refused.headers
    assert not made.metrics.in_flight["readOnly"]


def test_a_mistake_of_ours(caplog):
    def broken(again, of):
        raise LookupError("ours")

    answer = filters.recover(asked(), server(), broken)
    assert answer.status == 500
    assert answer.body == b"This request caused apiserver to panic. Look in the logs for details.\n"
    assert "ours" in caplog.text


def test_warnings_that_are_too_long_together_are_cut():
    assert filters.fitting_warnings(["a" * 3000, "b" * 1000]) == ["a" * 3000, "b" * 1000]
    found = filters.fitting_warnings(["a" * 3000, "b" * 2000, *["c" * 300] * 20])
    assert found[:2] == ["a" * 256, "b" * 256]
    assert (len(found), set(map(len, found))) == (16, {256})
