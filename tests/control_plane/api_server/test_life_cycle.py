"""How objects begin and end: names, preconditions, time to end, dependents, and what is told of it."""

from urllib import parse

import pytest

from kubeshim.control_plane.api_server.verbs import delete

MERGE = "application/merge-patch+json"


@pytest.fixture
def pods(running, namespace):
    path = f"/api/v1/namespaces/{namespace}"
    running.ask("POST", f"{path}/serviceaccounts", {"metadata": {"name": "default"}})
    return f"{path}/pods"


def pod(name, **metadata):
    spec = {"containers": [{"name": "c", "image": "i"}], "nodeName": "n"}
    return {"metadata": {"name": name, **metadata}, "spec": spec}


def ends(answer):
    metadata = answer.body["metadata"]
    return metadata.get("generation"), metadata.get("deletionGracePeriodSeconds"), metadata.get("finalizers")


def test_time_to_end(running, pods):
    running.ask("POST", pods, pod("a"))
    first = running.ask("DELETE", f"{pods}/a")
    assert ends(first) == (2, 30, None)
    for longer in ({}, {"gracePeriodSeconds": 40}, {"gracePeriodSeconds": 30, "propagationPolicy": "Foreground"}):
        assert running.ask("DELETE", f"{pods}/a", longer).body == first.body
    shorter = running.ask("DELETE", f"{pods}/a", {"gracePeriodSeconds": 10})
    assert ends(shorter) == (2, 10, None)
    assert shorter.body["metadata"]["deletionTimestamp"] < first.body["metadata"]["deletionTimestamp"]
    now = running.ask("DELETE", f"{pods}/a", {"gracePeriodSeconds": 0})
    assert ends(now) == (2, 0, None)
    assert running.ask("GET", f"{pods}/a").status == 404


def test_negative_time_is_a_second(running, pods):
    running.ask("POST", pods, pod("a"))
    assert ends(running.ask("DELETE", f"{pods}/a", {"gracePeriodSeconds": -5})) == (2, 1, None)


def test_watchers_see_the_time_run_out_before_the_pod_is_gone(running, pods):
    start = running.ask("GET", pods).body["metadata"]["resourceVersion"]
    running.ask("POST", pods, pod("a"))
    running.ask("DELETE", f"{pods}/a", {"gracePeriodSeconds": 0})
    events = running.watch(f"{pods}?watch=1&resourceVersion={start}&timeoutSeconds=10")
    told = [next(events) for _ in range(3)]
    events.close()
    assert [event["type"] for event in told] == ["ADDED", "MODIFIED", "DELETED"]
    assert [event["object"]["metadata"].get("deletionGracePeriodSeconds") for event in told] == [None, 0, 0]


def test_a_dry_deletion_leaves_no_trace(running, pods):
    before = running.ask("POST", pods, pod("a")).body
    assert ends(running.ask("DELETE", f"{pods}/a?dryRun=All&gracePeriodSeconds=0")) == (2, 0, None)
    assert running.ask("GET", f"{pods}/a").body == before


PRECONDITIONS = [
    ("configmaps", {"uid": "x"}, 'Operation cannot be fulfilled on ConfigMap "a": the UID in the precondition (x) does '
     "not match the UID in record ({uid}). The object might have been deleted and then recreated"),
    ("configmaps", {"resourceVersion": "1"}, 'Operation cannot be fulfilled on ConfigMap "a": the ResourceVersion in '
     "the precondition (1) does not match the ResourceVersion in record ({resourceVersion}). The object might have "
     "been modified"),
]  # fmt: skip


@pytest.mark.parametrize(("plural", "preconditions", "text"), PRECONDITIONS)
def test_preconditions(running, namespace, plural, preconditions, text):
    path = f"/api/v1/namespaces/{namespace}/{plural}"
    metadata = running.ask("POST", path, {"metadata": {"name": "a"}}).body["metadata"]
    refused = running.ask("DELETE", f"{path}/a", {"preconditions": preconditions})
    assert (refused.status, refused.body["message"]) == (409, text.format(**metadata))
    assert refused.body["details"] == {"name": "a", "kind": "ConfigMap"}
    assert running.ask("DELETE", f"{path}/a?{parse.urlencode(preconditions)}").body == refused.body
    right = {field: metadata[field] for field in preconditions}
    assert running.ask("DELETE", f"{path}/a", {"preconditions": right}).status == 200


