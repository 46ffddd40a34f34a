"""Pods that change: through their own door, resize, ephemeral containers and status; and what is warned of."""
# ruff: noqa: E501 (texts stand as they are sent)

import copy

import pytest

from kubeshim.machinery import resources
from kubeshim.machinery.validation import pod_status, pod_updates, pod_warnings
from tests.machinery.validation import tables

POD = resources.GroupVersionKind("", "v1", "Pod")
UPDATES = (
    "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing "
    "tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def pod(spec=None, status=None, **metadata):
    spec = {"containers": [{"name": "a", "image": "b:1"}], **copy.deepcopy(spec or {})}
    obj = {"metadata": {"name": "a", "namespace": "default", **metadata}, "spec": spec, "status": status or {}}
    return tables.filled(POD, obj)


def heads(problems):
    """Without the differences that follow in further lines."""
    return [text.partition("\n")[0] for text in tables.texts(problems)]


CHANGES = """
[{}, {}]
[{}, {containers: [{name: a, image: c:2}]}]
[{}, {containers: [{name: a, image: "", imagePullPolicy: IfNotPresent}]}]
    spec.containers[0].image: Required value
[{}, {containers: [{name: a, image: " c:2"}]}]
    spec.containers[0].image: Invalid value: " c:2": must not have leading or trailing whitespace
[{}, {containers: [{name: a, image: b:1}, {name: c, image: d:1}]}]
    spec.containers: Forbidden: pod updates may not add or remove containers
[{}, {initContainers: [{name: c, image: d:1}]}]
    spec.initContainers: Forbidden: pod updates may not add or remove containers
[{}, {containers: [{name: c, image: b:1}]}]
    UPDATES
[{}, {nodeName: n}]
    UPDATES
[{}, {hostname: n}]
    UPDATES
[{}, {activeDeadlineSeconds: 5}]
[{activeDeadlineSeconds: 5}, {activeDeadlineSeconds: 3}]
[{activeDeadlineSeconds: 5}, {activeDeadlineSeconds: 0}]
[{activeDeadlineSeconds: 5}, {activeDeadlineSeconds: -1}]
    spec.activeDeadlineSeconds: Invalid value: -1: must be between 0 and 2147483647, inclusive
[{activeDeadlineSeconds: 5}, {activeDeadlineSeconds: 6}]
    spec.activeDeadlineSeconds: Invalid value: 6: must be less than or equal to previous value
[{activeDeadlineSeconds: 5}, {}]
    spec.activeDeadlineSeconds: Invalid value: null: must not update from a positive integer to nil value
[{terminationGracePeriodSeconds: -1}, {terminationGracePeriodSeconds: 1}]
[{terminationGracePeriodSeconds: -1}, {terminationGracePeriodSeconds: 2}]
    UPDATES
[{}, {terminationGracePeriodSeconds: 1}]
    UPDATES
[{tolerations: [{key: a, operator: Exists}]}, {tolerations: [{key: a, operator: Exists}, {key: b, operator: Exists}]}]
[{tolerations: [{key: a, operator: Exists, effect: NoExecute, tolerationSeconds: 5}]}, {tolerations: [{key: a, operator: Exists, effect: NoExecute, tolerationSeconds: 9}]}]
[{tolerations: [{key: a, operator: Exists}]}, {tolerations: [{key: b, operator: Exists}]}]
    spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds
[{}, {schedulingGates: [{name: g}]}]
    spec.schedulingGates[0].name: Forbidden: only deletion is allowed, but found new scheduling gate 'g'
[{schedulingGates: [{name: g}, {name: h}]}, {schedulingGates: [{name: h}]}]
[{schedulingGates: [{name: g}]}, {schedulingGates: [{name: g}], nodeSelector: {a: b}}]
[{schedulingGates: [{name: g}], nodeSelector: {a: b}}, {schedulingGates: [{name: g}], nodeSelector: {a: c}}]
    spec.nodeSelector: Invalid value: {"a":"c"}: only additions to spec.nodeSelector are allowed (no mutations or deletions)
[{}, {nodeSelector: {a: b}}]
    UPDATES
"""


@pytest.mark.parametrize(("pair", "expected"), tables.rows(CHANGES))
def test_updates(pair, expected):
    old, new = (pod(spec) for spec in pair)
    found = heads(pod_updates.update(new, old))
    assert found == [UPDATES if text == "UPDATES" else text for text in expected]


RESIZES = """
[{requests: {cpu: 1}}, {requests: {cpu: 2}}]
[{requests: {cpu: 1, memory: 1Gi}}, {requests: {cpu: 2, memory: 2Gi}}]
[{requests: {cpu: 1, memory: 1Gi}}, {requests: {cpu: 2}}]
    spec.containers[0].resources.requests: Forbidden: resource requests cannot be removed
[{requests: {cpu: 1}}, {requests: {cpu: 1, ephemeral-storage: 1Gi}}]
    spec: Forbidden: only cpu and memory resources are mutable
[{requests: {cpu: 1}}, {limits: {cpu: 2}, requests: {cpu: 1}}]
"""


@pytest.mark.parametrize(("pair", "expected"), tables.rows(RESIZES))
def test_resizes(pair, expected):
    old, new = (pod({"containers": [{"name": "a", "image": "b:1", "resources": found}]}) for found in pair)
    assert tables.texts(pod_updates.resize(new, old, ("Burstable", "Burstable"))) == expected


def test_init_containers_are_resized_too():
    def with_init(**changed):
        init = {"name": "i", "image": "b:1", "resources": {"requests": {"cpu": "1"}}, **changed}
        return pod({"initContainers": [init]})

    qos = "Burstable", "Burstable"
    assert pod_updates.resize(with_init(resources={"requests": {"cpu": "2"}}), with_init(), qos) == []
    assert tables.texts(pod_updates.resize(with_init(image="c:1"), with_init(), qos)) == [
        "spec.initContainers[0]: Forbidden: only cpu and memory resources for init or sidecar containers are mutable"
    ]


def test_what_cannot_be_resized():
    old = pod(status={"containerStatuses": [{"name": "a", "state": {"running": {}}}], "qosClass": "BestEffort"})
    new = copy.deepcopy(old)
    assert tables.texts(pod_updates.resize(new, old, ("Burstable", "BestEffort"))) == [
        'spec: Invalid value: "BestEffort": Pod QOS Class may not change as a result of resizing',
        "spec: Forbidden: Pod running on node without support for resize",
    ]
    mirror = pod(annotations={"kubernetes.io/config.mirror": "x"})
    assert tables.texts(pod_updates.resize(mirror, mirror, ("a", "a"))) == [
        "[]: Forbidden: static pods cannot be resized"
    ]
    assert tables.texts(pod_updates.ephemeral_containers(mirror, mirror)) == [
        "[]: Forbidden: static pods do not support ephemeral containers"
    ]
    windows = pod({"os": {"name": "windows"}})
    assert tables.texts(pod_updates.resize(windows, windows, ("a", "a"))) == [
        "[]: Forbidden: windows pods cannot be resized"
    ]


def test_ephemeral_containers_stay():
    old = pod({"ephemeralContainers": [{"name": "e", "image": "b:1"}, {"name": "f", "image": "b:1"}]})
    new = pod({"ephemeralContainers": [{"name": "e", "image": "c:1"}]})
    assert heads(pod_updates.ephemeral_containers(new, old)) == [
        'spec.ephemeralContainers: Forbidden: existing ephemeral containers "e" may not be changed',
        'spec.ephemeralContainers: Forbidden: existing ephemeral containers "f" may not be removed',
    ]


STATUSES = """
{conditions: [{type: Ready, status: "True"}, {type: example.com/x, status: "True"}]}
{conditions: [{type: "a b", status: "True", observedGeneration: -1}]}
    status.conditions[0].observedGeneration: Invalid value: -1: must be a non-negative integer
    status.conditions[0].Type: Invalid value: "a b": $QUALIFIED
{nominatedNodeName: N_}
    status.nominatedNodeName: Invalid value: "N_": $SUBDOMAIN
{observedGeneration: -1}
    status.observedGeneration: Invalid value: -1: must be a non-negative integer
{qosClass: Burstable}
    status.qosClass: Invalid value: "Burstable": $IMMUTABLE
{podIPs: [{ip: 10.0.0.1}, {ip: "fd00::1"}]}
{podIPs: [{ip: 10.0.0.1}, {ip: 10.0.0.2}]}
    status.podIPs: Invalid value: [{"IP":"10.0.0.1"},{"IP":"10.0.0.2"}]: may specify no more than one IP for each IP family
{podIPs: [{ip: bad}]}
    status.podIPs[0]: Invalid value: "bad": $IP
{hostIP: 10.0.0.1, hostIPs: [{ip: 10.0.0.2}]}
    status.hostIPs[0].ip: Invalid value: "10.0.0.2": must be equal to `hostIP`
{resourceClaimStatuses: [{name: x}]}
    status.resourceClaimStatuses[0].name: Invalid value: "x": must match the name of an entry in `spec.resourceClaims`
{containerStatuses: [{name: a, user: {linux: {uid: -1, gid: 0}}}]}
    status.containerStatuses[0].user.linux.uid: Invalid value: -1: must be between 0 and 2147483647, inclusive
{containerStatuses: [{name: a, allocatedResourcesStatus: [{name: example.com/x, resources: [{resourceID: i, health: Sick}]}]}]}
    status.containerStatuses[0].allocatedResourcesStatus[0].name: Invalid value: "example.com/x": must match one of the container's resource requests
    status.containerStatuses[0].allocatedResourcesStatus[0].resources[0].health: Unsupported value: "Sick": supported values: "Healthy", "Unhealthy", "Unknown"
"""


@pytest.mark.parametrize(("status", "expected"), tables.rows(STATUSES))
def test_statuses(status, expected):
    old = pod(status={"qosClass": "BestEffort"})
    new = copy.deepcopy(old)
    new["status"].update(status)
    assert tables.texts(pod_status.status(new, old)) == expected


def test_the_node_of_a_status_stays():
    new = pod({"nodeName": "n"})
    assert tables.texts(pod_status.status(new, pod())) == ["status.nodeName: Forbidden: may not be changed directly"]


WARNINGS = """
{}
{nodeSelector: {beta.kubernetes.io/arch: amd64}}
    spec.nodeSelector[beta.kubernetes.io/arch]: deprecated since v1.14; use "kubernetes.io/arch" instead
{affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: beta.kubernetes.io/os, operator: Exists}]}]}}}}
    spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].key: beta.kubernetes.io/os is deprecated since v1.14; use "kubernetes.io/os" instead
{topologySpreadConstraints: [{maxSkew: 1, topologyKey: failure-domain.beta.kubernetes.io/zone, whenUnsatisfiable: DoNotSchedule}]}
    spec.topologySpreadConstraints[0].topologyKey: failure-domain.beta.kubernetes.io/zone is deprecated since v1.17; use "topology.kubernetes.io/zone" instead
    spec.topologySpreadConstraints[0].labelSelector: a null labelSelector results in matching no pod
{volumes: [{name: v, gitRepo: {repository: a}}]}
    spec.volumes[0].gitRepo: deprecated in v1.11, and disabled by default in v1.33+
{volumes: [{name: v, configMap: {name: c, items: [{key: a, path: p}, {key: b, path: p/x/}, {key: c, path: px}]}}]}
    volume "v" (ConfigMap "c"): overlapping paths: "p/x" with "p"
{volumes: [{name: v, projected: {sources: [{}, {secret: {name: s, items: [{key: a, path: p}]}}, {downwardAPI: {items: [{path: p}]}}, {serviceAccountToken: {path: p/t}}]}}]}
    volume "v" (Projected) has no sources provided
    volume "v" (Projected): overlapping paths: "p" (DownwardAPI) with "p" (Secret "s")
    volume "v" (Projected): overlapping paths: "p/t" (ServiceAccountToken) with "p" (Secret "s")
    volume "v" (Projected): overlapping paths: "p/t" (ServiceAccountToken) with "p" (DownwardAPI)
{volumes: [{name: v, glusterfs: {endpoints: a, path: b}}]}
    spec.volumes[0].glusterfs: deprecated in v1.25, non-functional in v1.26+
{hostAliases: [{ip: 1.2.3.4}, {ip: 1.2.3.4}]}
    spec.hostAliases[1].ip: duplicate ip "1.2.3.4"
{imagePullSecrets: [{name: a}, {name: a}, {name: ""}]}
    spec.imagePullSecrets[1].name: duplicate name "a"
    spec.imagePullSecrets[2].name: invalid empty name ""
{dnsConfig: {nameservers: ["2001:DB8::1"]}}
    spec.dnsConfig.nameservers[0]: IPv6 address "2001:DB8::1" should be in RFC 5952 canonical format ("2001:db8::1")
{overhead: {memory: 0.5}}
    spec.overhead[memory]: fractional byte value "500m" is invalid, must be an integer
{containers: [{name: a, image: b:1, resources: {limits: {memory: 0.1}}}]}
    spec.containers[0].resources.limits[memory]: fractional byte value "100m" is invalid, must be an integer
    spec.containers[0].resources.requests[memory]: fractional byte value "100m" is invalid, must be an integer
{containers: [{name: a, image: b:1, env: [{name: A, value: x}, {name: A, value: y}]}]}
    spec.containers[0].env[1]: hides previous definition of "A", which may be dropped when using apply
{containers: [{name: a, image: b:1, env: [{name: A, value: x}, {name: A, value: "$$(A) y"}]}]}
{containers: [{name: a, image: b:1, ports: [{containerPort: 80}, {containerPort: 80}]}]}
    spec.containers[0].ports[1]: duplicate port definition with spec.containers[0].ports[0]
{containers: [{name: a, image: b:1, ports: [{containerPort: 80}, {containerPort: 80, hostPort: 80}]}]}
    spec.containers[0].ports[1]: overlapping port definition with spec.containers[0].ports[0]
{initContainers: [{name: i, image: b:1, ports: [{name: m, containerPort: 1}]}, {name: s, image: b:1, restartPolicy: Always, ports: [{name: m, containerPort: 2}]}], containers: [{name: a, image: b:1, ports: [{name: m, containerPort: 3}]}]}
    spec.containers[0].ports[0]: duplicate port name "m" with spec.initContainers[1].ports[0], services and probes that select ports by name will use spec.initContainers[1].ports[0]
{affinity: {nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 1, preference: {matchExpressions: [{key: a, operator: In, values: ["-1"]}]}}]}}}
    spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].preference.matchExpressions[0].values[0]: -1 is invalid, $VALUE
{affinity: {podAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: a}]}}}
    spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].labelSelector: a null labelSelector results in matching no pod
{affinity: {podAntiAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 1, podAffinityTerm: {topologyKey: a}}]}}}
    spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].podAffinityTerm.labelSelector: a null labelSelector results in matching no pod
"""


@pytest.mark.parametrize(("spec", "expected"), tables.rows(WARNINGS))
def test_warnings(spec, expected):
    assert pod_warnings.pod(pod(spec), None) == expected


def test_warnings_of_names_and_annotations():
    found = pod(annotations={"scheduler.alpha.kubernetes.io/critical-pod": ""})
    found["metadata"]["name"] = "a.b"
    assert pod_warnings.pod(found, None) == [
        "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is "
        "recommended: [must not contain dots]",
        'metadata.annotations[scheduler.alpha.kubernetes.io/critical-pod]: non-functional in v1.16+; use the "priorityClassName" field instead',
    ]
    assert pod_warnings.pod(found, found) == []


def test_warnings_of_templates():
    """Where a pod has its one second already, a template says what will become of it."""
    template = {"spec": {"terminationGracePeriodSeconds": -1, "containers": [{"name": "a", "image": "b:1"}]}}
    assert pod_warnings.template(template, "spec.template") == [
        "spec.template.spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1"
    ]
