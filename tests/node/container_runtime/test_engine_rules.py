"""The pure parts of the Docker runtime: what differs between engines, bodies, records, streams, cgroup paths."""

import pathlib
import socket
import struct
import threading

import pytest

from kubeshim.node.container_runtime import (
    cgroups,
    dialect,
    docker,
    engine_bodies,
    engine_execs,
    engine_http,
    engine_records,
    engine_streams,
    references,
    runtime,
)

ALL = (1 << 41) - 1
FULL = dialect.Machine(ALL, 0, "x86_64")
BOUND = dialect.Machine(ALL & ~(1 << 24), 100, "x86_64")
INFO_20 = {
    "OSType": "linux", "CgroupDriver": "cgroupfs", "CgroupVersion": "1",
    "SecurityOptions": ["name=seccomp,profile=default"],
    "OperatingSystem": "Debian GNU/Linux 12 (bookworm)", "DockerRootDir": "/var/lib/docker", "Driver": "overlay2",
    "DriverStatus": [["Backing Filesystem", "extfs"]], "LiveRestoreEnabled": False,
}  # fmt: skip
INFO_24 = INFO_20 | {
    "CgroupDriver": "systemd", "CgroupVersion": "2", "LiveRestoreEnabled": True,
    "SecurityOptions": ["name=apparmor", "name=seccomp,profile=builtin", "name=cgroupns"],
}  # fmt: skip
INFO_29 = INFO_24 | {
    "Driver": "overlayfs", "DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]],
    "FirewallBackend": {"Driver": "nftables"},
}  # fmt: skip
VERSION_20 = {"Version": "20.10.24+dfsg1", "ApiVersion": "1.41", "MinAPIVersion": "1.12"}
VERSION_24 = {"Version": "24.0.7", "ApiVersion": "1.43", "MinAPIVersion": "1.12"}
VERSION_28 = {"Version": "28.3.2", "ApiVersion": "1.51", "MinAPIVersion": "1.24"}
VERSION_29 = {"Version": "29.0.1", "ApiVersion": "1.52", "MinAPIVersion": "1.44"}


@pytest.mark.parametrize(
    ("info", "version", "api", "driver", "cgroup", "store", "firewall", "trusted"),
    [
        (INFO_20, VERSION_20, "1.41", "cgroupfs", 1, "graph", "iptables", False),
        (INFO_24, VERSION_24, "1.41", "systemd", 2, "graph", "iptables", False),
        (INFO_24, VERSION_28, "1.41", "systemd", 2, "graph", "iptables", True),
        (INFO_29, VERSION_29, "1.44", "systemd", 2, "containerd", "nftables", True),
    ],
    ids=["20.10", "24", "28", "29"],
)
def test_engines_differ_in_these(info, version, api, driver, cgroup, store, firewall, trusted):
    found = dialect.of(info, version, FULL)
    assert (found.api_version, found.cgroup_driver, found.cgroup_version) == (api, driver, cgroup)
    assert (found.image_store, found.firewall, found.trusted_interfaces) == (store, firewall, trusted)
    assert found.seccomp and found.full_privileges and found.oom_score_floor == -1000
    assert ("BPF" in found.capabilities) is (version is not VERSION_20)


def test_without_the_capability_privileges_are_composed():
    found = dialect.of(INFO_20, VERSION_20, BOUND)
    assert not found.full_privileges and "SYS_RESOURCE" not in found.capabilities and found.oom_score_floor == 100
    spec = runtime.ContainerSpec("n", "i", {}, security=runtime.Security(privileged=True))
    host = engine_bodies.container("s", "", spec, found)["HostConfig"]
    assert "Privileged" not in host and "SYS_ADMIN" in host["CapAdd"] and host["MaskedPaths"] == []
    assert host["OomScoreAdj"] == 100


@pytest.mark.parametrize(
    ("change", "version", "words"),
    [
        ({"SecurityOptions": ["name=rootless"]}, VERSION_24, "rootless Docker"),
        ({"OperatingSystem": "Docker Desktop"}, VERSION_28, "Docker Desktop"),
        ({"SecurityOptions": ["name=userns"]}, VERSION_24, "userns-remap"),
        ({"OSType": "windows"}, VERSION_24, "Windows"),
        ({}, {**VERSION_20, "Version": "19.03.5"}, "20.10 to 29"),
        ({}, {**VERSION_29, "Version": "30.0.0"}, "20.10 to 29"),
    ],
)
def test_engines_that_cannot_carry_a_node_are_refused_by_name(change, version, words):
    with pytest.raises(dialect.Unsupported, match=words):
        dialect.of(INFO_24 | change, version, FULL)


