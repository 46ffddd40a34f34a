"""Ingresses, network policies, endpoints and the ranges of addresses."""
# ruff: noqa: E501 (texts stand as they are sent)

import pytest

from kubeshim.machinery import resources
from kubeshim.machinery.validation import cluster_ranges, endpoints, network_policies, networking
from tests.machinery.validation import tables

NETWORKING = ("networking.k8s.io", "v1")

INGRESSES = """
{defaultBackend: {service: {name: a, port: {number: 80}}}}
{}
    spec: Invalid value: null: either `defaultBackend` or `rules` must be specified
{rules: []}
    spec: Invalid value: []: either `defaultBackend` or `rules` must be specified
{defaultBackend: {}}
    spec.defaultBackend: Invalid value: "": resource or service backend is required
{defaultBackend: {service: {name: a, port: {number: 80}}, resource: {kind: K, name: n}}}
    spec.defaultBackend: Invalid value: "": cannot set both resource and service backends
{defaultBackend: {service: {name: "", port: {number: 80}}}}
    spec.defaultBackend.service.name: Required value
{defaultBackend: {service: {name: a}}}
    spec.defaultBackend: Required value: port name or number is required
{defaultBackend: {service: {name: a, port: {number: 80, name: web}}}}
    spec.defaultBackend: Invalid value: "": cannot set both port name & port number
{defaultBackend: {service: {name: a, port: {number: 70000}}}}
    spec.defaultBackend.service.port.number: Invalid value: 70000: $PORT
{defaultBackend: {service: {name: a, port: {name: "80"}}}}
    spec.defaultBackend.service.port.name: Invalid value: "80": must contain at least one letter (a-z)
{defaultBackend: {resource: {apiGroup: A_, kind: "", name: a/b}}}
    spec.defaultBackend.resource.apiGroup: Invalid value: "A_": $SUBDOMAIN
    spec.defaultBackend.resource.kind: Required value
    spec.defaultBackend.resource.name: Invalid value: "a/b": may not contain '/'
{rules: [{host: 1.2.3.4}]}
    spec.rules[0].host: Invalid value: "1.2.3.4": must be a DNS name, not an IP address
{rules: [{host: "*.a.b"}]}
{rules: [{host: A_}]}
    spec.rules[0].host: Invalid value: "A_": $SUBDOMAIN
{rules: [{host: a, http: {paths: []}}]}
    spec.rules[0].http.paths: Required value
{rules: [{http: {paths: [{path: /, backend: {service: {name: a, port: {number: 80}}}}]}}]}
    spec.rules[0].http.paths[0].pathType: Required value: pathType must be specified
{rules: [{http: {paths: [{path: a, pathType: Prefix, backend: {service: {name: a, port: {number: 80}}}}]}}]}
    spec.rules[0].http.paths[0].path: Invalid value: "a": must be an absolute path
{rules: [{http: {paths: [{path: "/a//b/..", pathType: Exact, backend: {service: {name: a, port: {number: 80}}}}]}}]}
    spec.rules[0].http.paths[0].path: Invalid value: "/a//b/..": must not contain '//'
    spec.rules[0].http.paths[0].path: Invalid value: "/a//b/..": cannot end with '/..'
{rules: [{http: {paths: [{path: "", pathType: ImplementationSpecific, backend: {service: {name: a, port: {number: 80}}}}]}}]}
{rules: [{http: {paths: [{path: /, pathType: Other, backend: {service: {name: a, port: {number: 80}}}}]}}]}
    spec.rules[0].http.paths[0].pathType: Unsupported value: "Other": supported values: "Exact", "ImplementationSpecific", "Prefix"
{defaultBackend: {service: {name: a, port: {number: 80}}}, tls: [{hosts: [A_], secretName: B_}]}
    spec.tls[0].hosts[0]: Invalid value: "A_": $SUBDOMAIN
    spec.tls[0].secretName: Invalid value: "B_": $SUBDOMAIN
{defaultBackend: {service: {name: a, port: {number: 80}}}, ingressClassName: A_}
    spec.ingressClassName: Invalid value: "A_": $SUBDOMAIN
"""


@pytest.mark.parametrize(("spec", "expected"), tables.rows(INGRESSES))
def test_ingresses(spec, expected):
    assert tables.texts(networking.ingress({"spec": spec})) == expected


def test_the_class_of_an_ingress_is_said_once():
    obj = {"metadata": {"annotations": {"kubernetes.io/ingress.class": "a"}}, "spec": {"ingressClassName": "b"}}
    assert tables.texts(networking.ingress_create(obj)) == [
        'annotations.kubernetes.io/ingress.class: Invalid value: "a": must match `ingressClassName` when both are specified'
    ]
    del obj["spec"]["ingressClassName"]
    assert networking.warn_ingress(obj) == [
        "annotation \"kubernetes.io/ingress.class\" is deprecated, please use 'spec.ingressClassName' instead"
    ]


