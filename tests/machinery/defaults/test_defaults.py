import copy

import pytest

from kubeshim.machinery import defaults, resources


def apply(obj):
    gvk = resources.GroupVersionKind(*resources.split_api_version(obj["apiVersion"]), obj["kind"])
    defaults.apply(gvk, obj)
    once = copy.deepcopy(obj)
    defaults.apply(gvk, obj)
    assert obj == once, "defaults must be idempotent"
    return obj


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("nginx", "Always"),
        ("nginx:latest", "Always"),
        ("nginx:1.27", "IfNotPresent"),
        ("host:5000/nginx", "Always"),
        ("host:5000/nginx:1", "IfNotPresent"),
        ("nginx@sha256:0123", "IfNotPresent"),
        ("nginx:latest@sha256:0123", "Always"),
    ],
)
def test_pull_policy_follows_the_tag(image, policy):
    pod = apply({"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [{"name": "a", "image": image}]}})
    assert pod["spec"]["containers"][0]["imagePullPolicy"] == policy


def test_a_negative_grace_period_is_one_second_in_pods_alone():
    spec = {"terminationGracePeriodSeconds": -1, "containers": [{"name": "a", "image": "b:1"}]}
    pod = apply({"apiVersion": "v1", "kind": "Pod", "spec": dict(spec)})
    template = apply({"apiVersion": "v1", "kind": "PodTemplate", "template": {"spec": dict(spec)}})["template"]
    assert (pod["spec"]["terminationGracePeriodSeconds"], template["spec"]["terminationGracePeriodSeconds"]) == (1, -1)


def test_pod():
    pod = apply(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "a"},
            "spec": {
                "serviceAccountName": "robot",
                "hostNetwork": True,
                "containers": [
                    {
                        "name": "a",
                        "image": "busybox:1",
                        "ports": [{"containerPort": 80}],
                        "livenessProbe": {"httpGet": {"port": 80}},
                        "resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}},
                        "env": [
                            {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                            {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
                        ],
                    }
                ],
                "volumes": [
                    {"name": "nothing"},
                    {"name": "secret", "secret": {"secretName": "s"}},
                    {"name": "host", "hostPath": {"path": "/"}},
                    {"name": "all", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}},
                ],
            },
        }
    )
    assert pod["spec"] == {
        "serviceAccountName": "robot",
        "serviceAccount": "robot",
        "hostNetwork": True,
        "enableServiceLinks": True,
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "securityContext": {},
        "schedulerName": "default-scheduler",
        "containers": [
            {
                "name": "a",
                "image": "busybox:1",
                "imagePullPolicy": "IfNotPresent",
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
                "ports": [{"containerPort": 80, "hostPort": 80, "protocol": "TCP"}],
                "livenessProbe": {
                    "httpGet": {"port": 80, "path": "/", "scheme": "HTTP"},
                    "timeoutSeconds": 1,
                    "periodSeconds": 10,
                    "successThreshold": 1,
                    "failureThreshold": 3,
                },
                "resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m", "memory": "1Gi"}},
                "env": [
                    {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP", "apiVersion": "v1"}}},
                    {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "0"}}},
                ],
            }
        ],
        "volumes": [
            {"name": "nothing", "emptyDir": {}},
            {"name": "secret", "secret": {"secretName": "s", "defaultMode": 420}},
            {"name": "host", "hostPath": {"path": "/", "type": ""}},
            {
                "name": "all",
                "projected": {
                    "defaultMode": 420,
                    "sources": [{"serviceAccountToken": {"path": "token", "expirationSeconds": 3600}}],
                },
            },
        ],
    }


def test_a_template_gets_less_than_a_pod():
    template = {"spec": {"containers": [{"name": "a", "image": "a:1", "resources": {"limits": {"cpu": "1"}}}]}}
    spec = apply({"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"template": template}})["spec"]
    assert "enableServiceLinks" not in spec["template"]["spec"]
    assert "requests" not in spec["template"]["spec"]["containers"][0]["resources"]
    assert spec["replicas"] == 1
    assert spec["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"},
    }
    assert (spec["revisionHistoryLimit"], spec["progressDeadlineSeconds"]) == (10, 600)


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        (
            {"apiVersion": "v1", "kind": "Service", "spec": {"ports": [{"port": 80}]}},
            {
                "type": "ClusterIP",
                "sessionAffinity": "None",
                "internalTrafficPolicy": "Cluster",
                "ports": [{"port": 80, "targetPort": 80, "protocol": "TCP"}],
            },
        ),
        (
            {"apiVersion": "batch/v1", "kind": "Job", "spec": {}},
            {
                "completions": 1,
                "parallelism": 1,
                "backoffLimit": 6,
                "completionMode": "NonIndexed",
                "suspend": False,
                "podReplacementPolicy": "TerminatingOrFailed",
            },
        ),
        (
            {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "spec": {"egress": [{}]}},
            {"policyTypes": ["Ingress", "Egress"], "egress": [{}]},
        ),
        (
            {"apiVersion": "flowcontrol.apiserver.k8s.io/v1", "kind": "FlowSchema", "spec": {}},
            {"matchingPrecedence": 1000},
        ),
        (
            {
                "apiVersion": "apiextensions.k8s.io/v1",
                "kind": "CustomResourceDefinition",
                "spec": {"names": {"kind": "CronTab"}},
            },
            {
                "names": {"kind": "CronTab", "singular": "crontab", "listKind": "CronTabList"},
                "conversion": {"strategy": "None"},
            },
        ),
    ],
)
def test_specs(obj, expected):
    assert apply(obj)["spec"] == expected


