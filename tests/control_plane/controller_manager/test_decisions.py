"""Decision tables of the other controllers."""

import datetime
import json

import pytest

from kubeshim.control_plane.controller_manager import (
    cron,
    daemons,
    expectations,
    history,
    job_backoff,
    jobs,
    node_health,
    ownership,
    pods,
    sets,
    slices,
)
from kubeshim.control_plane.controller_manager.controllers import (
    disruption,
    garbage_collector,
    namespace,
    node_ipam,
    pod_gc,
    resource_quota,
    taint_eviction,
    ttl,
    vac_protection,
)
from kubeshim.machinery import objects
from kubeshim.machinery.resources import GroupVersionResource

NOW = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)


def pod(name="p", node="n", phase="Running", ready=True, **metadata):
    conditions = [
        {"type": "Ready", "status": "True" if ready else "False", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    ]
    metadata = {"name": name, "uid": name, "creationTimestamp": "2026-01-01T00:00:00Z", **metadata}
    return {"metadata": metadata, "spec": {"nodeName": node}, "status": {"phase": phase, "conditions": conditions}}


def test_which_pods_go_first():
    costly = {pods.DELETION_COST: "100"}
    found = pods.deletion_order(
        [
            pod("old-ready"),
            pod("costly", annotations=costly),
            pod("young", creationTimestamp="2026-01-01T11:59:00Z"),
            pod("not-ready", ready=False),
            pod("pending", phase="Pending", ready=False),
            pod("unassigned", node="", phase="Pending", ready=False),
        ],
        [],
        NOW,
    )
    names = [one["metadata"]["name"] for one in found]
    assert names[:3] == ["unassigned", "pending", "not-ready"]
    assert names[-1] == "costly"


def test_of_equal_pods_the_one_on_the_fuller_node_goes_first():
    crowd = [pod("a", node="one"), pod("b", node="two"), pod("c", node="two")]
    assert pods.deletion_order(crowd, crowd, NOW)[0]["metadata"]["name"] in ("b", "c")


def test_expectations_hold_until_seen():
    expected = expectations.Expectations()
    expected.expect("k", 1, ["x"])
    assert not expected.satisfied("k")
    expected.creation_observed("k")
    expected.deletion_observed("k", "x")
    expected.deletion_observed("k", "x")
    assert expected.satisfied("k") and expected.satisfied("another")


# slices

METADATA = {"generateName": "s-", "labels": {"l": "1"}, "ownerReferences": []}
PORTS = [{"name": "", "protocol": "TCP", "port": 80}]


def endpoint(number, ready=True):
    return {"addresses": [f"10.0.0.{number}"], "conditions": {"ready": ready}, "targetRef": {"uid": f"u{number}"}}


def existing(name, endpoints, ports=PORTS):
    metadata = {"name": name, "labels": {"l": "1"}}
    return {"metadata": metadata, "addressType": "IPv4", "endpoints": endpoints, "ports": ports}


def planned(endpoints, present, capacity=3):
    group = slices.Group("IPv4", PORTS if endpoints else [], endpoints)
    found = slices.plan([group], present, METADATA, capacity)
    return (
        [len(one["endpoints"]) for one in found.create],
        {one["metadata"]["name"]: len(one["endpoints"]) for one in found.update},
        [one["metadata"]["name"] for one in found.delete],
    )


@pytest.mark.parametrize(
    ("endpoints", "present", "outcome"),
    [
        ([], [], ([0], {}, [])),
        ([], [existing("a", [], [])], ([], {}, [])),
        ([1, 2], [], ([2], {}, [])),
        ([1, 2], [existing("a", [endpoint(1), endpoint(2)])], ([], {}, [])),
        ([1, 2], [existing("a", [endpoint(1)])], ([], {"a": 2}, [])),
        ([1, 2, 3, 4], [existing("a", [endpoint(1), endpoint(2), endpoint(3)])], ([1], {}, [])),
        ([4, 5, 6, 7], [], ([3, 1], {}, [])),
        ([1], [existing("a", [endpoint(1)]), existing("b", [endpoint(2)])], ([], {}, ["b"])),
        ([1], [existing("a", [], [])], ([1], {}, ["a"])),
        ([], [existing("a", [endpoint(1)])], ([0], {}, ["a"])),
    ],
)
def test_slices_are_packed_with_few_writes(endpoints, present, outcome):
    assert planned([endpoint(number) for number in endpoints], present) == outcome


def test_a_changed_endpoint_rewrites_its_slice_only():
    present = [existing("a", [endpoint(1)]), existing("b", [endpoint(2)])]
    assert planned([endpoint(1), endpoint(2, ready=False)], present) == ([], {"b": 1}, [])


# revisions


def test_the_data_of_a_revision_is_a_patch_with_sorted_keys():
    containers = [{"name": "c", "image": "i", "resources": {}}]
    template = {
        "spec": {"containers": containers, "dnsPolicy": "ClusterFirst"},
        "metadata": {"labels": {"b": "", "a": ""}},
    }
    data = history.data_of({"spec": {"template": template}})
    assert data == {"spec": {"template": {**template, "$patch": "replace"}}}
    assert json.dumps(data) == json.dumps(data, sort_keys=True)


# ownership

MAPS = GroupVersionResource("", "v1", "configmaps")


def owned(uid, *owners, **metadata):
    references = [
        {"apiVersion": "v1", "kind": "ConfigMap", "name": owner, "uid": owner, "blockOwnerDeletion": True}
        for owner in owners
    ]
    return {"metadata": {"name": uid, "namespace": "x", "uid": uid, "ownerReferences": references, **metadata}}


def applied(graph, obj):
    return graph.apply(obj, MAPS, "v1", "ConfigMap")


def test_an_unknown_owner_is_looked_for_and_becomes_real_when_seen():
    graph = ownership.Graph()
    assert [node.uid for node in applied(graph, owned("child", "parent")).judge] == ["parent"]
    assert graph.nodes["parent"].virtual
    applied(graph, owned("parent"))
    assert not graph.nodes["parent"].virtual and "child" in graph.nodes["parent"].dependents


def test_dependents_of_what_is_gone_are_judged():
    graph = ownership.Graph()
    applied(graph, owned("parent"))
    applied(graph, owned("child", "parent"))
    assert [node.uid for node in graph.remove("parent").judge] == ["child"]
    graph.remove("child")
    assert graph.nodes == {}


def test_foreground_deletion_judges_dependents_and_then_the_owner():
    graph = ownership.Graph()
    applied(graph, owned("parent"))
    applied(graph, owned("child", "parent"))
    going = owned("parent", deletionTimestamp="t", finalizers=["foregroundDeletion"])
    assert [node.uid for node in applied(graph, going).judge] == ["child", "parent"]
    assert [node.uid for node in graph.nodes["parent"].blocking_dependents()] == ["child"]
    assert [node.uid for node in graph.remove("child").judge] == ["parent"]


def test_an_owner_in_another_namespace_is_told_of_whoever_comes_first():
    for first in ("owner", "dependent"):
        graph = ownership.Graph()
        found = {"owner": owned("owner", namespace="a"), "dependent": owned("dependent", "owner", namespace="b")}
        work = [applied(graph, found.pop(first)), applied(graph, found.popitem()[1])]
        ((node, owner),) = work[0].strays + work[1].strays
        said = garbage_collector.invalid_owner(node, owner)
        assert said == (
            "ownerRef [v1/ConfigMap, namespace: b, name: owner, uid: owner] does not exist in " + 'namespace "b"'
        )


def test_orphaning_is_asked_for_once():
    graph = ownership.Graph()
    going = owned("parent", deletionTimestamp="t", finalizers=["orphan"])
    assert [node.uid for node in applied(graph, going).orphan] == ["parent"]
    assert not applied(graph, going).orphan


@pytest.mark.parametrize("finalizer", ["orphan", "foregroundDeletion"])
def test_what_is_deleted_a_second_time_is_looked_at_again(finalizer):
    graph = ownership.Graph()
    for finalizers, expected in ((["x", finalizer], ["a"]), (["x"], []), (["x", finalizer], ["a"])):
        work = applied(graph, owned("a", deletionTimestamp="t", finalizers=finalizers))
        assert [node.uid for node in (*work.orphan, *work.judge)] == expected


# jobs, daemons, cron


def job(**spec):
    return {"metadata": {"name": "j"}, "spec": {"completions": 3, "parallelism": 2, "template": {}, **spec}}


def tallied(one, *mine):
    found = jobs.tally(one, mine)
    return found, jobs.verdict(one, found, mine, NOW)


HELD = {"finalizers": [jobs.FINALIZER]}


def test_a_jobs_pods_are_counted_once_over_any_crash():
    first, _ = tallied(job(), pod("a", phase="Succeeded", **HELD))
    assert (first.succeeded, first.uncounted_succeeded) == (0, ["a"])
    noted = {**job(), "status": {"uncountedTerminatedPods": {"succeeded": ["a"]}}}
    again, _ = tallied(noted, pod("a", phase="Succeeded", **HELD))
    assert (again.succeeded, again.uncounted_succeeded) == (0, ["a"])
    released, _ = tallied(noted, pod("a", phase="Succeeded"))
    assert (released.succeeded, released.uncounted_succeeded) == (1, [])


@pytest.mark.parametrize(
    ("spec", "status", "reason"),
    [
        ({}, {"succeeded": 2}, None),
        ({}, {"succeeded": 3}, "CompletionsReached"),
        ({"backoffLimit": 1}, {"failed": 1}, None),
        ({"backoffLimit": 1}, {"failed": 2}, "BackoffLimitExceeded"),
        ({"activeDeadlineSeconds": 60}, {"startTime": "2026-01-01T11:58:00Z"}, "DeadlineExceeded"),
        ({"completionMode": "Indexed"}, {"completedIndexes": "0-2"}, "CompletionsReached"),
        (
            {"completionMode": "Indexed", "successPolicy": {"rules": [{"succeededCount": 3}]}},
            {"completedIndexes": "0-2"},
            "SuccessPolicy",
        ),
        ({"completionMode": "Indexed"}, {"completedIndexes": "0", "failedIndexes": "1,2"}, "FailedIndexes"),
    ],
)
def test_how_a_job_ends(spec, status, reason):
    _, verdict = tallied({**job(**spec), "status": status})
    assert (verdict.reason if verdict else None) == reason


def test_a_failed_job_fails_with_the_pods_that_it_stopped():
    ignored = {"rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]}
    disrupted = pod("disrupted", **HELD)
    disrupted["status"]["conditions"].append({"type": "DisruptionTarget", "status": "True"})
    one = job(podFailurePolicy=ignored)
    mine = [
        pod("failed", phase="Failed", **HELD),
        pod("running", **HELD),
        pod("going", deletionTimestamp="2026-01-01T11:59:00Z", **HELD),
        pod("done", phase="Succeeded", **HELD),
        pod("released"),
        disrupted,
    ]
    found, _ = tallied(one, *mine)
    assert found.uncounted_failed == ["failed"]
    jobs.count_unended(one, found, mine)
    assert (found.uncounted_failed, found.uncounted_succeeded) == (["failed", "running", "going"], ["done"])


def test_indexes_are_written_as_ranges():
    assert jobs.format_indexes({0, 2, 3, 5, 6, 7}) == "0,2,3,5-7"
    assert jobs.parse_indexes("0,2,3,5-7") == {0, 2, 3, 5, 6, 7}


def of_index(name, index, **metadata):
    return pod(name, annotations={jobs.INDEX: str(index), **metadata.pop("annotations", {})}, **metadata)


def test_a_job_that_was_made_smaller_stops_the_indexes_beyond():
    one = job(completionMode="Indexed", completions=2)
    active = [of_index("a", 0), of_index("b", 1), of_index("c", 2), of_index("d", 1), pod("e")]
    assert {objects.name(each) for each in jobs.surplus(one, active, 0, NOW)} >= {"c", "e"}
    assert len(jobs.surplus(one, active, 0, NOW)) == 3  # and one of the two of index 1
    assert len(jobs.surplus(one, active, 4, NOW)) == 4
    assert len(jobs.surplus(job(), active, 2, NOW)) == 2
    found, verdict = tallied({**one, "status": {"completedIndexes": "0-4", "succeeded": 5}})
    assert found.completed == {0, 1} and verdict.reason == "CompletionsReached"


def test_each_index_with_a_limit_of_its_own_waits_for_itself():
    ended = {"containerStatuses": [{"state": {"terminated": {"finishedAt": "2026-01-01T11:59:55Z"}}}]}
    first = of_index("a", 0, phase="Failed", annotations={jobs.INDEX_FAILURES: "0"})
    second = of_index("b", 1, phase="Failed", annotations={jobs.INDEX_FAILURES: "1", jobs.INDEX_IGNORED_FAILURES: "1"})
    mine = [{**one, "status": {**one["status"], **ended}} for one in (first, second)]
    assert [job_backoff.index_left(job(), mine, index, NOW) for index in range(3)] == [5.0, 35.0, 0.0]
    ignoring = {"rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]}
    hit = {**mine[1], "status": {**mine[1]["status"], "conditions": [{"type": "DisruptionTarget", "status": "True"}]}}
    assert jobs.next_index_failures(job(podFailurePolicy=ignoring), hit) == (1, 2)
    assert jobs.next_index_failures(job(podFailurePolicy=ignoring), mine[1]) == (2, 1)
    assert jobs.next_index_failures(job(), None) == (0, 0)


@pytest.mark.parametrize(
    ("spec", "mine", "delayed", "uncounted"),
    [
        ({}, [of_index("a", 0, phase="Failed", **HELD)], ["a"], []),
        ({}, [of_index("a", 0, phase="Failed", **HELD), of_index("b", 0)], [], ["a"]),
        ({}, [of_index("a", 0, deletionTimestamp="2026-01-01T11:59:59Z", **HELD)], ["a"], []),
        ({"podReplacementPolicy": "Failed"}, [of_index("a", 0, deletionTimestamp="t", **HELD)], [], []),
        ({"backoffLimitPerIndex": 0}, [of_index("a", 0, phase="Failed", **HELD)], [], ["a"]),
        ({"backoffLimitPerIndex": None}, [of_index("a", 0, phase="Failed", **HELD)], [], ["a"]),
        ({}, [of_index("a", 7, phase="Failed", **HELD)], [], []),
    ],
)
def test_a_failed_pod_stays_until_its_index_has_another(spec, mine, delayed, uncounted):
    one = job(completionMode="Indexed", **{"backoffLimitPerIndex": 2, **spec})
    found = jobs.tally(one, mine)
    assert (found.delayed, found.uncounted_failed) == (delayed, uncounted)
    assert found.all_failed == len(delayed + uncounted)
    found.settle()
    assert (found.uncounted_failed, found.kept) == (uncounted + delayed, set())


@pytest.mark.parametrize(
    ("strategy", "number", "revision"),
    [
        ({"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}, 1, "old"),
        ({"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}, 2, "new"),
        ({"type": "OnDelete"}, 0, "new"),
    ],
)
def test_which_template_a_stateful_sets_new_pod_gets(strategy, number, revision):
    one = {"metadata": {"name": "s"}, "spec": {"replicas": 3, "updateStrategy": strategy}}
    assert sets.template_for(one, number, "old", "new") == revision


def test_a_share_of_a_stateful_set_that_may_be_unavailable_is_rounded_down():
    def most(value):
        strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": value}}
        return sets.max_unavailable({"spec": {"replicas": 5, "updateStrategy": strategy}})

    assert [most(value) for value in ("50%", "10%", 3)] == [2, 1, 3]


@pytest.mark.parametrize(
    ("taints", "outcome"),
    [
        ([], (True, True)),
        ([{"key": "k", "effect": "NoSchedule"}], (False, True)),
        ([{"key": "k", "effect": "NoExecute"}], (False, False)),
        ([{"key": "node.kubernetes.io/unreachable", "effect": "NoExecute"}], (True, True)),
        ([{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}], (True, True)),
    ],
)
def test_where_daemons_run(taints, outcome):
    daemon_set = {"metadata": {"name": "d"}, "spec": {"template": {"spec": {}}}}
    assert daemons.should_run(daemon_set, {"metadata": {"name": "n"}, "spec": {"taints": taints}}) == outcome


@pytest.mark.parametrize(
    ("deleted", "scaled", "number", "owner"),
    [
        ("Retain", "Retain", 0, []),
        ("Delete", "Retain", 0, ["s"]),
        ("Delete", "Retain", 5, ["s"]),
        ("Retain", "Delete", 0, []),
        ("Retain", "Delete", 5, ["p"]),
        ("Delete", "Delete", 5, ["p"]),
    ],
)
def test_who_a_stateful_sets_claims_go_with(deleted, scaled, number, owner):
    policy = {"whenDeleted": deleted, "whenScaled": scaled}
    one = {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "s", "uid": "s"}}
    one["spec"] = {"replicas": 2, "persistentVolumeClaimRetentionPolicy": policy}
    its = {"apiVersion": "v1", "kind": "Pod", **pod("p")}
    found = sets.claim_owners(one, its, {"metadata": {}}, number)
    assert [reference["uid"] for reference in found] == owner
    assert all(reference["controller"] and reference["blockOwnerDeletion"] for reference in found)


@pytest.mark.parametrize(
    ("present", "kept"),
    [
        ([{"kind": "StatefulSet", "name": "s", "uid": "s"}], ["s"]),
        ([{"kind": "StatefulSet", "name": "s", "uid": "earlier"}], []),
        ([{"kind": "Pod", "name": "s-0", "uid": "earlier"}], []),
        ([{"kind": "Pod", "name": "s-0", "uid": "p"}], ["s"]),
        ([{"kind": "ConfigMap", "name": "a", "uid": "a"}], ["a", "s"]),
        ([{"kind": "ConfigMap", "name": "a", "uid": "a", "controller": True}], ["a"]),
    ],
)
def test_whom_a_claim_had_before(present, kept):
    one = {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "s", "uid": "s"}}
    one["spec"] = {"replicas": 2, "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete"}}
    its = {"apiVersion": "v1", "kind": "Pod", **pod("p")}
    found = sets.claim_owners(one, its, {"metadata": {"ownerReferences": present}}, 0)
    assert [reference["uid"] for reference in found] == kept


@pytest.mark.parametrize(
    ("text", "moment", "following"),
    [
        ("*/5 * * * *", "2026-01-01T12:03:20", "2026-01-01T12:05:00"),
        ("0 0 * * *", "2026-01-01T12:00:00", "2026-01-02T00:00:00"),
        ("30 6 1 * mon", "2026-01-02T00:00:00", "2026-01-05T06:30:00"),
        ("0 0 29 2 *", "2026-01-01T00:00:00", "2028-02-29T00:00:00"),
        ("@hourly", "2026-12-31T23:30:00", "2027-01-01T00:00:00"),
        ("0 9-17/4 * jan,mar fri", "2026-01-01T12:00:00", "2026-01-02T09:00:00"),
        ("0 0 30 2 *", "2026-01-01T00:00:00", None),
        ("@every 90s", "2026-01-01T00:00:00", "2026-01-01T00:01:30"),
    ],
)
def test_schedules(text, moment, following):
    found = cron.parse(text)[0].after(datetime.datetime.fromisoformat(moment).replace(tzinfo=datetime.UTC))
    assert (found and found.replace(tzinfo=None).isoformat()) == following


def test_a_time_that_summer_skips_does_not_come():
    zone = cron.zone("Europe/Berlin")
    found = cron.parse("30 2 * * *")[0].after(datetime.datetime(2026, 3, 28, 12, tzinfo=zone))
    assert found.date() == datetime.date(2026, 3, 30)


@pytest.mark.parametrize("text", ["", "* * * *", "60 * * * *", "* * * * fun", "*/0 * * * *", "@every x"])
def test_what_is_no_schedule(text):
    with pytest.raises(cron.CronError):
        cron.parse(text)


# nodes and namespaces


def node(name="n", **conditions):
    listed = [{"type": kind, "status": status} for kind, status in conditions.items()]
    return {"metadata": {"name": name}, "spec": {}, "status": {"conditions": listed}}


@pytest.mark.parametrize(
    ("conditions", "taints"),
    [
        ({"Ready": "True"}, set()),
        ({"Ready": "False"}, {"node.kubernetes.io/not-ready"}),
        (
            {"Ready": "Unknown", "DiskPressure": "True"},
            {"node.kubernetes.io/unreachable", "node.kubernetes.io/disk-pressure"},
        ),
    ],
)
def test_taints_by_condition(conditions, taints):
    assert node_health.no_schedule_taints(node(**conditions)) == taints


def test_taints_of_others_and_times_of_ours_stay():
    mine = {"key": "node.kubernetes.io/not-ready", "effect": "NoExecute", "timeAdded": "t"}
    theirs = {"key": "theirs", "effect": "NoExecute"}
    one = {"metadata": {}, "spec": {"taints": [theirs, mine]}}
    assert node_health.with_taints(one, set(), "node.kubernetes.io/not-ready", NOW) == [theirs, mine]
    assert node_health.with_taints(one, set(), None, NOW) == [theirs]


@pytest.mark.parametrize(
    ("lost", "ready", "state"),
    [(0, 3, "Normal"), (1, 0, "FullDisruption"), (2, 1, "Normal"), (3, 2, "PartialDisruption"), (3, 7, "Normal")],
)
def test_how_bad_a_zone_is(lost, ready, state):
    nodes = [node(Ready="Unknown")] * lost + [node(Ready="True")] * ready
    assert node_health.zone_state(nodes, 0.55) == state


def test_ranges_of_nodes_skip_what_is_taken_or_reserved():
    cluster = node_ipam.ipaddress.ip_network("10.0.0.0/22")
    services = [node_ipam.ipaddress.ip_network("10.0.1.0/25")]
    assert str(node_ipam.first_free(cluster, 24, ["10.0.0.0/24"], services)) == "10.0.2.0/24"
    assert node_ipam.first_free(cluster, 24, [f"10.0.{n}.0/24" for n in range(4)], []) is None


TAINT = {"key": "k", "effect": "NoExecute", "timeAdded": "2026-01-01T11:59:00Z"}


@pytest.mark.parametrize(
    ("tolerations", "wait"),
    [
        ([], 0.0),
        ([{"key": "k", "operator": "Exists"}], None),
        ([{"key": "k", "operator": "Exists", "tolerationSeconds": 300}], 240.0),
        ([{"operator": "Exists", "tolerationSeconds": 30}], -30.0),
        ([{"key": "k", "value": "other"}], 0.0),
    ],
)
def test_when_a_pod_must_leave_a_tainted_node(tolerations, wait):
    assert taint_eviction.evicted_in([TAINT], tolerations, NOW, NOW) == wait


def test_a_taint_that_does_not_say_since_when_counts_from_when_it_was_seen():
    taint = {key: value for key, value in TAINT.items() if key != "timeAdded"}
    tolerations = [{"operator": "Exists", "tolerationSeconds": 30}]
    seen = NOW - datetime.timedelta(seconds=20)
    assert taint_eviction.evicted_in([taint], tolerations, NOW, seen) == 10.0


def test_a_pod_that_came_after_the_taint_has_its_whole_time():
    placed = taint_eviction.placed_at({"metadata": {"creationTimestamp": "2026-01-01T11:59:55Z"}})
    tolerations = [{"operator": "Exists", "tolerationSeconds": 30}]
    assert taint_eviction.evicted_in([TAINT], tolerations, NOW, NOW, placed) == 25.0


@pytest.mark.parametrize(
    ("labels", "missing"),
    [
        ({}, {}),
        ({"kubernetes.io/os": "linux"}, {"beta.kubernetes.io/os": "linux"}),
        ({"kubernetes.io/arch": "amd64", "beta.kubernetes.io/arch": "x"}, {"beta.kubernetes.io/arch": "amd64"}),
        ({"kubernetes.io/os": "linux", "beta.kubernetes.io/os": "linux"}, {}),
        ({"beta.kubernetes.io/os": "linux"}, {}),
    ],
)
def test_nodes_keep_the_older_names_of_labels(labels, missing):
    assert node_health.missing_labels({"metadata": {"labels": labels}}) == missing


def test_of_ended_pods_the_evicted_go_first():
    ended = [pod("new", creationTimestamp="2026-01-02T00:00:00Z"), pod("old"), pod("evicted")]
    ended[2]["status"]["reason"] = "Evicted"
    ended[2]["metadata"]["creationTimestamp"] = "2026-01-03T00:00:00Z"
    assert [one["metadata"]["name"] for one in sorted(ended, key=pod_gc.in_the_way)] == ["evicted", "old", "new"]


@pytest.mark.parametrize(
    ("ready", "taint", "out"),
    [
        ("Unknown", "node.kubernetes.io/out-of-service", True),
        ("True", "node.kubernetes.io/out-of-service", False),
        ("Unknown", "node.kubernetes.io/unreachable", False),
    ],
)
def test_when_a_node_is_out_of_service(ready, taint, out):
    one = {"spec": {"taints": [{"key": taint}]}, "status": {"conditions": [{"type": "Ready", "status": ready}]}}
    assert pod_gc.is_out_of_service(one) == out


def test_pods_that_were_to_be_disrupted_and_are_still_there():
    told = {"gone": "2026-01-01T11:00:00Z", "stays": "2026-01-01T11:00:00Z", "young": "2026-01-01T11:59:00Z"}
    budget = {"status": {"disruptedPods": told}}
    chosen = [pod("stays"), pod("young"), pod("other")]
    kept, wait = disruption.still_disrupted(budget, chosen, NOW)
    assert (list(kept), wait) == (["young"], 60.0)
    assert [objects.name(one) for one in disruption.not_deleted(budget, chosen, kept)] == ["stays"]


@pytest.mark.parametrize("evicted", ["2026-01-01T11:00:00Z", "2026-01-01T11:58:59Z"])
def test_a_pod_that_came_after_its_namesake_was_evicted_is_not_meant(evicted):
    budget = {"status": {"disruptedPods": {"web-0": evicted}}}
    chosen = [pod("web-0", creationTimestamp="2026-01-01T11:59:00Z")]
    assert disruption.still_disrupted(budget, chosen, NOW) == ({}, None)
    assert disruption.not_deleted(budget, chosen, {}) == []


@pytest.mark.parametrize(
    ("policy", "owner", "stale"),
    [("Delete", "s-0", True), ("Delete", "s-1", False), ("Retain", "s-0", False)],
)
def test_a_claim_that_goes_with_the_former_pod(policy, owner, stale):
    one = {"metadata": {"name": "s"}, "spec": {"persistentVolumeClaimRetentionPolicy": {"whenScaled": policy}}}
    claim = {"metadata": {"ownerReferences": [{"kind": "Pod", "name": owner, "uid": "u"}]}}
    assert sets.is_stale(one, claim, 0) == stale


def test_labels_that_a_stateful_sets_adopted_pod_lacks():
    wanted = {sets.NAME_LABEL: "web-2", sets.INDEX_LABEL: "2"}
    assert sets.missing_labels(pod("web-2")) == wanted
    assert sets.missing_labels(pod("web-2", labels=wanted)) == {}


def test_what_a_namespace_says_remains():
    remains = namespace.Remains({"pods.": 2, "jobs.batch": 1})
    remains.finalizers["a/b"] = 3
    texts = {one["type"]: one["message"] for one in namespace.describe(remains) if one["status"] == "True"}
    assert texts == {
        "NamespaceContentRemaining": (
            "Some resources are remaining: jobs.batch has 1 resource instances, pods. has 2 resource instances"
        ),
        "NamespaceFinalizersRemaining": (
            "Some content in the namespace has finalizers remaining: a/b in 3 resource instances"
        ),
    }


def test_which_types_a_quota_counts():
    hard = {"pods": "1", "requests.cpu": "1", "secrets": "2", "count/deployments.apps": "3"}
    assert resource_quota.counted_types(hard) == ["pods", "secrets", "deployments.apps"]


def test_a_class_of_attributes_is_named_by_what_has_it_wants_it_or_changes_to_it():
    status = {
        "currentVolumeAttributesClassName": "now",
        "modifyVolumeStatus": {"targetVolumeAttributesClassName": "next"},
    }
    claim = {"spec": {"volumeAttributesClassName": "wanted"}, "status": status}
    assert vac_protection.classes_of(claim) == {"now", "next", "wanted"}
    assert vac_protection.classes_of({"spec": {"volumeAttributesClassName": ""}}) == set()


@pytest.mark.parametrize(
    ("step", "nodes", "seconds"),
    [(0, 100, 0), (0, 101, 15), (1, 90, 15), (1, 89, 0), (0, 2500, 300), (4, 1799, 60), (4, 5, 0)],
)
def test_how_long_kubelets_may_use_what_they_fetched(step, nodes, seconds):
    assert ttl.STEPS[ttl.next_step(step, nodes)][2] == seconds
