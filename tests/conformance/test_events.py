"""Events by hand, of both groups: told first with next to nothing, then as a series; what is written is what is read."""

import pytest

from tests.conformance.kube import STRATEGIC, meta
from tests.conformance.names import case

MOMENT = "2017-09-19T13:49:16.000000Z"
UNSET = None


@pytest.mark.parametrize(
    ("kind", "about", "body"),
    [
        case(
            "v1 Event",
            "involvedObject",
            {
                "reason": "Test", "message": "This is a test event", "source": {}, "firstTimestamp": UNSET,
                "lastTimestamp": UNSET, "count": 1, "type": "Normal", "eventTime": UNSET, "reportingComponent": "",
                "reportingInstance": "",
            },
            of="[sig-instrumentation] Events should manage the lifecycle of an event",
        ),
        case(
            "events.k8s.io/v1 Event",
            "regarding",
            {
                "eventTime": MOMENT, "note": "This is a test event", "action": "Do", "reason": "Test", "type": "Normal",
                "reportingController": "test-controller", "reportingInstance": "test-node", "deprecatedSource": {},
                "deprecatedFirstTimestamp": UNSET, "deprecatedLastTimestamp": UNSET,
            },
            of="[sig-instrumentation] Events API should ensure that an event can be fetched, patched, deleted, and listed",
        ),
    ],
)  # fmt: skip
def test_life_of_an_event(kube, kind, about, body):
    chosen = f"mine={kube.namespace}"
    metadata = meta("it", labels={"mine": kube.namespace})

    def listed(version="v1", namespace=None, **selectors):
        found = kube.items(f"{version} Event", namespace=namespace, **selectors)
        return [item["metadata"]["name"] for item in found]

    def read():
        return unstamped(kube.get(kind, "it"))

    kube.create({"kind": kind.split()[1], "apiVersion": kind.split()[0], "metadata": metadata,
                 about: {"namespace": kube.namespace}, **body})  # fmt: skip
    assert listed(kind.split()[0], "", labelSelector=chosen) == ["it"]
    if "reportingController" in body:
        assert listed(fieldSelector="source=test-controller") == ["it"]
        assert listed(kind.split()[0], fieldSelector="reportingController=test-controller") == ["it"]
    wanted = read()
    change = {"series": {"count": 2, "lastObservedTime": "2017-09-19T13:49:11.000000Z"}}
    if "message" in body:  # of the other group's events the text is for good
        change["message"] = "This is a test event - patched"
    kube.patch(kind, "it", change, how=STRATEGIC)
    wanted |= change
    assert read() == wanted
    wanted["series"] = {"count": 100, "lastObservedTime": MOMENT}
    # without a resourceVersion: whatever it is by now
    kube.update(wanted)
    assert read() == wanted
    kube.delete(kind, "it")
    assert listed(kind.split()[0], "", labelSelector=chosen) == []


def unstamped(obj):
    """Without what every write changes."""
    stamps = ("resourceVersion", "managedFields")
    return {**obj, "metadata": {key: value for key, value in obj["metadata"].items() if key not in stamps}}
