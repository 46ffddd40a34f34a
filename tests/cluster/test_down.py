import os
import pathlib
import types

import pytest

from kubeshim.cluster import down, host, ranges
from kubeshim.node.kubelet import mounts

TCP = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1
   1: 01001EAC:C350 0500F40A:1F90 01 00000000:00000000 00:00000000 00000000     0        0 2
   2: 01001EAC:C351 0500F40A:1F90 06 00000000:00000000 00:00000000 00000000     0        0 3
   3: 0100007F:C352 0100007F:192B 01 00000000:00000000 00:00000000 00000000     0        0 4
"""


def test_only_established_connections_into_the_clusters_ranges_are_told():
    assert host.connected([ranges.Network("10.244.0.0/16")], TCP) == ["172.30.0.1:50000 → 10.244.0.5:8080"]
    assert host.connected([ranges.Network("10.96.0.0/16")], TCP) == []


MOUNTS = r"""21 1 254:0 / / rw - ext4 /dev/vda rw
40 21 0:44 / /var/lib/kubeshim/a/nodes/n/pods/u/volumes/s rw - tmpfs tmpfs rw
41 40 0:45 / /var/lib/kubeshim/a/nodes/n/pods/u/volumes/s/deeper\040still rw - tmpfs tmpfs rw
42 21 0:46 / /var/lib/kubeshim/ab/x rw - tmpfs tmpfs rw
"""


def test_mounts_are_undone_from_the_inside_out_and_a_neighbours_stay():
    assert mounts.points("/var/lib/kubeshim/a", MOUNTS) == [
        "/var/lib/kubeshim/a/nodes/n/pods/u/volumes/s/deeper still",
        "/var/lib/kubeshim/a/nodes/n/pods/u/volumes/s",
    ]


def test_a_step_that_fails_does_not_keep_the_others_from_being_taken(monkeypatch, tmp_path):
    monkeypatch.setattr(down.layout, "ROOT", tmp_path)
    monkeypatch.setattr(down.processes, "stop", lambda where: (_ for _ in ()).throw(OSError("no")))
    monkeypatch.setattr(down.Down, "remove_containers", lambda self: "none")
    (tmp_path / "x" / "pki").mkdir(parents=True)
    steps: list[str] = []
    warnings = down.remove("x", lambda title, said, seconds: steps.append(title))
    assert warnings == ["stop the components: no"]
    assert "remove files" in steps
    assert not pathlib.Path(tmp_path, "x").exists()


def test_a_container_that_is_made_while_the_others_go_goes_as_well(monkeypatch, tmp_path):
    """The engine was making it for an agent that has been killed meanwhile."""
    monkeypatch.setattr(down.layout, "ROOT", tmp_path)
    late, there = {"Id": "late", "Labels": {}}, [{"Id": "early", "Labels": {}}]

    def remove(engine, name):
        there[:] = [one for one in there if one["Id"] != name]
        if name == "early":
            there.append(late)

    monkeypatch.setattr(down.engine_http, "Engine", lambda _: types.SimpleNamespace(close=lambda: None))
    for name, answer in (
        ("answers", lambda engine: True), ("agree", lambda engine: None), ("networks", lambda engine: []),
        ("containers", lambda engine, labels: list(there)), ("remove_container", remove),
    ):  # fmt: skip
        monkeypatch.setattr(down.holders, name, answer)
    assert down.Down("x", []).remove_containers() == "2 containers"
    assert there == []


@pytest.mark.parametrize("name", ["", "-a", "A", "a_b", "x" * 41, "../x"])
def test_names_that_cannot_be(name):
    from kubeshim.cluster import up

    with pytest.raises(up.UpFailed, match="not a usable name"):
        up.check_name(name)


def test_a_pid_file_is_forgotten_only_where_its_program_does_not_run(tmp_path):
    path = tmp_path / "engine.pid"
    program = pathlib.Path("/proc/self/comm").read_text().strip()
    path.write_text(str(os.getpid()))
    host.forget_dead(path, program)
    assert path.exists()
    host.forget_dead(path, "dockerd")
    assert not path.exists()
    host.forget_dead(path, "dockerd")
