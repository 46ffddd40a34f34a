"""Every operation of the API on one object of many kinds: what no controller or node has a part in.

Each kind goes the same way: create strictly, get, list in its namespace and in all, the four patches, update (and
refusal of a stale one), the same on its status, delete, delete the collection; a watch sees every step.
"""

import pytest

from tests.conformance.kube import APPLY, JSON_PATCH, MERGE, STRATEGIC, Refused, container, meta, template
from tests.conformance.names import case
from tests.control_plane.api_server.operations import certificates

NOW = "2026-01-01T00:00:00Z"
CONDITION = {
    "type": "Tested",
    "status": "True",
    "reason": "E2E",
    "message": "set by a test",
    "lastTransitionTime": NOW,
}
POLICY = {
    "matchConstraints": {
        "resourceRules": [
            {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["deployments"]}
        ]
    },
    # nothing of any other test is meant by it
    "matchConditions": [{"name": "never", "expression": "false"}],
    "failurePolicy": "Ignore",
}
MUTATION = {
    "patchType": "ApplyConfiguration",
    "applyConfiguration": {"expression": "Object{metadata: Object.metadata{labels: {'a': 'b'}}}"},
}


def kinds():
    """(object without a name, its status or None)."""
    yield case(
        {
            "kind": "FlowSchema",
            "spec": {"matchingPrecedence": 9999, "priorityLevelConfiguration": {"name": "global-default"}},
        },
        {"conditions": [CONDITION]},
        of="[sig-api-machinery] API priority and fairness should support FlowSchema API operations",
    )
    yield case(
        {
            "kind": "PriorityLevelConfiguration",
            "spec": {
                "type": "Limited",
                "limited": {"nominalConcurrencyShares": 2, "limitResponse": {"type": "Reject"}},
            },
        },
        {"conditions": [CONDITION]},
        of="[sig-api-machinery] API priority and fairness should support PriorityLevelConfiguration API operations",
    )
    yield case(
        {"kind": "ValidatingAdmissionPolicy", "spec": {**POLICY, "validations": [{"expression": "true"}]}},
        {"conditions": [CONDITION]},
        of="[sig-api-machinery] ValidatingAdmissionPolicy [Privileged:ClusterAdmin] should support ValidatingAdmissionPolicy API operations",
    )
    yield case(
        {
            "kind": "ValidatingAdmissionPolicyBinding",
            "spec": {"policyName": "none.example.com", "validationActions": ["Deny"]},
        },
        None,
        of="[sig-api-machinery] ValidatingAdmissionPolicy [Privileged:ClusterAdmin] should support ValidatingAdmissionPolicyBinding API operations",
    )
    yield case(
        {"kind": "MutatingAdmissionPolicy", "spec": {**POLICY, "mutations": [MUTATION], "reinvocationPolicy": "Never"}},
        None,
        of="[sig-api-machinery] MutatingAdmissionPolicy [Privileged:ClusterAdmin] should support MutatingAdmissionPolicy API operations",
    )
    yield case(
        {"kind": "MutatingAdmissionPolicyBinding", "spec": {"policyName": "none.example.com"}},
        None,
        of="[sig-api-machinery] MutatingAdmissionPolicy [Privileged:ClusterAdmin] should support MutatingAdmissionPolicyBinding API operations",
    )
    yield case(
        {
            "kind": "CronJob",
            "spec": {
                "schedule": "0 0 1 1 *",
                "suspend": True,
                "jobTemplate": {
                    "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [container()]}}}
                },
            },
        },
        {"lastScheduleTime": NOW},
        of="[sig-apps] CronJob should support CronJob API operations",
    )
    yield case(
        {"kind": "EndpointSlice", "addressType": "IPv4", "endpoints": [{"addresses": ["10.9.8.7"]}], "ports": []},
        None,
        of="[sig-network] EndpointSlice should support creating EndpointSlice API operations",
    )
    yield case(
        {
            "kind": "Ingress",
            "spec": {"defaultBackend": {"service": {"name": "default-backend", "port": {"number": 80}}}},
        },
        {"loadBalancer": {"ingress": [{"ip": "169.1.1.1"}]}},
        of="[sig-network] Ingress API should support creating Ingress API operations",
    )
    yield case(
        {"kind": "IngressClass", "spec": {"controller": "example.com/controller"}},
        None,
        of="[sig-network] IngressClass API should support creating IngressClass API operations",
    )
    yield case(
        {"kind": "Lease", "spec": {"holderIdentity": "holder", "leaseDurationSeconds": 30, "leaseTransitions": 0}},
        None,
        of="[sig-node] Lease lease API should be available",
    )
    yield case(
        {"kind": "PodTemplate", "template": template({"app": "x"}, container())},
        None,
        of=[
            "[sig-node] PodTemplates should run the lifecycle of PodTemplates",
            "[sig-node] PodTemplates should delete a collection of pod templates",
            "[sig-node] PodTemplates should replace a pod template",
        ],
    )
    yield case(
        {"kind": "RuntimeClass", "handler": "example-handler"},
        None,
        of="[sig-node] RuntimeClass should support RuntimeClasses API operations",
    )
    yield case(
        {
            "kind": "LimitRange",
            "spec": {"limits": [{"type": "Container", "max": {"cpu": "2"}, "default": {"cpu": "1"}}]},
        },
        None,
        of="[sig-scheduling] LimitRange should list, patch and delete a LimitRange by collection",
    )
    yield case(
        {"kind": "PriorityClass", "value": 7, "description": "of a test"},
        None,
        of="[sig-scheduling] SchedulerPreemption [Serial] PriorityClass endpoints verify PriorityClass endpoints can be operated with different HTTP methods",
    )
    yield case(
        {"kind": "CSIDriver", "spec": {"attachRequired": False}},
        None,
        of="[sig-storage] CSIInlineVolumes should run through the lifecycle of a CSIDriver",
    )
    yield case(
        {"kind": "CSINode", "spec": {"drivers": []}},
        None,
        of="[sig-storage] CSINodes CSI Conformance should run through the lifecycle of a csinode",
    )
    yield case(
        {"kind": "CSIStorageCapacity", "storageClassName": "none", "capacity": "1Gi"},
        None,
        of="[sig-storage] CSIStorageCapacity should support CSIStorageCapacities API operations",
    )
    yield case(
        {"kind": "StorageClass", "provisioner": "example.com/provisioner"},
        None,
        of="[sig-storage] StorageClasses CSI Conformance should run through the lifecycle of a StorageClass",
    )
    yield case(
        {
            "kind": "VolumeAttachment",
            "spec": {"attacher": "example.com", "nodeName": "nowhere", "source": {"persistentVolumeName": "none"}},
        },
        {"attached": True},
        of=[
            "[sig-storage] VolumeAttachment Conformance should run through the lifecycle of a VolumeAttachment",
            "[sig-storage] VolumeAttachment Conformance should apply changes to a volumeattachment status",
        ],
    )
    yield case(
        {"kind": "VolumeAttributesClass", "driverName": "example.com", "parameters": {"iops": "100"}},
        None,
        of="[sig-storage] VolumeAttributesClass [FeatureGate:VolumeAttributesClass] should run through the lifecycle of a VolumeAttributesClass",
    )
    yield case(
        {"kind": "DeviceClass", "spec": {"selectors": [{"cel": {"expression": "device.driver == 'example.com'"}}]}},
        None,
        of="[sig-node] [DRA] CRUD Tests resource.k8s.io/v1 DeviceClass",
    )
    claim = {"devices": {"requests": [{"name": "gpu", "exactly": {"deviceClassName": "none"}}]}}
    yield case(
        {"kind": "ResourceClaim", "spec": claim},
        {"devices": []},
        of="[sig-node] [DRA] CRUD Tests resource.k8s.io/v1 ResourceClaim",
    )
    yield case(
        {"kind": "ResourceClaimTemplate", "spec": {"spec": claim}},
        None,
        of="[sig-node] [DRA] CRUD Tests resource.k8s.io/v1 ResourceClaimTemplate",
    )
    yield case(
        {
            "kind": "ResourceSlice",
            "spec": {
                "driver": "example.com",
                "nodeName": "nowhere",
                "pool": {"name": "pool", "generation": 1, "resourceSliceCount": 1},
                "devices": [{"name": "device"}],
            },
        },
        None,
        of="[sig-node] [DRA] CRUD Tests resource.k8s.io/v1 ResourceSlice",
    )
    yield case(
        {"kind": "v1 ConfigMap", "data": {"a": "1"}},
        None,
        of=[
            "[sig-node] ConfigMap should run through a ConfigMap lifecycle",
            "[sig-node] ConfigMap should update ConfigMap successfully",
        ],
    )
    yield case({"kind": "v1 Secret", "data": {"a": "MQ=="}}, None, of="[sig-node] Secrets should patch a secret")
    yield case(
        {"kind": "ServiceAccount", "automountServiceAccountToken": False},
        None,
        of=[
            "[sig-auth] ServiceAccounts should run through the lifecycle of a ServiceAccount",
            "[sig-auth] ServiceAccounts should update a ServiceAccount",
        ],
    )
    yield case(
        {"kind": "Endpoints", "subsets": [{"addresses": [{"ip": "10.0.0.24"}], "ports": [{"port": 80}]}]},
        None,
        of="[sig-network] Endpoints should test the lifecycle of an Endpoint",
    )
    yield case(
        {
            "kind": "PodDisruptionBudget",
            "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "none"}}},
        },
        {"conditions": [CONDITION]},
        of=[
            "[sig-apps] DisruptionController Listing PodDisruptionBudgets for all namespaces should list and delete a collection of PodDisruptionBudgets",
            "[sig-apps] DisruptionController should update/patch PodDisruptionBudget status",
        ],
    )
    for version, label in (("v1", "Events should"), ("events.k8s.io/v1", "Events API should")):
        core = version == "v1"
        body = {"type": "Normal", "reason": "Test", "action": "Do", "reportingInstance": "it"}
        body["message" if core else "note"] = "a test event"
        body["involvedObject" if core else "regarding"] = {"kind": "Pod", "name": "it"}
        body["reportingComponent" if core else "reportingController"] = "test/controller"
        yield case(
            {"kind": f"{version} Event", **body, "eventTime": "2026-01-01T00:00:00.000000Z"},
            None,
            of=f"[sig-instrumentation] {label} delete a collection of events",
        )
    yield case(
        {"kind": "ServiceCIDR", "spec": {"cidrs": ["10.199.0.0/24"]}},
        {"conditions": [CONDITION]},
        of="[sig-network] ServiceCIDR and IPAddress API should support ServiceCIDR API operations",
    )
    yield case(
        {
            "kind": "IPAddress",
            "spec": {
                "parentRef": {"group": "example.com", "resource": "things", "namespace": "nowhere", "name": "none"}
            },
        },
        None,
        of="[sig-network] ServiceCIDR and IPAddress API should support IPAddress API operations",
    )

    yield case(
        {"kind": "PodCertificateRequest", **certificates.replacements()["POD_CERTIFICATE_REQUEST"]},
        {"conditions": [{**CONDITION, "type": "Denied"}]},
        of="[sig-auth] PodCertificateRequest API [Privileged:ClusterAdmin] should support PodCertificateRequest API operations",
    )


