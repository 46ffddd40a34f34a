import pytest

from kubeshim.machinery import upstream


@pytest.fixture(scope="module")
def shipped():
    return upstream.read()


def nodes(tree):
    if isinstance(tree, dict):
        yield tree
        for child in tree.values():
            yield from nodes(child)
    elif isinstance(tree, list):
        for child in tree:
            yield from nodes(child)


@pytest.mark.parametrize(
    ("restore", "prefix"), [(upstream.v2, "#/definitions/"), (upstream.v3, "#/components/schemas/")]
)
def test_no_restored_document_keeps_a_validators_form(shipped, restore, prefix):
    restored = restore(shipped)
    assert len(restored) == len(shipped)
    for node in nodes(restored):
        assert not isinstance(node.get("type"), list)
        target = node.get("$ref")
        if isinstance(target, str):
            assert target.startswith(prefix)
            assert target.removeprefix(prefix) in restored
    pod = restored["io.k8s.api.core.v1.Pod"]["properties"]
    assert "enum" not in pod["kind"]
    assert "enum" not in pod["apiVersion"]


def test_v2_has_no_defaults_and_describes_references_in_place(shipped):
    restored = upstream.v2(shipped)
    for definition in restored.values():
        for node in [definition, *definition.get("properties", {}).values()]:
            assert "default" not in node
            assert "allOf" not in node
    spec = restored["io.k8s.api.core.v1.Pod"]["properties"]["spec"]
    assert spec["$ref"] == "#/definitions/io.k8s.api.core.v1.PodSpec"
    assert spec["description"].startswith("Specification of the desired behavior")


def test_v3_wraps_references_and_carries_defaults(shipped):
    restored = upstream.v3(shipped)
    spec = restored["io.k8s.api.core.v1.Pod"]["properties"]["spec"]
    assert spec["allOf"] == [{"$ref": "#/components/schemas/io.k8s.api.core.v1.PodSpec"}]
    assert spec["default"] == {}
    containers = restored["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"]
    assert containers["items"] == {
        "allOf": [{"$ref": "#/components/schemas/io.k8s.api.core.v1.Container"}],
        "default": {},
    }
    assert restored["io.k8s.api.core.v1.Container"]["properties"]["name"]["default"] == ""
    assert restored["io.k8s.api.core.v1.ServicePort"]["properties"]["protocol"]["default"] == "TCP"
    creation = restored["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"]["properties"]["creationTimestamp"]
    assert "default" not in creation


def test_quantity_and_int_or_string_get_their_form_back(shipped):
    old, new = upstream.v2(shipped), upstream.v3(shipped)
    assert old[upstream.QUANTITY]["type"] == "string"
    assert "type" not in new[upstream.QUANTITY]
    assert new[upstream.QUANTITY]["oneOf"] == [{"type": "string"}, {"type": "number"}]
    assert (old[upstream.INT_OR_STRING]["type"], old[upstream.INT_OR_STRING]["format"]) == ("string", "int-or-string")
    assert new[upstream.INT_OR_STRING]["oneOf"] == [{"type": "integer"}, {"type": "string"}]
    assert new[upstream.INT_OR_STRING]["format"] == "int-or-string"


def test_restoring_leaves_what_was_read_alone(shipped):
    assert upstream.v3(shipped) == upstream.v3(shipped)
    assert shipped["io.k8s.api.core.v1.Pod"]["properties"]["spec"]["$ref"].startswith("#/$defs/")


def test_every_declared_default_is_of_a_field_that_exists(shipped):
    for definition, field in upstream.EXPLICIT_DEFAULTS:
        assert field in shipped[definition]["properties"]


@pytest.mark.parametrize("restore", [upstream.v2, upstream.v3])
def test_enumerations_are_told(shipped, restore):
    restored = restore(shipped)
    policy = restored["io.k8s.api.core.v1.PodSpec"]["properties"]["restartPolicy"]
    assert policy["enum"] == ["Always", "Never", "OnFailure"]
    assert policy["description"].endswith('Possible enum values:\n - `"Always"`\n - `"Never"`\n - `"OnFailure"`')
    modes = restored["io.k8s.api.core.v1.PersistentVolumeSpec"]["properties"]["accessModes"]
    assert "ReadWriteOnce" in modes["items"]["enum"]
    for definition in restored.values():
        for node in nodes(definition):
            if isinstance(node.get("enum"), list):
                assert all(isinstance(value, str) for value in node["enum"])
