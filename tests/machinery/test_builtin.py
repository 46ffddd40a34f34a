import pytest

from kubeshim.machinery import builtin, resources


def test_what_kubernetes_serves_by_default():
    found = builtin.load()
    assert len(found) == 72
    assert len({resource.gvr for resource in found}) == 72
    assert {resource.level for resource in found} == {"ga"}


@pytest.mark.parametrize(("key", "value"), [("shortnames", ["w"]), ("short_names", [False])])
def test_mistakes_in_a_file_are_refused(key, value):
    entry = {"kind": "Widget", "plural": "widgets", "namespaced": True, key: value}
    with pytest.raises(ValueError, match="Widget"):
        builtin.parse({"group": "example.com", "version": "v1", "resources": [entry]})


def test_the_short_name_of_nodes_is_a_text():
    assert [resource.short_names for resource in builtin.load() if resource.kind == "Node"] == [("no",)]


def test_views_of_one_store():
    registry = resources.Registry(builtin.load())
    for group, version, plural, prefix in [
        ("autoscaling", "v1", "horizontalpodautoscalers", "/registry/autoscaling/horizontalpodautoscalers/"),
        ("autoscaling", "v2", "horizontalpodautoscalers", "/registry/autoscaling/horizontalpodautoscalers/"),
        ("events.k8s.io", "v1", "events", "/registry/events/"),
        ("", "v1", "events", "/registry/events/"),
    ]:
        assert registry.get(group, version, plural).storage_prefix == prefix


@pytest.mark.parametrize(
    ("group", "plural", "key"),
    [
        ("apps", "deployments", "/registry/deployments/shop/a"),
        ("", "services", "/registry/services/specs/shop/a"),
        ("", "nodes", "/registry/minions/a"),
        ("networking.k8s.io", "ingresses", "/registry/ingress/shop/a"),
        ("events.k8s.io", "events", "/registry/events/shop/a"),
        ("apiregistration.k8s.io", "apiservices", "/registry/apiregistration.k8s.io/apiservices/a"),
    ],
)
def test_keys_are_told_as_upstream_has_them(group, plural, key):
    assert resources.Registry(builtin.load()).get(group, "v1", plural).told_key("shop", "a") == key


def test_types_can_be_keys():
    """What is derived from a type is cached under it."""
    assert len({resource: resource.plural for resource in builtin.load() + builtin.load()}) == 72