def named(kind, name):
    """Addresses are named by what they are."""
    return f"192.168.77.{sum(name.encode()) % 250 + 1}" if kind == "IPAddress" else name


def build(body, kube, name, labels):
    api, kind = kube.kinds[body["kind"]][1], body["kind"].split(" ")[-1]
    metadata = {"name": named(kind, name), "labels": labels}
    obj = {**body, "apiVersion": api, "kind": kind, "metadata": metadata}
    if kube.kinds[body["kind"]][3]:
        metadata["namespace"] = kube.namespace
    for field in ("involvedObject", "regarding"):
        if field in obj:
            obj[field] = {**obj[field], "namespace": kube.namespace}
    return obj


@pytest.mark.parametrize(("body", "status"), list(kinds()))
def test_operations(kube, body, status):
    kind, name = body["kind"], named(body["kind"], f"it-{kube.namespace}")
    run = {"run": kube.namespace}
    chosen = f"run={kube.namespace}"
    obj = build(body, kube, f"it-{kube.namespace}", run)
    since = kube.list(kind, labelSelector=chosen)["metadata"]["resourceVersion"]
    with kube.watch(kind, since=since, labelSelector=chosen) as events:
        made = kube.create(obj, fieldValidation="Strict")
        assert saw(events, "ADDED")["metadata"]["uid"] == made["metadata"]["uid"]
        assert int(made["metadata"]["resourceVersion"]) > int(since)
        for namespace in (None, ""):
            assert [i["metadata"]["name"] for i in kube.items(kind, namespace=namespace, labelSelector=chosen)] == [
                name
            ]
        patch_in_four_ways(kube, kind, obj, events)
        update(kube, kind, name, events)
        if status is not None:
            change_status(kube, kind, obj, status)
        kube.delete(kind, name)
        saw(events, "DELETED")
    assert kube.find(kind, name) is None
    collections(kube, body, run, chosen)


