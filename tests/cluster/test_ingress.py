import pytest

from kubeshim.cluster import components, configuration, ingress, layout, ranges

NET = ranges.Network


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("8080:80", "127.0.0.1:8080:80"), ("8443:443", "127.0.0.1:8443:443"), ("0.0.0.0:80:80", "0.0.0.0:80:80")],
)
def test_published(text, wanted):
    assert ingress.published(text) == wanted


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("8080", "what is expected is"),
        ("a:80", "what is expected is"),
        ("70000:80", "what is expected is"),
        ("5432:5432", "what is expected is"),
        ("localhost:8080:80", "localhost is not an IPv4 address"),
    ],
)
def test_what_cannot_be_published(text, message):
    with pytest.raises(ingress.IngressError, match=message):
        ingress.published(text)


def test_without_haproxy_up_says_what_to_install(monkeypatch):
    monkeypatch.setattr(ingress.shutil, "which", lambda *_, **__: None)
    with pytest.raises(ingress.IngressError, match="apt-get install haproxy"):
        ingress.program()


def test_the_configuration_keeps_it_and_the_first_node_runs_it(tmp_path):
    chosen = ranges.Ranges(NET("10.244.0.0/16"), NET("10.96.0.0/16"), NET("172.30.0.0/24"))
    config = configuration.complete("c", {}, chosen, 6443, 2)
    config = configuration.dataclasses.replace(config, ingress=True, published=("127.0.0.1:8443:443",))
    configuration.save(config, tmp_path / "cluster.json")
    assert configuration.load(tmp_path / "cluster.json") == config
    everything = components.everything(config, layout.Layout(tmp_path), {"c-node-1": 11, "c-node-2": 12})
    sockets = next(entry["sockets"] for entry in everything if entry["name"] == "ingress")
    inside = {"netnsPid": 11, "address": config.nodes[0].address}
    assert sockets == [
        {"name": "http", "port": 80, **inside},
        {"name": "https", "port": 443, **inside},
        {"name": "https", "port": 8443, "address": "127.0.0.1"},
    ]
