"""Autoscalers, budgets, classes, leases, access, API services and events."""
# ruff: noqa: E501 (texts stand as they are sent)

import copy

import pytest

from kubeshim.machinery.validation import autoscalers, events, others, rbac
from tests.machinery.validation import tables

TARGET = {"kind": "Deployment", "name": "d"}

AUTOSCALERS = """
{}
{minReplicas: -1}
    spec.minReplicas: Invalid value: -1: must be greater than or equal to 0
{minReplicas: 0}
    spec.metrics: Forbidden: must specify at least one Object or External metric to support scaling to zero replicas
{minReplicas: 0, metrics: [{type: External, external: {metric: {name: m}, target: {type: Value, value: "1"}}}]}
{maxReplicas: 0}
    spec.maxReplicas: Invalid value: 0: must be greater than 0
    spec.maxReplicas: Invalid value: 0: must be greater than or equal to `minReplicas`
{minReplicas: 7, maxReplicas: 5}
    spec.maxReplicas: Invalid value: 5: must be greater than or equal to `minReplicas`
{scaleTargetRef: {}}
    spec.scaleTargetRef.kind: Required value
    spec.scaleTargetRef.name: Required value
{scaleTargetRef: {kind: a/b, name: ..}}
    spec.scaleTargetRef.kind: Invalid value: "a/b": may not contain '/'
    spec.scaleTargetRef.name: Invalid value: "..": may not be '..'
{metrics: [{type: Resource}]}
    spec.metrics[0].resource: Required value: must populate information for the given metric source
{metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization}}}]}
    spec.metrics[0].resource.target.averageUtilization: Required value: must set either a target raw value or a target utilization
{metrics: [{type: Resource, resource: {name: "", target: {type: Utilization, averageUtilization: -10}}}]}
    spec.metrics[0].resource.name: Required value: must specify a resource name
    spec.metrics[0].resource.target.averageUtilization: Invalid value: -10: must be greater than 0
{metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 50, averageValue: "1"}}}]}
    spec.metrics[0].resource.target.averageValue: Forbidden: may not set both a target raw value and a target utilization
{metrics: [{type: Resource, resource: {name: cpu, target: {type: Other, averageUtilization: 5}}}]}
    spec.metrics[0].resource.target.type: Invalid value: "Other": must be either Utilization, Value, or AverageValue
{metrics: [{type: Pods, pods: {metric: {name: ""}, target: {type: AverageValue, averageValue: "1"}}}]}
    spec.metrics[0].pods.metric.name: Required value: must specify a metric name
{metrics: [{type: Pods, pods: {metric: {name: foo/../}, target: {type: AverageValue}}}]}
    spec.metrics[0].pods.metric.name: Invalid value: "foo/../": may not contain '/'
    spec.metrics[0].pods.target.averageValue: Required value: must specify a positive target averageValue
{metrics: [{type: Object, object: {describedObject: {}, metric: {name: m}, target: {type: Value}}}]}
    spec.metrics[0].object.describedObject.kind: Required value
    spec.metrics[0].object.describedObject.name: Required value
    spec.metrics[0].object.target.averageValue: Required value: must set either a target value or averageValue
{metrics: [{type: External, external: {metric: {name: m}, target: {type: Value, value: "1", averageValue: "1"}}}]}
    spec.metrics[0].external.target.value: Forbidden: may not set both a target value for metric and a per-pod target
{metrics: [{type: ContainerResource, containerResource: {name: cpu, container: "", target: {type: Utilization, averageUtilization: 5}}}]}
    spec.metrics[0].containerResource.container: Required value: must specify a container
{behavior: {scaleUp: {policies: []}}}
    spec.behavior.scaleUp.policies: Required value: must specify at least one Policy
{behavior: {scaleDown: {selectPolicy: Other, policies: [{type: Pods, value: 1, periodSeconds: 1}]}}}
    spec.behavior.scaleDown.selectPolicy: Unsupported value: "Other": supported values: "Disabled", "Max", "Min"
{behavior: {scaleDown: {stabilizationWindowSeconds: 3601, policies: [{type: Other, value: 0, periodSeconds: 1801}]}}}
    spec.behavior.scaleDown.stabilizationWindowSeconds: Invalid value: 3601: must be less than or equal to 3600
    spec.behavior.scaleDown.policies[0].type: Unsupported value: "Other": supported values: "Percent", "Pods"
    spec.behavior.scaleDown.policies[0].value: Invalid value: 0: must be greater than zero
    spec.behavior.scaleDown.policies[0].periodSeconds: Invalid value: 1801: must be less than or equal to 1800
{behavior: {scaleUp: {tolerance: -10m, policies: [{type: Pods, value: 1, periodSeconds: 1}]}}}
    spec.behavior.scaleUp.tolerance: Invalid value: "-10m": $NEGATIVE
"""


