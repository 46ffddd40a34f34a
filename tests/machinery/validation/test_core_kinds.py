"""ConfigMaps, Secrets, nodes, namespaces, quotas and limits."""
# ruff: noqa: E501 (texts stand as they are sent)

import base64

import pytest

from kubeshim.machinery.validation import core, limits
from tests.machinery.validation import tables

CONFIG_MAPS = """
{data: {a: b}, binaryData: {c: ZA==}}
{data: {"a/b": c}}
    data[a/b]: Invalid value: "a/b": $KEY
{data: {.: c, ..: d}}
    data[.]: Invalid value: ".": must not be '.'
    data[..]: Invalid value: "..": must not be '..'
{data: {..a: d}}
    data[..a]: Invalid value: "..a": must not start with '..'
{data: {a: b}, binaryData: {a: ZA==}}
    data[a]: Invalid value: "a": duplicate of key present in binaryData
{binaryData: {"a/b": ZA==}}
    binaryData[a/b]: Invalid value: "a/b": $KEY
"""


@pytest.mark.parametrize(("obj", "expected"), tables.rows(CONFIG_MAPS))
def test_config_maps(obj, expected):
    assert tables.texts(core.config_map(obj)) == expected


def test_data_is_limited():
    big = "x" * (1024 * 1024 + 1)
    assert tables.texts(core.config_map({"data": {"a": big}})) == ["[]: Too long: may not be more than 1048576 bytes"]
    encoded = base64.b64encode(big.encode()).decode()
    assert tables.texts(core.secret({"data": {"a": encoded}, "type": "Opaque"})) == [
        "data: Too long: may not be more than 1048576 bytes"
    ]


@pytest.mark.parametrize(("change", "kind"), [(core.config_map_change, "ConfigMap"), (core.secret_change, "Secret")])
def test_immutable_data(change, kind):
    old = {"immutable": True, "data": {"a": "Yg=="}, "type": "Opaque"}
    assert change(dict(old), old) == []
    assert tables.texts(change({**old, "data": {"a": "Yw=="}}, old)) == [
        "data: Forbidden: field is immutable when `immutable` is set"
    ]
    assert tables.texts(change({**old, "immutable": False}, old)) == [
        "immutable: Forbidden: field is immutable when `immutable` is set"
    ]


SECRETS = """
{type: Opaque, data: {a: Yg==}}
{type: Opaque, data: {"a/b": Yg==}}
    data[a/b]: Invalid value: "a/b": $KEY
{type: kubernetes.io/service-account-token}
    metadata.annotations[kubernetes.io/service-account.name]: Required value
{type: kubernetes.io/dockercfg}
    data[.dockercfg]: Required value
{type: kubernetes.io/dockercfg, data: {.dockercfg: eA==}}
    data[.dockercfg]: Invalid value: "<secret contents redacted>": invalid character 'x' looking for beginning of value
{type: kubernetes.io/dockerconfigjson}
    data[.dockerconfigjson]: Required value
{type: kubernetes.io/basic-auth}
    data[username]: Required value
    data[password]: Required value
{type: kubernetes.io/basic-auth, data: {password: eA==}}
{type: kubernetes.io/ssh-auth}
    data[ssh-privatekey]: Required value
{type: kubernetes.io/tls}
    data[tls.crt]: Required value
    data[tls.key]: Required value
"""


@pytest.mark.parametrize(("obj", "expected"), tables.rows(SECRETS))
def test_secrets(obj, expected):
    assert tables.texts(core.secret({"metadata": {"name": "s"}, **obj})) == expected


def test_the_type_of_a_secret_stays():
    assert tables.texts(core.secret_change({"type": "a"}, {"type": "b"})) == [
        'type: Invalid value: "a": field is immutable'
    ]


