import copy

import pytest

from kubeshim.machinery import defaults, resources
from kubeshim.machinery.validation import content, pod_status, pod_updates, pods

GVK = resources.GroupVersionKind("", "v1", "Pod")
LABEL = content.dns_label("A")[0]


def make(spec=None, container=None, **metadata):
    containers = [{"name": "a", "image": "busybox:1", **(container or {})}]
    obj = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "a", "namespace": "default", **metadata},
        "spec": {"containers": containers, **(spec or {})},
    }
    defaults.apply(GVK, obj)
    return obj


def problems(obj):
    return [str(problem) for problem in pods.pod(obj) + pods.pod_create(obj)]


def test_a_plain_pod_passes():
    assert problems(make()) == []


@pytest.mark.parametrize(
    ("container", "expected"),
    [
        ({"name": ""}, ["name: Required value"]),
        ({"name": "A"}, [f'name: Invalid value: "A": {LABEL}']),
        ({"image": ""}, ["image: Required value"]),
        ({"image": " busybox"}, ['image: Invalid value: " busybox": must not have leading or trailing whitespace']),
        (
            {"imagePullPolicy": "Sometimes"},
            [
                'imagePullPolicy: Unsupported value: "Sometimes": supported values: "Always", "IfNotPresent", "Never"',
            ],
        ),
        (
            {"ports": [{"containerPort": 70000}]},
            ["ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive"],
        ),
        ({"ports": [{"name": "web"}]}, ["ports[0].containerPort: Required value"]),
        (
            {"ports": [{"containerPort": 1, "protocol": "HTTP"}]},
            ['ports[0].protocol: Unsupported value: "HTTP": supported values: "SCTP", "TCP", "UDP"'],
        ),
        (
            {"ports": [{"containerPort": 1, "hostPort": 8}, {"containerPort": 2, "hostPort": 8}]},
            ['ports[1].hostPort: Duplicate value: "TCP//8"'],
        ),
        (
            {"env": [{"name": "A=B"}]},
            [
                'env[0].name: Invalid value: "A=B": a valid environment variable name must consist only of printable '
                "ASCII characters other than '='"
            ],
        ),
        (
            {"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.restartPolicy"}}}]},
            [
                'env[0].valueFrom.fieldRef.fieldPath: Unsupported value: "spec.restartPolicy": supported values: '
                '"metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName", '
                '"status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"'
            ],
        ),
        (
            {"env": [{"name": "A", "value": "b", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "d"}}}]},
            ['env[0].valueFrom: Invalid value: "": may not be specified when `value` is not empty'],
        ),
        ({"volumeMounts": [{"name": "x", "mountPath": "/x"}]}, ['volumeMounts[0].name: Not found: "x"']),
        (
            {"livenessProbe": {"httpGet": {"port": 80}, "exec": {"command": ["a"]}}},
            ["livenessProbe.httpGet: Forbidden: may not specify more than 1 handler type"],
        ),
        ({"readinessProbe": {}}, ["readinessProbe: Required value: must specify a handler type"]),
        (
            {"livenessProbe": {"tcpSocket": {"port": 80}, "successThreshold": 2}},
            ["livenessProbe.successThreshold: Invalid value: 2: must be 1"],
        ),
        (
            {"resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "2"}}},
            ['resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1'],
        ),
        (
            {"resources": {"limits": {"cpus": "1"}}},
            [
                'resources.limits[cpus]: Invalid value: "cpus": must be a standard resource type or fully qualified',
                'resources.limits[cpus]: Invalid value: "cpus": must be a standard resource for containers',
                'resources.requests[cpus]: Invalid value: "cpus": must be a standard resource type or fully qualified',
                'resources.requests[cpus]: Invalid value: "cpus": must be a standard resource for containers',
            ],
        ),
        (
            {"resources": {"limits": {"memory": "-1"}}},
            [
                'resources.limits[memory]: Invalid value: "-1": must be greater than or equal to 0',
                'resources.requests[memory]: Invalid value: "-1": must be greater than or equal to 0',
            ],
        ),
        (
            {"resources": {"requests": {"example.com/gpu": "1"}}},
            ["resources.limits: Required value: Limit must be set for non overcommitable resources"],
        ),
        (
            {"securityContext": {"runAsUser": -1}},
            ["securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive"],
        ),
        (
            {"securityContext": {"privileged": True, "allowPrivilegeEscalation": False}},
            [
                'securityContext: Invalid value: {"Capabilities":null,"Privileged":true,"SELinuxOptions":null,'
                '"WindowsOptions":null,"RunAsUser":null,"RunAsGroup":null,"RunAsNonRoot":null,'
                '"ReadOnlyRootFilesystem":null,"AllowPrivilegeEscalation":false,"ProcMount":null,'
                '"SeccompProfile":null,"AppArmorProfile":null}: cannot set '
                "`allowPrivilegeEscalation` to false and `privileged` to true"
            ],
        ),
        (
            {"lifecycle": {"preStop": {"sleep": {"seconds": 31}}}},
            [
                "lifecycle.preStop.sleep: Invalid value: 31: must be non-negative and less than "
                "terminationGracePeriodSeconds (30)"
            ],
        ),
    ],
)
def test_containers(container, expected):
    assert problems(make(container=container)) == [f"spec.containers[0].{text}" for text in expected]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"containers": []}, ["spec.containers: Required value"]),
        (
            {"restartPolicy": "Maybe"},
            ['spec.restartPolicy: Unsupported value: "Maybe": supported values: "Always", "OnFailure", "Never"'],
        ),
        ({"dnsPolicy": "None"}, ["spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None"]),
        (
            {"volumes": [{"name": "v", "emptyDir": {}, "hostPath": {"path": "/"}}]},
            ["spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type"],
        ),
        (
            {"volumes": [{"name": "v", "secret": {"secretName": "s", "defaultMode": 512}}]},
            [
                "spec.volumes[0].secret.defaultMode: Invalid value: 512: must be a number between 0 and 0777 (octal), "
                "both inclusive"
            ],
        ),
        (
            {"volumes": [{"name": "v"}, {"name": "v"}]},
            ['spec.volumes[1].name: Duplicate value: "v"'],
        ),
        (
            {"volumes": [{"name": "v", "configMap": {"name": "c", "items": [{"key": "k", "path": "../x"}]}}]},
            ["spec.volumes[0].configMap.items[0].path: Invalid value: \"../x\": must not contain '..'"],
        ),
        (
            {"tolerations": [{"key": "a", "operator": "Exists", "value": "b"}]},
            ["spec.tolerations[0].operator: Invalid value: \"b\": value must be empty when `operator` is 'Exists'"],
        ),
        (
            {"initContainers": [{"name": "a", "image": "b:1", "readinessProbe": {"exec": {"command": ["x"]}}}]},
            [
                'spec.initContainers[0].name: Duplicate value: "a"',
                "spec.initContainers[0].readinessProbe: Forbidden: may not be set for init containers without "
                "restartPolicy=Always",
            ],
        ),
        (
            {"topologySpreadConstraints": [{"maxSkew": 0, "topologyKey": "", "whenUnsatisfiable": "X"}]},
            [
                "spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero",
                "spec.topologySpreadConstraints[0].topologyKey: Required value: can not be empty",
                'spec.topologySpreadConstraints[0].whenUnsatisfiable: Unsupported value: "X": supported values: '
                '"DoNotSchedule", "ScheduleAnyway"',
            ],
        ),
        (
            {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {}}}},
            [
                "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms: Required "
                "value: must have at least one node selector term"
            ],
        ),
        (
            {"activeDeadlineSeconds": 0},
            ["spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive"],
        ),
        (
            {"ephemeralContainers": [{"name": "e", "image": "b:1"}]},
            ["spec.ephemeralContainers: Forbidden: cannot be set on create"],
        ),
    ],
)
def test_specs(spec, expected):
    assert problems(make(spec)) == expected


