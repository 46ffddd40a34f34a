import pytest

from kubeshim.cluster import configuration, ranges, resolution

NET = ranges.Network


def config(name, domain="cluster.local"):
    chosen = ranges.Ranges(NET("10.244.0.0/16"), NET("10.96.0.0/16"), NET("172.30.0.0/24"))
    document = {"networking": {"dnsDomain": domain}}
    return configuration.complete(name, document, chosen, 6443, 1)


def test_advice_names_the_server_and_the_domain():
    text = resolution.advice(config("one", "k.test"))
    assert "DNS=10.96.0.10\n" in text
    assert "Domains=~k.test\n" in text
    assert "server=/k.test/10.96.0.10\n" in text
    assert "nameserver 10.96.0.10\n" in text


def test_the_drop_in_comes_and_goes(tmp_path, monkeypatch):
    monkeypatch.setattr(resolution, "reload_resolver", lambda: None)
    directory = tmp_path / "resolved.conf.d"
    path = resolution.install(config("one"), directory, tmp_path)
    assert path.read_text() == resolution.drop_in(config("one"))
    assert resolution.install(config("one"), directory, tmp_path) == path
    with pytest.raises(resolution.ResolutionError, match=r"kubeshim-one.conf sends cluster.local to another"):
        resolution.install(config("two"), directory, tmp_path)
    resolution.install(config("two", "two.test"), directory, tmp_path)
    assert resolution.remove("one", directory)
    assert not resolution.remove("one", directory)
    assert [entry.name for entry in directory.iterdir()] == ["kubeshim-two.conf"]


def test_nothing_is_installed_where_nobody_would_read_it(tmp_path):
    with pytest.raises(resolution.ResolutionError, match="systemd-resolved does not run"):
        resolution.install(config("one"), tmp_path, tmp_path / "none")
