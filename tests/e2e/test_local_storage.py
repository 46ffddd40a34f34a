"""Volumes on demand with the class every new cluster has: they move with no pod, grow, and go with their claims."""

import json
import pathlib

from tests.e2e.conftest import directory, eventually

STATEFUL = {
    "apiVersion": "apps/v1",
    "kind": "StatefulSet",
    "metadata": {"name": "db"},
    "spec": {
        "serviceName": "db",
        "replicas": 2,
        "selector": {"matchLabels": {"app": "db"}},
        "template": {
            "metadata": {"labels": {"app": "db"}},
            "spec": {
                "terminationGracePeriodSeconds": 0,
                "securityContext": {"runAsUser": 1000, "fsGroup": 2000},
                "containers": [
                    {
                        "name": "main",
                        "image": "kubeshim.example/busybox:1",
                        "command": ["sh", "-c", "echo born >>/data/log; sleep 1000"],
                        "volumeMounts": [{"name": "data", "mountPath": "/data"}, {"name": "tmp", "mountPath": "/tmp"}],
                    }
                ],
                "volumes": [
                    {
                        "name": "tmp",
                        "ephemeral": {
                            "volumeClaimTemplate": {
                                "spec": {
                                    "accessModes": ["ReadWriteOnce"],
                                    "resources": {"requests": {"storage": "1Mi"}},
                                }
                            }
                        },
                    }
                ],
            },
        },
        "volumeClaimTemplates": [
            {
                "metadata": {"name": "data"},
                "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "5Mi"}}},
            }
        ],
    },
}


def test_a_stateful_set_keeps_its_data(cluster, namespace):
    here = "-n", namespace
    cluster.kubectl("apply", *here, "-f", "-", stdin=json.dumps(STATEFUL))
    cluster.kubectl("rollout", "status", *here, "statefulset/db", "--timeout=180s")
    cluster.kubectl("delete", *here, "pod", "db-0")
    log = ("exec", *here, "db-0", "--", "cat", "/data/log")
    eventually(lambda: cluster.kubectl(*log, check=False).stdout == "born\nborn\n")

    cluster.kubectl("patch", *here, "pvc", "data-db-0", "-p", '{"spec":{"resources":{"requests":{"storage":"9Mi"}}}}')
    cluster.kubectl("wait", *here, "pvc/data-db-0", "--for=jsonpath={.status.capacity.storage}=9Mi", "--timeout=180s")
    volume = cluster.get("pv", cluster.get("pvc", *here, "data-db-0")["spec"]["volumeName"])
    assert volume["spec"]["capacity"]["storage"] == "9Mi"
    path = pathlib.Path(volume["spec"]["local"]["path"])
    assert (path / "log").exists()
    assert path.is_relative_to(directory(cluster.name))

    # claims that end while the agent is dead are dealt with by the next one
    cluster.kill("agent")
    cluster.kubectl("delete", *here, "statefulset", "db")
    cluster.kubectl("delete", *here, "pvc", "--all", "--timeout=180s")
    eventually(lambda: not [v for v in cluster.get("pv")["items"] if v["spec"]["claimRef"]["namespace"] == namespace])
    assert not path.exists()


def test_what_cannot_be_made_is_said(cluster, namespace):
    here = "-n", namespace
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "shared"},
        "spec": {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Mi"}}},
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "one"},
        "spec": {
            "containers": [{"name": "c", "image": "kubeshim.example/busybox:1"}],
            "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "shared"}}],
        },
    }
    for obj in (claim, pod):
        cluster.kubectl("apply", *here, "-f", "-", stdin=json.dumps(obj))
    selector = "--field-selector=involvedObject.name=shared,reason=ProvisioningFailed"
    said = eventually(lambda: cluster.out("get", "events", *here, selector, "-o", "jsonpath={.items[*].message}"))
    assert "access mode ReadWriteMany is not supported" in said
