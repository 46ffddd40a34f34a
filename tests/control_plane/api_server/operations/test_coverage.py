"""Every generally available operation, called as the official client calls it.

Each type of object goes through its life in one test: what the list of operations says of it must be what the test
has called. Connections into pods need a kubelet and are refused for want of one here; they stand in
``subresources/test_streams.py`` and ``test_proxy.py``.
"""

import copy
import inspect
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
        self.operations = [one for one in FAMILIES[family] if not one.name.startswith("connect_")]
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
        data, status, headers = catalogue.call(self.client, operation, namespace=self.namespace, **known)
        kind = data["kind"] if isinstance(data, dict) else data.kind
        assert kind in self.answers(operation), (operation, kind)
        return data, status, headers

    def answers(self, operation):
        """The kinds that an operation may answer with."""
        kind, (*_, last) = self.sample["kind"], operation.place
        if operation.method == "DELETE":
            return (f"{kind}List", "Status") if last != "{name}" else (kind, "Status")
        if operation.method == "GET" and len(operation.place) == 1:
            return (f"{kind}List",)
        return ({"scale": "Scale", "token": "TokenRequest"}.get(last, kind),)

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
    if life.family == "v1/namespaces":
        left = life.call(life.find("GET", "{name}"), name=name)[0]
        left.spec.finalizers = []
        life.call(life.find("PUT", "{name}", "finalize"), name=name, body=left)
    elif life.family != "apiextensions.k8s.io/v1/customresourcedefinitions":
        _release(life, name)
    deadline = time.monotonic() + 60
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


def _pod(official, namespace):
    """A pod that is on no node."""
    core = kubernetes.client.CoreV1Api(official)
    spec = {"containers": [{"name": "c", "image": "i"}], "terminationGracePeriodSeconds": 0}
    return core.create_namespaced_pod(namespace, {"metadata": {"name": f"pod-{next(_numbers)}"}, "spec": spec})


_PARTS = {"binding", "eviction", "exec", "attach", "portforward", "proxy", "log", "resize", "ephemeralcontainers"}


def test_the_life_of_a_pod(official, samples, namespace):
    life = Life(official, "v1/pods", samples, namespace)
    life.operations = [one for one in life.operations if not _PARTS & set(one.place)]
    name = life.create()
    _parts(life, name)
    _patches(life, name)
    _collections(life, name)
    assert life.call(life.find("DELETE", "{name}"), name=name)[1] == 200
    again = life.create()
    life.call(life.find("DELETE"), field_selector=f"metadata.name={again}")
    assert {one.name for one in life.operations} == {one.name for one in life.called}


@pytest.mark.parametrize("part", ["resize", "ephemeralcontainers"])
def test_parts_of_pods(official, samples, namespace, part):
    life = Life(official, "v1/pods", samples, namespace)
    life.operations = [one for one in life.operations if one.place[-1] == part]
    name = _pod(official, namespace).metadata.name
    _parts(life, name)
    for operation in [one for one in life.operations if one.method == "PATCH"]:
        body = [{"op": "test", "path": "/metadata/name", "value": name}]
        assert life.call(operation, name=name, body=body, _content_type=_PATCHES[2])[1] == 200
    assert {one.name for one in life.operations} == {one.name for one in life.called}


def test_bindings_and_evictions(official, samples, namespace):
    life = Life(official, "v1/pods", samples, namespace)
    target = {"target": {"kind": "Node", "name": "nowhere"}}
    for part in ("binding", "eviction"):
        name = _pod(official, namespace).metadata.name
        operation = next(one for one in life.operations if one.place[-1] == part)
        body = {"metadata": {"name": name}, **(target if part == "binding" else {})}
        assert _answer(official, operation, name=name, namespace=namespace, body=body) == 201
    name = _pod(official, namespace).metadata.name
    (operation,) = FAMILIES["v1/bindings"]
    body = {"metadata": {"name": name}, **target}
    assert _answer(official, operation, namespace=namespace, body=body) == 201


def _answer(official, operation, **arguments):
    """The status alone: bindings are answered with a Status, which the client would read as a Binding."""
    method = getattr(kubernetes.client.CoreV1Api(official), operation.name)
    return method(**arguments, _preload_content=False).status


def test_component_statuses(official):
    """The parts of the control plane; the client's own calls."""
    core = kubernetes.client.CoreV1Api(official)
    names = [item.metadata.name for item in core.list_component_status().items]
    assert names == ["scheduler", "controller-manager", "etcd-0"]
    assert core.read_component_status("etcd-0").conditions[0].type == "Healthy"