@pytest.mark.parametrize(("changes", "expected"), tables.rows(AUTOSCALERS))
def test_autoscalers(changes, expected):
    obj = {"spec": {"minReplicas": 1, "maxReplicas": 5, "scaleTargetRef": TARGET, **changes}}
    assert tables.texts(autoscalers.autoscaler(obj)) == expected


BUDGETS = """
{minAvailable: 1}
{minAvailable: 50%}
{minAvailable: -1}
    spec.minAvailable: Invalid value: -1: $NEGATIVE
{minAvailable: 101%}
    spec.minAvailable: Invalid value: "101%": must not be greater than 100%
{maxUnavailable: 1.1%}
    spec.maxUnavailable: Invalid value: "1.1%": a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')
{minAvailable: 1, maxUnavailable: 1}
    spec: Invalid value: {"MinAvailable":1,"Selector":null,"MaxUnavailable":1,"UnhealthyPodEvictionPolicy":null}: minAvailable and maxUnavailable cannot be both set
{selector: {matchLabels: {"a b": c}}}
    spec.selector.matchLabels: Invalid value: "a b": $QUALIFIED
{unhealthyPodEvictionPolicy: Other}
    spec.unhealthyPodEvictionPolicy: Unsupported value: "Other": supported values: "AlwaysAllow", "IfHealthyBudget"
"""


@pytest.mark.parametrize(("spec", "expected"), tables.rows(BUDGETS))
def test_budgets(spec, expected):
    assert tables.texts(others.disruption_budget({"spec": spec})) == expected


PRIORITIES = """
{metadata: {name: a}, value: 100}
{metadata: {name: a}, value: 1000000001}
    value: Forbidden: maximum allowed value of a user defined priority is 1000000000
{metadata: {name: system-x}, value: 1}
    metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only. error: system-x is not a known system priority class
{metadata: {name: system-node-critical}, value: 1}
    metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only. error: value of system-node-critical PriorityClass must be 2000001000
{metadata: {name: a}, value: 1, preemptionPolicy: Other}
    preemptionPolicy: Unsupported value: "Other": supported values: "PreemptLowerPriority", "Never"
"""


@pytest.mark.parametrize(("obj", "expected"), tables.rows(PRIORITIES))
def test_priority_classes(obj, expected):
    assert tables.texts(others.priority_class(obj)) == expected


LEASES = """
{holderIdentity: a, leaseDurationSeconds: 1, leaseTransitions: 0}
{leaseDurationSeconds: 0, leaseTransitions: -1}
    spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0
    spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0
{strategy: Other}
    spec.strategy: Unsupported value: "Other": supported values: "OldestEmulationVersion"
{preferredHolder: a}
    spec.preferredHolder: Forbidden: may only be specified when `strategy` is defined
"""


@pytest.mark.parametrize(("spec", "expected"), tables.rows(LEASES))
def test_leases(spec, expected):
    assert tables.texts(others.lease({"spec": spec})) == expected


