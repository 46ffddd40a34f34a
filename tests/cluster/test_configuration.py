import dataclasses

import pytest

from kubeshim.cluster import configuration, host, ranges


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("40s", 40), ("1m30s", 90), ("1h", 3600), ("100ms", 0.1), ("1.5s", 1.5), ("2h45m", 9900)],
)
def test_durations(text, seconds):
    assert configuration.seconds(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "40", "s", "40 s", "4x", "-1s"])
def test_what_is_no_duration(text):
    with pytest.raises(configuration.ConfigurationError):
        configuration.seconds(text)


def test_an_effective_configuration_survives_being_written(tmp_path):
    made = configuration.complete(
        "dev",
        {"networking": {"dnsDomain": "dev.test"}, "kubelet": {}, "simulatedNodes": 7},
        ranges.choose([]),
        6443,
        3,
    )
    assert made.simulated_nodes == 7
    made = dataclasses.replace(made, engine="/run/other/docker.sock")
    configuration.save(made, tmp_path / "cluster.json")
    assert configuration.load(tmp_path / "cluster.json") == made
    assert [node.name for node in made.nodes] == ["dev-node-1", "dev-node-2", "dev-node-3"]
    assert (tmp_path / "cluster.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(("count", "free"), [(1, 1), (2, 2), (3, 2), (4, 3)])
def test_the_control_plane_node_is_spared_once_there_are_enough(count, free):
    made = configuration.make_nodes("dev", count, ranges.choose([]))
    assert [node.control_plane for node in made] == [True] + [False] * (count - 1)
    assert sum(not node.dedicated for node in made) == free


def test_an_unknown_field_is_named(tmp_path):
    path = tmp_path / "mine.json"
    path.write_text('{"networking": {"podSubnets": "10.0.0.0/8"}}')
    with pytest.raises(configuration.ConfigurationError, match=r"networking: .*podSubnets"):
        configuration.read_user_file(path)


@pytest.mark.parametrize(
    ("named", "path"),
    [("", "/var/run/docker.sock"), ("unix:///run/other/docker.sock", "/run/other/docker.sock")],
)
def test_the_engine_is_the_one_docker_host_names(monkeypatch, named, path):
    monkeypatch.setenv("DOCKER_HOST", named)
    assert host.engine_socket() == path


@pytest.mark.parametrize("named", ["tcp://10.0.0.1:2375", "ssh://there", "unix://relative.sock"])
def test_an_engine_elsewhere_is_refused(monkeypatch, named):
    monkeypatch.setenv("DOCKER_HOST", named)
    with pytest.raises(host.Unfit, match="nodes need an engine on this machine"):
        host.engine_socket()


def test_another_engine_than_the_machines_own_is_not_started(tmp_path):
    with pytest.raises(host.Unfit, match="no Docker engine answers at"):
        host.ensure_engine(str(tmp_path / "docker.sock"))
