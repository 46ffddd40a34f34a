import copy
import ipaddress
import time

import pytest

from kubeshim.control_plane.api_server.strategies import service
from kubeshim.machinery import defaults, errors, resources

GVK = resources.GroupVersionKind("", "v1", "Service")
RESOURCE = resources.Resource(
    "", "v1", "services", "Service", True, (), subresources={"status": resources.Subresource("status", GVK, ("get",))}
)


class Reader:
    """The Services there are."""

    def __init__(self, *found):
        self.found = list(found)

    def get(self, gvr, namespace, name):
        return next((one for one in self.found if one["metadata"]["name"] == name), None)

    def list(self, gvr, namespace=""):
        return self.found


def make(name="a", **spec):
    spec.setdefault("ports", [{"port": 80}])
    obj = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "default"}, "spec": spec}
    defaults.apply(GVK, obj)
    return obj


def create(strategy, reader, name="a", **spec):
    obj = make(name, **spec)
    strategy.prepare_for_create(RESOURCE, obj)
    assert strategy.validate(RESOURCE, obj) == []
    strategy.allocate(RESOURCE, obj, None, reader, False)
    reader.found.append(obj)
    return obj


def update(strategy, reader, old, **spec):
    obj = {**copy.deepcopy(old), "spec": spec}
    defaults.apply(GVK, obj)
    strategy.prepare_for_update(RESOURCE, obj, old)
    problems = strategy.validate(RESOURCE, obj) + strategy.validate_update(RESOURCE, obj, old)
    assert problems == []
    strategy.allocate(RESOURCE, obj, old, reader, False)
    return obj


@pytest.fixture
def strategy():
    return service.Service(["10.96.0.0/24"], (30000, 30100))


def test_a_cluster_ip_is_handed_out(strategy):
    spec = create(strategy, Reader())["spec"]
    assert ipaddress.ip_address(spec["clusterIP"]) in ipaddress.ip_network("10.96.0.0/24")
    assert spec["clusterIPs"] == [spec["clusterIP"]]
    assert (spec["ipFamilies"], spec["ipFamilyPolicy"]) == (["IPv4"], "SingleStack")


def test_every_address_is_handed_out_once(strategy):
    reader = Reader()
    given = {create(strategy, reader, f"s{number}")["spec"]["clusterIP"] for number in range(254)}
    assert len(given) == 254
    with pytest.raises(errors.InternalError, match="range is full"):
        create(strategy, reader, "one-too-many")


@pytest.mark.parametrize(
    ("address", "text"),
    [
        (
            "10.96.0.10",
            'Invalid value: ["10.96.0.10"]: failed to allocate IP 10.96.0.10: provided IP is already allocated',
        ),
        (
            "10.1.0.1",
            'Invalid value: ["10.1.0.1"]: failed to allocate IP 10.1.0.1: the provided network does not match the '
            "current range",
        ),
        (
            "10.96.0.255",
            'Invalid value: ["10.96.0.255"]: failed to allocate IP 10.96.0.255: the provided IP (10.96.0.255) is not '
            "in the valid range. The range of valid IPs is 10.96.0.0/24",
        ),
    ],
)
def test_addresses_that_cannot_be_had(strategy, address, text):
    reader = Reader()
    create(strategy, reader, "dns", clusterIP="10.96.0.10")
    with pytest.raises(errors.Invalid) as caught:
        create(strategy, reader, "other", clusterIP=address)
    assert caught.value.message == f'Service "other" is invalid: spec.clusterIPs: {text}'


def test_what_is_being_written_is_taken_already_however_long_that_takes(strategy, monkeypatch):
    now = time.monotonic()
    first, second = make("a", clusterIP="10.96.0.10"), make("b", clusterIP="10.96.0.10")
    for obj in (first, second):
        strategy.prepare_for_create(RESOURCE, obj)
    ended = strategy.allocate(RESOURCE, first, None, Reader(), False)
    monkeypatch.setattr(time, "monotonic", lambda: now + 300)
    with pytest.raises(errors.Invalid, match="already allocated"):
        strategy.allocate(RESOURCE, second, None, Reader(), False)
    ended()
    strategy.allocate(RESOURCE, second, None, Reader(), False)


