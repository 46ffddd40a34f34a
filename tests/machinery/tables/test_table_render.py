import datetime

import pytest

from kubeshim.machinery import builtin, resources, tables

NOW = datetime.datetime(2026, 1, 1, 12, 0, 0, tzinfo=datetime.UTC)
META = {"name": "x", "namespace": "d", "creationTimestamp": "2026-01-01T11:00:00Z"}
CONFIG_MAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": META, "data": {"a": "b"}}
CONFIG_MAPS = next(resource for resource in builtin.load() if resource.kind == "ConfigMap")


def custom(*columns):
    return resources.Resource(
        "example.com", "v1", "widgets", "Widget", True, builtin.VERBS, columns=columns, strategy="custom"
    )


@pytest.mark.parametrize(
    ("include", "version", "expected"),
    [
        ("Metadata", "v1", {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": META}),
        (
            "Metadata",
            "v1beta1",
            {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1beta1", "metadata": META},
        ),
        ("Object", "v1", CONFIG_MAP),
        ("None", "v1", None),
    ],
)
def test_table(include, version, expected):
    made = tables.table(CONFIG_MAPS, [CONFIG_MAP], now=NOW, include_object=include, version=version)
    assert (made["kind"], made["apiVersion"]) == ("Table", f"meta.k8s.io/{version}")
    assert made["rows"] == [{"cells": ["x", 1, "60m"], "object": expected}]
    name = made["columnDefinitions"][0]
    assert {key: name[key] for key in ("name", "type", "format", "priority")} == {
        "name": "Name", "type": "string", "format": "name", "priority": 0,
    }  # fmt: skip
    assert name["description"].startswith("Name must be unique within a namespace")


def test_priority_of_wide_columns():
    pods = next(resource for resource in builtin.load() if resource.kind == "Pod")
    shown = {column["name"]: column["priority"] for column in tables.columns(pods)}
    assert shown == {
        "Name": 0, "Ready": 0, "Status": 0, "Restarts": 0, "Age": 0, "IP": 1, "Node": 1, "Nominated Node": 1,
        "Readiness Gates": 1,
    }  # fmt: skip


def test_custom_columns():
    resource = custom(
        resources.Column("Ready", path='.status.conditions[?(@.type=="Ready")].status'),
        resources.Column("Size", type="integer", path=".spec.size"),
        resources.Column("Ratio", type="number", path=".spec.ratio"),
        resources.Column("On", type="boolean", path=".spec.on"),
        resources.Column("Since", type="date", path=".status.since"),
        resources.Column("Missing", path=".spec.missing"),
        resources.Column("Wrong", type="integer", path=".spec.on"),
        resources.Column("Map", path=".spec.map"),
        resources.Column("Bad", type="date", path=".spec.map.a"),
    )
    obj = {
        "metadata": META,
        "spec": {"size": 3, "ratio": 0.5, "on": True, "map": {"a": "b"}},
        "status": {"since": "2026-01-01T11:58:00Z", "conditions": [{"type": "Ready", "status": "True"}]},
    }
    made = tables.table(resource, [obj], now=NOW)
    assert made["rows"][0]["cells"] == ["x", "True", 3, 0.5, True, "2m", None, None, '{"a":"b"}', "<invalid>"]
    assert [column["name"] for column in made["columnDefinitions"]][:3] == ["Name", "Ready", "Size"]


def test_custom_resource_without_columns_shows_its_age():
    made = tables.table(custom(), [{"metadata": META}], now=NOW)
    assert [column["name"] for column in made["columnDefinitions"]] == ["Name", "Age"]
    assert made["rows"][0]["cells"] == ["x", "60m"]


def test_partial():
    assert tables.partial(CONFIG_MAP) == {
        "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": META,
    }  # fmt: skip