@pytest.mark.parametrize(
    "operation",
    [one for family in FAMILIES.values() for one in family if one.name.startswith("connect_")],
    ids=lambda operation: operation.name,
)  # fmt: skip
def test_connections_to_what_is_not_there(official, namespace, operation):
    """Each door is there, and says that nobody is behind it."""
    with pytest.raises(kubernetes.client.ApiException) as refused:
        catalogue.call(official, operation, name="nobody", namespace=namespace, path="x", command=["y"])
    assert refused.value.status in (400, 404), refused.value.body
    assert refused.value.status == 400 or operation.method == "HEAD" or '"nobody\\" not found' in refused.value.body


_NOT_SERVED = ("/logs", "/apis/internal.apiserver.k8s.io", "/apis/lifecycle.k8s.io")
"""Logs of the host, which nobody reads through us; groups that have alpha versions only."""
GENERAL = [
    one for one in catalogue.general_availability()
    if "{" not in one.path and one.path.count("/") <= 5 and one.name.startswith(("get_", "log_"))
]  # fmt: skip


@pytest.mark.parametrize("operation", GENERAL, ids=lambda operation: operation.path)
def test_documents(official, operation):
    answer = official.call_api(
        "GET", official.configuration.host + operation.path, header_params={"Accept": "application/json"}
    )
    status = answer.response.status if hasattr(answer, "response") else answer.status
    assert status == (404 if operation.path.startswith(_NOT_SERVED) else 200)


CUSTOM = [one for one in catalogue.general_availability() if one.path.startswith("/apis/{group}")]


def _widgets(official, scope):
    """A type of its own for a scope; ``(group, plural)``."""
    plural = "widgets" if scope == "Namespaced" else "clusterwidgets"
    scale = {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {
        "name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema},
        "subresources": {"status": {}, "scale": scale},
    }  # fmt: skip
    names = {"plural": plural, "kind": plural.capitalize(), "singular": plural[:-1]}
    spec = {"group": "custom.example.com", "names": names, "scope": scope, "versions": [version]}
    definitions = kubernetes.client.ApiextensionsV1Api(official)
    definitions.create_custom_resource_definition({"metadata": {"name": f"{plural}.custom.example.com"}, "spec": spec})
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        held = definitions.read_custom_resource_definition(f"{plural}.custom.example.com")
        if any(one.type == "Established" and one.status == "True" for one in held.status.conditions or ()):
            return "custom.example.com", plural, names["kind"]
        time.sleep(0.01)
    raise AssertionError(held)


@pytest.mark.parametrize("scope", ["Namespaced", "Cluster"])
def test_custom_objects(official, namespace, scope):
    """The generic operations, in an order in which each finds what it needs."""
    group, plural, kind = _widgets(official, scope)
    mine = [one for one in CUSTOM if one.method != "GET" or "{resource_plural}" not in one.path]
    mine = [one for one in mine if ("{namespace}" in one.path) is (scope == "Namespaced")]
    body = {"apiVersion": f"{group}/v1", "kind": kind, "metadata": {"name": "w"}, "spec": {"replicas": 1}}
    known = {"group": group, "version": "v1", "plural": plural, "resource_plural": plural, "namespace": namespace}
    objects = kubernetes.client.CustomObjectsApi(official)

    def rank(one):
        order = {"POST": 0, "GET": 1, "PATCH": 2, "PUT": 3, "DELETE": 4 if "{name}" in one.path else 5}
        return order[one.method]

    for operation in sorted(mine, key=rank):
        method = getattr(objects, operation.name)
        accepted = inspect.signature(method).parameters
        arguments = {name: value for name, value in {**known, "name": "w"}.items() if name in accepted}
        if operation.method == "PATCH":
            arguments |= {"body": {"metadata": {"labels": {"a": "b"}}}, "_content_type": _PATCHES[1]}
        elif operation.method == "PUT":
            arguments["body"] = getattr(objects, operation.name.replace("replace_", "get_"))(**arguments)
        elif operation.method == "POST":
            arguments["body"] = body
        assert method(**arguments) is not None, operation.name


def test_nothing_is_left_out():
    """Each operation of the list belongs to one of the tests above."""
    known = {*GENERAL, *CUSTOM, *(one for family in FAMILIES.values() for one in family)}
    apart = {"/logs/{logpath}", "/apis/{group}/{version}"}
    assert {one.path for one in catalogue.general_availability() if one not in known} <= apart
