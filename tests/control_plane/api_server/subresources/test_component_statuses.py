"""Who of the control plane is well."""

import datetime

import pytest

from kubeshim.control_plane.api_server.subresources import component_statuses

NOW = datetime.datetime(2026, 7, 1, 12, 0, 30, tzinfo=datetime.UTC)
HELD = {"holderIdentity": "me", "leaseDurationSeconds": 15, "renewTime": "2026-07-01T12:00:20.000000Z"}


@pytest.mark.parametrize(
    ("lease", "trouble"),
    [
        ({"spec": HELD}, ""),
        ({"spec": {**HELD, "leaseDurationSeconds": 5}}, "me has not renewed the lease kube-system/x for 10 s"),
        ({"spec": {**HELD, "holderIdentity": ""}}, "nobody holds the lease kube-system/x"),
        (None, "nobody holds the lease kube-system/x"),
    ],
)
def test_problem(lease, trouble):
    assert component_statuses.problem(lease, "x", NOW) == trouble


def test_they_are_listed_and_read(secure):
    path = "/api/v1/componentstatuses"
    listed = secure.ask("GET", path).body
    assert (listed["kind"], [item["metadata"]["name"] for item in listed["items"]]) == (
        "ComponentStatusList",
        ["controller-manager", "scheduler", "etcd-0"],
    )
    healthy = {"type": "Healthy", "status": "True", "message": "ok"}
    one = secure.ask("GET", f"{path}/etcd-0")
    assert one.body["conditions"] == [healthy]
    assert "v1 ComponentStatus is deprecated in v1.19+" in one.headers["Warning"]
    chosen = secure.ask("GET", f"{path}?fieldSelector=metadata.name%3Dscheduler").body["items"]
    assert [item["conditions"][0]["status"] for item in chosen] == ["False"]
    table = secure.ask("GET", path, headers={"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}).body
    assert table["rows"][2]["cells"] == ["etcd-0", "Healthy", "ok", ""]
    refused = secure.ask("GET", f"{path}/other")
    assert (refused.status, refused.body["message"]) == (500, "Component not found: other")
    assert secure.ask("DELETE", f"{path}/etcd-0").status == 405