def test_namespaces_have_words_of_their_own(running, namespace):
    path = f"/api/v1/namespaces/{namespace}"
    uid = running.ask("GET", path).body["metadata"]["uid"]
    refused = running.ask("DELETE", path, {"preconditions": {"uid": "x"}})
    why = f"Precondition failed: UID in precondition: x, UID in object meta: {uid}"
    assert refused.body["message"] == f'Operation cannot be fulfilled on namespaces "{namespace}": {why}'
    deleted = running.ask("DELETE", path)
    assert (deleted.status, deleted.body["status"]["phase"]) == (200, "Terminating")
    again = running.ask("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
    assert again.body["message"] == f'object is being deleted: namespaces "{namespace}" already exists'


@pytest.mark.parametrize(
    ("present", "asked", "habit", "expected"),
    [
        ([], {}, "delete", []),
        ([], {}, "orphan", ["orphan"]),
        (["a"], {}, "orphan", ["a", "orphan"]),
        (["foregroundDeletion"], {}, "orphan", ["foregroundDeletion"]),
        (["orphan"], {}, "delete", ["orphan"]),
        (["orphan", "a"], {"propagationPolicy": "Foreground"}, "delete", ["a", "foregroundDeletion"]),
        (["foregroundDeletion"], {"propagationPolicy": "Background"}, "orphan", []),
        (["foregroundDeletion"], {"orphanDependents": True}, "delete", ["orphan"]),
        (["orphan"], {"orphanDependents": False}, "orphan", []),
        ([], {"propagationPolicy": "Foreground"}, "ignore", []),
    ],
)
def test_what_becomes_of_dependents(present, asked, habit, expected):
    assert delete.finalizers(present, asked, habit) == expected


JOB = {"metadata": {"name": "j"}, "spec": {"template": {"spec": {
    "restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}}}  # fmt: skip


def test_jobs_and_old_controllers_leave_their_pods_alone(running, namespace):
    path = f"/apis/batch/v1/namespaces/{namespace}/jobs"
    running.ask("POST", path, JOB)
    left = running.ask("DELETE", f"{path}/j")
    assert left.body["metadata"]["finalizers"] == ["orphan"]
    assert left.headers["Warning"] == (
        '299 - "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove '
        'them or set propagationPolicy=Orphan to suppress this warning"'
    )
    gone = running.ask("DELETE", f"{path}/j", {"propagationPolicy": "Background"})
    assert (gone.body["kind"], gone.headers["Warning"]) == ("Status", None)
    path = f"/api/v1/namespaces/{namespace}/replicationcontrollers"
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    running.ask("POST", path, {"metadata": {"name": "r"}, "spec": {"selector": {"a": "b"}, "template": template}})
    assert running.ask("DELETE", f"{path}/r").body["metadata"]["finalizers"] == ["orphan"]


def test_endpoints_go_with_their_service(running, namespace):
    services, endpoints = (f"/api/v1/namespaces/{namespace}/{plural}" for plural in ("services", "endpoints"))
    running.ask("POST", services, {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}})
    ports = [{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "metrics", "port": 9153, "protocol": "TCP"}]
    addresses = [{"ip": "192.0.2.2"}, {"ip": "192.0.2.1"}]
    subsets = [{"addresses": addresses, "ports": ports}]
    made = running.ask("POST", endpoints, {"metadata": {"name": "s"}, "subsets": subsets}).body
    assert made["subsets"] == [{"addresses": addresses[::-1], "ports": ports[::-1]}]
    running.ask("DELETE", f"{services}/s?dryRun=All")
    assert running.ask("GET", f"{endpoints}/s").status == 200
    running.ask("DELETE", f"{services}/s")
    assert running.ask("GET", f"{endpoints}/s").status == 404


def test_system_priority_classes_stay(running):
    refused = running.ask("DELETE", "/apis/scheduling.k8s.io/v1/priorityclasses/system-node-critical")
    text = "this is a system priority class and cannot be deleted"
    assert (refused.status, refused.body["message"].partition("forbidden: ")[2]) == (403, text)


def test_names_that_are_taken(running, configmaps):
    running.ask("POST", configmaps, {"metadata": {"name": "a", "finalizers": ["x.io/y"]}})
    taken = running.ask("POST", configmaps, {"metadata": {"name": "a"}})
    assert taken.body["message"] == 'configmaps "a" already exists'
    generated = running.ask("POST", configmaps, {"metadata": {"name": "a", "generateName": "x"}})
    text = 'configmaps "a" already exists, the server was not able to generate a unique name for the object'
    assert (generated.body["message"], generated.headers["Retry-After"]) == (text, "1")
    assert generated.body["details"] == {"name": "a", "kind": "configmaps", "retryAfterSeconds": 1}
    running.ask("DELETE", f"{configmaps}/a")
    early = running.ask("POST", configmaps, {"metadata": {"name": "a"}})
    assert early.body["message"] == 'object is being deleted: configmaps "a" already exists'


CREATIONS = [
    ({"name": "a", "resourceVersion": "5"}, 500, "resourceVersion should not be set on objects to be created"),
    ({"name": "a", "resourceVersion": "0"}, 201, None),
    ({"name": "a", "namespace": "other"}, 400,
     "the namespace of the provided object does not match the namespace sent on the request"),
]  # fmt: skip


@pytest.mark.parametrize(("metadata", "status", "message"), CREATIONS)
def test_what_new_objects_may_say(running, configmaps, metadata, status, message):
    answer = running.ask("POST", configmaps, {"metadata": metadata})
    assert (answer.status, answer.body.get("message")) == (status, message)


def test_a_namespace_where_there_is_none(running):
    made = running.ask("POST", "/api/v1/nodes", {"metadata": {"name": "unspaced", "namespace": "x"}})
    assert (made.status, made.body["metadata"].get("namespace")) == (201, None)
    running.ask("DELETE", "/api/v1/nodes/unspaced")


REPLACEMENTS = [
    ("a", {"metadata": {}}, 400, "the name of the object (a based on URL) was undeterminable: name must be provided"),
    ("a", {"metadata": {"name": "b"}}, 400, "the name of the object (b) does not match the name on the URL (a)"),
    ("a", {"metadata": {"name": "a", "namespace": "b"}}, 400,
     "the namespace of the provided object does not match the namespace sent on the request"),
    ("no", {"metadata": {"name": "no"}}, 404, 'configmaps "no" not found'),
    ("no", {"metadata": {"name": "no", "uid": "x"}}, 409,
     'Operation cannot be fulfilled on configmaps "no": StorageError: invalid object, Code: 4, Key: '
     "/registry/configmaps/{namespace}/no, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in "
     "precondition: x, UID in object meta: "),
]  # fmt: skip


@pytest.mark.parametrize(("name", "body", "status", "message"), REPLACEMENTS)
def test_replacements(running, namespace, configmaps, name, body, status, message):
    running.ask("POST", configmaps, {"metadata": {"name": "a"}})
    answer = running.ask("PUT", f"{configmaps}/{name}", body)
    assert (answer.status, answer.body["message"]) == (status, message.format(namespace=namespace))


def test_some_kinds_have_to_be_told_the_version(running, namespace):
    path = f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets"
    budget = {"metadata": {"name": "a"}, "spec": {"minAvailable": 1, "selector": {"matchLabels": {"a": "b"}}}}
    running.ask("POST", path, budget)
    refused = running.ask("PUT", f"{path}/a", budget).body
    text = 'poddisruptionbudgets.policy "a" is invalid: metadata.resourceVersion: Invalid value: 0: must be specified '
    assert (refused["code"], refused["message"]) == (422, text + "for an update")


def test_times_are_the_servers(running, configmaps):
    made = running.ask("POST", configmaps, {"metadata": {"name": "a"}}).body["metadata"]
    claimed = {"name": "a", "creationTimestamp": "2020-01-01T00:00:00Z", "generateName": "now-"}
    kept = running.ask("PUT", f"{configmaps}/a", {"metadata": claimed}).body["metadata"]
    assert (kept["creationTimestamp"], kept["generateName"]) == (made["creationTimestamp"], "now-")
    early = {"name": "a", "deletionTimestamp": "2020-01-01T00:00:00Z"}
    refused = running.ask("PUT", f"{configmaps}/a", {"metadata": early})
    assert refused.body["details"]["causes"][0]["field"] == "metadata.deletionTimestamp"
