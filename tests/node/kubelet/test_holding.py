"""Which pods hold resources of their node."""

import pytest

from kubeshim.node.kubelet import pod_worker


def pod(uid, phase="Running"):
    return {"metadata": {"uid": uid}, "status": {"phase": phase}}


def work(uid, **fields):
    made = pod_worker.Work(pod(uid))
    for name, value in fields.items():
        setattr(made, name, value)
    return made


@pytest.mark.parametrize(
    ("works", "present", "expected"),
    [
        ([work("a", admitted=True)], ["a"], ["a"]),
        ([work("a", admitted=True)], [], ["a"]),
        ([], ["a"], ["a"]),  # it ran before, and nobody has come to it yet
        ([work("a")], ["a"], ["a"]),
        ([work("a", admitted=True, removed=True)], ["a"], []),
        ([work("a", failure=("OutOfcpu", ""))], ["a"], []),
        ([work("a", admitted=True, phase=pod_worker.Phase.TERMINATED)], ["a"], []),
        ([work("me", admitted=True)], ["me"], []),
    ],
)
def test_who_holds(works, present, expected):
    found = pod_worker.holding(works, {uid: pod(uid) for uid in present}, but="me")
    assert [one["metadata"]["uid"] for one in found] == expected


def test_who_waits_holds_nothing():
    assert pod_worker.holding([work("a")], {"a": pod("a", "Pending")}, but="me") == []
