import pytest

from kubeshim.machinery import pod_resources


@pytest.mark.parametrize(
    ("asked", "has", "reason", "counted"),
    [
        ("2", "1", None, "2"),
        ("1", "2", None, "2"),
        ("2", "1", "Deferred", "2"),
        ("2", "1", "Infeasible", "1"),
        ("2", None, "Infeasible", "2"),
    ],
)
def test_a_container_that_is_resized_counts_with_what_it_may_come_to_have(asked, has, reason, counted):
    pod = {
        "spec": {"containers": [{"name": "a", "resources": {"requests": {"cpu": asked}}}]},
        "status": {
            "containerStatuses": [{"name": "a", "resources": {"requests": {"cpu": has}}}] if has else [],
            "conditions": [{"type": "PodResizePending", "reason": reason}] if reason else [],
        },
    }
    found = pod_resources.total(pod, "requests", with_status=True)
    assert {name: amount.canonical() for name, amount in found.items()} == {"cpu": counted}
    assert pod_resources.total(pod, "requests")["cpu"].canonical() == asked

    pod["spec"] = {"resources": {"requests": {"cpu": asked}}, "containers": [{"name": "a"}]}
    pod["status"].pop("containerStatuses")
    pod["status"] |= {"resources": {"requests": {"cpu": has}}} if has else {}
    assert pod_resources.total(pod, "requests", with_status=True)["cpu"].canonical() == counted
