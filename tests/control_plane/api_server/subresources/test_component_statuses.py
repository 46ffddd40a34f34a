"""The control plane's parts, by the Leases they hold."""

import datetime

import pytest

from kubeshim.control_plane.api_server.subresources import component_statuses

NOW = datetime.datetime(2026, 1, 1, 12, 0, 0, tzinfo=datetime.UTC)


def lease(holder="a", renewed="2026-01-01T11:59:50.000000Z", seconds=15):
    return {"spec": {"holderIdentity": holder, "renewTime": renewed, "leaseDurationSeconds": seconds}}


@pytest.mark.parametrize(
    ("held", "problem"),
    [
        (None, "nobody holds the component's Lease"),
        (lease(holder=""), "nobody holds the component's Lease"),
        (lease(), ""),
        (lease(renewed="2026-01-01T11:59:00.000000Z"), "the component's Lease was last renewed 60s ago"),
    ],
)
def test_what_a_lease_tells(held, problem):
    assert component_statuses.lease_problem(held, NOW) == problem


def test_over_http(secure):
    found = secure.ask("GET", "/api/v1/componentstatuses")
    assert 'deprecated in v1.19+"' in found.headers["Warning"]
    assert [item["metadata"]["name"] for item in found.body["items"]] == ["scheduler", "controller-manager", "etcd-0"]
    store = secure.ask("GET", "/api/v1/componentstatuses/etcd-0").body
    assert store["conditions"] == [{"type": "Healthy", "status": "True", "message": "ok"}]
    absent = secure.ask("GET", "/api/v1/componentstatuses/scheduler").body
    assert absent["conditions"][0]["status"] == "False"
    unknown = secure.ask("GET", "/api/v1/componentstatuses/x")
    assert (unknown.status, unknown.body["message"]) == (500, "Component not found: x")
    one = secure.ask("GET", "/api/v1/componentstatuses?fieldSelector=metadata.name%3Detcd-0").body["items"]
    assert [item["metadata"]["name"] for item in one] == ["etcd-0"]
