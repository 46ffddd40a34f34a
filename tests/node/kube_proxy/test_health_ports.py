import json
import socket
import urllib.error
import urllib.request

import pytest

from kubeshim.node.kube_proxy import health, services


def frontend(*local):
    return services.Frontend("external", "tcp", "192.0.2.1", 80, (("10.0.0.1", 80),), local, local_only=True)


def ask(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=60) as answer:
            return answer.status, json.load(answer)["localEndpoints"]
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)["localEndpoints"]


def test_a_balancer_hears_of_local_endpoints():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    spec = {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": port}
    ports = health.HealthPorts(lambda function: function(), lambda: True)
    ports.follow({"ns/web": ({"spec": spec}, [frontend(("10.0.0.1", 80), ("10.0.0.1", 81))])})
    assert ask(port) == (200, 1)
    ports.follow({"ns/web": ({"spec": spec}, [frontend()])})
    assert ask(port) == (503, 0)
    ports.follow({"ns/web": ({"spec": {**spec, "externalTrafficPolicy": "Cluster"}}, [frontend()])})
    with pytest.raises(urllib.error.URLError):
        ask(port)
    ports.close()


def balanced(port):
    spec = {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": port}
    return {"spec": spec}, [frontend(("10.0.0.1", 80))]


def test_a_port_goes_from_one_service_to_another_in_whatever_order_they_are_told():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    ports = health.HealthPorts(lambda function: function(), lambda: True)
    ports.follow({"ns/old": balanced(port)})
    ports.follow({"ns/new": balanced(port), "ns/old": (None, [])})
    assert ask(port) == (200, 1) and not ports.lacking
    ports.close()


def test_a_port_that_was_taken_is_still_lacking():
    ports = health.HealthPorts(lambda function: function(), lambda: True)
    with socket.create_server(("0.0.0.0", 0)) as taken:
        port = taken.getsockname()[1]
        ports.follow({"ns/web": balanced(port)})
        assert ports.lacking == {"ns/web"}
    ports.follow({"ns/web": balanced(port)})
    assert ask(port) == (200, 1) and not ports.lacking
    ports.close()