def test_secret_strings_become_data():
    secret = apply({"apiVersion": "v1", "kind": "Secret", "data": {"a": "eA=="}, "stringData": {"a": "y", "b": "z"}})
    assert secret == {"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "data": {"a": "eQ==", "b": "eg=="}}


def test_limit_range_defaults_flow_from_max_to_request():
    limits = [{"type": "Container", "max": {"cpu": "2"}, "min": {"memory": "1Mi"}}]
    obj = apply({"apiVersion": "v1", "kind": "LimitRange", "spec": {"limits": limits}})
    assert obj["spec"]["limits"][0]["default"] == {"cpu": "2"}
    assert obj["spec"]["limits"][0]["defaultRequest"] == {"cpu": "2", "memory": "1Mi"}


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        (None, {"type": "RollingUpdate", "rollingUpdate": {"partition": 0, "maxUnavailable": 1}}),
        ({"type": "RollingUpdate"}, {"type": "RollingUpdate"}),
        (
            {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}},
            {"type": "RollingUpdate", "rollingUpdate": {"partition": 2, "maxUnavailable": 1}},
        ),
        ({"type": "OnDelete"}, {"type": "OnDelete"}),
    ],
)
def test_stateful_sets_roll_one_by_one(strategy, expected):
    spec = {"template": {"spec": {"containers": []}}, **({"updateStrategy": strategy} if strategy else {})}
    assert apply({"apiVersion": "apps/v1", "kind": "StatefulSet", "spec": spec})["spec"]["updateStrategy"] == expected


def test_empty_parts_are_filled_in_too():
    container = {
        "name": "a",
        "image": "b:1",
        "livenessProbe": {},
        "readinessProbe": {"httpGet": {}, "grpc": {}},
        "lifecycle": {"preStop": {"httpGet": {}}},
        "env": [{"name": "A", "valueFrom": {"fieldRef": {}, "resourceFieldRef": {}}}],
    }
    pod = apply({"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [container]}})
    found = pod["spec"]["containers"][0]
    assert found["livenessProbe"]["successThreshold"] == 1
    assert found["readinessProbe"]["httpGet"] == {"path": "/", "scheme": "HTTP"}
    assert found["readinessProbe"]["grpc"] == {"service": ""}
    assert found["lifecycle"]["preStop"]["httpGet"] == {"path": "/", "scheme": "HTTP"}
    assert found["env"][0]["valueFrom"] == {"fieldRef": {"apiVersion": "v1"}, "resourceFieldRef": {"divisor": "0"}}


def test_conditions_of_cron_jobs_failure_policies_are_met_by_true():
    rules = [{"action": "Ignore", "onPodConditions": [{"type": "A"}]}]
    spec = {"jobTemplate": {"spec": {"podFailurePolicy": {"rules": rules}, "template": {"spec": {"containers": []}}}}}
    made = apply({"apiVersion": "batch/v1", "kind": "CronJob", "spec": spec})["spec"]["jobTemplate"]["spec"]
    assert made["podFailurePolicy"]["rules"][0]["onPodConditions"] == [{"type": "A", "status": "True"}]
    assert "completions" not in made


@pytest.mark.parametrize(
    ("given", "containers", "left"),
    [
        ({"limits": {"cpu": "1"}}, [{}], {"limits": {"cpu": "1"}, "requests": {"cpu": "1"}}),
        (
            {"limits": {"cpu": "2", "memory": "1Gi"}},
            [{"requests": {"cpu": "100m"}}, {"requests": {"cpu": "0.5"}, "limits": {"example.com/x": "1"}}],
            {"limits": {"cpu": "2", "memory": "1Gi"}, "requests": {"cpu": "600m", "memory": "1Gi"}},
        ),
        (
            {"requests": {"cpu": "1"}},
            [{"requests": {"hugepages-2Mi": "4Mi"}, "limits": {"hugepages-2Mi": "4Mi"}}],
            {"requests": {"cpu": "1", "hugepages-2Mi": "4Mi"}, "limits": {"hugepages-2Mi": "4Mi"}},
        ),
        ({"requests": {"cpu": "1"}}, [{"limits": {"cpu": "1"}}], {"requests": {"cpu": "1"}}),
        ({}, [{"limits": {"cpu": "1"}}], {}),
    ],
)
def test_resources_of_the_pod_as_a_whole(given, containers, left):
    listed = [{"name": f"c{index}", "image": "a:1", "resources": found} for index, found in enumerate(containers)]
    pod = apply({"apiVersion": "v1", "kind": "Pod", "spec": {"containers": listed, "resources": given}})
    assert pod["spec"]["resources"] == left
