"""Endpoints are made in the form in which the server keeps them: nothing is written twice."""

import pytest

from kubeshim.control_plane.controller_manager.controllers import endpoints
from kubeshim.machinery import endpoint_subsets


def pod(name, ip, port, *, ready=True):
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    ports = [{"name": "web", "containerPort": port}]
    return {
        "metadata": {"name": name, "namespace": "n", "uid": name},
        "spec": {"containers": [{"name": "c", "ports": ports}]},
        "status": {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}], "conditions": conditions},
    }


def service(*ports):
    return {"metadata": {"name": "s", "namespace": "n"}, "spec": {"ports": list(ports), "ipFamilies": ["IPv4"]}}


HTTP, DNS = {"name": "http", "port": 80, "targetPort": 8080}, {"name": "dns", "port": 53, "targetPort": 53}
NAMED = {"name": "web", "port": 81, "targetPort": "web"}
TWO = [pod("a", "10.0.0.2", 9000), pod("b", "10.0.0.1", 9001, ready=False)]


@pytest.mark.parametrize(
    ("ports", "pods", "expected"),
    [
        ([HTTP, DNS], TWO, [(["10.0.0.2"], ["10.0.0.1"], [53, 8080])]),
        ([HTTP, NAMED], TWO, [(["10.0.0.2"], [], [9000]), (["10.0.0.2"], ["10.0.0.1"], [8080]),
                              ([], ["10.0.0.1"], [9001])]),
        ([], TWO, [(["10.0.0.2"], ["10.0.0.1"], [])]),
        ([HTTP], [], []),
    ],
)  # fmt: skip
def test_form(ports, pods, expected):
    made = endpoints.build(service(*ports), pods, None).get("subsets") or []
    shown = [
        (
            [one["ip"] for one in subset.get("addresses", ())],
            [one["ip"] for one in subset.get("notReadyAddresses", ())],
            sorted(port["port"] for port in subset.get("ports", ())),
        )
        for subset in made
    ]
    assert sorted(shown, key=lambda one: one[2]) == sorted(expected, key=lambda one: one[2])
    assert endpoint_subsets.repacked(made) == made
