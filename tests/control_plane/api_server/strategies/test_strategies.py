import copy

import pytest

from kubeshim import clock
from kubeshim.control_plane.api_server.strategies import table
from kubeshim.machinery import builtin, defaults, resources
from kubeshim.machinery.validation import metadata

BUILT_IN = {(r.api_version, r.kind): r for r in builtin.load()}

TABLE = table.table(["10.96.0.0/16"], (30000, 32767))


def resource(api_version, kind):
    return BUILT_IN[api_version, kind]


def prepared(obj, uid="12345"):
    """As the create verb does it: defaults, what the server sets, the strategy's preparation."""
    found = resource(obj["apiVersion"], obj["kind"])
    obj = copy.deepcopy(obj)
    obj["metadata"].setdefault("namespace", "default") if found.namespaced else None
    defaults.apply(found.gvk, obj)
    obj["metadata"]["uid"] = uid
    TABLE[found.strategy].prepare_for_create(found, obj)
    return found, obj


def problems(obj):
    found, obj = prepared(obj)
    strategy = TABLE[found.strategy]
    wrong = metadata.validate(found, obj) + strategy.validate(found, obj) + strategy.validate_create(found, obj)
    return [str(problem) for problem in wrong]


def test_every_name_in_the_data_is_in_the_table():
    for found in BUILT_IN.values():
        TABLE[found.strategy]


def template(labels, **spec):
    return {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "a", "image": "a:1"}], **spec}}


def workload(kind, **spec):
    spec = {"selector": {"matchLabels": {"app": "a"}}, "template": template({"app": "a"}), **spec}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": "a"}, "spec": spec}


MISMATCH = 'spec.template.metadata.labels: Invalid value: {"app":"b"}: `selector` does not match template `labels`'
ALWAYS = 'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"'


@pytest.mark.parametrize("kind", ["Deployment", "ReplicaSet", "StatefulSet", "DaemonSet"])
def test_selectors_and_templates(kind):
    assert problems(workload(kind)) == []
    assert problems(workload(kind, template=template({"app": "b"}))) == [MISMATCH]
    assert problems(workload(kind, template=template({"app": "a"}, restartPolicy="Never"))) == [ALWAYS]
    required = [] if kind == "DaemonSet" else ["spec.selector: Required value"]
    mismatch = MISMATCH.replace('{"app":"b"}', '{"app":"a"}')
    assert problems(workload(kind, selector=None)) == [*required, mismatch]


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        (workload("Deployment", replicas=-1), ["spec.replicas: Invalid value: -1: must be greater than or equal to 0"]),
        (
            workload("Deployment", strategy={"type": "Recreate", "rollingUpdate": {}}),
            ["spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'"],
        ),
        (
            workload("Deployment", strategy={"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}}),
            ["spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0"],
        ),
        (
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"a b": ""}},
            [
                "data[a b]: Invalid value: \"a b\": a valid config key must consist of alphanumeric characters, '-', "
                "'_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is "
                "'[-._a-zA-Z0-9]+')"
            ],
        ),
        (
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "type": "kubernetes.io/tls", "data": {}},
            ["data[tls.crt]: Required value", "data[tls.key]: Required value"],
        ),
        (
            {
                "apiVersion": "batch/v1",
                "kind": "CronJob",
                "metadata": {"name": "a"},
                "spec": {
                    "schedule": "* * *",
                    "jobTemplate": {"spec": {"template": template({}, restartPolicy="Never")}},
                },
            },
            ['spec.schedule: Invalid value: "* * *": expected exactly 5 fields, found 3: [* * *]'],
        ),
        (
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {}},
            ["spec.ports: Required value"],
        ),
        (
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "Role",
                "metadata": {"name": "a"},
                "rules": [{"resources": ["pods"]}],
            },
            [
                "rules[0].verbs: Required value: verbs must contain at least one value",
                "rules[0].apiGroups: Required value: resource rules must supply at least one api group",
            ],
        ),
        (
            {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": {"name": "a"},
                "spec": {"accessModes": ["Often"]},
            },
            [
                'spec.accessModes: Unsupported value: "Often": supported values: "ReadOnlyMany", "ReadWriteMany", '
                '"ReadWriteOnce", "ReadWriteOncePod"',
                "spec.resources[storage]: Required value",
            ],
        ),
        (
            {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "a"}, "spec": {}},
            ["spec: Invalid value: null: either `defaultBackend` or `rules` must be specified"],
        ),
        (
            {
                "apiVersion": "scheduling.k8s.io/v1",
                "kind": "PriorityClass",
                "metadata": {"name": "a"},
                "value": 1000000001,
            },
            ["value: Forbidden: maximum allowed value of a user defined priority is 1000000000"],
        ),
        (
            {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "a"}, "template": {"spec": {}}},
            ["template.spec.containers: Required value"],
        ),
        (
            {"apiVersion": "apps/v1", "kind": "ControllerRevision", "metadata": {"name": "a"}, "revision": -1},
            [
                "data: Required value: data is mandatory",
                "revision: Invalid value: -1: must be greater than or equal to 0",
            ],
        ),
        (
            {
                "apiVersion": "policy/v1",
                "kind": "PodDisruptionBudget",
                "metadata": {"name": "a"},
                "spec": {"minAvailable": "150%", "selector": {}},
            },
            ['spec.minAvailable: Invalid value: "150%": must not be greater than 100%'],
        ),
    ],
)
def test_what_is_wrong(obj, expected):
    assert problems(obj) == expected


