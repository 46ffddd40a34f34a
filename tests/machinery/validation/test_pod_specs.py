"""Pods' own fields: scheduling, networking, security, annotations."""
# ruff: noqa: E501 (texts stand as they are sent)

import pytest

from kubeshim.machinery import resources
from kubeshim.machinery.validation import pods
from tests.machinery.validation import tables

POD = resources.GroupVersionKind("", "v1", "Pod")

SPECS = """
{}
{restartPolicy: ""}
{restartPolicy: Other}
    restartPolicy: Unsupported value: "Other": supported values: "Always", "OnFailure", "Never"
{dnsPolicy: Other}
    dnsPolicy: Unsupported value: "Other": supported values: "ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"
{dnsPolicy: None}
    dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None
{dnsPolicy: None, dnsConfig: {}}
    dnsConfig.nameservers: Required value: must provide at least one DNS nameserver when `dnsPolicy` is None
{dnsConfig: {nameservers: [1.1.1.1, 2.2.2.2, 3.3.3.3, 4.4.4.4]}}
    dnsConfig.nameservers: Invalid value: ["1.1.1.1","2.2.2.2","3.3.3.3","4.4.4.4"]: must not have more than 3 nameservers
{dnsConfig: {nameservers: [bad]}}
    dnsConfig.nameservers[0]: Invalid value: "bad": $IP
{dnsConfig: {nameservers: [010.1.1.1]}}
    dnsConfig.nameservers[0]: Invalid value: "010.1.1.1": must not have leading 0s
{dnsConfig: {options: [{name: ""}]}}
    dnsConfig.options[0]: Required value: must not be empty
{hostAliases: [{ip: bad, hostnames: [a, B_]}]}
    hostAliases[0].ip: Invalid value: "bad": $IP
    hostAliases[0].hostnames[1]: Invalid value: "B_": $SUBDOMAIN
{hostAliases: [{hostnames: [a]}]}
    hostAliases[0].ip: Invalid value: "": $IP
{hostname: A}
    hostname: Invalid value: "A": $LABEL
{hostname: a.b, subdomain: c_}
    hostname: Invalid value: "a.b": must not contain dots
    subdomain: Invalid value: "c_": $LABEL
{nodeSelector: {a: b c}}
    nodeSelector: Invalid value: "b c": $VALUE
{nodeSelector: {"a b": c}}
    nodeSelector: Invalid value: "a b": $QUALIFIED
{activeDeadlineSeconds: 0}
    activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive
{terminationGracePeriodSeconds: -1}
{serviceAccountName: A_}
    serviceAccountName: Invalid value: "A_": $SUBDOMAIN
{nodeName: A_}
    nodeName: Invalid value: "A_": $SUBDOMAIN
{schedulerName: A_}
{priorityClassName: A_}
    priorityClassName: Invalid value: "A_": $SUBDOMAIN
{runtimeClassName: A_}
    runtimeClassName: Invalid value: "A_": $SUBDOMAIN
{preemptionPolicy: Other}
    preemptionPolicy: Unsupported value: "Other": supported values: "PreemptLowerPriority", "Never"
{imagePullSecrets: [{name: ""}]}
{readinessGates: [{conditionType: "a b"}]}
    readinessGates[0].conditionType: Invalid value: "a b": $QUALIFIED
{schedulingGates: [{name: ""}]}
    schedulingGates[0]: Invalid value: "": name part must be non-empty
    schedulingGates[0]: Invalid value: "": $QUALIFIED
{schedulingGates: [{name: a}, {name: a}]}
    schedulingGates[1]: Duplicate value: "a"
{schedulingGates: [{name: "a b"}]}
    schedulingGates[0]: Invalid value: "a b": $QUALIFIED
{overhead: {cpu: -1}}
    overhead.limits[cpu]: Invalid value: "-1": $NEGATIVE
{os: {}}
    os.name: Required value
{os: {name: plan9}}
    os: Unsupported value: "plan9": supported values: "linux", "windows"
{os: {name: windows}, hostPID: true, securityContext: {runAsUser: 1}}
    securityContext.runAsUser: Forbidden: cannot be set for a windows pod
    hostPID: Forbidden: cannot be set for a windows pod
{os: {name: linux}, securityContext: {windowsOptions: {}}}
    securityContext.windowsOptions: Forbidden: windows options cannot be set for a linux pod
{hostPID: true, shareProcessNamespace: true}
    shareProcessNamespace: Invalid value: true: ShareProcessNamespace and HostPID cannot both be enabled
{hostUsers: false, hostNetwork: true}
    hostNetwork: Forbidden: when `hostUsers` is false
{hostUsers: false, hostPID: true}
    HostPID: Forbidden: when `hostUsers` is false
{securityContext: {fsGroup: -1, supplementalGroups: [-2], runAsUser: -3}}
    securityContext.fsGroup: Invalid value: -1: must be between 0 and 2147483647, inclusive
    securityContext.runAsUser: Invalid value: -3: must be between 0 and 2147483647, inclusive
    securityContext.supplementalGroups[0]: Invalid value: -2: must be between 0 and 2147483647, inclusive
{securityContext: {fsGroupChangePolicy: Other}}
    securityContext.fsGroupChangePolicy: Unsupported value: "Other": supported values: "Always", "OnRootMismatch"
{securityContext: {supplementalGroupsPolicy: Other}}
    securityContext.supplementalGroupsPolicy: Unsupported value: "Other": supported values: "Merge", "Strict"
{securityContext: {sysctls: [{name: "", value: a}, {name: a.b, value: a}, {name: a.b, value: b}, {name: A, value: c}]}}
    securityContext.sysctls[0].name: Required value
    securityContext.sysctls[2].name: Duplicate value: "a.b"
    securityContext.sysctls[3].name: Invalid value: "A": must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$$
{hostNetwork: true, securityContext: {sysctls: [{name: net.ipv4.x, value: a}]}}
    securityContext.sysctls[0].name: Invalid value: "net.ipv4.x": may not be specified when 'hostNetwork' is true
{hostIPC: true, securityContext: {sysctls: [{name: kernel.shmmax, value: a}]}}
    securityContext.sysctls[0].name: Invalid value: "kernel.shmmax": may not be specified when 'hostIPC' is true
{tolerations: [{key: "a b", operator: Exists}]}
    tolerations[0].key: Invalid value: "a b": $QUALIFIED
{tolerations: [{operator: Equal, value: v}]}
    tolerations[0].operator: Invalid value: "Equal": operator must be Exists when `key` is empty, which means "match all values and all keys"
{tolerations: [{key: a, operator: Equal, value: "b c"}]}
    tolerations[0].operator: Invalid value: "b c": $VALUE
{tolerations: [{key: a, operator: In, value: b}]}
    tolerations[0].operator: Unsupported value: "In": supported values: "Equal", "Exists"
{tolerations: [{key: a, operator: Exists, effect: Other}]}
    tolerations[0].effect: Unsupported value: "Other": supported values: "NoSchedule", "PreferNoSchedule", "NoExecute"
{tolerations: [{key: a, operator: Exists, effect: NoSchedule, tolerationSeconds: 1}]}
    tolerations[0].effect: Invalid value: "NoSchedule": effect must be 'NoExecute' when `tolerationSeconds` is set
{affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: []}}}}
    affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms: Required value: must have at least one node selector term
{affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: a, operator: In}]}]}}}}
    affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'
{affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: a, operator: Exists, values: [b]}]}]}}}}
    affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].values: Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'
{affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: a, operator: Gt, values: [b, c]}]}]}}}}
    affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].values: Required value: must be specified single value when `operator` is 'Lt' or 'Gt'
{affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: a, operator: Is}]}]}}}}
    affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].operator: Invalid value: "Is": not a valid selector operator
{affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchFields: [{key: metadata.uid, operator: In, values: [a, b]}]}]}}}}
    affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchFields[0].values: Required value: must be only one value when `operator` is 'In' or 'NotIn' for node field selector
    affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchFields[0].key: Invalid value: "metadata.uid": not a valid field selector key
{affinity: {nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 0, preference: {}}]}}}
    affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight: Invalid value: 0: must be in the range 1-100
{affinity: {podAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: ""}]}}}
    affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey: Required value: can not be empty
    affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey: Invalid value: "": name part must be non-empty
    affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey: Invalid value: "": $QUALIFIED
{affinity: {podAntiAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 101, podAffinityTerm: {topologyKey: a, namespaces: [A]}}]}}}
    affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight: Invalid value: 101: must be in the range 1-100
    affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].podAffinityTerm.namespace: Invalid value: "A": $LABEL
{topologySpreadConstraints: [{maxSkew: 1, topologyKey: a, whenUnsatisfiable: DoNotSchedule, minDomains: 0}]}
    topologySpreadConstraints[0].minDomains: Invalid value: 0: must be greater than zero
{topologySpreadConstraints: [{maxSkew: 1, topologyKey: a, whenUnsatisfiable: ScheduleAnyway, minDomains: 1}]}
    topologySpreadConstraints[0].minDomains: Invalid value: 1: can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ScheduleAnyway
{topologySpreadConstraints: [{maxSkew: 1, topologyKey: a, whenUnsatisfiable: DoNotSchedule}, {maxSkew: 1, topologyKey: a, whenUnsatisfiable: DoNotSchedule}]}
    topologySpreadConstraints[0].{topologyKey, whenUnsatisfiable}: Duplicate value: "{a, DoNotSchedule}"
{topologySpreadConstraints: [{maxSkew: 1, topologyKey: a, whenUnsatisfiable: DoNotSchedule, nodeAffinityPolicy: X, nodeTaintsPolicy: Y}]}
    topologySpreadConstraints[0].nodeAffinityPolicy: Unsupported value: "X": supported values: "Honor", "Ignore"
    topologySpreadConstraints[0].nodeTaintsPolicy: Unsupported value: "Y": supported values: "Honor", "Ignore"
{topologySpreadConstraints: [{maxSkew: 1, topologyKey: a, whenUnsatisfiable: DoNotSchedule, matchLabelKeys: [b]}]}
    topologySpreadConstraints[0].matchLabelKeys: Forbidden: must not be specified when labelSelector is not set
{resourceClaims: [{name: a}]}
    resourceClaims[0]: Invalid value: {"Name":"a","ResourceClaimName":null,"ResourceClaimTemplateName":null}: must specify one of: `resourceClaimName`, `resourceClaimTemplateName`
{resourceClaims: [{name: a, resourceClaimName: b}, {name: a, resourceClaimName: c}]}
    resourceClaims[1].name: Duplicate value: "a"
"""


@pytest.mark.parametrize(("spec", "expected"), tables.rows(SPECS))
def test_specs(spec, expected):
    spec.setdefault("containers", [{"name": "a", "image": "b:1"}])
    pod = tables.filled(POD, {"metadata": {"name": "a", "namespace": "default"}, "spec": spec})
    found = tables.texts(pods.pod(pod))
    assert [text.removeprefix("spec.") for text in found] == expected
