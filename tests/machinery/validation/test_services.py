"""Services, new and changed; their status, and what is warned of."""
# ruff: noqa: E501 (texts stand as they are sent)

import pytest

from kubeshim.machinery import resources
from kubeshim.machinery.validation import service_updates, services
from tests.machinery.validation import tables

SERVICE = resources.GroupVersionKind("", "v1", "Service")
PORT = {"port": 80, "protocol": "TCP", "targetPort": 80}


def service(spec, annotations=None, status=None):
    spec = {"ports": [dict(PORT)], "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"], **spec}
    spec = {key: value for key, value in spec.items() if value is not None}
    obj = {"metadata": {"name": "a", "annotations": annotations or {}}, "spec": spec, "status": status or {}}
    return tables.filled(SERVICE, obj)


SPECS = """
{}
{ports: []}
    spec.ports: Required value
{ports: [], clusterIP: None, clusterIPs: [None]}
{type: Other}
    spec.type: Unsupported value: "Other": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"
{type: LoadBalancer, clusterIP: None, clusterIPs: [None]}
    spec.clusterIPs[0]: Invalid value: "None": may not be set to 'None' for LoadBalancer services
{type: ExternalName, clusterIP: null, clusterIPs: null, externalName: ""}
    spec.externalName: Required value
{type: ExternalName, clusterIP: null, clusterIPs: null, externalName: "-a-"}
    spec.externalName: Invalid value: "-a-": $SUBDOMAIN
{type: ExternalName, externalName: a.b.}
    spec.clusterIPs: Forbidden: may not be set for ExternalName services
{ports: [{port: 0}]}
    spec.ports[0].port: Invalid value: 0: $PORT
    spec.ports[0].targetPort: Invalid value: 0: $PORT
{ports: [{port: 80, targetPort: 70000}]}
    spec.ports[0].targetPort: Invalid value: 70000: $PORT
{ports: [{port: 80, targetPort: Web}]}
    spec.ports[0].targetPort: Invalid value: "Web": must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)
{ports: [{port: 80, protocol: ICMP}]}
    spec.ports[0].protocol: Unsupported value: "ICMP": supported values: "SCTP", "TCP", "UDP"
{ports: [{port: 80}, {port: 81}]}
    spec.ports[0].name: Required value
    spec.ports[1].name: Required value
{ports: [{name: a, port: 80}, {name: a, port: 81}]}
    spec.ports[1].name: Duplicate value: "a"
{ports: [{name: A_, port: 80}]}
    spec.ports[0].name: Invalid value: "A_": $LABEL
{ports: [{name: a, port: 80}, {name: b, port: 80}]}
    spec.ports[1]: Duplicate value: {"Name":"","Protocol":"TCP","AppProtocol":null,"Port":80,"TargetPort":0,"NodePort":0}
{ports: [{port: 80, appProtocol: "a b"}]}
    spec.ports[0].appProtocol: Invalid value: "a b": $QUALIFIED
{ports: [{port: 80, nodePort: 30000}]}
    spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'
{type: NodePort, ports: [{name: a, port: 80, nodePort: 30000}, {name: b, port: 81, nodePort: 30000}]}
    spec.ports[1].nodePort: Duplicate value: 30000
{selector: {"a b": c}}
    spec.selector: Invalid value: "a b": $QUALIFIED
{selector: {a: "b c"}}
    spec.selector: Invalid value: "b c": $VALUE
{sessionAffinity: Other}
    spec.sessionAffinity: Unsupported value: "Other": supported values: "ClientIP", "None"
{sessionAffinity: ClientIP, sessionAffinityConfig: {clientIP: {timeoutSeconds: 86401}}}
    spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 86401: must be greater than 0 and less than 86400
{sessionAffinity: ClientIP, sessionAffinityConfig: {clientIP: {timeoutSeconds: 0}}}
    spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 0: must be greater than 0 and less than 86400
{externalIPs: [myhost.mydomain]}
    spec.externalIPs[0]: Invalid value: "myhost.mydomain": $IP
{externalIPs: [0.0.0.0]}
    spec.externalIPs[0]: Invalid value: "0.0.0.0": may not be unspecified (0.0.0.0)
{externalIPs: [127.0.0.1]}
    spec.externalIPs[0]: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)
{externalIPs: [169.254.0.1]}
    spec.externalIPs[0]: Invalid value: "169.254.0.1": may not be in the link-local range (169.254.0.0/16, fe80::/10)
{externalIPs: [224.0.0.1]}
    spec.externalIPs[0]: Invalid value: "224.0.0.1": may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)
{externalIPs: [1.2.3.04]}
    spec.externalIPs[0]: Invalid value: "1.2.3.04": must not have leading 0s
{loadBalancerSourceRanges: [1.2.3.0/24]}
    spec.LoadBalancerSourceRanges: Forbidden: may only be used when `type` is 'LoadBalancer'
{type: LoadBalancer, loadBalancerSourceRanges: [1.2.3.4/33]}
    spec.LoadBalancerSourceRanges[0]: Invalid value: "1.2.3.4/33": $CIDR
{type: LoadBalancer, loadBalancerSourceRanges: [1.2.3.4/24]}
    spec.LoadBalancerSourceRanges[0]: Invalid value: "1.2.3.4/24": must not have bits set beyond the prefix length
{allocateLoadBalancerNodePorts: false}
    spec.allocateLoadBalancerNodePorts: Forbidden: may only be used when `type` is 'LoadBalancer'
{loadBalancerClass: a/b}
    spec.loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer'
{type: LoadBalancer, loadBalancerClass: "a b"}
    spec.loadBalancerClass: Invalid value: "a b": $QUALIFIED
{externalTrafficPolicy: Local}
    spec.externalTrafficPolicy: Invalid value: "Local": may only be set for externally-accessible services
{type: NodePort, externalTrafficPolicy: Other}
    spec.externalTrafficPolicy: Unsupported value: "Other": supported values: "Cluster", "Local"
{internalTrafficPolicy: Other}
    spec.internalTrafficPolicy: Unsupported value: "Other": supported values: "Cluster", "Local"
{healthCheckNodePort: 30000}
    spec.healthCheckNodePort: Invalid value: 30000: may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'
{type: LoadBalancer, externalTrafficPolicy: Local, healthCheckNodePort: 65536}
    spec.healthCheckNodePort: Invalid value: 65536: $PORT
{trafficDistribution: Random}
    spec.trafficDistribution: Unsupported value: "Random": supported values: "PreferClose", "PreferSameZone", "PreferSameNode"
{clusterIPs: [10.0.0.2]}
    spec.clusterIPs: Invalid value: ["10.0.0.2"]: first value must match `clusterIP`
{clusterIPs: null}
    spec.clusterIPs: Required value
{clusterIP: null}
    spec.clusterIPs: Invalid value: ["10.0.0.1"]: must be empty when `clusterIP` is not specified
{clusterIPs: [10.0.0.1, 10.0.0.2]}
    spec.clusterIPs: Invalid value: ["10.0.0.1","10.0.0.2"]: may specify no more than one IP for each IP family
{clusterIPs: [10.0.0.1, "fd00::1", "fd00::2"]}
    spec.clusterIPs: Invalid value: ["10.0.0.1","fd00::1","fd00::2"]: may only hold up to 2 values
{clusterIP: None, clusterIPs: [None, 10.0.0.1]}
    spec.clusterIPs: Invalid value: ["None","10.0.0.1"]: 'None' must be the first and only value
{clusterIP: bad, clusterIPs: [bad]}
    spec.clusterIPs[0]: Invalid value: "bad": $IP
{ipFamilies: [IPv5]}
    spec.ipFamilies[0]: Unsupported value: "IPv5": supported values: "IPv4", "IPv6"
{ipFamilies: [IPv4, IPv4]}
    spec.ipFamilies[1]: Duplicate value: "IPv4"
{ipFamilies: [IPv6]}
    spec.clusterIPs[0]: Invalid value: "10.0.0.1": expected an IPv6 value as indicated by `ipFamilies[0]`
{ipFamilyPolicy: Other}
    spec.ipFamilyPolicy: Unsupported value: "Other": supported values: "PreferDualStack", "RequireDualStack", "SingleStack"
"""


