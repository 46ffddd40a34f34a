import time

import pytest

from kubeshim.machinery import builtin, resources


def test_what_kubernetes_serves_by_default():
    found = builtin.load()
    assert len(found) == 72
    assert len({resource.gvr for resource in found}) == 72
    assert {resource.level for resource in found} == {"ga"}


def test_loading_is_quick():
    start = time.perf_counter()
    builtin.load()
    assert time.perf_counter() - start < 0.5  # about 0.01 on an idle machine


def test_unknown_keys_are_refused():
    entry = {"kind": "Widget", "plural": "widgets", "namespaced": True, "shortnames": ["w"]}
    with pytest.raises(ValueError, match="shortnames"):
        builtin.parse({"group": "example.com", "version": "v1", "resources": [entry]})


def test_views_of_one_store():
    registry = resources.Registry(builtin.load())
    for group, version, plural, prefix in [
        ("autoscaling", "v1", "horizontalpodautoscalers", "/registry/autoscaling/horizontalpodautoscalers/"),
        ("autoscaling", "v2", "horizontalpodautoscalers", "/registry/autoscaling/horizontalpodautoscalers/"),
        ("events.k8s.io", "v1", "events", "/registry/events/"),
        ("", "v1", "events", "/registry/events/"),
    ]:
        assert registry.get(group, version, plural).storage_prefix == prefix