RUN_TIMES = """
{handler: a}
{handler: ""}
    handler: Invalid value: "": $LABEL
{handler: A}
    handler: Invalid value: "A": $LABEL
{handler: a, overhead: {podFixed: {cpu: "-1"}}}
    overhead.limits[cpu]: Invalid value: "-1": $NEGATIVE
{handler: a, scheduling: {nodeSelector: {"a b": c}}}
    scheduling.nodeSelector: Invalid value: "a b": $QUALIFIED
{handler: a, scheduling: {tolerations: [{key: a, operator: Exists}, {key: a, operator: Exists}]}}
    scheduling.tolerations[1]: Duplicate value: {"Key":"a","Operator":"Exists","Value":"","Effect":"","TolerationSeconds":null}
"""


@pytest.mark.parametrize(("obj", "expected"), tables.rows(RUN_TIMES))
def test_runtime_classes(obj, expected):
    assert tables.texts(others.runtime_class(obj)) == expected


ROLES = """
{rules: [{verbs: [get], apiGroups: [""], resources: [pods]}]}
{rules: [{}]}
    rules[0].verbs: Required value: verbs must contain at least one value
    rules[0].apiGroups: Required value: resource rules must supply at least one api group
    rules[0].resources: Required value: resource rules must supply at least one resource
{rules: [{verbs: [get], nonResourceURLs: [/a]}]}
    rules[0].nonResourceURLs: Invalid value: ["/a"]: namespaced rules cannot apply to non-resource URLs
{rules: [{verbs: [get], nonResourceURLs: [/a], apiGroups: [""], resources: [pods]}]}
    rules[0].nonResourceURLs: Invalid value: ["/a"]: namespaced rules cannot apply to non-resource URLs
    rules[0].nonResourceURLs: Invalid value: ["/a"]: rules cannot apply to both regular resources and non-resource URLs
"""


@pytest.mark.parametrize(("obj", "expected"), tables.rows(ROLES))
def test_roles(obj, expected):
    assert tables.texts(rbac.role(obj)) == expected


def test_cluster_roles():
    assert rbac.cluster_role({"rules": [{"verbs": ["get"], "nonResourceURLs": ["/a"]}]}) == []
    assert tables.texts(rbac.cluster_role({"aggregationRule": {}})) == [
        "aggregationRule.clusterRoleSelectors: Required value: at least one clusterRoleSelector required if aggregationRule is non-nil"
    ]


BINDINGS = """
{roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: r}, subjects: [{kind: User, name: u, apiGroup: rbac.authorization.k8s.io}]}
{roleRef: {apiGroup: x, kind: Other, name: ""}}
    roleRef.apiGroup: Unsupported value: "x": supported values: "rbac.authorization.k8s.io"
    roleRef.kind: Unsupported value: "Other": supported values: "Role", "ClusterRole"
    roleRef.name: Required value
{roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: a/b}}
    roleRef.name: Invalid value: "a/b": may not contain '/'
{roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: r}, subjects: [{kind: ServiceAccount, name: A_, apiGroup: x}, {kind: User, name: u}, {kind: Other, name: ""}]}
    subjects[0].name: Invalid value: "A_": $SUBDOMAIN
    subjects[0].apiGroup: Unsupported value: "x": supported values: ""
    subjects[1].apiGroup: Unsupported value: "": supported values: "rbac.authorization.k8s.io"
    subjects[2].name: Required value
    subjects[2].kind: Unsupported value: "Other": supported values: "ServiceAccount", "User", "Group"
"""


@pytest.mark.parametrize(("obj", "expected"), tables.rows(BINDINGS))
def test_bindings(obj, expected):
    assert tables.texts(rbac.role_binding(obj)) == expected


