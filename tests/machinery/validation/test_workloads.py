"""Deployments, ReplicaSets, DaemonSets, StatefulSets and ReplicationControllers; their statuses."""
# ruff: noqa: E501 (texts stand as they are sent)

import copy

import pytest

from kubeshim.machinery import resources
from kubeshim.machinery.validation import pod_warnings, stateful_sets, workload_status, workloads
from tests.machinery.validation import tables

TEMPLATE = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "d:1"}]}}


def workload(kind, changes, status=None):
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": copy.deepcopy(TEMPLATE), **copy.deepcopy(changes)}
    spec = {key: value for key, value in spec.items() if value is not None}
    obj = {"metadata": {"name": "x", "namespace": "default"}, "spec": spec, "status": status or {}}
    version = ("", "v1") if kind == "ReplicationController" else ("apps", "v1")
    return tables.filled(resources.GroupVersionKind(*version, kind), obj)


DEPLOYMENTS = """
{}
{replicas: -1}
    spec.replicas: Invalid value: -1: $NEGATIVE
{selector: null}
    spec.selector: Required value
    spec.template.metadata.labels: Invalid value: {"a":"b"}: `selector` does not match template `labels`
{selector: {}}
    spec.selector: Invalid value: {}: empty selector is invalid for deployment
{selector: {matchLabels: {c: d}}}
    spec.template.metadata.labels: Invalid value: {"a":"b"}: `selector` does not match template `labels`
{selector: {matchLabels: {a: b}, matchExpressions: [{key: a, operator: Like}]}}
    spec.selector.matchExpressions[0].operator: Invalid value: "Like": not a valid selector operator
    spec.selector: Invalid value: {"matchLabels":{"a":"b"},"matchExpressions":[{"key":"a","operator":"Like"}]}: invalid label selector
{template: {metadata: {labels: {a: b}}, spec: {containers: []}}}
    spec.template.spec.containers: Required value
{template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: ""}]}}}
    spec.template.spec.containers[0].image: Required value
{template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: d}], restartPolicy: Never}}}
    spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"
{template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: d}], activeDeadlineSeconds: 5}}}
    spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in ReplicaSet is not Supported
{template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: d}], ephemeralContainers: [{name: e, image: f}]}}}
    spec.template.spec.ephemeralContainers: Forbidden: ephemeral containers not allowed in pod template
{template: {metadata: {labels: {a: b, "c d": e}, annotations: {"f g": h}}, spec: {containers: [{name: c, image: d}]}}}
    spec.template.labels: Invalid value: "c d": $QUALIFIED
    spec.template.annotations: Invalid value: "f g": $QUALIFIED
{strategy: {type: Other}}
    spec.strategy: Unsupported value: {"Type":"Other","RollingUpdate":null}: supported values: "Recreate", "RollingUpdate"
{strategy: {type: Recreate, rollingUpdate: {maxSurge: 1}}}
    spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'
{strategy: {rollingUpdate: {maxSurge: 1Z, maxUnavailable: 1Y}}}
    spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "1Y": a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')
    spec.strategy.rollingUpdate.maxSurge: Invalid value: "1Z": a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')
    spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "1Y": may not be 0 when `maxSurge` is 0
{strategy: {rollingUpdate: {maxSurge: 0, maxUnavailable: 0}}}
    spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0
{strategy: {rollingUpdate: {maxUnavailable: 110%}}}
    spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "110%": must not be greater than 100%
{strategy: {rollingUpdate: {maxUnavailable: -1}}}
    spec.strategy.rollingUpdate.maxUnavailable: Invalid value: -1: $NEGATIVE
{minReadySeconds: -1, revisionHistoryLimit: -1, progressDeadlineSeconds: -1}
    spec.minReadySeconds: Invalid value: -1: $NEGATIVE
    spec.revisionHistoryLimit: Invalid value: -1: $NEGATIVE
    spec.progressDeadlineSeconds: Invalid value: -1: $NEGATIVE
    spec.progressDeadlineSeconds: Invalid value: -1: must be greater than minReadySeconds
{minReadySeconds: 600}
    spec.progressDeadlineSeconds: Invalid value: 600: must be greater than minReadySeconds
"""


@pytest.mark.parametrize(("changes", "expected"), tables.rows(DEPLOYMENTS))
def test_deployments(changes, expected):
    assert tables.texts(workloads.deployment(workload("Deployment", changes))) == expected


@pytest.mark.parametrize(
    ("kind", "change", "times"),
    [
        ("Deployment", workloads.deployment_change, 1),
        ("ReplicaSet", workloads.replica_set_change, 2),
        ("DaemonSet", workloads.daemon_set_change, 2),
    ],
)
def test_selectors_stay(kind, change, times):
    old, new = workload(kind, {}), workload(kind, {"selector": {"matchLabels": {"a": "c"}}})
    assert tables.texts(change(new, old)) == [
        *['spec.template.metadata.labels: Invalid value: {"a":"b"}: `selector` does not match template `labels`']
        * times,
        'spec.selector: Invalid value: {"matchLabels":{"a":"c"}}: field is immutable',
    ]


