"""A whole cluster: how soon it is ready, how fast pods start against ``docker run``, what it weighs at rest."""

import concurrent.futures
import os
import pathlib
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time

from kubeshim.client import kinds, kubeconfig, rest
from kubeshim.cluster import api, configuration, layout

NAME = "bench"
IMAGE = "kubeshim.example/busybox:1"
ROUNDS = 15


def main():
    build_images()
    where = layout.Layout.of(NAME)
    kubeshim("down", "--name", NAME)
    try:
        start_up(where)
        client = rest.Client(kubeconfig.load(str(where.pki / "admin.conf")))
        pods_against_docker(client)
        at_rest(where)
    finally:
        kubeshim("down", "--name", NAME)


def build_images():
    build = pathlib.Path(__file__).parents[2] / "examples" / "images" / "build.sh"
    subprocess.run([str(build)], check=True, capture_output=True)


def kubeshim(*arguments):
    done = subprocess.run([sys.executable, "-m", "kubeshim", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    return done.stdout


# -- readiness -------------------------------------------------------------------------------------------------


def start_up(where, *, told=True):
    """The clock runs from before the command is started; what is watched for does not wait on it."""
    with tempfile.TemporaryDirectory() as directory:
        config_file = pathlib.Path(directory, "cluster.json")
        config_file.write_text('{"networking": {"upstreamDNS": false}}')
        began = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "kubeshim", "up", "--name", NAME, "--kubeconfig", f"{directory}/config",
             "--config", str(config_file)],
            stdout=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        while not (where.run / "components.json").exists():
            time.sleep(0.005)
        config = configuration.load(where.configuration)
        server = api.API(where.pki / "admin.conf", config.port, timeout=30)
        server.wait_ready(30)
        answering = time.monotonic() - began
        output = process.communicate()[0]
        node = time.monotonic() - began
        while not asks_dns(config.ranges.dns_service, f"kubernetes.default.svc.{config.domain}"):
            time.sleep(0.005)
        dns = time.monotonic() - began
    if not told:
        return
    print(output)
    row("up to the API answering", f"{answering:.2f} s", "goal 1.5 s")
    row("up to the node Ready (the command returned)", f"{node:.2f} s", "goal 4 s")
    row("up to DNS answering", f"{dns:.2f} s", "goal 4 s")


def asks_dns(server, name):
    question = b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0"
    packet = struct.pack(">HHHHHH", 1, 0x0100, 1, 0, 0, 0) + question + struct.pack(">HH", 1, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(0.5)
        try:
            sock.sendto(packet, (server, 53))
            answer = sock.recv(512)
        except OSError:
            return False
    return answer[3] & 15 == 0 and struct.unpack(">H", answer[6:8])[0] == 1


# -- pods ------------------------------------------------------------------------------------------------------


def docker_run(name):
    began = time.monotonic()
    subprocess.run(
        ["docker", "run", "-d", "--name", name, "--label", "io.kubeshim.bench=1", IMAGE, "sleep", "1000"],
        check=True, capture_output=True,
    )  # fmt: skip
    return time.monotonic() - began


def remove_docker(names):
    subprocess.run(["docker", "rm", "-f", *names], check=True, capture_output=True)


def pod(name):
    container = {"name": "main", "image": IMAGE, "command": ["sleep", "1000"]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"bench": "1"}},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 0},
    }


def run_pods(client, names):
    """Seconds from the first create to each pod's Running seen on a watch."""
    version = client.list(kinds.PODS, "default")["metadata"]["resourceVersion"]
    events = client.watch(kinds.PODS, "default", resource_version=version, label_selector="bench=1")
    began = time.monotonic()
    for name in names:
        client.create(kinds.PODS, pod(name), "default")
    took, waiting = [], set(names)
    for _, obj in events:
        if obj["metadata"]["name"] in waiting and obj.get("status", {}).get("phase") == "Running":
            took.append(time.monotonic() - began)
            waiting.discard(obj["metadata"]["name"])
            if not waiting:
                break
    events.close()
    return took


def remove_pods(client, names):
    for name in names:
        client.delete(kinds.PODS, name, "default", options={"gracePeriodSeconds": 0})
    gone = set(names)
    while gone & {item["metadata"]["name"] for item in client.list(kinds.PODS, "default")["items"]}:
        time.sleep(0.05)


def pods_against_docker(client):
    """One at a time, alternating, so that both meet the same machine; then twenty at once."""
    docker, ours = [], []
    for index in range(ROUNDS):
        name = f"bench-docker-{index}"
        docker.append(docker_run(name))
        remove_docker([name])
        ours += run_pods(client, [f"bench-{index}"])
        remove_pods(client, [f"bench-{index}"])
    ratio = statistics.median(ours) / statistics.median(docker)
    row(
        "pod create to Running, p50, sequential",
        f"{statistics.median(ours) * 1000:.0f} ms",
        f"docker run -d {statistics.median(docker) * 1000:.0f} ms: ratio {ratio:.2f}, goal 2",
    )
    names = [f"bench-docker-many-{index}" for index in range(20)]
    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(docker_run, names))
    floor = time.monotonic() - began
    remove_docker(names)
    names = [f"bench-many-{index}" for index in range(20)]
    many = max(run_pods(client, names))
    remove_pods(client, names)
    row("20 pods at once", f"{many:.2f} s", f"20 docker run by 4: {floor:.2f} s, ratio {many / floor:.2f}, goal 1.5")


# -- weight ----------------------------------------------------------------------------------------------------


def at_rest(where, seconds=20.0):
    """All kubeshim processes of the cluster together: proportional set size and CPU over some idle seconds."""
    from kubeshim.cluster import processes

    state = processes.state(where)
    pids = {"supervisor": state["supervisor"]["pid"]}
    pids.update({name: entry["pid"] for name, entry in state["components"].items()})
    time.sleep(10)  # what was started for the pods above comes to rest
    before = {name: cpu(pid) for name, pid in pids.items()}
    time.sleep(seconds)
    total_memory = total_cpu = 0.0
    for name, pid in pids.items():
        memory = pss(pid)
        share = (cpu(pid) - before[name]) / seconds * 100
        total_memory += memory
        total_cpu += share
        row(f"  {name}", f"{memory:.0f} MB PSS, {share:.1f} % CPU", "")
    row("all processes at rest", f"{total_memory:.0f} MB PSS, {total_cpu:.1f} % CPU", "goal 200 MB, 2 %")


def pss(pid):
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0


def cpu(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def row(what, figure, against):
    print(f"{what:<48}{figure:<28}{against}", flush=True)


if __name__ == "__main__":
    main()