def saw(events, expected, good=lambda obj: True):
    """The next event of that type about an object that is ``good``; others before it must be modifications."""
    for event, obj in events:
        if event == expected and good(obj):
            return obj
        assert event == "MODIFIED", (event, obj)
    raise AssertionError(f"the watch ended without {expected}")


def labelled(key):
    return lambda obj: obj["metadata"]["labels"].get(key) == "patched"


def patch_in_four_ways(kube, kind, obj, events):
    name = obj["metadata"]["name"]
    as_json = [{"op": "add", "path": "/metadata/labels/json", "value": "patched"}]
    ways = [("strategic", STRATEGIC), ("merge", MERGE)]
    for key, how in ways:
        answer = kube.patch(kind, name, {"metadata": {"labels": {key: "patched"}}}, how=how, fieldValidation="Strict")
        assert labelled(key)(answer)
        saw(events, "MODIFIED", labelled(key))
    assert labelled("json")(kube.patch(kind, name, as_json, how=JSON_PATCH))
    saw(events, "MODIFIED", labelled("json"))
    applied = {**obj, "metadata": {**obj["metadata"], "labels": {**obj["metadata"]["labels"], "apply": "patched"}}}
    answer = kube.patch(
        kind, name, applied, how=APPLY, fieldManager="test-apply", force="true", fieldValidation="Strict"
    )
    assert any(
        entry["manager"] == "test-apply" and entry["operation"] == "Apply"
        for entry in answer["metadata"]["managedFields"]
    )
    saw(events, "MODIFIED", labelled("apply"))


