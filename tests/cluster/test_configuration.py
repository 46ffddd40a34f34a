import pytest

from kubeshim.cluster import configuration, ranges


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