CLASSES = """
{controller: a.com/b}
{controller: ""}
    spec.controller: Required value: at least one controller is required
{controller: a}
    spec.controller: Invalid value: "a": must be a domain-prefixed path (such as "acme.io/foo")
{controller: a.com/b, parameters: {kind: K, name: n}}
{controller: a.com/b, parameters: {kind: "", name: ""}}
    spec.parameters.kind: Required value
    spec.parameters.name: Required value
{controller: a.com/b, parameters: {kind: K, name: n, scope: Other}}
    spec.parameters.scope: Unsupported value: "Other": supported values: "Cluster", "Namespace"
{controller: a.com/b, parameters: {kind: K, name: n, scope: Namespace}}
    spec.parameters.namespace: Required value: `parameters.scope` is set to 'Namespace'
{controller: a.com/b, parameters: {kind: K, name: n, namespace: x}}
    spec.parameters.namespace: Forbidden: `parameters.scope` is set to 'Cluster'
"""


@pytest.mark.parametrize(("spec", "expected"), tables.rows(CLASSES))
def test_ingress_classes(spec, expected):
    obj = tables.filled(resources.GroupVersionKind(*NETWORKING, "IngressClass"), {"spec": spec})
    assert tables.texts(networking.ingress_class(obj)) == expected


POLICIES = """
{podSelector: {}}
{podSelector: {matchLabels: {"a b": c}}}
    spec.podSelector.matchLabels: Invalid value: "a b": $QUALIFIED
{podSelector: {matchExpressions: [{key: a, operator: In}]}}
    spec.podSelector.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'
{podSelector: {matchExpressions: [{key: a, operator: Exists, values: [b]}]}}
    spec.podSelector.matchExpressions[0].values: Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'
{podSelector: {matchExpressions: [{key: a, operator: Like}]}}
    spec.podSelector.matchExpressions[0].operator: Invalid value: "Like": not a valid selector operator
{policyTypes: [Other]}
    spec.policyTypes[0]: Unsupported value: "Other": supported values: "Ingress", "Egress"
{policyTypes: [Ingress, Egress, Ingress]}
    spec.policyTypes: Invalid value: ["Ingress","Egress","Ingress"]: may not specify more than two policyTypes
{ingress: [{ports: [{protocol: ICMP}]}]}
    spec.ingress[0].ports[0].protocol: Unsupported value: "ICMP": supported values: "TCP", "UDP", "SCTP"
{ingress: [{ports: [{port: 0}]}]}
    spec.ingress[0].ports[0].port: Invalid value: 0: $PORT
{ingress: [{ports: [{port: "!"}]}]}
    spec.ingress[0].ports[0].port: Invalid value: "!": must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)
    spec.ingress[0].ports[0].port: Invalid value: "!": must contain at least one letter (a-z)
{egress: [{ports: [{endPort: 80}]}]}
    spec.egress[0].ports[0].endPort: Invalid value: 80: may not be specified when `port` is not specified
{egress: [{ports: [{port: web, endPort: 80}]}]}
    spec.egress[0].ports[0].endPort: Invalid value: 80: may not be specified when `port` is non-numeric
{egress: [{ports: [{port: 90, endPort: 80}]}]}
    spec.egress[0].ports[0].endPort: Invalid value: 80: must be greater than or equal to `port`
{ingress: [{from: [{}]}]}
    spec.ingress[0].from[0]: Required value: must specify a peer
{ingress: [{from: [{podSelector: {}, ipBlock: {cidr: 10.0.0.0/8}}]}]}
    spec.ingress[0].from[0]: Forbidden: may not specify both ipBlock and another peer
{egress: [{to: [{ipBlock: {cidr: ""}}]}]}
    spec.egress[0].to[0].ipBlock.cidr: Required value
{egress: [{to: [{ipBlock: {cidr: 10.0.0.1/8}}]}]}
    spec.egress[0].to[0].ipBlock.cidr: Invalid value: "10.0.0.1/8": must not have bits set beyond the prefix length
{egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8, except: [11.0.0.0/16]}}]}]}
    spec.egress[0].to[0].ipBlock.except[0]: Invalid value: "11.0.0.0/16": must be a strict subset of `cidr`
{egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.0.0.0/8]}}]}]}
    spec.egress[0].to[0].ipBlock.except[0]: Invalid value: "10.0.0.0/8": must be a strict subset of `cidr`
"""


@pytest.mark.parametrize(("spec", "expected"), tables.rows(POLICIES))
def test_network_policies(spec, expected):
    obj = tables.filled(resources.GroupVersionKind(*NETWORKING, "NetworkPolicy"), {"spec": spec})
    assert tables.texts(network_policies.network_policy(obj)) == expected
    if any("bits set" in text for text in expected):
        assert network_policies.network_policy(obj, obj) == []


