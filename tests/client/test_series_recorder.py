"""Events that are one event, once more."""

import datetime

import pytest

from kubeshim import clock
from kubeshim.client import kinds, series_recorder
from tests import fake_api

START = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p", "namespace": "x", "uid": "u", "resourceVersion": "1"},
}


def event(at, note="n", reason="r", version="1"):
    moment = clock.rfc3339_micro(START + datetime.timedelta(seconds=at))
    return {"eventTime": moment, "note": note, "reason": reason, "regarding": {"name": "p", "resourceVersion": version}}


@pytest.mark.parametrize(
    ("second", "count"),
    [
        (event(10), 2),
        (event(10, note="other"), 2),
        (event(10, reason="other"), None),
        (event(10, version="2"), None),
        (event(361), None),
    ],
)
def test_what_is_the_same_again(second, count):
    series = series_recorder.Series()
    first = event(0)
    assert series.next(first, START) is first
    found = series.next(second, clock.parse_rfc3339(second["eventTime"]))
    if count is None:
        assert found is second
        return
    assert found == {**first, "series": {"count": 2, "lastObservedTime": second["eventTime"]}}
    third = event(300)
    again = series.next(third, clock.parse_rfc3339(third["eventTime"]))
    assert again["series"] == {"count": 3, "lastObservedTime": third["eventTime"]}


def test_they_are_written_as_one():
    api = fake_api.FakeApi()
    client = api.client()
    recorder = series_recorder.SeriesRecorder(client, "c", "c-host")
    try:
        for _ in range(3):
            recorder.event(POD, "Warning", "Failed", "Trying", "why", related={**POD, "metadata": {"name": "q"}})
        (found,) = fake_api.eventually(
            lambda: [
                one
                for one in client.list(kinds.SERIES_EVENTS, "x")["items"]
                if (one.get("series") or {}).get("count") == 3
            ]
        )
        assert found["regarding"] == {
            "apiVersion": "v1", "kind": "Pod", "namespace": "x", "name": "p", "uid": "u", "resourceVersion": "1",
        }  # fmt: skip
        assert (found["related"]["name"], found["reportingInstance"]) == ("q", "c-host")
    finally:
        recorder.stop()
        client.close()
        api.stop()
