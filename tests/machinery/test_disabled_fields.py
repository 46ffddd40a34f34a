"""Which fields are dropped, and that those in use stay."""

import copy

import pytest

from kubeshim.machinery import disabled_fields


def pod(spec):
    return {"spec": {"containers": [{"name": "c"}], **spec}}


MOUNT = {"name": "v", "mountPath": "/v"}
PROBE = {"grpc": {"port": 1, "service": ""}}


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ({"volumes": [{"name": "v", "emptyDir": {"mode": 448}}]}, {"volumes": [{"name": "v", "emptyDir": {}}]}),
        (
            {"containers": [{"name": "c", "volumeMounts": [{**MOUNT, "bindMountOptions": ["noexec"]}]}]},
            {"containers": [{"name": "c", "volumeMounts": [MOUNT]}]},
        ),
        (
            {"containers": [{"name": "c", "livenessProbe": {"grpc": {"port": 1, "service": "", "mode": "TLS"}}}]},
            {"containers": [{"name": "c", "livenessProbe": PROBE}]},
        ),
        (
            {"initContainers": [{"name": "i", "lifecycle": {"preStop": {"httpGet": {"port": 1, "protocol": "h2c"}}}}]},
            {"initContainers": [{"name": "i", "lifecycle": {"preStop": {"httpGet": {"port": 1}}}}]},
        ),
        (
            {"volumes": [{"projected": {"sources": [{"secret": {"items": [{"key": "k", "user": 5}]}}]}}]},
            {"volumes": [{"projected": {"sources": [{"secret": {"items": [{"key": "k"}]}}]}}]},
        ),
        ({"evictionResponders": [{"name": "x"}], "hostname": "h"}, {"hostname": "h"}),
        ({"schedulingGroup": {"podGroupName": "g"}}, {}),
        (
            {"containers": [{"name": "c", "lifecycle": {"stopSignal": "SIGINT"}}]},
            {"containers": [{"name": "c"}]},
        ),
        (
            {
                "containers": [
                    {"name": "c", "lifecycle": {"stopSignal": "SIGINT", "preStop": {"sleep": {"seconds": 1}}}}
                ]
            },
            {"containers": [{"name": "c", "lifecycle": {"preStop": {"sleep": {"seconds": 1}}}}]},
        ),
    ],
)
@pytest.mark.parametrize("kind", ["Pod", "Deployment", "CronJob"])
def test_dropped_wherever_a_pod_is_described(kind, given, left):
    def wrapped(spec):
        made = pod(copy.deepcopy(spec))
        return {
            "Pod": made,
            "Deployment": {"spec": {"template": made}},
            "CronJob": {"spec": {"jobTemplate": {"spec": {"template": made}}}},
        }[kind]

    obj = wrapped(given)
    disabled_fields.drop({"Pod": "", "Deployment": "apps", "CronJob": "batch"}[kind], kind, obj)
    assert obj == wrapped(left)


def test_what_is_stored_already_stays():
    old = pod({"volumes": [{"name": "v", "emptyDir": {"mode": 448}}]})
    new = pod({"volumes": [{"name": "v", "emptyDir": {"mode": 511}}], "evictionResponders": []})
    disabled_fields.drop("", "Pod", new, old)
    assert new == pod({"volumes": [{"name": "v", "emptyDir": {"mode": 511}}]})


@pytest.mark.parametrize(
    ("group", "kind", "given", "left"),
    [
        ("batch.example.com", "Job", {"spec": {"scheduling": {}}}, {"spec": {"scheduling": {}}}),
        ("batch", "Job", {"spec": {"scheduling": {}, "template": {}}}, {"spec": {"template": {}}}),
        ("coordination.k8s.io", "Lease", {"spec": {"strategy": "OldestEmulationVersion"}}, {"spec": {}}),
        ("", "Node", {"spec": {"podPreemptionPolicy": {}}}, {"spec": {}}),
        (
            "",
            "PersistentVolumeClaim",
            {"spec": {"dataSourceRef": {"kind": "K", "name": "n", "namespace": "x"}}},
            {"spec": {"dataSourceRef": {"kind": "K", "name": "n"}}},
        ),
        (
            "resource.k8s.io",
            "ResourceSlice",
            {"spec": {"skipNodeOperations": ["x"], "devices": [{"attributes": {"a": {"ints": [1]}, "b": {"int": 1}}}]}},
            {"spec": {"devices": [{"attributes": {"a": {}, "b": {"int": 1}}}]}},
        ),
        (
            "resource.k8s.io",
            "ResourceClaim",
            {"spec": {"devices": {"requests": [{"exactly": {"count": 1, "derivedAttributes": [{}]}}]}}},
            {"spec": {"devices": {"requests": [{"exactly": {"count": 1}}]}}},
        ),
        ("", "ConfigMap", {"spec": {"scheduling": {}}}, {"spec": {"scheduling": {}}}),
    ],
)
def test_other_kinds(group, kind, given, left):
    disabled_fields.drop(group, kind, given)
    assert given == left
