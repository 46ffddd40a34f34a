"""Containers of pods: names, ports, variables, probes, hooks, resources, security."""
# ruff: noqa: E501 (texts stand as they are sent)

import pytest

from kubeshim.machinery import resources
from kubeshim.machinery.validation import pods
from tests.machinery.validation import tables

POD = resources.GroupVersionKind("", "v1", "Pod")


def pod(spec):
    spec.setdefault("containers", [{"name": "a", "image": "b:1"}])
    return tables.filled(POD, {"metadata": {"name": "a", "namespace": "default"}, "spec": spec})


def problems(spec):
    return tables.texts(pods.pod(pod(spec)))


CONTAINERS = """
{}
{name: ""}
    name: Required value
{name: a.b}
    name: Invalid value: "a.b": must not contain dots
{name: 0123456789012345678901234567890123456789012345678901234567890123}
    name: Invalid value: "0123456789012345678901234567890123456789012345678901234567890123": must be no more than 63 bytes
{terminationMessagePolicy: Unknown}
    terminationMessagePolicy: Unsupported value: "Unknown": supported values: "File", "FallbackToLogsOnError"
{imagePullPolicy: Sometimes}
    imagePullPolicy: Unsupported value: "Sometimes": supported values: "Always", "IfNotPresent", "Never"
{ports: [{name: web, containerPort: 80}, {name: web, containerPort: 81}]}
    ports[1].name: Duplicate value: "web"
{ports: [{name: Web, containerPort: 80}]}
    ports[0].name: Invalid value: "Web": must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)
{ports: [{name: "80", containerPort: 80}]}
    ports[0].name: Invalid value: "80": must contain at least one letter (a-z)
{ports: [{name: a--b, containerPort: 80}]}
    ports[0].name: Invalid value: "a--b": must not contain consecutive hyphens
{ports: [{name: -a, containerPort: 80}]}
    ports[0].name: Invalid value: "-a": must not begin or end with a hyphen
{ports: [{name: abcdefghijklmnopq, containerPort: 80}]}
    ports[0].name: Invalid value: "abcdefghijklmnopq": must be no more than 15 characters
{ports: [{containerPort: 65536}]}
    ports[0].containerPort: Invalid value: 65536: $PORT
{ports: [{containerPort: 80, hostPort: -1}]}
    ports[0].hostPort: Invalid value: -1: $PORT
{ports: [{containerPort: 80, protocol: icmp}]}
    ports[0].protocol: Unsupported value: "icmp": supported values: "SCTP", "TCP", "UDP"
{ports: [{containerPort: 80, hostPort: 8, hostIP: 1.2.3.4}, {containerPort: 81, hostPort: 8, hostIP: 1.2.3.5}]}
{ports: [{containerPort: 80, hostPort: 8, hostIP: 1.2.3.4}, {containerPort: 81, hostPort: 8, hostIP: 1.2.3.4}]}
    ports[1].hostPort: Duplicate value: "TCP/1.2.3.4/8"
{env: [{name: ""}]}
    env[0].name: Required value
{env: [{name: "a b"}, {name: a.b-c}, {name: 1x}]}
{env: [{name: a=b}]}
    env[0].name: Invalid value: "a=b": $ENV
{env: [{name: a, valueFrom: {}}]}
    env[0].valueFrom: Invalid value: "": must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`
{env: [{name: a, value: b, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]}
    env[0].valueFrom: Invalid value: "": may not be specified when `value` is not empty
{env: [{name: a, valueFrom: {fieldRef: {fieldPath: metadata.name}, secretKeyRef: {name: a, key: b}}}]}
    env[0].valueFrom: Invalid value: "": may not have more than one field specified at a time
{env: [{name: a, valueFrom: {fieldRef: {fieldPath: ""}}}]}
    env[0].valueFrom.fieldRef.fieldPath: Required value
{env: [{name: a, valueFrom: {fieldRef: {apiVersion: v2, fieldPath: metadata.name}}}]}
    env[0].valueFrom.fieldRef.fieldPath: Invalid value: "metadata.name": error converting fieldPath: unsupported pod version: v2
{env: [{name: a, valueFrom: {fieldRef: {fieldPath: metadata.whoops}}}]}
    env[0].valueFrom.fieldRef.fieldPath: Invalid value: "metadata.whoops": error converting fieldPath: field label not supported: metadata.whoops
{env: [{name: a, valueFrom: {fieldRef: {fieldPath: "metadata.name['k']"}}}]}
    env[0].valueFrom.fieldRef.fieldPath: Invalid value: "metadata.name['k']": error converting fieldPath: field label does not support subscript: metadata.name['k']
{env: [{name: a, valueFrom: {fieldRef: {fieldPath: "metadata.labels['']"}}}]}
    env[0].valueFrom.fieldRef: Invalid value: "": name part must be non-empty
    env[0].valueFrom.fieldRef: Invalid value: "": $QUALIFIED
{env: [{name: a, valueFrom: {fieldRef: {fieldPath: metadata.labels}}}]}
    env[0].valueFrom.fieldRef.fieldPath: Unsupported value: "metadata.labels": supported values: "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName", "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"
{env: [{name: a, valueFrom: {secretKeyRef: {name: "", key: a}}}]}
    env[0].valueFrom.secretKeyRef.name: Invalid value: "": $SUBDOMAIN
{env: [{name: a, valueFrom: {secretKeyRef: {name: s, key: ""}}}]}
    env[0].valueFrom.secretKeyRef.key: Required value
{env: [{name: a, valueFrom: {configMapKeyRef: {name: s, key: a/b}}}]}
    env[0].valueFrom.configMapKeyRef.key: Invalid value: "a/b": $KEY
{env: [{name: a, valueFrom: {resourceFieldRef: {resource: ""}}}]}
    env[0].valueFrom.resourceFieldRef.resource: Required value
{env: [{name: a, valueFrom: {resourceFieldRef: {resource: limits.cpu, divisor: 1}}}]}
{envFrom: [{prefix: a, configMapRef: {name: c}}]}
{envFrom: [{prefix: "a=", configMapRef: {name: c}}]}
    envFrom[0].prefix: Invalid value: "a=": $ENV
{envFrom: [{configMapRef: {name: ""}}]}
    envFrom[0].configMapRef.name: Required value
{envFrom: [{configMapRef: {name: $$}}]}
    envFrom[0].configMapRef.name: Invalid value: "$$": $SUBDOMAIN
{envFrom: [{}]}
    envFrom: Invalid value: "": must specify one of: `configMapRef` or `secretRef`
{envFrom: [{configMapRef: {name: c}, secretRef: {name: s}}]}
    envFrom: Invalid value: "": may not have more than one field specified at a time
{livenessProbe: {}}
    livenessProbe: Required value: must specify a handler type
{livenessProbe: {exec: {}}}
    livenessProbe.exec.command: Required value
{livenessProbe: {tcpSocket: {port: 0}}}
    livenessProbe.tcpSocket.port: Invalid value: 0: $PORT
{livenessProbe: {tcpSocket: {port: Web}}}
    livenessProbe.tcpSocket.port: Invalid value: "Web": must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)
{livenessProbe: {httpGet: {port: 80, scheme: FTP, httpHeaders: [{name: a b}]}}}
    livenessProbe.httpGet.scheme: Unsupported value: "FTP": supported values: "HTTP", "HTTPS"
    livenessProbe.httpGet.httpHeaders: Invalid value: "a b": $HEADER
{livenessProbe: {grpc: {port: 70000}}}
    livenessProbe.grpc.port: Invalid value: 70000: $PORT
{livenessProbe: {exec: {command: [a]}, initialDelaySeconds: -1, timeoutSeconds: -1, periodSeconds: -1, failureThreshold: -1}}
    livenessProbe.initialDelaySeconds: Invalid value: -1: $NEGATIVE
    livenessProbe.timeoutSeconds: Invalid value: -1: $NEGATIVE
    livenessProbe.periodSeconds: Invalid value: -1: $NEGATIVE
    livenessProbe.failureThreshold: Invalid value: -1: $NEGATIVE
{readinessProbe: {exec: {command: [a]}, terminationGracePeriodSeconds: 0}}
    readinessProbe.terminationGracePeriodSeconds: Invalid value: 0: must be greater than 0
    readinessProbe.terminationGracePeriodSeconds: Invalid value: 0: must not be set for readinessProbes
{startupProbe: {exec: {command: [a]}, successThreshold: 2}}
    startupProbe.successThreshold: Invalid value: 2: must be 1
{lifecycle: {preStop: {}}}
    lifecycle.preStop: Required value: must specify a handler type
{lifecycle: {postStart: {exec: {command: [a]}, sleep: {seconds: 1}}}}
    lifecycle.postStart.sleep: Forbidden: may not specify more than 1 handler type
{lifecycle: {stopSignal: SIGTERM}}
    lifecycle.stopSignal: Forbidden: may not be set for containers with empty `spec.os.name`
{resources: {limits: {cpu: 1}, requests: {cpu: 2}}}
    resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1
{resources: {limits: {hugepages-2Mi: 1Gi}}}
    resources: Forbidden: HugePages require cpu or memory
{resources: {limits: {cpu: 1, hugepages-2Mi: 3Mi}}}
    resources.limits[hugepages-2Mi]: Invalid value: "3Mi": 3Mi is not positive integer multiple of hugepages-2Mi
    resources.requests[hugepages-2Mi]: Invalid value: "3Mi": 3Mi is not positive integer multiple of hugepages-2Mi
{resources: {limits: {example.com/a: 1, cpu: 1}, requests: {example.com/a: 2}}}
    resources.requests: Invalid value: "2": must be equal to example.com/a limit of 1
{resources: {limits: {example.com/a: 1500m}}}
    resources.limits[example.com/a]: Invalid value: "1500m": must be an integer
    resources.requests[example.com/a]: Invalid value: "1500m": must be an integer
{resources: {limits: {kubernetes.io/a: 1}}}
{resources: {limits: {bogus: 1}}}
    resources.limits[bogus]: Invalid value: "bogus": must be a standard resource type or fully qualified
    resources.limits[bogus]: Invalid value: "bogus": must be a standard resource for containers
    resources.requests[bogus]: Invalid value: "bogus": must be a standard resource type or fully qualified
    resources.requests[bogus]: Invalid value: "bogus": must be a standard resource for containers
{resources: {claims: [{name: x}]}}
    resources.claims[0]: Not found: "x": must be one of the names in pod.spec.resourceClaims which is empty
{resizePolicy: [{resourceName: cpu, restartPolicy: NotRequired}, {resourceName: cpu, restartPolicy: NotRequired}]}
    resizePolicy[1]: Duplicate value: "cpu"
{resizePolicy: [{resourceName: disk, restartPolicy: Maybe}]}
    resizePolicy: Unsupported value: "disk": supported values: "cpu", "memory"
    resizePolicy: Unsupported value: "Maybe": supported values: "NotRequired", "RestartContainer"
{securityContext: {runAsUser: -1, runAsGroup: 2147483648}}
    securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive
    securityContext.runAsGroup: Invalid value: 2147483648: must be between 0 and 2147483647, inclusive
{securityContext: {procMount: Unmasked}}
    securityContext.procMount: Invalid value: "Unmasked": `hostUsers` must be false to use `Unmasked`
{securityContext: {procMount: Other}}
    securityContext.procMount: Unsupported value: "Other": supported values: "Default", "Unmasked"
{securityContext: {seccompProfile: {type: Localhost}}}
    securityContext.seccompProfile.localhostProfile: Required value: must be set when seccomp type is Localhost
{securityContext: {seccompProfile: {type: RuntimeDefault, localhostProfile: a}}}
    securityContext.seccompProfile.localhostProfile: Invalid value: {"Type":"RuntimeDefault","LocalhostProfile":"a"}: can only be set when seccomp type is Localhost
{securityContext: {seccompProfile: {type: Localhost, localhostProfile: /a/../b}}}
    securityContext.seccompProfile.localhostProfile: Invalid value: "/a/../b": $RELATIVE
    securityContext.seccompProfile.localhostProfile: Invalid value: "/a/../b": $BACKSTEPS
{securityContext: {appArmorProfile: {type: Localhost, localhostProfile: " a"}}}
    securityContext.appArmorProfile.localhostProfile: Invalid value: " a": must not be padded with whitespace
{securityContext: {appArmorProfile: {type: Other}}}
    securityContext.appArmorProfile.type: Unsupported value: "Other": supported values: "Localhost", "RuntimeDefault", "Unconfined"
{securityContext: {windowsOptions: {hostProcess: true}}}
    spec.hostNetwork: Invalid value: false: hostNetwork must be true if pod contains any hostProcess containers
{restartPolicy: Sometimes}
    restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "Never", "OnFailure"
{restartPolicyRules: [{action: Restart, exitCodes: {operator: In, values: [1]}}]}
    restartPolicy: Required value: must specify restartPolicy when restart rules are used
{restartPolicy: Never, restartPolicyRules: [{action: Foo}]}
    restartPolicyRules[0].action: Unsupported value: "Foo": supported values: "Restart", "RestartAllContainers"
    restartPolicyRules[0].exitCodes: Required value: must be specified
{restartPolicy: Never, restartPolicyRules: [{action: Restart, exitCodes: {operator: Is, values: [1]}}]}
    restartPolicyRules[0].exitCodes.operator: Unsupported value: "Is": supported values: "In", "NotIn"
"""


