"""Objects that show what the server does itself: addresses, APIServices, the server's identity, ranges."""

import gevent
import pytest

from kubeshim.control_plane.api_server import config
from kubeshim.control_plane.api_server import server as servers
from kubeshim.control_plane.api_server.background import addresses, api_services, identity, service_cidr, start_up
from kubeshim.machinery import errors, objects, resources

RANGES = service_cidr.RANGES


@pytest.fixture
def server(tmp_path):
    settings = config.Config(tmp_path, store="memory:", advertise_address="192.0.2.1", service_range="10.96.0.0/24")
    made = servers.Server(settings, servers.open_store(settings))
    made.start()
    for _, step in start_up.STEPS:
        step(made)
    yield made
    made.stop()
    made.store.close()


@pytest.fixture
def keeper(server):
    made = addresses.Keeper(server)
    server.storage.subscribe(addresses.SERVICES, made.follow)
    made.repair()
    return made


def service(name="a", **spec):
    spec = {"ports": [{"port": 80}], **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "default"}, "spec": spec}


def shown(server):
    found = server.storage.reader.list(addresses.ADDRESSES)
    return {objects.name(one): one["spec"]["parentRef"]["name"] for one in found}


def test_each_cluster_address_has_an_object_for_as_long_as_a_service_holds_it(server, keeper):
    server.client.create(addresses.SERVICES, service(clusterIP="10.96.0.9"), "default")
    server.client.create(addresses.SERVICES, service("headless", clusterIP="None"), "default")
    keeper.catch_up()
    assert shown(server) == {"10.96.0.9": "a"}
    labels = objects.labels(server.client.get(addresses.ADDRESSES, "10.96.0.9"))
    assert labels == {
        "ipaddress.kubernetes.io/ip-family": "IPv4", "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
    }  # fmt: skip
    server.client.delete(addresses.SERVICES, "a", "default")
    server.client.create(addresses.SERVICES, service("b", clusterIP="10.96.0.9"), "default")
    keeper.catch_up()
    assert shown(server) == {"10.96.0.9": "b"}
    server.client.delete(addresses.SERVICES, "b", "default")
    keeper.catch_up()
    assert shown(server) == {}


def test_what_was_taken_away_or_left_over_is_repaired(server, keeper):
    server.client.create(addresses.SERVICES, service(clusterIP="10.96.0.9"), "default")
    keeper.catch_up()
    server.client.delete(addresses.ADDRESSES, "10.96.0.9")
    server.client.create(addresses.ADDRESSES, addresses.ip_address("10.96.0.10", ("default", "gone")))
    keeper.repair()
    assert shown(server) == {"10.96.0.9": "a"}


def test_an_address_somebody_else_has_claimed_is_not_given_out(server, keeper):
    claimed = addresses.ip_address("10.96.0.9", ("default", "gateway"))
    del claimed["metadata"]["labels"]
    claimed["spec"]["parentRef"] |= {"group": "gateway.networking.k8s.io", "resource": "gateways"}
    server.client.create(addresses.ADDRESSES, claimed)
    with pytest.raises(errors.Invalid, match="provided IP is already allocated"):
        server.client.create(addresses.SERVICES, service(clusterIP="10.96.0.9"), "default")
    keeper.repair()
    assert shown(server) == {"10.96.0.9": "gateway"}


def test_ranges_that_are_added_give_addresses(server):
    asked = service(clusterIP="10.97.0.3")
    with pytest.raises(errors.Invalid, match="the provided network does not match the current range"):
        server.client.create(addresses.SERVICES, asked, "default")
    server.client.create(RANGES, {"metadata": {"name": "more"}, "spec": {"cidrs": ["10.97.0.0/28"]}})
    made = server.client.create(addresses.SERVICES, asked, "default")
    assert made["spec"]["clusterIPs"] == ["10.97.0.3"]


def ready(server, name):
    condition = objects.condition(server.client.get(RANGES, name), "Ready")
    return condition["status"], condition["reason"], condition["message"]


def test_a_range_stays_for_as_long_as_its_addresses_are_in_use(server, keeper):
    assert ready(server, "kubernetes") == ("True", "", "Kubernetes default Service CIDR is ready")
    server.client.create(RANGES, {"metadata": {"name": "more"}, "spec": {"cidrs": ["10.97.0.0/28"]}})
    service_cidr.tend_all(server)
    assert ready(server, "more") == ("True", "", "Kubernetes Service CIDR is ready")
    assert server.client.get(RANGES, "more")["metadata"]["finalizers"] == [service_cidr.FINALIZER]
    server.client.create(addresses.SERVICES, service(clusterIP="10.97.0.3"), "default")
    keeper.catch_up()
    server.client.delete(RANGES, "more")
    service_cidr.tend_all(server)
    status, reason, message = ready(server, "more")
    assert (status, reason) == ("False", "Terminating")
    assert message.startswith("There are still IPAddresses referencing the ServiceCIDR")
    with pytest.raises(errors.Invalid, match="the provided network does not match the current range"):
        server.client.create(addresses.SERVICES, service("late", clusterIP="10.97.0.4"), "default")
    before = server.storage.revision
    service_cidr.tend_all(server)
    assert server.storage.revision == before
    server.client.delete(addresses.SERVICES, "a", "default")
    keeper.catch_up()
    service_cidr.tend_all(server)
    assert server.storage.reader.get(RANGES, "", "more") is None