def test_headless_and_external_get_no_address(strategy):
    assert create(strategy, Reader(), clusterIP="None")["spec"]["clusterIPs"] == ["None"]
    spec = create(strategy, Reader(), type="ExternalName", externalName="example.com")["spec"]
    assert "clusterIP" not in spec and "ipFamilies" not in spec


def test_node_ports(strategy):
    reader = Reader()
    ports = [{"name": "a", "port": 53, "protocol": "UDP"}, {"name": "b", "port": 53, "protocol": "TCP"}]
    first = create(strategy, reader, type="NodePort", ports=ports)["spec"]["ports"]
    assert first[0]["nodePort"] == first[1]["nodePort"] and 30000 <= first[0]["nodePort"] <= 30100
    for number, text in (
        (first[0]["nodePort"], "provided port is already allocated"),
        (80, "provided port is not in the valid range. The range of valid ports is 30000-30100"),
    ):
        with pytest.raises(errors.Invalid) as caught:
            create(strategy, reader, "b", type="NodePort", ports=[{"port": 80, "nodePort": number}])
        assert caught.value.causes[0]["message"] == f"Invalid value: {number}: {text}"
        assert caught.value.causes[0]["field"] == "spec.ports[0].nodePort"


def test_an_update_that_says_nothing_keeps_what_was_given(strategy):
    reader = Reader()
    old = create(strategy, reader, type="NodePort")
    new = update(strategy, reader, old, type="NodePort", ports=[{"port": 80}], selector={"a": "b"})
    for field in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "ports"):
        assert new["spec"][field] == old["spec"][field]


def test_type_changes(strategy):
    reader = Reader()
    old = create(strategy, reader, type="NodePort")
    spec = copy.deepcopy(old["spec"])
    back = update(strategy, reader, old, **{**spec, "type": "ClusterIP"})
    assert "nodePort" not in back["spec"]["ports"][0] and "externalTrafficPolicy" not in back["spec"]
    assert back["spec"]["clusterIP"] == old["spec"]["clusterIP"]
    spec = copy.deepcopy(back["spec"])
    away = update(strategy, reader, back, **{**spec, "type": "ExternalName", "externalName": "example.com"})
    assert not away["spec"].keys() & {"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"}
    home = update(strategy, reader, away, **{**copy.deepcopy(away["spec"]), "type": "ClusterIP"})
    assert home["spec"]["externalName"] == "example.com" and home["spec"]["clusterIP"]


def test_node_ports_that_are_not_wanted_can_be_given_back(strategy):
    reader = Reader()
    old = create(strategy, reader, type="LoadBalancer", allocateLoadBalancerNodePorts=True)
    spec = {**copy.deepcopy(old["spec"]), "allocateLoadBalancerNodePorts": False}
    assert update(strategy, reader, old, **copy.deepcopy(spec))["spec"]["ports"] == old["spec"]["ports"]
    spec["ports"][0]["nodePort"] = 0
    assert not update(strategy, reader, old, **spec)["spec"]["ports"][0]["nodePort"]


def test_a_name_outside_shows_no_policy_for_traffic_inside(strategy):
    made = create(strategy, Reader(), type="ExternalName", externalName="a.b", internalTrafficPolicy="Cluster")
    assert "internalTrafficPolicy" not in made["spec"]


def test_node_ports_follow_the_names_of_ports(strategy):
    reader = Reader()
    ports = [{"name": "a", "port": 80}, {"name": "b", "port": 81, "protocol": "UDP"}]
    old = create(strategy, reader, type="NodePort", ports=ports)
    first, second = (port["nodePort"] for port in old["spec"]["ports"])
    assert first != second
    ports = [{"name": "b", "port": 80}, {"name": "c", "port": 81}, {"name": "d", "port": 82, "nodePort": first}]
    new = update(strategy, reader, old, type="NodePort", ports=ports)["spec"]["ports"]
    assert new[0]["nodePort"] == second and new[1]["nodePort"] not in (first, second)


