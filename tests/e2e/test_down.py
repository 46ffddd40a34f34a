"""What ``down`` leaves behind: nothing. And a second cluster beside the first."""

import concurrent.futures
import os
import pathlib
import re
import socket
import subprocess
import sys

from tests.e2e.conftest import EXAMPLES, directory, kubeshim, settled, start

LINK_LOCAL = re.compile(r"\bfe80:|\bff00::/8")


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def machine():
    """Everything a cluster could leave on a machine, as sets of lines."""
    links = [re.sub(r"^\d+: ", "", line) for line in run("ip", "-o", "link")]
    processes = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            processes.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    state = {
        "containers": run("docker", "ps", "-aq", "--no-trunc"),
        "docker networks": run("docker", "network", "ls", "-q"),
        "links": [line.split(":")[0] for line in links],
        # a link's own IPv6 addresses come seconds after the link: a neighbour's would seem to be ours
        "routes": [line for line in run("ip", "route", "show", "table", "all") if not LINK_LOCAL.search(line)],
        "mounts": [line.split()[4] for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines()],
        "nft": run("nft", "list", "tables"),
        "iptables": [line for line in run("iptables-save") if line.startswith(("-A", "-N"))],
        "processes": [line for line in processes if "kubeshim" in line and "pytest" not in line],
        "cgroups": [str(p) for p in pathlib.Path("/sys/fs/cgroup").glob("*/kubeshim*")],
        "namespaces": sorted({os.readlink(p) for p in pathlib.Path("/proc").glob("[0-9]*/ns/net") if p.exists()}),
        "files": [str(p) for p in directory("x").parent.glob("*")],
    }
    return {kind: {line for line in lines if line.strip()} for kind, lines in state.items()}


def belongings(name):
    """What can be told to be one cluster's, whatever others do meanwhile."""
    state = machine()
    named = {kind: {line for line in state[kind] if name in line} for kind in ("links", "mounts", "cgroups", "files")}
    containers = run("docker", "ps", "-q", "--no-trunc", "--filter", f"label=io.kubeshim.cluster={name}")
    return {**named, "containers": set(containers)}


def test_down_leaves_nothing_and_a_neighbour_whole(tmp_path, kubectl_path, images):
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    one = start("e2e-one", tmp_path / "one", kubectl_path)
    try:
        one.kubectl("apply", "-f", str(EXAMPLES / "02-web"))
        one.kubectl("rollout", "status", "deployment/web", "--timeout=180s")
        before, owned = machine(), belongings("e2e-one")
        two = start("e2e-two", tmp_path / "two", kubectl_path)
        try:
            two.kubectl("apply", "-f", str(EXAMPLES / "02-web"))
            two.kubectl("rollout", "status", "deployment/web", "--timeout=180s")
            assert "e2e-one" in kubeshim("list").stdout
            assert two.get("nodes")["items"][0]["metadata"]["name"] == "e2e-two-node"
        finally:
            done = kubeshim("down", "--name", "e2e-two", "--kubeconfig", str(two.kubeconfig))
        assert done.stderr == ""

        def left():
            """What neighbours do for a moment does not stay."""
            found = {kind: lines - before[kind] for kind, lines in machine().items()}
            return {kind: lines for kind, lines in found.items() if lines}

        assert settled(left, {}) == {}
        assert not two.kubeconfig.exists()
        # the neighbour neither lost anything nor noticed
        assert settled(lambda: belongings("e2e-one"), owned) == owned
        assert "web" in one.out("get", "deployments")
        address = one.get("service", "web")["spec"]["clusterIP"]
        assert run("wget", "-qO-", f"http://{address}/")[0].startswith("web version 1")
    finally:
        kubeshim("down", "--name", "e2e-one", "--kubeconfig", str(one.kubeconfig))


def test_clusters_that_come_up_at_the_same_time_take_different_things(tmp_path, kubectl_path):
    names = ("e2e-left", "e2e-right")
    for name in names:
        (tmp_path / name).mkdir()
    try:
        with concurrent.futures.ThreadPoolExecutor() as pool:
            both = list(pool.map(lambda name: start(name, tmp_path / name, kubectl_path), names))
        servers = {each.out("config", "view", "-o", "jsonpath={.clusters[0].cluster.server}") for each in both}
        ranges = {each.get("nodes")["items"][0]["spec"]["podCIDR"] for each in both}
        assert len(servers) == len(ranges) == 2
    finally:
        for name in names:
            kubeshim("down", "--name", name, "--kubeconfig", str(tmp_path / name / "config"))


def test_down_of_what_is_not_there_is_no_error():
    done = kubeshim("down", "--name", "e2e-never")
    assert "no cluster" in done.stdout


def test_without_root_the_reason_is_told():
    script = (
        "import os, sys; from kubeshim.cli import main, up; from kubeshim.cluster import up as steps; "
        "os.setuid(65534); sys.exit(main.main(['up', '--name', 'e2e-nobody']))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "needs root" in done.stderr


def test_a_port_that_is_taken_is_told_and_nothing_is_left():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = kubeshim("up", "--name", "e2e-port", "--port", str(port), check=False)
    assert done.returncode == 1
    assert f"TCP port {port} is taken by another process: choose another with --port" in done.stderr
    assert not directory("e2e-port").exists()
