import datetime

import pytest

from kubeshim.machinery import builtin, resources, schemas, tables
from kubeshim.machinery.tables import rows

NOW = datetime.datetime(2026, 1, 1, 12, 0, 0, tzinfo=datetime.UTC)
TEMPLATE = {"spec": {"containers": [{"name": "a", "image": "i:1"}, {"name": "b", "image": "j"}]}}
REGISTRY = resources.Registry(builtin.load())


def kind(group, name, version="v1"):
    found = REGISTRY.by_kind(group, version, name)
    assert found is not None
    return found


def row(group, name, version="v1", **fields):
    meta = {"name": "x", "creationTimestamp": "2026-01-01T11:00:00Z"} | fields.pop("metadata", {})
    made = tables.table(kind(group, name, version), [{"metadata": meta, **fields}], now=NOW)
    return made["rows"][0]["cells"]


@pytest.mark.parametrize(
    ("group", "name", "fields", "expected"),
    [
        (
            "apps", "Deployment",
            {
                "spec": {"replicas": 3, "template": TEMPLATE, "selector": {"matchLabels": {"b": "2", "a": "1"}}},
                "status": {"readyReplicas": 1, "updatedReplicas": 2, "availableReplicas": 1},
            },
            ["x", "1/3", 2, 1, "60m", "a,b", "i:1,j", "a=1,b=2"],
        ),
        (
            "apps", "ReplicaSet", {"spec": {"replicas": 2, "selector": {"matchLabels": {"a": "1"}}}},
            ["x", 2, 0, 0, "60m", "", "", "a=1"],
        ),
        ("apps", "StatefulSet", {"spec": {"replicas": 2, "template": TEMPLATE}}, ["x", "0/2", "60m", "a,b", "i:1,j"]),
        (
            "apps", "DaemonSet",
            {"status": {"desiredNumberScheduled": 3, "currentNumberScheduled": 3, "numberReady": 2}},
            ["x", 3, 3, 2, 0, 0, "<none>", "60m", "", "", "<none>"],
        ),
        (
            "batch", "Job",
            {
                "spec": {"completions": 3, "template": TEMPLATE},
                "status": {"succeeded": 1, "startTime": "2026-01-01T11:59:00Z"},
            },
            ["x", "Running", "1/3", "60s", "60m", "a,b", "i:1,j", "<none>"],
        ),
        (
            "batch", "Job",
            {
                "spec": {"parallelism": 2},
                "status": {
                    "startTime": "2026-01-01T11:00:00Z", "completionTime": "2026-01-01T11:00:05Z",
                    "conditions": [{"type": "Complete", "status": "True"}],
                },
            },
            ["x", "Complete", "0/1 of 2", "5s", "60m", "", "", "<none>"],
        ),
        (
            "batch", "CronJob",
            {"spec": {"schedule": "@daily", "suspend": False}, "status": {"lastScheduleTime": "2026-01-01T11:59:30Z"}},
            ["x", "@daily", "<none>", "False", 0, "30s", "60m", "", "", "<none>"],
        ),
        (
            "apps", "ControllerRevision",
            {
                "metadata": {
                    "ownerReferences": [{"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "controller": 1}],
                },
                "revision": 2,
            },
            ["x", "daemonset.apps/d", 2, "60m"],
        ),
        ("policy", "PodDisruptionBudget", {"spec": {"minAvailable": "50%"}}, ["x", "50%", "N/A", 0, "60m"]),
        (
            "", "Service",
            {"spec": {
                "type": "NodePort", "clusterIPs": ["10.96.0.5"], "selector": {"a": "1"},
                "ports": [{"port": 80, "protocol": "TCP", "nodePort": 30080}, {"port": 53, "protocol": "UDP"}],
            }},
            ["x", "NodePort", "10.96.0.5", "<none>", "80:30080/TCP,53/UDP", "60m", "a=1"],
        ),
        (
            "", "Service", {"spec": {"type": "LoadBalancer", "clusterIP": "10.96.0.5"}},
            ["x", "LoadBalancer", "10.96.0.5", "<pending>", "<none>", "60m", "<none>"],
        ),
        (
            "", "Service", {"spec": {"type": "ExternalName", "externalName": "example.org"}},
            ["x", "ExternalName", "<none>", "example.org", "<none>", "60m", "<none>"],
        ),
        (
            "", "Endpoints",
            {"subsets": [{"addresses": [{"ip": f"10.0.0.{i}"} for i in range(5)], "ports": [{"port": 80}]}]},
            ["x", "10.0.0.0:80,10.0.0.1:80,10.0.0.2:80 + 2 more...", "60m"],
        ),
        ("", "Endpoints", {}, ["x", "<none>", "60m"]),
        (
            "discovery.k8s.io", "EndpointSlice",
            {
                "addressType": "IPv4", "ports": [{"port": 80}, {"name": "p"}, {}],
                "endpoints": [{"addresses": ["10.0.0.1"]}],
            },
            ["x", "IPv4", "80,p,*", "10.0.0.1", "60m"],
        ),
        (
            "networking.k8s.io", "Ingress",
            {"spec": {"ingressClassName": "n", "tls": [{}], "rules": [{"host": f"h{i}"} for i in range(4)]}},
            ["x", "n", "h0,h1,h2 + 1 more...", "", "80, 443", "60m"],
        ),
        ("networking.k8s.io", "NetworkPolicy", {"spec": {"podSelector": {}}}, ["x", "<none>", "60m"]),
        (
            "", "Node",
            {
                "metadata": {"labels": {"node-role.kubernetes.io/worker": "", "kubernetes.io/role": "edge"}},
                "spec": {"unschedulable": True},
                "status": {
                    "conditions": [{"type": "Ready", "status": "Unknown"}],
                    "addresses": [{"type": "InternalIP", "address": "172.30.0.2"}],
                    "nodeInfo": {"kubeletVersion": "v1.37.0", "osImage": "Debian", "architecture": "amd64"},
                },
            },
            [
                "x", "NotReady,SchedulingDisabled", "edge,worker", "60m", "v1.37.0", "172.30.0.2", "<none>", "Debian",
                "<unknown> (amd64)", "<unknown>",
            ],
        ),
        ("", "Namespace", {"status": {"phase": "Active"}}, ["x", "Active", "60m"]),
        ("", "Secret", {"type": "Opaque", "data": {"a": ""}}, ["x", "Opaque", 1, "60m"]),
        ("", "ConfigMap", {"data": {"a": ""}, "binaryData": {"b": ""}}, ["x", 2, "60m"]),
        ("", "ServiceAccount", {"secrets": [{"name": "s"}]}, ["x", "60m"]),
        (
            "", "PersistentVolume",
            {
                "spec": {
                    "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteMany", "ReadWriteOnce"],
                    "persistentVolumeReclaimPolicy": "Delete", "storageClassName": "local", "volumeMode": "Filesystem",
                    "claimRef": {"namespace": "d", "name": "c"},
                },
                "status": {"phase": "Bound"},
            },
            ["x", "1Gi", "RWO,RWX", "Delete", "Bound", "d/c", "local", "<unset>", "", "60m", "Filesystem"],
        ),
        (
            "", "PersistentVolumeClaim", {"spec": {"storageClassName": "local"}, "status": {"phase": "Pending"}},
            ["x", "Pending", "", "", "", "local", "<unset>", "60m", "<unset>"],
        ),
        (
            "", "ResourceQuota",
            {"status": {"hard": {"pods": "4", "limits.cpu": "2"}, "used": {"pods": "1"}}},
            ["x", "pods: 1/4", "limits.cpu: 0/2", "60m"],
        ),
        (
            "", "Event",
            {
                "involvedObject": {"kind": "Pod", "name": "p"}, "reason": "Pulled", "type": "Normal",
                "message": " done\n", "source": {"component": "kubelet", "host": "n"}, "count": 3,
                "firstTimestamp": "2026-01-01T11:00:00Z", "lastTimestamp": "2026-01-01T11:59:00Z",
            },
            ["60s", "Normal", "Pulled", "pod/p", "", "kubelet, n", "done", "60m", 3, "x"],
        ),
        (
            "events.k8s.io", "Event",
            {
                "regarding": {"kind": "Pod", "name": "p"}, "reason": "Scheduled", "type": "Normal", "note": "ok",
                "reportingController": "default-scheduler", "eventTime": "2026-01-01T11:59:50.000000Z",
            },
            ["10s", "Normal", "Scheduled", "pod/p", "", "default-scheduler", "ok", "10s", 1, "x"],
        ),
        (
            "rbac.authorization.k8s.io", "RoleBinding",
            {
                "roleRef": {"kind": "ClusterRole", "name": "view"},
                "subjects": [
                    {"kind": "User", "name": "u"}, {"kind": "Group", "name": "g"}, {"kind": "Group", "name": "h"},
                    {"kind": "ServiceAccount", "namespace": "n", "name": "s"},
                ],
            },
            ["x", "ClusterRole/view", "60m", "u", "g, h", "n/s"],
        ),
        ("rbac.authorization.k8s.io", "ClusterRole", {"rules": []}, ["x", "2026-01-01T11:00:00Z"]),
        (
            "certificates.k8s.io", "CertificateSigningRequest",
            {
                "spec": {"signerName": "s", "username": "u", "expirationSeconds": 3600},
                "status": {"conditions": [{"type": "Approved"}], "certificate": "…"},
            },
            ["x", "60m", "s", "u", "60m", "Approved,Issued"],
        ),
        ("coordination.k8s.io", "Lease", {"spec": {"holderIdentity": "h"}}, ["x", "h", "60m"]),
        (
            "storage.k8s.io", "StorageClass",
            {"provisioner": "p", "metadata": {"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}},
            ["x", "p", "Delete", "Immediate", False, "60m"],
        ),
        (
            "scheduling.k8s.io", "PriorityClass", {"value": 5, "preemptionPolicy": "Never"},
            ["x", 5, False, "60m", "Never"],
        ),
        (
            "flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration", {"spec": {"type": "Exempt"}},
            ["x", "Exempt", "<none>", "<none>", "<none>", "<none>", "60m"],
        ),
        (
            "apiregistration.k8s.io", "APIService",
            {
                "spec": {"service": {"namespace": "n", "name": "s"}},
                "status": {"conditions": [{"type": "Available", "status": "False", "reason": "MissingEndpoints"}]},
            },
            ["x", "n/s", "False (MissingEndpoints)", "60m"],
        ),
        (
            "apiextensions.k8s.io", "CustomResourceDefinition",
            {"spec": {"group": "g.io", "scope": "Cluster", "versions": [{"name": "v1"}, {"name": "v1alpha1"}]}},
            ["x", "g.io", "Cluster", "v1,v1alpha1", "2026-01-01T11:00:00Z"],
        ),
        (
            "networking.k8s.io", "IPAddress",
            {"spec": {"parentRef": {"resource": "services", "namespace": "default", "name": "kubernetes"}}},
            ["x", "services/default/kubernetes", "60m"],
        ),
        (
            "networking.k8s.io", "IngressClass",
            {
                "metadata": {"annotations": {"ingressclass.kubernetes.io/is-default-class": "true"}},
                "spec": {"controller": "c", "parameters": {"apiGroup": "g", "kind": "K", "name": "p"}},
            },
            ["x (default)", "c", "K.g/p", "60m"],
        ),
        (
            "resource.k8s.io", "DeviceTaintRule",
            {"spec": {"taint": {"key": "k", "effect": "NoExecute", "timeAdded": "2026-01-01T11:59:00Z"}}},
            ["x", "k", "", "NoExecute", "60s", "60m"],
        ),
        (
            "certificates.k8s.io", "PodCertificateRequest",
            {
                "spec": {"podName": "p", "serviceAccountName": "a", "nodeName": "n", "signerName": "s"},
                "status": {"conditions": [{"type": "Issued", "status": "True"}]},
            },
            ["x", "p", "a", "n", "s", "Issued", "<none>"],
        ),
        (
            "storagemigration.k8s.io", "StorageVersionMigration",
            {
                "spec": {"resource": {"group": "apps", "resource": "deployments"}},
                "status": {
                    "conditions": [{"type": "Running", "status": "True"}, {"type": "Failed", "status": "False"}]
                },
            },
            ["x", "deployments.apps", "Running"],
        ),
        (
            "admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding",
            {"spec": {"policyName": "p", "paramRef": {"selector": {"matchLabels": {"a": "b"}}}}},
            [
                "x", "p",
                "&LabelSelector{MatchLabels:map[string]string{a: b,},MatchExpressions:[]LabelSelectorRequirement{},}",
                "60m",
            ],
        ),
    ],
)  # fmt: skip
def test_cells(group, name, fields, expected):
    assert row(group, name, **fields) == expected


@pytest.mark.parametrize(
    ("version", "spec", "status", "expected"),
    [
        ("v2", {}, {}, "<none>"),
        ("v1", {"targetCPUUtilizationPercentage": 80}, {"currentCPUUtilizationPercentage": 35}, "cpu: 35%/80%"),
        ("v1", {"targetCPUUtilizationPercentage": 80}, {}, "cpu: <unknown>/80%"),
        (
            "v2",
            {"metrics": [
                {"type": "Resource", "resource": {"name": "memory", "target": {"averageValue": "1Gi"}}},
                {"type": "Pods", "pods": {"target": {"averageValue": "10"}}},
                {"type": "External", "external": {"target": {"value": "5"}}},
            ]},
            {"currentMetrics": [{"type": "Resource", "resource": {"current": {"averageValue": "1Mi"}}}]},
            "memory: 1Mi/1Gi, <unknown>/10 + 1 more...",
        ),
    ],
)  # fmt: skip
def test_autoscaler(version, spec, status, expected):
    target = {"scaleTargetRef": {"kind": "Deployment", "name": "d"}, "maxReplicas": 4}
    found = row("autoscaling", "HorizontalPodAutoscaler", version, spec=target | spec, status=status)
    assert found == ["x", "Deployment/d", expected, "<unset>", 4, 0, "60m"]


def test_every_kind_has_as_many_cells_as_columns():
    for resource in [*REGISTRY, tables.SCALE]:
        obj = {"metadata": {"name": "x", "creationTimestamp": "2026-01-01T11:00:00Z"}}
        made = tables.table(resource, [obj], now=NOW)
        more = resource.kind == "IPAddress"  # upstream's row has one cell more
        assert len(made["rows"][0]["cells"]) == len(made["columnDefinitions"]) + more, resource.plural
        assert all(not column["description"].startswith("@") for column in made["columnDefinitions"])
        if resource.columns:
            assert (resource.group, resource.kind) in rows.ROWS


def test_of_several_default_classes_only_the_youngest_is_marked_and_only_in_lists():
    [resource] = [one for one in REGISTRY if one.kind == "StorageClass"]
    annotated = {"storageclass.kubernetes.io/is-default-class": "true"}
    made = [
        {"metadata": {"name": name, "creationTimestamp": f"2026-01-01T11:0{minute}:00Z", "annotations": annotated}}
        for name, minute in (("a", 1), ("c", 2), ("b", 2))
    ]
    default = tables.default_of(resource, made)
    shown = tables.table(resource, made, now=NOW, default=default)["rows"]
    assert [one["cells"][0] for one in shown] == ["a", "c", "b (default)"]
    assert tables.table(resource, made[2:], now=NOW)["rows"][0]["cells"][0] == "b"


def hollow(schema, depth):
    """An object in which everything that may be missing is null, ``depth`` levels down."""
    if depth and schema.kind == "object" and schema.properties:
        return {field: hollow(child, depth - 1) for field, child in schema.properties.items()}
    if depth and schema.kind == "array":
        return []
    return None


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_null_is_as_good_as_missing(depth):
    for resource in REGISTRY:
        obj = hollow(schemas.definitions().schema(resource.gvk), depth)
        obj["metadata"] = {"name": "x", "labels": None, "annotations": None, "creationTimestamp": None}
        assert tables.table(resource, [obj], now=NOW)["rows"], resource.plural
