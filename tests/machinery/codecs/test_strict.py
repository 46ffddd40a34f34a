import pytest

from kubeshim.machinery import errors, resources, schemas
from kubeshim.machinery.codecs import bodies, negotiation, strict

DEPLOYMENT = resources.GroupVersionKind("apps", "v1", "Deployment")
POD = resources.GroupVersionKind("", "v1", "Pod")


def schema(gvk):
    found = schemas.definitions().schema(gvk)
    assert found is not None
    return found


def test_unknown_and_duplicate_fields_in_document_order():
    body = (
        b'{"unknown":1,"spec":{"dup":1,"dup":2,"paused":true,"paused":false,'
        b'"template":{"spec":{"containers":[{"nested":1,"image":"a","image":"b"}]}},"x":{}}}'
    )
    obj, duplicates = bodies.read(body, negotiation.JSON, DEPLOYMENT, strictly=True)
    assert strict.problems(obj, schema(DEPLOYMENT), duplicates) == [
        'unknown field "unknown"', 'unknown field "spec.dup"', 'duplicate field "spec.paused"',
        'unknown field "spec.template.spec.containers[0].nested"',
        'duplicate field "spec.template.spec.containers[0].image"', 'unknown field "spec.x"',
    ]  # fmt: skip


def test_field_validation():
    warnings = []
    obj = {"apiVersion": "v1", "kind": "Pod", "spec": {"foo": 1, "nodeName": "n"}}
    with pytest.raises(errors.BadRequest) as caught:
        bodies.check(obj, schema(POD), [], "Strict", warnings.append, POD)
    assert caught.value.message == (
        'Pod in version "v1" cannot be handled as a Pod: strict decoding error: unknown field "spec.foo"'
    )
    bodies.check(obj, schema(POD), [], "Warn", warnings.append, POD)
    assert warnings == ['unknown field "spec.foo"']
    assert obj["spec"] == {"nodeName": "n", "containers": None}


def test_yaml_errors_become_one_warning_a_line():
    text = 'yaml: unmarshal errors:\n  line 4: key "c" already set in map\n  line 5: key "a" already set in map'
    assert strict.warnings([text, 'unknown field "x"']) == [
        'line 4: key "c" already set in map', 'line 5: key "a" already set in map', 'unknown field "x"',
    ]  # fmt: skip


def test_pruning_gives_the_form_of_gos_structs():
    obj = {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "creationTimestamp": None, "labels": {}},
        "spec": {
            "hostNetwork": False, "nodeName": "", "automountServiceAccountToken": False, "priority": None,
            "bogus": 1, "tolerations": [], "nodeSelector": {"a": ""},
            "containers": [{"name": "c", "args": [], "stdin": False, "ports": [{"containerPort": 1, "hostPort": 0}],
                            "securityContext": {"runAsUser": 0}, "livenessProbe": {"periodSeconds": 0}}],
        },
    }  # fmt: skip
    strict.prune(obj, schema(POD))
    assert obj == {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"},
        "spec": {
            "automountServiceAccountToken": False, "nodeSelector": {"a": ""},
            "containers": [{"name": "c", "ports": [{"containerPort": 1}], "securityContext": {"runAsUser": 0},
                            "livenessProbe": {}, "resources": {}}],
        },
        "status": {},
    }  # fmt: skip


def test_pruning_custom_resources():
    leaf = schemas.Schema("string")
    root = schemas.Schema(
        "object",
        {
            "spec": schemas.Schema(
                "object",
                {
                    "a": leaf, "n": schemas.Schema("string", nullable=True),
                    "free": schemas.Schema("object", {"known": leaf}, preserve_unknown=True),
                    "list": schemas.Schema("array", items=schemas.Schema("object", {"a": leaf})),
                    "map": schemas.Schema("map", values=schemas.Schema("object", {"a": leaf})),
                },
            ),
        },
        embedded_resource=True,
    )  # fmt: skip
    obj = {
        "apiVersion": "x/v1", "kind": "X", "metadata": {"any": 1}, "other": 1,
        "spec": {
            "a": None, "n": None, "b": 1, "free": {"known": "", "y": {"z": None}}, "list": [{"a": "", "c": 1}],
            "map": {"k": {"a": "1", "d": 2}},
        },
    }  # fmt: skip
    assert strict.unknown_fields(obj, root) == [
        'unknown field "other"', 'unknown field "spec.b"', 'unknown field "spec.list[0].c"',
        'unknown field "spec.map.k.d"',
    ]  # fmt: skip
    strict.prune(obj, root)
    assert obj == {
        "apiVersion": "x/v1", "kind": "X", "metadata": {"any": 1},
        "spec": {"n": None, "free": {"known": "", "y": {"z": None}}, "list": [{"a": ""}], "map": {"k": {"a": "1"}}},
    }  # fmt: skip