def job(**spec):
    spec = {"template": template({}, restartPolicy="Never"), **spec}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "a"}, "spec": spec}


def test_jobs_get_their_selector():
    _, obj = prepared(job())
    assert obj["spec"]["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": "12345"}}
    assert obj["spec"]["template"]["metadata"]["labels"] == {
        "controller-uid": "12345",
        "batch.kubernetes.io/controller-uid": "12345",
        "job-name": "a",
        "batch.kubernetes.io/job-name": "a",
    }
    assert problems(job()) == []
    assert problems(job(template=template({}))) == [
        'spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"'
    ]


def relabel(obj):
    """Selector and template alike."""
    obj["spec"]["selector"]["matchLabels"].update(x="y")
    obj["spec"]["template"]["metadata"]["labels"].update(x="y")


def test_immutable_fields():
    for obj, change, expected in (
        (
            workload("Deployment"),
            relabel,
            'spec.selector: Invalid value: {"matchLabels":{"app":"a","x":"y"}}: field is immutable',
        ),
        (
            workload("StatefulSet"),
            lambda obj: obj["spec"].update(serviceName="other"),
            "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', "
            "'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' "
            "are forbidden",
        ),
        (
            job(),
            lambda obj: obj["spec"].update(completions=2),
            "spec.completions: Invalid value: 2: field is immutable",
        ),
        (
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"a": "b"}, "immutable": True},
            lambda obj: obj["data"].update(a="c"),
            "data: Forbidden: field is immutable when `immutable` is set",
        ),
    ):
        found, old = prepared(obj)
        new = copy.deepcopy(old)
        change(new)
        wrong = TABLE[found.strategy].validate_change(found, new, old)
        assert list(dict.fromkeys(str(problem) for problem in wrong)) == [expected]


def pod(**spec):
    spec = {"containers": [{"name": "a", "image": "a:1", "resources": spec.pop("resources", {})}], **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": spec, "status": {"phase": "Running"}}


@pytest.mark.parametrize(
    ("found", "quality"),
    [
        ({}, "BestEffort"),
        ({"requests": {"cpu": "1"}}, "Burstable"),
        ({"limits": {"cpu": "1"}}, "Burstable"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}}, "Guaranteed"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}}, "Burstable"),
        ({"requests": {"example.com/gpu": "1"}, "limits": {"example.com/gpu": "1"}}, "BestEffort"),
    ],
)
def test_pods_begin_pending(found, quality):
    assert prepared(pod(resources=found))[1]["status"] == {"phase": "Pending", "qosClass": quality}


