"""What a write costs before it reaches the store: decoding, strictness, field ownership, patches; CPU µs each."""

import datetime
import time

import orjson

from kubeshim.machinery import apply, builtin, defaults, resources, schemas
from kubeshim.machinery.codecs import bodies, json, negotiation, protobuf, strict
from kubeshim.machinery.patches import merge, strategic
from kubeshim.machinery.validation import decoding, metadata, pods

POD = resources.GroupVersionKind("", "v1", "Pod")
PODS = next(resource for resource in builtin.load() if resource.gvk == POD)
NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
ROUNDS, BATCH = 7, 300


def main():
    pod, config_map = a_pod(), a_config_map()
    of_pods, maps = schema("Pod"), schema("ConfigMap")
    body, message = orjson.dumps(pod), protobuf.encode(pod)
    tracked = track(None, copied(pod), of_pods)
    print(f"a Pod of {len(body):,} bytes of JSON, {len(message):,} of protobuf")
    figures = [
        ("floor: orjson, parse the Pod", lambda: orjson.loads(body), None),
        ("parse it, looking for duplicate keys", lambda: json.decode(body, strict=True), None),
        ("look for unknown fields", lambda: strict.unknown_fields(pod, of_pods), None),
        ("bring it into the form of Go's structs", lambda obj: strict.prune(obj, of_pods), lambda: copied(pod)),
        ("read it from protobuf", lambda: protobuf.decode(message), None),
        ("write it as protobuf", lambda: protobuf.encode(pod), None),
        ("decode, default and validate it", lambda: admitted(body, negotiation.JSON, of_pods), None),
        ("the same from protobuf", lambda: admitted(message, negotiation.PROTOBUF, of_pods), None),
        ("own its fields on create", lambda obj: track(None, obj, of_pods), lambda: copied(pod)),
        (
            "own its fields on a status update",
            lambda obj: track(tracked, obj, of_pods, "status"),
            lambda: running(tracked),
        ),
        ("own its fields when nothing changed", lambda obj: track(tracked, obj, of_pods), lambda: copied(tracked)),
        ("own a ConfigMap's on create", lambda obj: track(None, obj, maps), lambda: copied(config_map)),
        ("merge patch of a label", lambda: merge.apply(pod, {"metadata": {"labels": {"a": "b"}}}), None),
        ("strategic patch of an image", lambda: strategic.apply(pod, image("c0", "x:2"), of_pods), None),
        ("server-side apply of an image", lambda: server_side(tracked, of_pods), None),
    ]
    for name, work, prepare in figures:
        print(f"  {name:42} {microseconds(work, prepare):7.1f} µs")


def microseconds(work, prepare):
    """The best of some rounds: noise only ever adds."""
    best = float("inf")
    for _ in range(ROUNDS):
        inputs = [(prepare(),) if prepare else () for _ in range(BATCH)]
        start = time.process_time()
        for arguments in inputs:
            work(*arguments)
        best = min(best, (time.process_time() - start) / BATCH)
    return best * 1e6


def schema(kind):
    return schemas.definitions().schema(resources.GroupVersionKind("", "v1", kind))


def admitted(body, media_type, what):
    """A body as an object that could be stored: everything between the socket and admission, and validation."""
    obj, duplicates = bodies.read(body, media_type, POD, strictly=True)
    decoding.decode(obj, what, POD)
    bodies.check(obj, what, duplicates, "Strict", print, POD)
    defaults.apply(POD, obj)
    problems = metadata.validate(PODS, obj) + pods.pod(obj) + pods.pod_create(obj)
    assert not problems, problems


def copied(obj):
    return orjson.loads(orjson.dumps(obj))


def running(obj):
    obj = copied(obj)
    obj["status"]["phase"] = "Running"
    return obj


def track(old, new, what, subresource=""):
    apply.track_update(
        old, new, schema=what, manager="m", api_version="v1", subresource=subresource, now=NOW
    )  # fmt: skip
    return new


def image(container, name):
    return {"spec": {"containers": [{"name": container, "image": name}]}}


def server_side(live, what):
    config = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web-1"}, **image("c0", "x:2")}
    return apply.apply(
        live, config, schema=what, manager="me", api_version="v1", subresource="", force=True, now=NOW
    )  # fmt: skip


def a_config_map():
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "a", "labels": {"x": "y"}},
        "data": {"a": "1"},
    }


def a_container(number):
    probe = {
        "httpGet": {"path": "/healthz", "port": 8080, "scheme": "HTTP"}, "periodSeconds": 10, "timeoutSeconds": 1,
        "successThreshold": 1, "failureThreshold": 3,
    }  # fmt: skip
    return {
        "name": f"c{number}", "image": "registry.example/app:1.2.3", "imagePullPolicy": "IfNotPresent",
        "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
        "env": [
            {"name": "A", "value": "1"},
            {"name": "POD_IP", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.podIP"}}},
            {"name": "S", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
        ],
        "resources": {"limits": {"cpu": "100m", "memory": "128Mi"}, "requests": {"cpu": "50m", "memory": "64Mi"}},
        "volumeMounts": [{"name": "config", "mountPath": "/etc/app"}, {"name": "token", "mountPath": "/var/run/token"}],
        "livenessProbe": probe, "readinessProbe": probe, "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File", "securityContext": {"allowPrivilegeEscalation": False, "runAsUser": 1},
    }  # fmt: skip


def a_pod():
    def toleration(reason):
        return {"key": f"node.kubernetes.io/{reason}", "operator": "Exists", "effect": "NoExecute",
                "tolerationSeconds": 300}  # fmt: skip

    return {
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": "web-1", "namespace": "default", "labels": {"app": "web", "pod-template-hash": "abc"},
            "annotations": {"example.com/note": "x" * 400},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "controller": True,
                                 "uid": "1b5ff6b0-0f1e-4c38-b4b2-0a4f21e2aaaa", "blockOwnerDeletion": True}],
        },
        "spec": {
            "containers": [a_container(0), a_container(1)], "restartPolicy": "Always", "dnsPolicy": "ClusterFirst",
            "terminationGracePeriodSeconds": 30, "serviceAccountName": "default", "serviceAccount": "default",
            "nodeName": "node-1", "securityContext": {}, "schedulerName": "default-scheduler", "priority": 0,
            "enableServiceLinks": True, "preemptionPolicy": "PreemptLowerPriority",
            "tolerations": [toleration("not-ready"), toleration("unreachable")],
            "volumes": [
                {"name": "config", "configMap": {"name": "cfg", "defaultMode": 420}},
                {"name": "token", "projected": {"defaultMode": 420, "sources": [
                    {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
                    {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                ]}},
            ],
        },
        "status": {"phase": "Pending", "qosClass": "Burstable"},
    }  # fmt: skip