@pytest.mark.parametrize(
    ("driver", "version", "engine_parent", "cpu"),
    [
        ("cgroupfs", 1, "/kubeshim/burstable/pod-1", "/r/cpuacct/kubeshim/burstable/pod-1/ID/cpuacct.usage"),
        ("cgroupfs", 2, "/kubeshim/burstable/pod-1", "/r/kubeshim/burstable/pod-1/ID/cpu.stat"),
        ("systemd", 2, "kubeshim-burstable-pod_1.slice",
         "/r/kubeshim.slice/kubeshim-burstable.slice/kubeshim-burstable-pod_1.slice/docker-ID.scope/cpu.stat"),
    ],
)  # fmt: skip
def test_cgroup_paths(driver, version, engine_parent, cpu):
    parent = cgroups.parent_for_engine("kubeshim/burstable/pod-1", driver)
    assert parent == engine_parent
    assert cgroups.files(parent, driver, version, "ID", "/r").cpu == cpu


def test_cgroup_figures():
    found = cgroups.parse(2, "usage_usec 5\nuser_usec 1\n", "100", "anon 30\nfile 50\ninactive_file 40\n", 1.0)
    assert found == runtime.Stats(5000, 100, 60, 30, 1.0, memory_cache=50)
    old = "total_cache 8\ntotal_inactive_file 20\ntotal_rss 3\ntotal_swap 2\n"
    assert cgroups.parse(1, "7\n", "10", old, 1.0) == runtime.Stats(7, 10, 0, 3, 1.0, memory_cache=8, memory_swap=2)


def test_cgroup_throttling():
    assert cgroups.parse_throttling("usage_usec 1\n") is None
    old = cgroups.parse_throttling("nr_periods 9\nnr_throttled 2\nthrottled_time 5000\n")
    new = cgroups.parse_throttling("usage_usec 1\nnr_periods 9\nnr_throttled 2\nthrottled_usec 5\n")
    assert old == new == runtime.Throttling(9, 2, 5000)


def test_cgroup_disks():
    wanted = (runtime.Disk("8:0", 4096, 512, 3, 1),)
    assert cgroups.parse_disks("8:0 rbytes=4096 wbytes=512 rios=3 wios=1 dbytes=0 dios=0\n7:0 \n") == wanted
    transferred = "8:0 Read 4096\n8:0 Write 512\n8:0 Sync 4608\nTotal 4608\n"
    assert cgroups.parse_old_disks(transferred, "8:0 Read 3\n8:0 Write 1\n8:0 Total 4\nTotal 4\n") == wanted
    assert cgroups.parse_old_disks("Total 0\n", "") == cgroups.parse_disks("") == ()


def test_cgroup_files_that_a_kernel_lacks(tmp_path):
    paths = cgroups.files("/p", "cgroupfs", 1, "ID", str(tmp_path))
    assert cgroups.read(paths, 1.0) is None
    for path, content in ((paths.cpu, "7\n"), (paths.memory, "10\n"), (paths.memory_stat, "total_rss 3\n")):
        pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
        pathlib.Path(path).write_text(content)
    assert cgroups.read(paths, 1.0) == runtime.Stats(7, 10, 10, 3, 1.0)
    pathlib.Path(paths.throttling).parent.mkdir(parents=True)
    pathlib.Path(paths.throttling).write_text("nr_periods 9\n")
    assert cgroups.read(paths, 1.0).throttling == runtime.Throttling(9, 0, 0)


def frame(stream, data):
    return struct.pack(">BxxxI", stream, len(data)) + data


def test_frames_may_be_cut_anywhere():
    data = frame(1, b"out") + frame(2, b"err") + frame(1, b"")
    for size in (1, 5, 100):
        chunks = [data[i : i + size] for i in range(0, len(data), size)]
        assert list(engine_streams.frames(chunks)) == [("stdout", b"out"), ("stderr", b"err"), ("stdout", b"")]


