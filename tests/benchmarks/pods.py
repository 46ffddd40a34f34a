"""Pods started at a rate, beside ``docker run`` of the same image; the weight of an agent with fifty of them.

Each pod's clock runs from its create to the event that shows it Running; in the first series a ``docker run`` follows
half a second after each pod, so that both meet the same machine.
"""

import statistics
import threading
import time

from kubeshim.client import kinds, kubeconfig, rest
from kubeshim.cluster import layout, processes
from tests.benchmarks import cluster
from tests.benchmarks.cluster import IMAGE, NAME, cpu, kubeshim, pod, pss, row

WEIGHED = 50
SECONDS = 40


def main():
    cluster.build_images()
    where = layout.Layout.of(NAME)
    kubeshim("down", "--name", NAME)
    try:
        cluster.start_up(where, told=False)
        client = rest.Client(kubeconfig.load(str(where.pki / "admin.conf")))
        cluster.run_pods(client, ["warm"])
        cluster.remove_pods(client, ["warm"])
        beside_docker(client)
        in_a_burst(client)
        weigh_agent(client, where)
    finally:
        kubeshim("down", "--name", NAME)


class Watching(threading.Thread):
    """Notes when each pod is first seen Running."""

    def __init__(self, client):
        super().__init__(daemon=True)
        self.seen, self.changed = {}, threading.Condition()
        version = client.list(kinds.PODS, "default")["metadata"]["resourceVersion"]
        self.events = client.watch(kinds.PODS, "default", resource_version=version, label_selector="bench=1")
        self.start()

    def run(self):
        for _, obj in self.events:
            if obj.get("status", {}).get("phase") == "Running":
                with self.changed:
                    self.seen.setdefault(obj["metadata"]["name"], time.monotonic())
                    self.changed.notify()

    def wait(self, names):
        with self.changed:
            missing = f"not all of {len(names)} pods ran within two minutes"
            assert self.changed.wait_for(lambda: set(names) <= set(self.seen), 120), missing
        self.events.stop()
        self.join(10)
        return self.seen


def at_rate(client, names, rate, between=lambda index: None):
    """Creates a pod every ``1 / rate`` seconds, whatever becomes of them; seconds each took."""
    watching = Watching(client)
    created, began = {}, time.monotonic()
    for index, name in enumerate(names):
        time.sleep(max(0.0, began + index / rate - time.monotonic()))
        created[name] = time.monotonic()
        client.create(kinds.PODS, pod(name), "default")
        between(index)
    seen = watching.wait(names)
    return [seen[name] - created[name] for name in names]


def beside_docker(client):
    docker, containers = [], []

    def run_container(index):
        time.sleep(0.5)
        containers.append(f"bench-docker-{index}")
        docker.append(cluster.docker_run(containers[-1]))

    names = [f"bench-{index}" for index in range(30)]
    try:
        took = at_rate(client, names, 1, run_container)
    finally:
        cluster.remove_docker(containers)
    half, nearly = statistics.median(took), percentile(took, 99)
    ratio, tail = half / statistics.median(docker), nearly / percentile(docker, 99)
    beside = f"docker run -d {statistics.median(docker) * 1000:.0f} ms: ratio {ratio:.2f}, goal 1.3"
    row("30 pods at 1/s, create to Running, p50", f"{half * 1000:.0f} ms", beside)
    beside = f"docker run -d {percentile(docker, 99) * 1000:.0f} ms: ratio {tail:.2f}, goal 2"
    row("30 pods at 1/s, create to Running, p99", f"{nearly * 1000:.0f} ms", f"{beside}; and 5 s")
    cluster.remove_pods(client, names)


def in_a_burst(client):
    names = [f"bench-{index}" for index in range(100)]
    took = at_rate(client, names, 5)
    row("100 pods at 5/s, p50", f"{statistics.median(took):.2f} s", "")
    row("100 pods at 5/s, p99", f"{percentile(took, 99):.2f} s", "goal 5 s")
    cluster.remove_pods(client, names[WEIGHED:])


def weigh_agent(client, where):
    """What is left of the burst: pods without probes."""
    assert len(client.list(kinds.PODS, "default", label_selector="bench=1")["items"]) == WEIGHED
    entries = processes.state(where)["components"]
    pid = next(entry["pid"] for name, entry in entries.items() if name.startswith("agent"))
    time.sleep(15)  # threads that the burst needed end, the last statuses are written
    before, began = cpu(pid), time.monotonic()
    time.sleep(SECONDS)
    share = (cpu(pid) - before) / (time.monotonic() - began) * 100
    row(f"agent with {WEIGHED} pods running", f"{share:.2f} % CPU, {pss(pid):.0f} MB PSS", "goal 1.5 %, 90 MB")


def percentile(values, percent):
    """By nearest rank."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


if __name__ == "__main__":
    print(f"image {IMAGE}")
    main()