REPLICA_SETS = """
{}
{replicas: -1, minReadySeconds: -1}
    spec.replicas: Invalid value: -1: $NEGATIVE
    spec.minReadySeconds: Invalid value: -1: $NEGATIVE
{selector: {}}
    spec.selector: Invalid value: {}: empty selector is invalid for deployment
{template: null}
    spec.template.metadata.labels: Invalid value: null: `selector` does not match template `labels`
    spec.template: Required value
"""


@pytest.mark.parametrize(("changes", "expected"), tables.rows(REPLICA_SETS))
def test_replica_sets(changes, expected):
    assert tables.texts(workloads.replica_set(workload("ReplicaSet", changes))) == expected


CONTROLLERS = """
{selector: {a: b}}
{selector: {a: c}}
    spec.template.metadata.labels: Invalid value: {"a":"b"}: `selector` does not match template `labels`
{selector: {a: b}, replicas: -1, minReadySeconds: -1}
    spec.minReadySeconds: Invalid value: -1: $NEGATIVE
    spec.replicas: Invalid value: -1: $NEGATIVE
{selector: null, template: null}
    spec.selector: Required value
    spec.template: Required value
"""


@pytest.mark.parametrize(("changes", "expected"), tables.rows(CONTROLLERS))
def test_replication_controllers(changes, expected):
    assert tables.texts(workloads.replication_controller(workload("ReplicationController", changes))) == expected


DAEMON_SETS = """
{}
{selector: {}}
    spec.selector: Invalid value: {}: empty selector is invalid for daemonset
{selector: null}
    spec.template.metadata.labels: Invalid value: {"a":"b"}: `selector` does not match template `labels`
{updateStrategy: {type: Other}}
    spec.updateStrategy: Unsupported value: {"Type":"Other","RollingUpdate":null}: supported values: "RollingUpdate", "OnDelete"
{updateStrategy: {rollingUpdate: {maxUnavailable: 1, maxSurge: 1}}}
    spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: 1: may not be set when maxUnavailable is non-zero
{updateStrategy: {rollingUpdate: {maxUnavailable: 0, maxSurge: 0}}}
    spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0 when maxSurge is 0
{updateStrategy: {rollingUpdate: {maxUnavailable: 101%}}}
    spec.updateStrategy.rollingUpdate.maxUnavailable: Invalid value: "101%": must not be greater than 100%
{template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: d}], restartPolicy: OnFailure}}}
    spec.template.spec.restartPolicy: Unsupported value: "OnFailure": supported values: "Always"
"""


@pytest.mark.parametrize(("changes", "expected"), tables.rows(DAEMON_SETS))
def test_daemon_sets(changes, expected):
    assert tables.texts(workloads.daemon_set(workload("DaemonSet", changes))) == expected


STATEFUL_SETS = """
{}
{podManagementPolicy: Other}
    spec.podManagementPolicy: Invalid value: "Other": must be 'OrderedReady' or 'Parallel'
{updateStrategy: {type: Other}}
    spec.updateStrategy: Invalid value: {"Type":"Other","RollingUpdate":null}: must be 'RollingUpdate' or 'OnDelete'
{updateStrategy: {type: OnDelete, rollingUpdate: {partition: 1}}}
    spec.updateStrategy.rollingUpdate: Invalid value: {"Partition":1,"MaxUnavailable":null}: only allowed for updateStrategy 'RollingUpdate'
{updateStrategy: {rollingUpdate: {partition: -1, maxUnavailable: 0}}}
    spec.updateStrategy.rollingUpdate.partition: Invalid value: -1: $NEGATIVE
    spec.updateStrategy.rollingUpdate.maxUnavailable: Invalid value: 0: cannot be 0
{persistentVolumeClaimRetentionPolicy: {whenDeleted: Other}}
    spec.persistentVolumeClaimRetentionPolicy.whenDeleted: Unsupported value: "Other": supported values: "Retain", "Delete"
{replicas: -1, minReadySeconds: -1, ordinals: {start: -1}}
    spec.replicas: Invalid value: -1: $NEGATIVE
    spec.minReadySeconds: Invalid value: -1: $NEGATIVE
    spec.ordinals.start: Invalid value: -1: $NEGATIVE
{serviceName: A_}
    spec.serviceName: Invalid value: "A_": $LABEL
{selector: {}}
    spec.selector: Invalid value: {}: empty selector is invalid for statefulset
{volumeClaimTemplates: [{metadata: {name: v}, spec: {}}]}
    spec.volumeClaimTemplates[0].spec.accessModes: Required value: at least 1 access mode is required
    spec.volumeClaimTemplates[0].spec.resources[storage]: Required value
{template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: d, volumeMounts: [{name: v, mountPath: /v}]}]}}}
    spec.template.spec.containers[0].volumeMounts[0].name: Not found: "v"
{volumeClaimTemplates: [{metadata: {name: v}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1}}}}], template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: d, volumeMounts: [{name: v, mountPath: /v}]}]}}}
"""