@pytest.mark.parametrize(("spec", "expected"), tables.rows(SPECS))
def test_specs(spec, expected):
    assert tables.texts(services.service(service(spec))) == expected


def test_annotations():
    ranges = "service.beta.kubernetes.io/load-balancer-source-ranges"
    hints, mode = "service.kubernetes.io/topology-aware-hints", "service.kubernetes.io/topology-mode"
    assert tables.texts(services.service(service({}, {ranges: "1.2.3.0/24"}))) == [
        f"metadata.annotations[{ranges}]: Forbidden: may only be used when `type` is 'LoadBalancer'"
    ]
    assert tables.texts(services.service(service({"type": "LoadBalancer"}, {ranges: "foo, 1.2.3.0/24"}))) == [
        f'metadata.annotations[{ranges}]: Invalid value: "foo": {tables.TEXTS["CIDR"]}'
    ]
    assert tables.texts(services.service(service({}, {hints: "auto", mode: "disabled"}))) == [
        f'metadata.annotations[{mode}]: Invalid value: "disabled": must match annotations[{hints}] when both are specified'
    ]


CHANGES = """
[{}, {selector: {a: b}}]
[{}, {clusterIP: 10.0.0.2, clusterIPs: [10.0.0.2]}]
    spec.clusterIPs[0]: Invalid value: ["10.0.0.2"]: may not change once set
[{}, {clusterIP: null, clusterIPs: null}]
    spec.clusterIPs[0]: Invalid value: null: primary clusterIP can not be unset
[{}, {clusterIP: null, clusterIPs: null, type: ExternalName, externalName: a.b}]
[{clusterIP: null, clusterIPs: null, type: ExternalName, externalName: a.b}, {}]
[{ipFamilies: [IPv4]}, {ipFamilies: [IPv4, IPv6], ipFamilyPolicy: PreferDualStack}]
[{clusterIPs: [10.0.0.1, "fd00::1"], ipFamilies: [IPv4, IPv6], ipFamilyPolicy: PreferDualStack}, {ipFamilies: [IPv4, IPv6], ipFamilyPolicy: PreferDualStack}]
    spec.ipFamilyPolicy: Invalid value: "PreferDualStack": must be set to 'SingleStack' when releasing the secondary clusterIP
[{type: LoadBalancer, loadBalancerClass: a/b}, {type: LoadBalancer, loadBalancerClass: a/c}]
    spec.loadBalancerClass: Invalid value: "a/c": may not change once set
[{type: LoadBalancer, loadBalancerClass: a/b}, {type: LoadBalancer}]
    spec.loadBalancerClass: Invalid value: null: may not change once set
[{type: LoadBalancer, externalTrafficPolicy: Local, healthCheckNodePort: 30001}, {type: LoadBalancer, externalTrafficPolicy: Local, healthCheckNodePort: 30002}]
    spec.healthCheckNodePort: Forbidden: field is immutable
[{externalIPs: [1.2.3.04]}, {externalIPs: [1.2.3.04], selector: {a: b}}]
"""


