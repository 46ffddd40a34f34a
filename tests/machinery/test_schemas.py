import pytest

from kubeshim.machinery import builtin, resources, schemas


def schema(group, version, kind):
    found = schemas.definitions().schema(resources.GroupVersionKind(group, version, kind))
    assert found is not None
    return found


def at(node, path):
    for step in path.split("."):
        node = node.items if step == "[]" else node.values if step == "*" else node.properties[step]
    return node


@pytest.mark.parametrize(
    ("kind", "path", "expected"),
    [
        ("Pod", "spec.containers.[].resources.limits.*", "quantity"),
        ("Pod", "spec.containers.[].livenessProbe.httpGet.port", "int-or-string"),
        ("Pod", "metadata.creationTimestamp", "time"),
        ("Event", "eventTime", "micro-time"),
        ("Secret", "data.*", "bytes"),
        ("Secret", "stringData.*", "string"),
        ("Pod", "metadata.managedFields.[].fieldsV1", "fields"),
        ("Pod", "spec.nodeSelector", "map"),
        ("Pod", "spec.hostNetwork", "boolean"),
        ("Pod", "spec.priority", "integer"),
        ("PodList", "items.[].spec.containers", "array"),
    ],
)
def test_core_shapes(kind, path, expected):
    assert at(schema("", "v1", kind), path).kind == expected


def test_merging_is_carried():
    spec = at(schema("", "v1", "Pod"), "spec")
    containers = spec.properties["containers"]
    assert (containers.list_type, containers.list_map_keys) == ("map", ("name",))
    assert (containers.patch_strategy, containers.patch_merge_key) == (("merge",), "name")
    ports = at(containers, "[].ports")
    assert ports.list_map_keys == ("containerPort", "protocol")
    assert at(ports, "[].protocol").default == "TCP"
    assert spec.properties["volumes"].patch_strategy == ("merge", "retainKeys")
    assert at(schema("apps", "v1", "Deployment"), "spec.strategy").patch_strategy == ("retainKeys",)
    assert at(schema("apps", "v1", "Deployment"), "spec.selector").map_type == "atomic"
    assert at(schema("", "v1", "Pod"), "metadata.finalizers").list_type == "set"


def test_definitions_are_shared_and_recursion_ends():
    assert at(schema("", "v1", "Pod"), "metadata") is at(schema("", "v1", "Secret"), "metadata")
    props = at(
        schema("apiextensions.k8s.io", "v1", "CustomResourceDefinition"), "spec.versions.[].schema.openAPIV3Schema"
    )
    assert at(props, "properties.*") is at(props, "properties.*.properties.*")
    assert at(props, "items").kind == "any"


def test_every_built_in_kind_and_its_list_has_a_shape():
    for resource in builtin.load():
        assert schemas.definitions().schema(resource.gvk) is not None, resource.gvk
        if "list" in resource.verbs:
            listed = resources.GroupVersionKind(resource.group, resource.version, resource.list_kind)
            assert schemas.definitions().schema(listed) is not None, listed
        for subresource in resource.subresources.values():
            if not subresource.kind.kind.endswith("Options"):
                assert schemas.definitions().schema(subresource.kind) is not None, subresource


def test_kinds_that_belong_to_no_group():
    options = schema("", "v1", "DeleteOptions")
    assert options is schema("apps", "v1", "DeleteOptions") is schema("meta.k8s.io", "v1", "DeleteOptions")
    assert schemas.definitions().schema(resources.GroupVersionKind("meta.k8s.io", "v1", "Pod")) is None


def test_unknown_kind():
    assert schemas.definitions().schema(resources.GroupVersionKind("", "v1", "Nothing")) is None


def test_custom_resource_shapes():
    shape = schemas.from_structural(
        {
            "type": "object",
            "properties": {
                "spec": {
                    "type": "object",
                    "required": ["size"],
                    "properties": {
                        "size": {"x-kubernetes-int-or-string": True},
                        "replicas": {"type": "integer", "default": 1, "minimum": 0},
                        "mode": {"type": "string", "enum": ["a", "b"], "nullable": True},
                        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                        "anything": {"x-kubernetes-preserve-unknown-fields": True},
                        "template": {"type": "object", "x-kubernetes-embedded-resource": True},
                        "ports": {
                            "type": "array",
                            "x-kubernetes-list-type": "map",
                            "x-kubernetes-list-map-keys": ["port"],
                            "items": {"type": "object", "properties": {"port": {"type": "integer"}}},
                        },
                    },
                }
            },
        }
    )
    spec = at(shape, "spec")
    kinds = {name: child.kind for name, child in spec.properties.items()}
    assert kinds == {
        "size": "int-or-string", "replicas": "integer", "mode": "string", "labels": "map", "free": "object",
        "anything": "any", "template": "object", "ports": "array",
    }  # fmt: skip
    assert spec.required == ("size",)
    assert (at(spec, "replicas").has_default, at(spec, "replicas").default) == (True, 1)
    assert at(spec, "replicas").extra == {"minimum": 0}
    assert at(spec, "mode").nullable
    assert list(at(spec, "mode").enum) == ["a", "b"]
    assert at(spec, "free").preserve_unknown
    assert at(spec, "ports").list_map_keys == ("port",)
    meta = schemas.definitions().schema_of("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta")
    assert at(shape, "metadata") is meta
    assert at(spec, "template.metadata") is meta
    assert "metadata" not in spec.properties