@pytest.mark.parametrize(("changes", "expected"), tables.rows(STATEFUL_SETS))
def test_stateful_sets(changes, expected):
    assert tables.texts(stateful_sets.stateful_set(workload("StatefulSet", changes))) == expected


FIXED = (
    "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', "
    "'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"replicas": 3, "ordinals": {"start": 2}, "minReadySeconds": 4, "revisionHistoryLimit": 2}, []),
        ({"serviceName": "other"}, [FIXED]),
        ({"podManagementPolicy": "Parallel"}, [FIXED]),
    ],
)
def test_what_of_a_stateful_set_may_change(changes, expected):
    old, new = workload("StatefulSet", {}), workload("StatefulSet", changes)
    assert tables.texts(stateful_sets.change(new, old)) == expected


STATUSES = """
[Deployment, {replicas: 2, readyReplicas: 2, availableReplicas: 1, updatedReplicas: 2}, {}]
[Deployment, {replicas: -1}, {}]
    status.replicas: Invalid value: -1: $NEGATIVE
    status.updatedReplicas: Invalid value: 0: cannot be greater than status.replicas
    status.readyReplicas: Invalid value: 0: cannot be greater than status.replicas
    status.availableReplicas: Invalid value: 0: cannot be greater than status.replicas
[Deployment, {replicas: 1, readyReplicas: 2, updatedReplicas: 3}, {}]
    status.updatedReplicas: Invalid value: 3: cannot be greater than status.replicas
    status.readyReplicas: Invalid value: 2: cannot be greater than status.replicas
[Deployment, {replicas: 2, availableReplicas: 1}, {}]
    status.availableReplicas: Invalid value: 1: cannot be greater than readyReplicas
[Deployment, {collisionCount: 1}, {collisionCount: 2}]
    status.collisionCount: Invalid value: 1: cannot be decremented
[ReplicaSet, {replicas: 1, fullyLabeledReplicas: 2}, {}]
    status.fullyLabeledReplicas: Invalid value: 2: cannot be greater than status.replicas
[ReplicaSet, {replicas: 2, availableReplicas: 1}, {}]
    status.availableReplicas: Invalid value: 1: cannot be greater than readyReplicas
[StatefulSet, {replicas: 1, currentReplicas: 2}, {}]
    status.currentReplicas: Invalid value: 2: cannot be greater than status.replicas
[StatefulSet, {replicas: 2, availableReplicas: 1}, {}]
    status.availableReplicas: Invalid value: 1: cannot be greater than status.readyReplicas
[DaemonSet, {numberReady: -1, numberAvailable: -2}, {}]
    status.numberReady: Invalid value: -1: $NEGATIVE
    status.numberAvailable: Invalid value: -2: $NEGATIVE
[DaemonSet, {}, {collisionCount: 1}]
    status.collisionCount: Invalid value: 0: cannot be decremented
"""
CHECKS = {
    "Deployment": workload_status.deployment,
    "ReplicaSet": workload_status.replica_set,
    "StatefulSet": workload_status.stateful_set,
    "DaemonSet": workload_status.daemon_set,
}


@pytest.mark.parametrize(("row", "expected"), tables.rows(STATUSES))
def test_statuses(row, expected):
    kind, new, old = row
    assert tables.texts(CHECKS[kind]({"status": new}, {"status": old})) == expected


def test_warnings():
    obj = workload("Deployment", {"template": {**TEMPLATE, "spec": {"nodeSelector": {"beta.kubernetes.io/os": "x"}}}})
    obj["metadata"]["name"] = "a.b"
    old_label = (
        'spec.template.spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "kubernetes.io/os" instead'
    )
    assert pod_warnings.workload(obj, None) == [
        "metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is "
        "recommended: [must not contain dots]",
        old_label,
    ]
    assert pod_warnings.workload(obj, obj) == []


@pytest.mark.parametrize(
    ("warn", "place", "of_new"),
    [
        (pod_warnings.workload, ("spec", "template"), True),
        (pod_warnings.replication_controller, ("spec", "template"), False),
        (pod_warnings.pod_template, ("template",), True),
    ],
)
def test_only_changed_templates_are_warned_of(warn, place, of_new):
    def found(generation, label):
        made = {"spec": {"nodeSelector": {label: "linux"}}}
        for field in reversed(place):
            made = {field: made}
        return {"metadata": {"name": "a", "generation": generation}, **made}

    old, same, new = found(1, "a"), found(1, "beta.kubernetes.io/os"), found(2, "beta.kubernetes.io/os")
    assert warn(same, old) == []
    assert bool(warn(new, old)) == of_new
    assert bool(warn({**old, "metadata": {"generation": 3}}, new)) != of_new
    limited = workload("StatefulSet", {"revisionHistoryLimit": -1})
    assert stateful_sets.warn(limited, None) == [
        "spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is recommended"
    ]
