"""Every generally available operation, called as the official client calls it.

Each type of object goes through its life in one test: what the list of operations says of it must be what the test
has called. Connections into pods need a kubelet and are refused for want of one here; they stand in
``subresources/test_streams.py`` and ``test_proxy.py``.
"""

import copy
import itertools
import time

import kubernetes
import pytest

from tests.control_plane.api_server.operations import catalogue, certificates

FAMILIES = catalogue.families()
_REVIEWS = tuple(name for name in FAMILIES if name.split("/")[-1].endswith("reviews"))
_APART = {"v1/bindings", "v1/componentstatuses", "v1/pods", "{group}/{version}/*"}
_PATCHES = ("application/strategic-merge-patch+json", "application/merge-patch+json", "application/json-patch+json")
_numbers = itertools.count()


@pytest.fixture(scope="module")
def samples():
    return catalogue.samples(certificates.replacements())


class Life:
    """Calls operations of one type and remembers which."""

    def __init__(self, client, family, samples, namespace):
        self.client, self.family, self.namespace = client, family, namespace
        self.operations = FAMILIES[family]
        self.called = set()
        group, version = self.operations[0].group_version
        resource = next(
            one
            for one in kubernetes.client.CustomObjectsApi(client).get_api_resources(group, version).resources
            if one.name == self.operations[0].place[0]
        ) if group else next(
            one
            for one in kubernetes.client.CoreV1Api(client).get_api_resources().resources
            if one.name == self.operations[0].place[0]
        )  # fmt: skip
        self.sample = {"apiVersion": f"{group}/{version}" if group else version, "kind": resource.kind}
        self.sample |= samples[family] or {}

    def new(self):
        """A body that has not been sent yet."""
        made = copy.deepcopy(self.sample)
        made.setdefault("metadata", {}).setdefault("name", f"coverage-{next(_numbers)}")
        return made

    def find(self, method, *place, anywhere=False):
        """The operation at a place such as ``{name}, status``; None where there is none."""
        for one in self.operations:
            everywhere = "{namespace}" not in one.path
            if one.method == method and one.place[1:] == list(place) and (not anywhere or everywhere):
                return one
        return None

    def call(self, operation, **known):
        self.called.add(operation)
        return catalogue.call(self.client, operation, namespace=self.namespace, **known)

    def create(self):
        body = self.new()
        data, status, _ = self.call(self.find("POST"), body=body)
        assert status == 201
        return data.metadata.name if data.metadata.name else body["metadata"]["name"]


@pytest.mark.parametrize("family", [name for name in FAMILIES if name not in (*_REVIEWS, *_APART)])
def test_the_life_of_an_object(official, samples, namespace, family):
    life = Life(official, family, samples, namespace)
    name = life.create()
    _parts(life, name)
    _patches(life, name)
    _collections(life, name)
    body = kubernetes.client.V1DeleteOptions(grace_period_seconds=0)
    assert life.call(life.find("DELETE", "{name}"), name=name, body=body)[1] == 200
    _wait_until_gone(life, name)
    if life.find("DELETE"):
        again = life.create()
        life.call(life.find("DELETE"), field_selector=f"metadata.name={again}")
    assert {one.name for one in life.operations} == {one.name for one in life.called}


def _wait_until_gone(life, name):
    """Definitions of types take their objects with them first."""
    if life.family != "apiextensions.k8s.io/v1/customresourcedefinitions":
        _release(life, name)
    deadline = time.monotonic() + 10
    with pytest.raises(kubernetes.client.ApiException, match="404"):
        while time.monotonic() < deadline:
            life.call(life.find("GET", "{name}"), name=name)
            time.sleep(0.01)


def _release(life, name):
    """There is no controller here that would clear the finalizers of what is protected while it is in use."""
    body = {"metadata": {"finalizers": None}}
    try:
        life.call(life.find("PATCH", "{name}"), name=name, body=body, _content_type=_PATCHES[1])
    except kubernetes.client.ApiException as problem:
        assert problem.status == 404


def _parts(life, name):
    """Reading and replacing the object and what hangs on it."""
    for operation in [one for one in life.operations if one.method == "GET" and one.place[1:2] == ["{name}"]]:
        part = operation.place[1:]
        assert life.call(operation, name=name)[1] == 200
        if replace := life.find("PUT", *part):
            _replace(life, operation, replace, name)
    for operation in [one for one in life.operations if one.method == "PUT" and one not in life.called]:
        # a part that can only be written: namespaces' finalize
        data = life.call(life.find("GET", "{name}"), name=name)[0]
        assert life.call(operation, name=name, body=data)[1] == 200
    if post := life.find("POST", "{name}", "token"):
        assert life.call(post, name=name, body={"spec": {"audiences": ["a"]}})[0].status.token


def _replace(life, read, replace, name):
    """Sends an object back; the server itself may write to it meanwhile (conditions of definitions)."""
    for _ in range(5):
        data = life.call(read, name=name)[0]
        try:
            assert life.call(replace, name=name, body=data)[1] == 200
            return
        except kubernetes.client.ApiException as problem:
            assert problem.status == 409
    raise AssertionError("always in conflict")


def _patches(life, name):
    for operation in [one for one in life.operations if one.method == "PATCH"]:
        part = operation.place[1:]
        for kind in _PATCHES:
            body = {"metadata": {"annotations": {"kind": kind}}}
            if kind.startswith("application/json-patch"):
                body = [{"op": "test", "path": "/metadata/name", "value": name}]
            assert life.call(operation, name=name, body=body, _content_type=kind)[1] == 200
        if part[-1] == "scale":
            applied = {"apiVersion": "autoscaling/v1", "kind": "Scale", "spec": {"replicas": 0}}
        else:
            applied = {key: life.sample[key] for key in ("apiVersion", "kind")}
        applied["metadata"] = {"name": name}
        options = {"field_manager": "coverage", "force": True, "_content_type": "application/apply-patch+yaml"}
        assert life.call(operation, name=name, body=applied, **options)[1] == 200


def _collections(life, name):
    for operation in [one for one in life.operations if one.method == "GET" and one not in life.called]:
        data, status, _ = life.call(operation, field_selector=f"metadata.name={name}")
        assert status == 200
        assert [item.metadata.name for item in data.items] == [name], operation
        method = getattr(catalogue.api(life.client, *operation.group_version), operation.name)
        where = {"namespace": life.namespace} if "{namespace}" in operation.path else {}
        selected = {"field_selector": f"metadata.name={name}", "timeout_seconds": 5}
        watch = kubernetes.watch.Watch(return_type=object)  # its own guess at the type is wrong for resource claims
        for event in watch.stream(method, **where, **selected):
            assert (event["type"], event["raw_object"]["metadata"]["name"]) == ("ADDED", name)
            watch.stop()


@pytest.mark.parametrize("family", _REVIEWS)
def test_reviews_answer_at_once(official, samples, namespace, family):
    life = Life(official, family, samples, namespace)
    (operation,) = life.operations
    body = {key: value for key, value in life.new().items() if key != "metadata"}
    assert life.call(operation, body=body)[1] == 201
