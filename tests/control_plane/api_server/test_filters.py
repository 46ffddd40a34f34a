"""Filters that answer in plain text, where upstream's outer handlers do."""

import collections
import types

from kubeshim.control_plane.api_server import filters, request, request_info


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