def update(kube, kind, name, events):
    stale = kube.get(kind, name)
    kube.change(kind, name, lambda obj: obj["metadata"]["labels"].update(update="patched"))
    saw(events, "MODIFIED", labelled("update"))
    stale["metadata"]["labels"]["stale"] = "x"
    with pytest.raises(Refused) as refused:
        kube.call("put", kube.path(kind, name), stale)
    assert refused.value.status == 409


def change_status(kube, kind, obj, status):
    name = obj["metadata"]["name"]
    (key, value), *_ = status.items()
    path = kube.path(kind, name, subresource="status")
    kube.call("get", path)

    def edit(found):
        found["status"] = {**found.get("status", {}), **status}

    # some kinds have a controller that owns the status too: what came back from the write itself counts
    assert seen(kube.change(kind, name, edit, subresource="status")["status"].get(key), value)
    for how in (MERGE, STRATEGIC):
        answer = kube.patch(kind, name, {"status": status}, how=how, subresource="status")
        assert seen(answer["status"].get(key), value)
    ops = [{"op": "add", "path": f"/status/{key}", "value": value}]
    assert seen(kube.patch(kind, name, ops, how=JSON_PATCH, subresource="status")["status"].get(key), value)
    applied = {k: obj[k] for k in ("apiVersion", "kind")} | {"metadata": meta(name), "status": status}
    answer = kube.patch(kind, name, applied, how=APPLY, subresource="status", fieldManager="test-apply", force="true")
    assert seen(answer["status"].get(key), value)


def seen(found, wanted):
    """Whether everything wanted is in what was found."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(seen(found.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list):
        return all(any(seen(item, one) for item in found or []) for one in wanted)
    return found == wanted


def collections(kube, body, labels, chosen):
    for i in range(3):
        spec = build(body, kube, f"it-{i}-{kube.namespace}", labels)
        if body["kind"] == "ServiceCIDR":
            spec["spec"] = {"cidrs": [f"10.199.{i + 1}.0/24"]}
        kube.create(spec)
    assert len(kube.items(body["kind"], labelSelector=chosen)) == 3
    kube.delete_all(body["kind"], labelSelector=chosen)
    kube.wait_all(body["kind"], lambda left: not left, labelSelector=chosen)
