"""Filters that answer in plain text, where upstream's outer handlers do."""

import collections
import types

import pytest

from kubeshim.control_plane.api_server import filters, request, request_info
from kubeshim.machinery import errors


def asked(method="GET", path="/api/v1/pods"):
    made = request.Request(method, path, {}, {}, b"", {}, request_info.parse(method, path, {}))
    made.user = request.UserInfo("eve")
    return made


def server():
    metrics = types.SimpleNamespace(in_flight=collections.Counter(), observe=lambda *_: None)
    return types.SimpleNamespace(metrics=metrics)


def test_a_mistake_of_ours(caplog):
    def broken(again, of):
        raise LookupError("ours")

    answer = filters.recover(asked(), server(), broken)
    assert answer.status == 500
    assert answer.body == b"This request caused apiserver to panic. Look in the logs for details.\n"
    assert "ours" in caplog.text


@pytest.mark.parametrize(
    ("path", "headers", "expected"),
    [
        ("/nosuch", [], ["no-cache, private"]),
        ("/openid/v1/jwks", [("Cache-Control", "public, max-age=3600")], ["public, max-age=3600"]),
        ("/api/v1/watch", [], []),
    ],
)
def test_answers_are_not_to_be_kept(path, headers, expected):
    answer = filters.recover(asked(path=path), server(), lambda again, of: request.Response(200, headers))
    assert [value for name, value in answer.headers if name == "Cache-Control"] == expected


def test_warnings_that_are_too_long_together_are_cut():
    assert filters.fitting_warnings(["a" * 3000, "b" * 1000]) == ["a" * 3000, "b" * 1000]
    found = filters.fitting_warnings(["a" * 3000, "b" * 2000, *["c" * 300] * 20])
    assert found[:2] == ["a" * 256, "b" * 256]
    assert (len(found), set(map(len, found))) == (16, {256})


@pytest.mark.parametrize(
    ("timeout", "said"),
    [
        ("1m30.5s", ""),
        ("0", ""),
        ("", ""),
        ("-1s", ""),
        ("32", 'missing unit in duration "32"'),
        ("abc", 'invalid duration "abc"'),
        ("1m5d", 'unknown unit "d" in duration "1m5d"'),
    ],
)
def test_a_limit_that_is_no_duration(timeout, said):
    made = asked()
    made.query = {"timeout": [timeout]}
    try:
        assert filters.deadline(made, server(), lambda *_: request.Response(200)).status == 200
        assert not said
    except errors.BadRequest as refused:
        assert str(refused) == f"invalid timeout specified in the request URL - time: {said}"
