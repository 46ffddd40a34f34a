"""What a client sees of flow control: headers, metrics, pages, refusals."""

import threading

import pytest

GROUP = "/apis/flowcontrol.apiserver.k8s.io/v1"
RULE = {
    "subjects": [{"kind": "Group", "group": {"name": "system:authenticated"}}],
    "resourceRules": [{"verbs": ["*"], "apiGroups": [""], "resources": ["configmaps"], "namespaces": ["*"]}],
}


def level(name, **limited):
    return {"metadata": {"name": name}, "spec": {"type": "Limited", "limited": limited}}


def schema(name, of, namespace):
    rule = {**RULE, "resourceRules": [{**RULE["resourceRules"][0], "namespaces": [namespace]}]}
    spec = {"priorityLevelConfiguration": {"name": of}, "matchingPrecedence": 50, "rules": [rule]}
    return {"metadata": {"name": name}, "spec": spec}


@pytest.fixture
def made(running, namespace):
    """A schema for the namespace's config maps, with a level that has no seats but to wait in."""
    limits = {"nominalConcurrencyShares": 0, "lendablePercent": 0, "limitResponse": {"type": "Reject"}}
    uids = []
    for plural, body in (
        ("prioritylevelconfigurations", level(namespace, **limits)),
        ("flowschemas", schema(namespace, namespace, namespace)),
    ):
        answer = running.ask("POST", f"{GROUP}/{plural}", body)
        assert answer.status == 201, answer.body
        uids.append(answer.body["metadata"]["uid"])
    yield namespace, *uids
    for plural in ("flowschemas", "prioritylevelconfigurations"):
        running.ask("DELETE", f"{GROUP}/{plural}/{namespace}")


def test_a_level_without_seats_refuses(running, made):
    namespace, level_uid, schema_uid = made
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    assert running.ask("GET", path).status == 200  # an administrator is exempt
    answer = running.ask("GET", path, Impersonate_User="eve")
    assert (answer.status, answer.raw) == (429, b"Too many requests, please try again later.\n")
    assert answer.headers["Retry-After"] == "1"
    assert answer.headers["X-Kubernetes-PF-FlowSchema-UID"] == schema_uid
    assert answer.headers["X-Kubernetes-PF-PriorityLevel-UID"] == level_uid
    assert running.ask("GET", f"/api/v1/namespaces/{namespace}/secrets", Impersonate_User="eve").status == 200
    text = running.ask("GET", "/metrics").raw.decode()
    labels = f'flow_schema="{namespace}",priority_level="{namespace}",reason="concurrency-limit"'
    assert f"apiserver_flowcontrol_rejected_requests_total{{{labels}}} 1" in text
    assert f'apiserver_flowcontrol_nominal_limit_seats{{priority_level="{namespace}"}} 0' in text
    running.ask("DELETE", f"{GROUP}/flowschemas/{namespace}")
    assert running.ask("GET", path, Impersonate_User="eve").status == 200


def test_a_queue(running, made):
    namespace, *_ = made
    path = f"{GROUP}/prioritylevelconfigurations/{namespace}"
    held = running.ask("GET", path).body
    limited = held["spec"]["limited"]
    limited["limitResponse"] = {"type": "Queue", "queuing": {"queues": 4, "handSize": 2, "queueLengthLimit": 5}}
    assert running.ask("PUT", path, held).status == 200
    answers = []
    listed = f"/api/v1/namespaces/{namespace}/configmaps"
    waiting = threading.Thread(target=lambda: answers.append(running.ask("GET", listed, Impersonate_User="eve").status))
    waiting.start()
    page = "/debug/api_priority_and_fairness/dump_requests?includeRequestDetails=1"
    while namespace not in running.ask("GET", page).raw.decode():
        assert waiting.is_alive()
    levels = running.ask("GET", "/debug/api_priority_and_fairness/dump_priority_levels").raw.decode().splitlines()
    assert levels[0].split() == [
        "PriorityLevelName,", "ActiveQueues,", "IsIdle,", "IsQuiescing,", "WaitingRequests,", "ExecutingRequests"
    ]  # fmt: skip
    row = next(line for line in levels if line.startswith(f"{namespace},"))
    assert row.split() == [f"{namespace},", "1,", "false,", "false,", "1,", "0"]
    held = running.ask("GET", path).body
    held["spec"]["limited"]["nominalConcurrencyShares"] = 10
    assert running.ask("PUT", path, held).status == 200
    waiting.join(60)
    assert answers == [200]