NODES = """
{spec: {podCIDRs: [10.0.0.0/24, "fd00::/64"]}}
{spec: {podCIDRs: [10.0.0.0/24, 10.0.1.0/24]}}
    spec.podCIDRs: Invalid value: ["10.0.0.0/24","10.0.1.0/24"]: may specify no more than one CIDR for each IP family
{spec: {podCIDRs: [bad]}}
    spec.podCIDRs[0]: Invalid value: "bad": $CIDR
{spec: {taints: [{key: a, effect: NoSchedule}, {key: a, effect: NoSchedule}]}}
    metadata.taints[1]: Duplicate value: {"Key":"a","Value":"","Effect":"NoSchedule","TimeAdded":null}: taints must be unique by key and effect pair
{spec: {taints: [{key: "a b", value: "c d", effect: ""}]}}
    metadata.taints[0].key: Invalid value: "a b": $QUALIFIED
    metadata.taints[0].value: Invalid value: "c d": $VALUE
    metadata.taints[0].effect: Required value
{spec: {taints: [{key: a, effect: Other}]}}
    metadata.taints[0].effect: Unsupported value: "Other": supported values: "NoSchedule", "PreferNoSchedule", "NoExecute"
{metadata: {annotations: {scheduler.alpha.kubernetes.io/taints: "x"}}}
    metadata.annotations: Invalid value: "scheduler.alpha.kubernetes.io/taints": invalid character 'x' looking for beginning of value
{metadata: {annotations: {scheduler.alpha.kubernetes.io/taints: "[{\\"key\\": \\"a\\"}]"}}}
    metadata.annotations.scheduler.alpha.kubernetes.io/taints[0].effect: Required value
{metadata: {annotations: {scheduler.alpha.kubernetes.io/preferAvoidPods: "[]"}}}
    metadata.annotations.AvoidPods: Invalid value: "scheduler.alpha.kubernetes.io/preferAvoidPods": json: cannot unmarshal array into Go value of type v1.AvoidPods
{metadata: {annotations: {scheduler.alpha.kubernetes.io/preferAvoidPods: "{\\"preferAvoidPods\\": [{}, {\\"podSignature\\": {\\"podController\\": {}}}]}"}}}
    metadata.annotations.scheduler.alpha.kubernetes.io/preferAvoidPods[0].PodSignature: Required value
    metadata.annotations.scheduler.alpha.kubernetes.io/preferAvoidPods[1].PodSignature.PodController.Controller: Invalid value: false: must point to a controller
{status: {declaredFeatures: [A, A/b, b-c, A]}}
    status.declaredFeatures[2]: Invalid value: "b-c": invalid feature name "b-c": must start with an UpperCamelCase segment, with subsequent segments separated by '/' (e.g., MyFeature or MyFeature/mySubFeature), and contain only alphanumeric characters and slashes
    status.declaredFeatures[3]: Invalid value: "A": list must be sorted alphabetically
{status: {declaredFeatures: [A, A]}}
    status.declaredFeatures[1]: Duplicate value: "A"
{status: {capacity: {cpu: "-1"}}}
    status.capacity.cpu: Invalid value: "-1": $NEGATIVE
"""


@pytest.mark.parametrize(("obj", "expected"), tables.rows(NODES))
def test_nodes(obj, expected):
    assert tables.texts(core.node(obj)) == expected


def test_accounts_that_list_their_secrets_are_warned_of():
    assert core.warn_service_account(
        {"metadata": {"annotations": {"kubernetes.io/enforce-mountable-secrets": "true"}}}, None
    ) == [
        "metadata.annotations[kubernetes.io/enforce-mountable-secrets]: deprecated in v1.32+; prefer separate "
        "namespaces to isolate access to mounted secrets"
    ]


def test_what_of_a_node_stays():
    old = {"spec": {"podCIDRs": ["10.0.0.0/24"], "providerID": "a"}}
    new = {"spec": {"podCIDRs": ["10.0.1.0/24"], "providerID": "b"}}
    assert tables.texts(core.node_update(new, old)) == [
        'spec.podCIDRs: Forbidden: node updates may not change podCIDR except from "" to valid',
        'spec.providerID: Forbidden: node updates may not change providerID except from "" to valid',
    ]
    assert core.node_update(old, {}) == []
    assert core.warn_node({"spec": {"externalID": "x", "configSource": {}}}, None) == [
        "spec.configSource: the feature is removed",
        "spec.externalID: this field is deprecated, and is unused by Kubernetes",
    ]


def test_namespaces():
    assert tables.texts(core.namespace_finalizers({"spec": {"finalizers": ["a b", "c"]}})) == [
        f'spec.finalizers[0]: Invalid value: "a b": {tables.TEXTS["QUALIFIED"]}',
        'spec.finalizers[0]: Invalid value: "a b": name is neither a standard finalizer name nor is it fully qualified',
        'spec.finalizers[1]: Invalid value: "c": name is neither a standard finalizer name nor is it fully qualified',
    ]
    assert tables.texts(core.namespace_status({"status": {"phase": "Terminating"}})) == [
        "status.Phase: Invalid value: \"Terminating\": may only be 'Active' if `deletionTimestamp` is empty"
    ]


