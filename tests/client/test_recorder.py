"""Which events are written, counted, combined or dropped."""

import pytest

from kubeshim import clock
from kubeshim.client import recorder


def event(message="m", reason="R", name="p"):
    return {
        "metadata": {"name": f"{name}.1", "namespace": "x"},
        "involvedObject": {"kind": "Pod", "namespace": "x", "name": name, "uid": "u", "apiVersion": "v1"},
        "source": {"component": "c"},
        "type": "Normal",
        "reason": reason,
        "message": message,
        "count": 1,
        "firstTimestamp": "t1",
        "lastTimestamp": "t2",
        "reportingComponent": "c",
        "reportingInstance": "",
    }


def write(correlator, what):
    verdict = correlator.judge(what)
    if verdict.event:
        correlator.wrote(verdict.key, verdict.event)
    return verdict


def test_the_same_again_is_counted():
    correlator = recorder.Correlator(clock.FakeClock())
    assert write(correlator, event()).patch is None
    assert write(correlator, event()).patch == {"count": 2, "lastTimestamp": "t2", "message": "m"}
    assert write(correlator, event()).patch["count"] == 3
    assert write(correlator, event(reason="other")).patch is None


def test_many_similar_ones_are_combined():
    correlator = recorder.Correlator(clock.FakeClock())
    verdicts = [write(correlator, event(f"m{number}")) for number in range(12)]
    assert [bool(v.patch) for v in verdicts] == [False] * 10 + [True, True]
    assert verdicts[-1].event["message"] == "(combined from similar events): m11"


def test_an_object_that_talks_too_much_is_cut_off_and_recovers():
    time = clock.FakeClock()
    correlator = recorder.Correlator(time)
    assert [bool(write(correlator, event()).event) for _ in range(26)] == [True] * 25 + [False]
    assert write(correlator, event(name="another")).event
    time.step(301)
    assert write(correlator, event()).event


@pytest.mark.parametrize("again", [False, True])
def test_an_event_that_expired_is_made_anew(again):
    correlator = recorder.Correlator(clock.FakeClock())
    verdict = write(correlator, event())
    if again:
        correlator.lost(verdict.key)
    assert (correlator.judge(event()).patch is None) == again