def test_bindings_of_the_whole_cluster():
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "r"}
    obj = {"roleRef": reference, "subjects": [{"kind": "ServiceAccount", "name": "s"}]}
    assert tables.texts(rbac.cluster_role_binding(obj)) == ["subjects[0].namespace: Required value"]
    new = {"roleRef": {**reference, "name": "other"}}
    assert tables.texts(rbac.binding_update(new, obj)) == [
        'roleRef: Invalid value: {"APIGroup":"rbac.authorization.k8s.io","Kind":"ClusterRole","Name":"other"}: cannot change roleRef'
    ]


API_SERVICES = """
{metadata: {name: v1.a.b}, spec: {group: a.b, version: v1, groupPriorityMinimum: 1, versionPriority: 1}}
{metadata: {name: x}, spec: {group: a.b, version: v1, groupPriorityMinimum: 0, versionPriority: 1001}}
    metadata.name: Invalid value: "x": must be `spec.version+"."+spec.group`: "v1.a.b"
    spec.groupPriorityMinimum: Invalid value: 0: must be positive and less than 20000
    spec.versionPriority: Invalid value: 1001: must be positive and less than 1000
{metadata: {name: v1.a}, spec: {group: a, version: v1, groupPriorityMinimum: 1, versionPriority: 1, insecureSkipTLSVerify: true}}
    spec.insecureSkipTLSVerify: Invalid value: true: local APIServices may not have insecureSkipTLSVerify
{metadata: {name: v1.a}, spec: {group: a, version: v1, groupPriorityMinimum: 1, versionPriority: 1, service: {}}}
    spec.service.namespace: Required value
    spec.service.name: Required value
"""


@pytest.mark.parametrize(("obj", "expected"), tables.rows(API_SERVICES))
def test_api_services(obj, expected):
    assert tables.texts(others.api_service(obj)) == expected


EVENTS = """
{involvedObject: {namespace: n}}
{involvedObject: {namespace: other}}
    involvedObject.namespace: Invalid value: "other": does not match event.namespace
{involvedObject: {}}
    involvedObject.namespace: Invalid value: "": does not match event.namespace
{involvedObject: {namespace: n}, eventTime: "2026-01-01T00:00:00.000000Z"}
    reportingComponent: Required value
    reportingComponent: Invalid value: "": name part must be non-empty
    reportingComponent: Invalid value: "": $QUALIFIED
    reportingInstance: Required value
    action: Required value
    reason: Required value
"""


@pytest.mark.parametrize(("event", "expected"), tables.rows(EVENTS))
def test_events(event, expected):
    obj = {"metadata": {"name": "e", "namespace": "n"}, **event}
    assert tables.texts(events.event(obj, is_newer=False)) == expected


FULL = {
    "metadata": {"name": "e", "namespace": "n"}, "involvedObject": {"namespace": "n", "kind": "Pod", "name": "p"},
    "eventTime": "2026-01-01T00:00:00.000000Z", "reportingComponent": "a.b/c", "reportingInstance": "i",
    "action": "Do", "reason": "Because", "type": "Normal",
}  # fmt: skip
NEWER = """
{}
{type: Other}
    type: Invalid value: "": has invalid value: Other
{count: 1, source: {component: x}}
    count: Invalid value: "": needs to be unset
    source: Invalid value: "": needs to be unset
{series: {count: 1}}
    series.count: Invalid value: "": should be at least 2
    series.lastObservedTime: Required value
"""


@pytest.mark.parametrize(("changes", "expected"), tables.rows(NEWER))
def test_newer_events(changes, expected):
    found = sorted(tables.texts(events.event({**copy.deepcopy(FULL), **changes}, is_newer=True)))
    assert found == sorted(expected)


def test_newer_events_stay():
    new = {**copy.deepcopy(FULL), "reason": "Other", "note": "x"}
    assert tables.texts(events.change(new, FULL, is_newer=True)) == [
        'reason: Invalid value: "Other": field is immutable',
        'reason: Invalid value: "Other": field is immutable',
    ]