@pytest.mark.parametrize(("container", "expected"), tables.rows(CONTAINERS))
def test_containers(container, expected):
    found = problems({"containers": [{"name": "a", "image": "b:1", **container}]})
    assert [text.replace("spec.containers[0].", "", 1) for text in found] == expected


INIT = """
{name: a}
    name: Duplicate value: "a"
{name: i, lifecycle: {preStop: {exec: {command: [a]}}}}
    lifecycle: Forbidden: may not be set for init containers without restartPolicy=Always
{name: i, livenessProbe: {tcpSocket: {port: 1}}, startupProbe: {tcpSocket: {port: 1}}}
    livenessProbe: Forbidden: may not be set for init containers without restartPolicy=Always
    startupProbe: Forbidden: may not be set for init containers without restartPolicy=Always
{name: i, restartPolicy: Always, livenessProbe: {tcpSocket: {port: 1}}}
{name: i, restartPolicy: Other}
    restartPolicy: Unsupported value: "Other": supported values: "Always", "Never", "OnFailure"
{name: i, resizePolicy: [{resourceName: cpu, restartPolicy: RestartContainer}]}
    resizePolicy[0].restartPolicy: Invalid value: "RestartContainer": must not be set to 'RestartContainer' for non-sidecar initContainers
"""


@pytest.mark.parametrize(("container", "expected"), tables.rows(INIT))
def test_init_containers(container, expected):
    found = problems({"initContainers": [{"image": "b:1", **container}]})
    assert [text.replace("spec.initContainers[0].", "", 1) for text in found] == expected