ENDPOINTS = """
[{addresses: [{ip: 10.0.0.1}], ports: [{port: 80}]}]
[{ports: [{port: 80}]}]
    subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`
[{addresses: [{ip: bad}], ports: [{port: 80}]}]
    subsets[0].addresses[0].ip: Invalid value: "bad": $IP
    subsets[0].addresses[0].ip: Invalid value: "bad": must be a valid IP address
[{notReadyAddresses: [{ip: 127.0.0.1, hostname: A_, nodeName: B_}], ports: [{port: 80}]}]
    subsets[0].notReadyAddresses[0].hostname: Invalid value: "A_": $LABEL
    subsets[0].notReadyAddresses[0].nodeName: Invalid value: "B_": $SUBDOMAIN
    subsets[0].notReadyAddresses[0].ip: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)
[{addresses: [{ip: 10.0.0.1}], ports: [{port: 80}, {name: a, port: 0, protocol: X}]}]
    subsets[0].ports[0].name: Required value
    subsets[0].ports[1].port: Invalid value: 0: $PORT
    subsets[0].ports[1].protocol: Unsupported value: "X": supported values: "SCTP", "TCP", "UDP"
"""


@pytest.mark.parametrize(("subsets", "expected"), tables.rows(ENDPOINTS))
def test_endpoints(subsets, expected):
    obj = tables.filled(resources.GroupVersionKind("", "v1", "Endpoints"), {"subsets": subsets})
    assert tables.texts(endpoints.endpoints(obj)) == expected


SLICES = """
{addressType: IPv4, endpoints: [{addresses: [10.0.0.1]}]}
{endpoints: []}
    addressType: Required value
{addressType: IPv5}
    addressType: Unsupported value: "IPv5": supported values: "FQDN", "IPv4", "IPv6"
{addressType: IPv4, endpoints: [{addresses: []}]}
    endpoints[0].addresses: Required value: must contain at least 1 address
{addressType: IPv4, endpoints: [{addresses: ["fd00::1"]}]}
    endpoints[0].addresses[0]: Invalid value: "fd00::1": must be an IPv4 address
{addressType: IPv6, endpoints: [{addresses: [10.0.0.1]}]}
    endpoints[0].addresses[0]: Invalid value: "10.0.0.1": must be an IPv6 address
{addressType: IPv4, endpoints: [{addresses: [127.0.0.1]}]}
    endpoints[0].addresses[0]: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)
{addressType: IPv4, ports: [{name: a}, {name: a, protocol: X}]}
    ports[1].name: Duplicate value: "a"
    ports[1].protocol: Unsupported value: "X": supported values: "SCTP", "TCP", "UDP"
{addressType: IPv4, endpoints: [{addresses: [10.0.0.1], hostname: A_, nodeName: B_}]}
    endpoints[0].nodeName: Invalid value: "B_": $SUBDOMAIN
    endpoints[0].hostname: Invalid value: "A_": $LABEL
{addressType: IPv4, endpoints: [{addresses: [10.0.0.1], hints: {forZones: [{name: a}, {name: a}]}}]}
    endpoints[0].hints.forZones[1].name: Duplicate value: "a"
"""


@pytest.mark.parametrize(("obj", "expected"), tables.rows(SLICES))
def test_endpoint_slices(obj, expected):
    obj = tables.filled(resources.GroupVersionKind("discovery.k8s.io", "v1", "EndpointSlice"), obj)
    assert tables.texts(endpoints.endpoint_slice(obj)) == expected


def test_too_much_in_a_slice():
    many = {
        "addressType": "IPv4",
        "endpoints": [{"addresses": [f"10.0.0.{number % 200 + 1}" for number in range(101)]}],
    }
    assert tables.texts(endpoints.endpoint_slice(many)) == [
        "endpoints[0].addresses: Too many: 101: must have at most 100 items"
    ]
    old = {"addressType": "IPv4"}
    assert tables.texts(endpoints.endpoint_slice_update({"addressType": "IPv6"}, old)) == [
        'addressType: Invalid value: "IPv6": field is immutable'
    ]


RANGES = """
{cidrs: [10.0.0.0/24]}
{cidrs: [10.0.0.0/24, "fd00::/64"]}
{}
    spec.cidrs: Required value: at least one CIDR required
{cidrs: [10.0.0.0/24, 10.0.1.0/24]}
    spec.cidrs: Invalid value: ["10.0.0.0/24","10.0.1.0/24"]: may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64
{cidrs: [a, b, c]}
    spec.cidrs: Invalid value: {"CIDRs":["a","b","c"]}: may only hold up to 2 values
{cidrs: [bad]}
    spec.cidrs[0]: Invalid value: "bad": $CIDR
"""


@pytest.mark.parametrize(("spec", "expected"), tables.rows(RANGES))
def test_ranges(spec, expected):
    assert tables.texts(cluster_ranges.service_cidr({"spec": spec})) == expected


def test_ranges_and_addresses_stay():
    old, new = {"spec": {"cidrs": ["10.0.0.0/24"]}}, {"spec": {"cidrs": ["10.0.1.0/24"]}}
    assert tables.texts(cluster_ranges.service_cidr_update(new, old)) == [
        'spec.cidrs[0]: Invalid value: "10.0.1.0/24": field is immutable'
    ]
    both = {"spec": {"cidrs": ["10.0.0.0/24", "fd00::/64"]}}
    assert cluster_ranges.service_cidr_update(both, old) == []
    address = {"metadata": {"name": "10.0.0.01"}, "spec": {}}
    assert "spec.parentRef: Required value" in tables.texts(cluster_ranges.address(address))