@pytest.mark.parametrize(
    ("node", "phase", "options", "seconds"),
    [
        ("n", "Running", {}, 30),
        ("n", "Running", {"gracePeriodSeconds": 5}, 5),
        ("n", "Running", {"gracePeriodSeconds": 0}, 0),
        ("n", "Running", {"gracePeriodSeconds": -1}, 1),
        ("", "Pending", {"gracePeriodSeconds": 5}, 0),
        ("n", "Succeeded", {}, 0),
    ],
)
def test_grace_period(node, phase, options, seconds):
    _, obj = prepared(pod(nodeName=node))
    obj["status"]["phase"] = phase
    assert TABLE["pod"].grace_period(obj, options) == seconds


def test_a_horizontal_pod_autoscaler_survives_both_versions():
    strategy = TABLE["horizontalpodautoscaler"]
    old_view, new_view = (resource(f"autoscaling/{v}", "HorizontalPodAutoscaler") for v in ("v1", "v2"))
    metrics = [
        {"type": "Pods", "pods": {"metric": {"name": "m"}, "target": {"type": "Value", "value": "1"}}},
        {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}},
    ]
    stored = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "a", "namespace": "default"},
        "spec": {"maxReplicas": 3, "metrics": metrics, "behavior": {"scaleUp": {"selectPolicy": "Max"}}},
        "status": {"currentMetrics": None, "desiredReplicas": 0},
    }
    narrow = strategy.from_storage(old_view, stored)
    assert narrow["spec"] == {"maxReplicas": 3, "targetCPUUtilizationPercentage": 50}
    wide = strategy.to_storage(old_view, narrow)
    assert wide == stored
    assert strategy.from_storage(new_view, stored) is stored


def test_events_in_both_groups():
    strategy = TABLE["event"]
    view = resource("events.k8s.io/v1", "Event")
    event = {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": "a", "namespace": "default"},
        "regarding": {"kind": "Pod", "namespace": "default"},
        "note": "text",
        "reportingController": "x/y",
    }
    stored = strategy.to_storage(view, event)
    assert (stored["involvedObject"], stored["message"]) == (event["regarding"], "text")
    assert stored["reportingComponent"] == "x/y"
    assert strategy.from_storage(view, stored) == event


def test_namespaces_are_held_by_the_namespace_controller():
    found, obj = prepared({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}})
    assert obj["spec"] == {"finalizers": ["kubernetes"]}
    assert obj["status"] == {"phase": "Active"}
    new = copy.deepcopy(obj)
    new["spec"]["finalizers"] = []
    TABLE["namespace"].prepare_for_update(found, new, obj)
    assert new["spec"] == obj["spec"]
    assert isinstance(found, resources.Resource)