EPHEMERAL = """
{name: e}
{name: e, targetContainerName: a}
{name: a}
    name: Duplicate value: "a"
{name: e, targetContainerName: x}
    targetContainerName: Not found: "x"
{name: e, image: " b:1"}
    image: Invalid value: " b:1": must not have leading or trailing whitespace
{name: e, ports: [{containerPort: 1}], livenessProbe: {exec: {command: [a]}}, lifecycle: {preStop: {exec: {command: [a]}}}}
    ports: Forbidden: cannot be set for an Ephemeral Container
    livenessProbe: Forbidden: cannot be set for an Ephemeral Container
    lifecycle: Forbidden: cannot be set for an Ephemeral Container
{name: e, resources: {limits: {cpu: 1}}}
    resources: Forbidden: cannot be set for an Ephemeral Container
{name: e, restartPolicy: Always}
    restartPolicy: Forbidden: cannot be set for an Ephemeral Container
{name: e, volumeMounts: [{name: v, mountPath: /a, subPath: b}]}
    volumeMounts[0].subPath: Forbidden: cannot be set for an Ephemeral Container
"""


@pytest.mark.parametrize(("container", "expected"), tables.rows(EPHEMERAL))
def test_ephemeral_containers(container, expected):
    spec = {"ephemeralContainers": [{"image": "b:1", **container}], "volumes": [{"name": "v", "emptyDir": {}}]}
    assert [text.replace("spec.ephemeralContainers[0].", "", 1) for text in problems(spec)] == expected