def test_pieces_of_a_long_line_keep_one_stamp():
    parts = [("stdout", b"T1 long"), ("stderr", b"T2 e\n"), ("stdout", b"T3 er\n"), ("stdout", b"T4 x\n")]
    assert b"".join(data for stream, data in engine_streams.lines(parts, True) if stream == "stdout") == (
        b"T1 longer\nT4 x\n"
    )


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0001-01-01T00:00:00Z", 0.0), ("", 0.0), ("1970-01-01T00:00:01Z", 1.0),
        ("1970-01-01T00:00:01.123456789Z", 1.123456), ("1970-01-01T02:00:01.5+02:00", 1.5),
    ],
)  # fmt: skip
def test_engine_times(text, seconds):
    assert engine_records.moment(text) == seconds


def test_a_container_that_never_started_has_exited():
    answer = {
        "Id": "x", "Name": "/n", "Created": "1970-01-01T00:00:09Z", "Image": "sha256:1",
        "Config": {"Labels": {"a": "b"}},
        "State": {"Status": "created", "Running": False, "ExitCode": 127, "Error": "not found"},
    }  # fmt: skip
    found = engine_records.container(answer)
    assert (found.state, found.exit_code, found.message) == (runtime.State.EXITED, 128, "not found")
    assert (found.started_at, found.finished_at, found.labels) == (0.0, 9.0, {"a": "b"})


@pytest.mark.parametrize(
    ("text", "registry", "repository", "tag", "digest"),
    [
        ("nginx", "docker.io", "library/nginx", "latest", ""),
        ("a/b:1", "docker.io", "a/b", "1", ""),
        ("localhost/x", "localhost", "x", "latest", ""),
        ("reg.example:5000/a/b@sha256:" + "0" * 64, "reg.example:5000", "a/b", "", "sha256:" + "0" * 64),
    ],
)
def test_references(text, registry, repository, tag, digest):
    assert references.parse(text) == references.Reference(registry, repository, tag, digest)


@pytest.mark.parametrize("text", ["", "UPPER", "a b", "a:", "x/../y", "0" * 64, "-a", "a@sha256:12"])
def test_references_refused(text):
    with pytest.raises(ValueError, match="invalid"):
        references.parse(text)


LIMITS = runtime.Resources(cpu_shares=512, cpu_quota=50_000, memory=1 << 20, pids=10)


@pytest.mark.parametrize(
    ("version", "resources", "values"),
    [
        (1, LIMITS, {"cpu/cpu.shares": "512", "cpu/cpu.cfs_quota_us": "50000", "cpu/cpu.cfs_period_us": "100000",
                     "memory/memory.limit_in_bytes": "1048576", "pids/pids.max": "10"}),
        (1, runtime.Resources(), {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000",
                                  "memory/memory.limit_in_bytes": "-1", "pids/pids.max": "max"}),
        (2, LIMITS, {"cpu.weight": "20", "cpu.max": "50000 100000", "memory.max": "1048576", "pids.max": "10"}),
        (2, runtime.Resources(cpu_shares=2), {"cpu.weight": "1", "cpu.max": "max 100000", "memory.max": "max",
                                              "pids.max": "max"}),
    ],
)  # fmt: skip
def test_limits_of_a_cgroup(tmp_path, version, resources, values):
    where = "k/burstable/pod1"
    for name in values:
        top, _, leaf = name.rpartition("/")
        path = tmp_path / top / where / leaf
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("before\n")
    cgroups.limit(f"/{where}", "cgroupfs", version, resources, str(tmp_path))
    for name, value in values.items():
        top, _, leaf = name.rpartition("/")
        assert (tmp_path / top / where / leaf).read_text() == value
    if version == 2:
        assert (tmp_path / "k/burstable/cgroup.subtree_control").read_text() == "+cpu +memory +pids"


def test_a_slice_that_systemd_has_not_made_is_left_to_it(tmp_path):
    cgroups.limit("k-pod1.slice", "systemd", 2, LIMITS, str(tmp_path))
    assert not list(tmp_path.iterdir())