def test_a_dry_run_makes_numbers_up(strategy):
    obj = make(type="LoadBalancer", externalTrafficPolicy="Local")
    strategy.prepare_for_create(RESOURCE, obj)
    strategy.allocate(RESOURCE, obj, None, Reader(), True)
    spec = obj["spec"]
    assert (spec["clusterIP"], spec["ports"][0]["nodePort"], spec["healthCheckNodePort"]) == ("10.96.0.0", 32769, 32770)


def test_who_says_all_addresses_says_the_first_too(strategy):
    obj = make(clusterIPs=["10.96.0.7"])
    strategy.prepare_for_create(RESOURCE, obj)
    assert [str(problem) for problem in strategy.validate(RESOURCE, obj)] == [
        'spec.clusterIPs: Invalid value: ["10.96.0.7"]: must be empty when `clusterIP` is not specified'
    ]


def test_the_health_check_goes_with_the_policy(strategy):
    reader = Reader()
    old = create(strategy, reader, type="LoadBalancer", externalTrafficPolicy="Local")
    assert old["spec"]["healthCheckNodePort"]
    spec = {**copy.deepcopy(old["spec"]), "externalTrafficPolicy": "Cluster"}
    assert "healthCheckNodePort" not in update(strategy, reader, old, **spec)["spec"]
    kept = update(strategy, reader, old, **copy.deepcopy(old["spec"]))
    assert kept["spec"]["healthCheckNodePort"] == old["spec"]["healthCheckNodePort"]


def test_a_policy_goes_with_the_last_way_in_from_outside(strategy):
    reader = Reader()
    old = create(strategy, reader, externalIPs=["192.0.2.9"], externalTrafficPolicy="Cluster")
    spec = {key: value for key, value in copy.deepcopy(old["spec"]).items() if key != "externalIPs"}
    assert "externalTrafficPolicy" not in update(strategy, reader, old, **spec)["spec"]


def test_the_address_never_changes(strategy):
    old = create(strategy, Reader(), clusterIP="10.96.0.10")
    new = copy.deepcopy(old)
    new["spec"].update(clusterIP="10.96.0.200", clusterIPs=["10.96.0.200"])
    assert [str(problem) for problem in strategy.validate_change(RESOURCE, new, old)] == [
        'spec.clusterIPs[0]: Invalid value: ["10.96.0.200"]: may not change once set'
    ]


def test_a_health_check_port(strategy):
    spec = create(strategy, Reader(), type="LoadBalancer", externalTrafficPolicy="Local")["spec"]
    assert 30000 <= spec["healthCheckNodePort"] <= 30100
    assert spec["healthCheckNodePort"] != spec["ports"][0]["nodePort"]


def test_two_families_and_back():
    both, reader = service.Service(["10.96.0.0/24", "fd00:10::/112"], (30000, 30100)), Reader()
    single = create(both, reader, selector={"a": "b"})
    assert single["spec"]["ipFamilies"] == ["IPv4"]
    spec = {**single["spec"], "ipFamilyPolicy": "PreferDualStack"}
    reader.found[0] = wide = update(both, reader, single, **copy.deepcopy(spec))
    first, second = wide["spec"]["clusterIPs"]
    assert (first, wide["spec"]["ipFamilies"]) == (single["spec"]["clusterIP"], ["IPv4", "IPv6"])
    assert ipaddress.ip_address(second) in ipaddress.ip_network("fd00:10::/112")
    narrow = update(both, reader, wide, **{**copy.deepcopy(wide["spec"]), "ipFamilyPolicy": "SingleStack"})
    assert (narrow["spec"]["clusterIPs"], narrow["spec"]["ipFamilies"]) == ([first], ["IPv4"])


def test_the_port_of_health_checks_goes_with_the_policy(strategy):
    reader = Reader()
    local = create(strategy, reader, type="LoadBalancer", externalTrafficPolicy="Local")
    assert local["spec"]["healthCheckNodePort"]
    changed = update(strategy, reader, local, **{**copy.deepcopy(local["spec"]), "externalTrafficPolicy": "Cluster"})
    assert "healthCheckNodePort" not in changed["spec"]
