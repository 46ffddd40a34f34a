"""What the server changes of an object before it is stored."""

import pytest

from kubeshim.control_plane.api_server.strategies import persistentvolumeclaim
from tests.control_plane.api_server.strategies.test_strategies import prepared

CLAIM = {"kind": "PersistentVolumeClaim", "name": "a"}
OTHER = {"apiGroup": "example.com", "kind": "Image", "name": "a"}


@pytest.mark.parametrize(
    ("sources", "old", "expected"),
    [
        ({"dataSource": CLAIM}, {}, {"dataSource": CLAIM, "dataSourceRef": CLAIM}),
        ({"dataSourceRef": OTHER}, {}, {"dataSource": OTHER, "dataSourceRef": OTHER}),
        ({"dataSource": OTHER}, {}, {}),
        ({"dataSource": OTHER}, {"dataSource": OTHER}, {"dataSource": OTHER, "dataSourceRef": OTHER}),
        ({"dataSourceRef": {**CLAIM, "namespace": "b"}}, {}, {"dataSourceRef": {**CLAIM, "namespace": "b"}}),
    ],
)
def test_sources_of_claims(sources, old, expected):
    spec = dict(sources)
    persistentvolumeclaim.normalize(spec, old)
    assert spec == expected


@pytest.mark.parametrize(
    ("api_version", "kind", "given", "expected"),
    [
        (
            "v1",
            "ServiceAccount",
            {"secrets": [{"kind": "Secret", "name": "a", "namespace": "b"}]},
            {"secrets": [{"name": "a"}]},
        ),
        (
            "discovery.k8s.io/v1",
            "EndpointSlice",
            {"endpoints": [{"addresses": ["192.0.2.1"], "conditions": {}, "deprecatedTopology": {"zone": "a"}}]},
            {"endpoints": [{"addresses": ["192.0.2.1"], "conditions": {}}]},
        ),
    ],
)
def test_what_is_not_kept(api_version, kind, given, expected):
    _, obj = prepared({"apiVersion": api_version, "kind": kind, "metadata": {"name": "a"}, **given})
    assert {field: obj[field] for field in expected} == expected


def test_a_limit_range_without_a_name_gets_one():
    assert len(prepared({"apiVersion": "v1", "kind": "LimitRange", "metadata": {}})[1]["metadata"]["name"]) == 36


def test_what_this_server_serves_is_available():
    spec = {"group": "example.com", "version": "v1"}
    _, obj = prepared({"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {}, "spec": spec})
    assert obj["status"]["conditions"][0]["reason"] == "Local"