def test_updates_may_change_images_and_little_else():
    old = make({"tolerations": [{"key": "a", "operator": "Exists"}]})
    new = copy.deepcopy(old)
    new["spec"]["containers"][0]["image"] = "busybox:2"
    new["spec"]["activeDeadlineSeconds"] = 10
    new["spec"]["tolerations"].append({"key": "b", "operator": "Exists"})
    assert pod_updates.update(new, old) == []

    new["spec"]["containers"][0]["command"] = ["sh"]
    (problem,) = pod_updates.update(new, old)
    assert str(problem).startswith(
        "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
        "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing "
        "tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\n"
    )
    assert '\n-   "Command": null,\n+   "Command": [\n+    "sh"\n+   ],\n    "Args": null,\n' in problem.message


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            lambda spec: spec["containers"].append({"name": "b", "image": "b:1"}),
            "spec.containers: Forbidden: pod updates may not add or remove containers",
        ),
        (
            lambda spec: spec.update(tolerations=[]),
            "spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds",
        ),
        (
            lambda spec: spec.update(activeDeadlineSeconds=200),
            "spec.activeDeadlineSeconds: Invalid value: 200: must be less than or equal to previous value",
        ),
    ],
)
def test_refused_updates(change, expected):
    old = make({"tolerations": [{"key": "a", "operator": "Exists"}], "activeDeadlineSeconds": 100})
    new = copy.deepcopy(old)
    change(new["spec"])
    assert str(pod_updates.update(new, old)[0]) == expected


def test_a_finished_container_stays_finished():
    old = make({"restartPolicy": "Never"})
    new = copy.deepcopy(old)
    old["status"] = {"containerStatuses": [{"name": "a", "state": {"terminated": {"exitCode": 1}}}]}
    new["status"] = {"containerStatuses": [{"name": "a", "state": {"running": {}}}]}
    assert [str(problem) for problem in pod_status.status(new, old)] == [
        "status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state"
    ]


def test_resize_changes_cpu_and_memory_only():
    resources_before = {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "2", "memory": "1Gi"}}
    old = make(container={"resources": resources_before})
    new = copy.deepcopy(old)
    new["spec"]["containers"][0]["resources"]["requests"]["cpu"] = "1500m"
    assert pod_updates.resize(new, old, ("Burstable", "Burstable")) == []
    new["spec"]["containers"][0]["image"] = "other:1"
    del new["spec"]["containers"][0]["resources"]["limits"]["memory"]
    assert [str(problem) for problem in pod_updates.resize(new, old, ("Burstable", "Burstable"))] == [
        "spec.containers[0].resources.limits: Forbidden: resource limits cannot be removed",
        "spec: Forbidden: only cpu and memory resources are mutable",
    ]
