import socket

import pytest

from kubeshim.cluster import components, configuration, layout, publishing, ranges


def test_what_is_for_the_ingress_controller():
    assert publishing.is_for_ingress("8080:80")
    assert publishing.is_for_ingress("0.0.0.0:8443:443")
    assert not publishing.is_for_ingress("8080:30080")
    assert not publishing.is_for_ingress("8080:web:80"), "a Service's port 80"


def test_each_port_of_the_machine_once():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(publishing.PublishError, match="is taken"):
            publishing.published([f"{port}:30080"])
    found = publishing.published([f"{port}:30080", f"{port}:web:53/udp"])
    assert found == (f"127.0.0.1:{port}:30080/tcp", f"127.0.0.1:{port}:default/web:53/udp")
    assert publishing.published([f"{port}:30080"], found) == found
    with pytest.raises(publishing.PublishError, match="published already"):
        publishing.published([f"{port}:30081"], found)
    with pytest.raises(publishing.PublishError, match=r"5432 is no NodePort"):
        publishing.published(["5432:5432"])


def test_the_configuration_keeps_them_and_a_process_has_their_sockets(tmp_path):
    published = ("127.0.0.1:8080:30080/tcp", "[::1]:53:kube-system/kube-dns:dns/udp")
    config = configuration.complete("c", {}, ranges.choose([]), 6443, 1)
    config = configuration.dataclasses.replace(config, published_services=published)
    configuration.save(config, tmp_path / "cluster.json")
    assert configuration.load(tmp_path / "cluster.json") == config
    everything = components.everything(config, layout.Layout(tmp_path), {})
    assert next(entry["sockets"] for entry in everything if entry["name"] == "publisher") == [
        {"name": "p0", "address": "127.0.0.1", "port": 8080},
        {"name": "p1", "address": "::1", "port": 53, "type": "dgram"},
    ]