def test_a_range_is_in_use_before_its_addresses_are_shown(server):
    server.client.create(RANGES, {"metadata": {"name": "more"}, "spec": {"cidrs": ["10.97.0.0/28"]}})
    service_cidr.tend_all(server)
    server.client.create(addresses.SERVICES, service(clusterIP="10.97.0.3"), "default")
    server.client.delete(RANGES, "more")
    service_cidr.tend_all(server)
    assert ready(server, "more")[:2] == ("False", "Terminating")
    server.client.delete(addresses.SERVICES, "a", "default")
    service_cidr.tend_all(server)
    assert server.storage.reader.get(RANGES, "", "more") is None


def test_a_range_that_another_one_covers_may_go(server, keeper):
    for name, cidr in (("small", "10.97.0.0/28"), ("large", "10.97.0.0/24")):
        server.client.create(RANGES, {"metadata": {"name": name}, "spec": {"cidrs": [cidr]}})
    service_cidr.tend_all(server)
    server.client.create(addresses.SERVICES, service(clusterIP="10.97.0.3"), "default")
    keeper.catch_up()
    server.client.delete(RANGES, "small")
    service_cidr.tend_all(server)
    assert server.storage.reader.get(RANGES, "", "small") is None


def test_each_group_version_served_here_has_a_local_api_service(server):
    api_services.ensure(server)
    found = {objects.name(one): one for one in server.storage.reader.list(api_services.API_SERVICES)}
    assert set(found) == {f"{resource.version}.{resource.group}" for resource in server.registry}
    assert found["v1."]["spec"] == {"version": "v1", "groupPriorityMinimum": 18000, "versionPriority": 1}
    apps = found["v1.apps"]
    assert (apps["spec"]["groupPriorityMinimum"], apps["spec"]["versionPriority"]) == (17800, 15)
    condition = objects.condition(apps, "Available")
    assert (condition["status"], condition["reason"]) == ("True", "Local")
    before = server.storage.revision
    api_services.ensure(server)
    assert server.storage.revision == before


def test_those_of_custom_resources_go_with_their_types(server):
    resource = resources.Resource("example.com", "v1", "things", "Thing", True, ())
    made = api_services.api_service("example.com", "v1", "true")
    server.client.create(api_services.API_SERVICES, made)
    assert resource not in server.registry
    api_services.ensure(server)
    assert server.storage.reader.get(api_services.API_SERVICES, "", "v1.example.com") is None


def test_one_that_is_deleted_comes_back_and_one_that_is_being_changed_is_judged_again(server):
    """At once, and not when everything is looked over next."""
    original, overtaken = server.client.update, []

    def update(gvr, obj, **options):
        if gvr == api_services.API_SERVICES and not overtaken:
            overtaken.append(objects.name(obj))
            raise errors.conflict("", "apiservices", objects.name(obj), errors.MODIFIED)
        return original(gvr, obj, **options)

    def available(name):
        found = server.storage.reader.get(api_services.API_SERVICES, "", name)
        return found is not None and objects.condition(found, "Available")

    api_services.ensure(server)
    item = server.client.stored(api_services.API_SERVICES, "v1.apps")
    unjudged = {key: value for key, value in item.obj.items() if key != "status"}
    server.storage.update(server.registry.get(*api_services.API_SERVICES), unjudged, item.revision)
    server.client.update = update
    worker = gevent.spawn(api_services.run, server)
    with gevent.Timeout(30):
        while not available("v1.apps"):
            gevent.sleep(0.005)
        assert overtaken == ["v1.apps"]
        server.client.delete(api_services.API_SERVICES, "v1.apps")
        while not available("v1.apps"):
            gevent.sleep(0.005)
    worker.kill()


def test_the_identity_is_one_lease_that_is_renewed(server):
    identity.renew(server, "host", "me")
    first = server.client.get(identity.LEASES, identity.name("host"), "kube-system")
    assert first["spec"]["leaseDurationSeconds"] == 3600
    gevent.sleep(0)
    identity.renew(server, "host", "me")
    second = server.client.get(identity.LEASES, identity.name("host"), "kube-system")
    assert second["spec"]["renewTime"] > first["spec"]["renewTime"]
    assert objects.labels(second)["apiserver.kubernetes.io/identity"] == "kube-apiserver"