def test_children_of_a_parent_in_any_hierarchy(tmp_path):
    for hierarchy, name in (("cpu", "pod1"), ("memory", "pod1"), ("pids", "pod2")):
        (tmp_path / hierarchy / "k" / "burstable" / name).mkdir(parents=True)
    (tmp_path / "cpu" / "k" / "burstable" / "cpu.shares").write_text("2")
    assert cgroups.children("/k/burstable", "cgroupfs", 1, str(tmp_path)) == ["pod1", "pod2"]
    assert cgroups.children("/k/none", "cgroupfs", 1, str(tmp_path)) == []
    assert cgroups.children("/k", "cgroupfs", 2, str(tmp_path / "cpu")) == ["burstable"]
    assert cgroups.children("k-burstable.slice", "systemd", 2, str(tmp_path)) == []


@pytest.mark.parametrize(
    ("propagation", "options"),
    # of a private mount nothing is said: Docker knows where it must be a slave
    [("private", {}), ("rslave", {"BindOptions": {"Propagation": "rslave"}})],
)
def test_propagation_of_mounts(propagation, options):
    mount = engine_bodies._mount(runtime.Mount("/", "/host", propagation=propagation))
    assert mount == {"Type": "bind", "Source": "/", "Target": "/host", "ReadOnly": False, **options}


@pytest.mark.parametrize(
    ("before", "buffered"),
    [(b"", b""), (b"said", b""), (b"", b"said")],
)
def test_an_attachment_ends_with_its_container_though_the_engine_says_nothing(monkeypatch, before, buffered):
    monkeypatch.setattr(engine_streams, "_FIRST_LOOK", 0.01)
    monkeypatch.setattr(engine_streams, "_LEFT_OVER", 0.01)
    ours, engines = socket.socketpair()
    connection = engine_http.Connection(ours)
    connection.buffer += buffered
    engines.sendall(before)
    answers = [False, True]
    session = engine_streams.HijackedSession(
        connection, tty=True, resize=lambda width, height: None, exit_code=lambda: None, ended=lambda: answers.pop(0)
    )
    try:
        if before or buffered:
            assert list(session.read()) == [("stdout", b"said")]
        else:
            with pytest.raises(runtime.RuntimeFailure, match="CONTAINER_EXITED"):
                list(session.read())
        assert answers == []
    finally:
        session.close()
        engines.close()


class Engine:
    """Answers inspects in turn, the last one for ever."""

    def __init__(self, *answers):
        self._answers = list(answers)

    def call(self, method, path, *_):
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


class Silent:
    """A session that has said all it says."""

    def read(self):
        return iter(())

    def close(self):
        pass


def command(monkeypatch, *answers):
    execs = engine_execs.Execs(Engine(*answers))
    monkeypatch.setattr(execs, "start", lambda *_, **options: (Silent(), "1"))
    return execs


def test_a_command_that_has_closed_its_output_has_its_code_when_it_ends(monkeypatch):
    monkeypatch.setattr(engine_execs, "_FIRST_PAUSE", 0.0001)
    monkeypatch.setattr(engine_execs, "_CODE_PATIENCE", 0.0)
    execs = command(monkeypatch, *[{"Running": True}] * 9, {"Running": False, "ExitCode": 3})
    assert execs.run("c", ["x"], 0) == (3, b"")


def test_a_command_that_runs_on_without_output_is_no_success(monkeypatch):
    monkeypatch.setattr(engine_execs, "_RUN_PATIENCE", 0.0)
    monkeypatch.setattr(engine_execs, "_CODE_PATIENCE", 0.0)
    with pytest.raises(TimeoutError):
        command(monkeypatch, {"Running": True}).run("c", ["x"], 0.01)


def test_a_death_is_believed_until_the_engine_says_otherwise(monkeypatch):
    engine = docker.Docker.__new__(docker.Docker)
    engine._lock, engine._died, engine._parents = threading.Lock(), {}, {}
    found = {"Id": "1", "State": {"Running": True}}
    monkeypatch.setattr(engine, "_inspect", lambda identity: found, raising=False)
    monkeypatch.setattr(docker, "_DEATH_PATIENCE", 0.0)

    def told(kind):
        engine._note(runtime.Event(kind, "1", {}, 0 if kind == "died" else None, 0.0))

    told("died")
    assert "1" in engine._died
    told("started")
    assert engine._died == {}
    told("died")
    assert engine._settled("1") is found and engine._died == {}