@pytest.mark.parametrize(("pair", "expected"), tables.rows(CHANGES))
def test_changes(pair, expected):
    old, new = map(service, pair)
    assert tables.texts(service_updates.update(new, old)) == expected


STATUSES = """
[{type: LoadBalancer}, {ip: 1.2.3.4, ipMode: VIP}]
[{type: LoadBalancer}, {hostname: a.b}]
[{}, {ip: 1.2.3.4, ipMode: VIP}]
    status.loadBalancer.ingress: Forbidden: may only be used when `spec.type` is 'LoadBalancer'
[{type: LoadBalancer}, {ip: bad, ipMode: VIP}]
    status.loadBalancer.ingress[0].ip: Invalid value: "bad": $IP
[{type: LoadBalancer}, {hostname: a.b, ipMode: VIP}]
    status.loadBalancer.ingress[0].ipMode: Forbidden: may not be specified when `ip` is not set
[{type: LoadBalancer}, {ip: 1.2.3.4, ipMode: Other}]
    status.loadBalancer.ingress[0].ipMode: Unsupported value: "Other": supported values: "Proxy", "VIP"
[{type: LoadBalancer}, {hostname: 1.2.3.4}]
    status.loadBalancer.ingress[0].hostname: Invalid value: "1.2.3.4": must be a DNS name, not an IP address
"""


@pytest.mark.parametrize(("pair", "expected"), tables.rows(STATUSES))
def test_statuses(pair, expected):
    spec, ingress = pair
    new = service(spec, status={"loadBalancer": {"ingress": [ingress]}})
    assert tables.texts(service_updates.status(new, service(spec))) == expected


WARNINGS = """
{}
{externalIPs: [1.2.3.4]}
    spec.externalIPs is deprecated and may no longer be implemented in some clusters
{clusterIP: None, clusterIPs: [None], externalIPs: [1.2.3.4], loadBalancerIP: 1.2.3.4, sessionAffinity: ClientIP}
    spec.loadBalancerIP is ignored for headless services
    spec.externalIPs is ignored for headless services
    spec.SessionAffinity is ignored for headless services
{type: ExternalName, externalName: a.b, externalIPs: [1.2.3.4]}
    spec.externalIPs is ignored when spec.type is "ExternalName"
{externalName: a.b}
    spec.externalName is ignored when spec.type is not "ExternalName"
{clusterIP: "2001:DB8::1", clusterIPs: ["2001:DB8::1"]}
    spec.clusterIPs[0]: IPv6 address "2001:DB8::1" should be in RFC 5952 canonical format ("2001:db8::1")
{type: LoadBalancer, loadBalancerIP: 1.2.3.04}
    spec.loadBalancerIP: non-standard IP address "1.2.3.04" will be considered invalid in a future Kubernetes release: use "1.2.3.4"
{type: LoadBalancer, loadBalancerSourceRanges: [1.2.3.4/24]}
    spec.loadBalancerSourceRanges[0]: CIDR value "1.2.3.4/24" is ambiguous in this context (should be "1.2.3.0/24" or "1.2.3.4/32"?)
{trafficDistribution: PreferClose}
    spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"
"""


@pytest.mark.parametrize(("spec", "expected"), tables.rows(WARNINGS))
def test_warnings(spec, expected):
    assert service_updates.warn(service(spec)) == expected