QUOTAS = """
{hard: {cpu: "1", pods: "2", requests.example.com/x: "3", count/widgets.example.com: "4"}}
{hard: {bogus: "1"}}
    spec.hard[bogus]: Invalid value: "bogus": must be a standard resource type or fully qualified
    spec.hard[bogus]: Invalid value: "bogus": must be a standard resource for quota
{hard: {pods: "500m"}}
    spec.hard[pods]: Invalid value: "500m": must be an integer
{hard: {cpu: "-1"}}
    spec.hard[cpu]: Invalid value: "-1": $NEGATIVE
{scopes: [Other]}
    spec.scopes: Invalid value: ["Other"]: unsupported scope
{scopes: [BestEffort, NotBestEffort]}
    spec.scopes: Invalid value: ["BestEffort","NotBestEffort"]: conflicting scopes
{hard: {cpu: "1"}, scopes: [BestEffort]}
    spec.scopes: Invalid value: ["BestEffort"]: unsupported scope applied to resource
{scopeSelector: {matchExpressions: [{scopeName: Terminating, operator: In, values: [a]}]}}
    spec.scopeSelector.matchExpressions.operator: Invalid value: "In": must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity
{scopeSelector: {matchExpressions: [{scopeName: PriorityClass, operator: In}]}}
    spec.scopeSelector.matchExpressions.values: Required value: must be at least one value when `operator` is 'In' or 'NotIn' for scope selector
{scopeSelector: {matchExpressions: [{scopeName: PriorityClass, operator: Exists, values: [a]}]}}
    spec.scopeSelector.matchExpressions.values: Invalid value: ["a"]: must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector
{scopeSelector: {matchExpressions: [{scopeName: PriorityClass, operator: Is}]}}
    spec.scopeSelector.matchExpressions.operator: Invalid value: "Is": not a valid selector operator
"""


@pytest.mark.parametrize(("spec", "expected"), tables.rows(QUOTAS))
def test_quotas(spec, expected):
    assert tables.texts(limits.resource_quota({"spec": spec})) == expected


def test_scopes_of_quotas_stay():
    new, old = {"spec": {"scopes": ["BestEffort"]}}, {"spec": {}}
    assert tables.texts(limits.resource_quota_update(new, old)) == [
        'spec.scopes: Invalid value: ["BestEffort"]: field is immutable'
    ]


LIMITS = """
{type: Container, max: {cpu: "2"}, min: {cpu: "1"}, default: {cpu: "2"}, defaultRequest: {cpu: "1"}}
{type: Other}
    spec.limits[0].type: Invalid value: "Other": must be a standard limit type or fully qualified
{type: Pod, default: {cpu: "1"}, defaultRequest: {cpu: "1"}}
    spec.limits[0].default: Forbidden: may not be specified when `type` is 'Pod'
    spec.limits[0].defaultRequest: Forbidden: may not be specified when `type` is 'Pod'
{type: Pod, min: {cpu: "2"}, max: {cpu: "1"}}
    spec.limits[0].min[cpu]: Invalid value: "2": min value 2 is greater than max value 1
{type: Container, min: {cpu: "2"}, defaultRequest: {cpu: "1"}, default: {cpu: "3"}}
    spec.limits[0].defaultRequest[cpu]: Invalid value: "1": min value 2 is greater than default request value 1
{type: Container, defaultRequest: {cpu: "3"}, max: {cpu: "2"}, default: {cpu: "3"}}
    spec.limits[0].defaultRequest[cpu]: Invalid value: "3": default request value 3 is greater than max value 2
    spec.limits[0].default[cpu]: Invalid value: "2": default value 3 is greater than max value 2
{type: Pod, maxLimitRequestRatio: {cpu: 800m}}
    spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: "800m": ratio 800m is less than 1
{type: Pod, min: {cpu: "1"}, max: {cpu: "2"}, maxLimitRequestRatio: {cpu: "10"}}
    spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: "10": ratio 10 is greater than max/min = 2.000000
{type: PersistentVolumeClaim}
    spec.limits[0].limits: Required value: either minimum or maximum storage value is required, but neither was provided
{type: Container, default: {bogus: "1"}}
    spec.limits[0].default[bogus]: Invalid value: "bogus": must be a standard resource type or fully qualified
    spec.limits[0].default[bogus]: Invalid value: "bogus": must be a standard resource for containers
"""


@pytest.mark.parametrize(("limit", "expected"), tables.rows(LIMITS))
def test_limits(limit, expected):
    assert tables.texts(limits.limit_range({"spec": {"limits": [limit]}})) == expected