def two_containers(labels=None, annotations=None, **spec):
    metadata = {"name": "a", "labels": labels or {}, "annotations": annotations or {}}
    spec = {"containers": [{"name": "a", "image": "a:1"}, {"name": "b", "image": "a:1"}], **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def test_a_new_pods_labels_become_terms_of_its_selectors():
    term = {"topologyKey": "k", "labelSelector": {}, "matchLabelKeys": ["x", "z"], "mismatchLabelKeys": ["y"]}
    spread = {"maxSkew": 1, "topologyKey": "k", "whenUnsatisfiable": "DoNotSchedule", "matchLabelKeys": ["x"]}
    required = "requiredDuringSchedulingIgnoredDuringExecution"
    made = two_containers(
        {"x": "1", "y": "2"}, affinity={"podAntiAffinity": {required: [term]}},
        topologySpreadConstraints=[{**spread, "labelSelector": {"matchLabels": {"a": "b"}}}, spread],
    )  # fmt: skip
    spec = prepared(made)[1]["spec"]
    x, y = ({"key": k, "operator": o, "values": [v]} for k, o, v in (("x", "In", "1"), ("y", "NotIn", "2")))
    assert spec["affinity"]["podAntiAffinity"][required][0]["labelSelector"] == {"matchExpressions": [x, y]}
    selectors = [one.get("labelSelector") for one in spec["topologySpreadConstraints"]]
    assert selectors == [{"matchLabels": {"a": "b"}, "matchExpressions": [x]}, None]


OLD_PROFILE = "container.apparmor.security.beta.kubernetes.io/"


def test_profiles_in_annotations_become_fields():
    annotations = {OLD_PROFILE + "a": "localhost/p", OLD_PROFILE + "b": "runtime/default", OLD_PROFILE + "c": ""}
    made = two_containers(annotations=annotations, securityContext={"appArmorProfile": {"type": "RuntimeDefault"}})
    made["spec"]["containers"].append({"name": "c", "image": "a:1"})
    found = resource("v1", "Pod")
    assert TABLE["pod"].warnings_as_sent(found, made) == [
        f'metadata.annotations[{OLD_PROFILE}{name}]: deprecated since v1.30; use the "appArmorProfile" field instead'
        for name in "ac"
    ]
    contexts = [one.get("securityContext") for one in prepared(made)[1]["spec"]["containers"]]
    assert contexts == [{"appArmorProfile": {"type": "Localhost", "localhostProfile": "p"}}, None, None]


def test_observed_generations_stay():
    found, old = prepared(two_containers())
    old["status"].update(observedGeneration=3, conditions=[{"type": "Ready", "observedGeneration": 2}])
    new = copy.deepcopy(old)
    new["status"] = {
        "conditions": [{"type": "Ready", "status": "True"}, {"type": "Other"}],
        "podIPs": [{"ip": "01.2.3.4"}],
    }
    TABLE["pod"].prepare_for_status_update(found, new, old)
    assert new["status"]["observedGeneration"] == 3
    assert [one.get("observedGeneration") for one in new["status"]["conditions"]] == [2, None]
    assert TABLE["pod"].status_warnings(found, new, old) == [
        'status.podIPs[0].ip: non-standard IP address "01.2.3.4" will be considered invalid in a future Kubernetes '
        'release: use "1.2.3.4"'
    ]


VOLUME = {
    "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "a"},
    "spec": {"capacity": {"storage": "1"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/a"}},
}  # fmt: skip


def test_a_new_volume_says_since_when_it_is_pending():
    status = prepared(VOLUME)[1]["status"]
    assert status.pop("lastPhaseTransitionTime").endswith("Z")
    assert status == {"phase": "Pending"}


@pytest.mark.parametrize(
    ("status", "since"),
    [
        ({"phase": "Bound"}, "now"),
        ({"phase": "Bound", "lastPhaseTransitionTime": "2026-01-01T00:00:00Z"}, "now"),
        ({"phase": "Bound", "lastPhaseTransitionTime": "2026-01-02T00:00:00Z"}, "2026-01-02T00:00:00Z"),
        ({"phase": "Available"}, "2026-01-01T00:00:00Z"),
        ({"phase": "Available", "lastPhaseTransitionTime": "2026-01-02T00:00:00Z"}, "2026-01-02T00:00:00Z"),
    ],
)
def test_a_changed_phase_is_dated(status, since, monkeypatch):
    monkeypatch.setattr(clock, "SYSTEM", clock.FakeClock())
    found = resource("v1", "PersistentVolume")
    old = {**VOLUME, "status": {"phase": "Available", "lastPhaseTransitionTime": "2026-01-01T00:00:00Z"}}
    clock.SYSTEM.step(7 * 86400)
    new = {**copy.deepcopy(VOLUME), "status": status}
    TABLE["persistentvolume"].prepare_for_status_update(found, new, old)
    expected = "2026-01-08T00:00:00Z" if since == "now" else since
    assert new["status"]["lastPhaseTransitionTime"] == expected