def test_recursive_schemas_and_wrong_types_do_not_matter():
    crd = resources.GroupVersionKind("apiextensions.k8s.io", "v1", "CustomResourceDefinition")
    deep = {"properties": {"a": {"properties": {"b": {"wrong": 1}}}}}
    obj = {"spec": {"versions": [{"schema": {"openAPIV3Schema": deep}}], "names": "not a map"}}
    assert strict.unknown_fields(obj, schema(crd)) == [
        'unknown field "spec.versions[0].schema.openAPIV3Schema.properties.a.properties.b.wrong"'
    ]


UNRECOGNIZED = (
    "the object provided is unrecognized (must be of type Pod): couldn't get version/kind; json parse error: "
)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", UNRECOGNIZED + "unexpected end of JSON input (<empty>)"),
        (b'{"kind":"Pod","metadata":{"name":"x"',
         UNRECOGNIZED + 'unexpected end of JSON input ({"kind":"Pod","metadata":{"nam ...)'),
        (b"[]", UNRECOGNIZED + "json: cannot unmarshal array into Go value of type struct (5b5d)"),
        (b'{"apiVersion":"v2"}',
         'Pod in version "v2" cannot be handled as a Pod: no kind "Pod" is registered for version "v2" in scheme '
         '"pkg/api/legacyscheme/scheme.go:30"'),
    ],
)  # fmt: skip
def test_bodies_that_are_no_pods(body, message):
    with pytest.raises(errors.BadRequest) as caught:
        bodies.read(body, negotiation.JSON, POD, strictly=True)
    assert caught.value.message == message


def test_kind_and_version_are_filled_in():
    obj, _ = bodies.read(b'{"metadata":{"name":"a"},"kind":"Pod"}', negotiation.JSON, POD, strictly=False)
    assert list(obj.items()) == [("apiVersion", "v1"), ("kind", "Pod"), ("metadata", {"name": "a"})]


def test_structs_at_the_top_are_always_there():
    obj = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}}
    strict.fill(obj, schema(resources.GroupVersionKind("", "v1", "Service")))
    assert obj["status"] == {"loadBalancer": {}}
    assert obj["spec"] == {}


def test_an_unset_time_that_go_always_writes_is_null():
    event = {"apiVersion": "v1", "kind": "Event", "source": {"component": "kubelet"}}
    strict.fill(event, schemas.definitions().schema(resources.GroupVersionKind("", "v1", "Event")))
    assert event["eventTime"] is None
    assert event["involvedObject"] == {}


@pytest.mark.parametrize(
    ("gvk", "given", "form"),
    [
        (("rbac.authorization.k8s.io", "v1", "ClusterRole"), {}, {"rules": None}),
        (("rbac.authorization.k8s.io", "v1", "ClusterRole"), {"rules": [None]}, {"rules": [{"verbs": None}]}),
        (("", "v1", "Pod"), {"metadata": {"labels": {"a": None}}}, {"metadata": {"labels": {"a": ""}}}),
        (
            ("", "v1", "Node"),
            {"status": {"capacity": {"cpu": None}, "images": [{}]}},
            {"status": {"capacity": {"cpu": "0"}, "images": [{"names": None}]}},
        ),
        (
            ("apps", "v1", "Deployment"),
            {"status": {"conditions": [{"type": "A"}]}},
            {"status": {"conditions": [
                {"type": "A", "status": "", "lastUpdateTime": None, "lastTransitionTime": None},
            ]}},
        ),
        (
            ("", "v1", "Pod"),
            {"status": {"containerStatuses": [{"name": "c"}]}},
            {"status": {"containerStatuses": [
                {"name": "c", "ready": False, "restartCount": 0, "image": "", "imageID": "", "state": {}, "lastState": {}},  # noqa: E501
            ]}},
        ),
        (("authentication.k8s.io", "v1", "TokenRequest"), {"spec": {}}, {
            "spec": {"audiences": None, "expirationSeconds": None, "boundObjectRef": None},
        }),
    ],
)  # fmt: skip
def test_what_go_writes_although_nothing_is_set(gvk, given, form):
    strict.prune(given, schema(resources.GroupVersionKind(*gvk)))
    assert _within(form, given), given


def _within(form, given):
    """Everything of ``form`` is in ``given``, lists entry by entry."""
    if isinstance(form, dict):
        return given.__class__ is dict and all(
            key in given and _within(value, given[key]) for key, value in form.items()
        )
    if isinstance(form, list):
        return len(form) == len(given) and all(map(_within, form, given))
    return form == given and form.__class__ is given.__class__
