"""Components are killed while clients go on: no Service request fails, requests queue, no container is restarted."""

import contextlib
import os
import select
import signal
import subprocess
import threading
import time
import urllib.request

import pytest

from tests.e2e.conftest import EXAMPLES, eventually, kubeshim, settled, start

LOOKUP_SECONDS = 2.0
"""How long a name lookup may take while the agent, and so DNS, restarts."""


@pytest.fixture(scope="module")
def sturdy(tmp_path_factory, kubectl_path, images):
    """A cluster of this module's own, with the example application and a client pod."""
    running = start("e2e-sturdy", tmp_path_factory.mktemp("sturdy"), kubectl_path)
    try:
        running.kubectl("apply", "-f", str(EXAMPLES / "02-web"))
        running.kubectl("apply", "-f", str(EXAMPLES / "01-pod" / "pod.yaml"))
        running.kubectl("rollout", "status", "deployment/web", "--timeout=180s")
        running.kubectl("wait", "--for=condition=Ready", "pod/client", "--timeout=180s")
        yield running
    finally:
        kubeshim("down", "--name", running.name, "--kubeconfig", str(running.kubeconfig))


class Curl(threading.Thread):
    """Asks a URL every 50 ms from the host until stopped; remembers what failed."""

    def __init__(self, url):
        super().__init__(daemon=True)
        self.url = url
        self.failures, self.answers = [], 0
        self._stop_now = threading.Event()
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def run(self):
        while not self._stop_now.wait(0.05):
            try:
                with self._opener.open(self.url, timeout=60) as answer:
                    answer.read()
                self.answers += 1
            except OSError as error:
                self.failures.append(f"{time.monotonic():.3f}: {error}")

    def finish(self):
        self._stop_now.set()
        self.join(180)
        return self.failures


CURL_BY_NAME = """
n=0; failed=0
while [ ! -e /tmp/stop ]; do
  if timeout %d wget -qO- http://web.default.svc.cluster.local >/dev/null 2>/tmp/why; then n=$((n+1));
  else failed=$((failed+1)); cat /tmp/why; fi
  usleep 50000
done
echo answers $n failed $failed
"""


@contextlib.contextmanager
def clients(cluster):
    """Both clients at work; on leaving, neither may have failed."""
    address = cluster.get("service", "web")["spec"]["clusterIP"]
    cluster.kubectl("exec", "client", "--", "rm", "-f", "/tmp/stop", "/tmp/by-name")
    script = f"({CURL_BY_NAME % int(LOOKUP_SECONDS + 3)}) >/tmp/by-name 2>&1 &"
    cluster.kubectl("exec", "client", "--", "sh", "-c", script)
    by_address = Curl(f"http://{address}/")
    by_address.start()
    yield
    assert by_address.finish() == []
    assert by_address.answers > 10
    cluster.kubectl("exec", "client", "--", "touch", "/tmp/stop")
    said = eventually(lambda: by_name(cluster))
    assert said.split()[-1] == "0", said
    assert int(said.split()[-3]) > 5


def by_name(cluster):
    text = cluster.out("exec", "client", "--", "cat", "/tmp/by-name")
    return text if "answers" in text else ""


def containers(cluster):
    pods = cluster.get("pods", "-A")["items"]
    return sorted(
        (status["containerID"], status["restartCount"])
        for pod in pods
        for status in pod["status"].get("containerStatuses", ())
    )


def kill(pid):
    descriptor = os.pidfd_open(pid)
    os.kill(pid, signal.SIGKILL)
    select.select([descriptor], [], [], 180)
    os.close(descriptor)


@pytest.mark.parametrize("component", ["api-server", "controller-manager", "agent"])
def test_kill_a_component(sturdy, component):
    before = containers(sturdy)
    with clients(sturdy):
        sturdy.kubectl("create", "configmap", f"before-{component}")
        victim = eventually(lambda: sturdy.component_pid(component))
        kill(victim)
        # at once, while it is restarting: queues, is not refused
        assert sturdy.kubectl("get", "configmap", f"before-{component}").returncode == 0
        eventually(lambda: sturdy.component_pid(component) not in (0, victim))
        sturdy.kubectl("create", "configmap", f"after-{component}")
        sturdy.kubectl("run", f"after-{component}", "--image=kubeshim.example/busybox:1", "--", "sleep", "1000")
        sturdy.kubectl("wait", "--for=condition=Ready", f"pod/after-{component}", "--timeout=180s")
        sturdy.kubectl("delete", "pod", f"after-{component}", "--grace-period=1", "--timeout=180s")
    assert settled(lambda: containers(sturdy), before) == before


def test_kill_the_supervisor_and_up_takes_over(sturdy):
    before, pids = containers(sturdy), [sturdy.component_pid(c) for c in ("api-server", "agent")]
    with clients(sturdy):
        old = sturdy.component_pid("supervisor")
        kill(old)
        assert sturdy.kubectl("get", "nodes").returncode == 0
        kubeshim("up", "--name", sturdy.name, "--kubeconfig", str(sturdy.kubeconfig))
        eventually(lambda: sturdy.component_pid("supervisor") != old)
        assert [sturdy.component_pid(c) for c in ("api-server", "agent")] == pids
        kill(pids[0])  # the new supervisor holds the socket and starts the server again
        assert sturdy.kubectl("get", "nodes").returncode == 0
    assert settled(lambda: containers(sturdy), before) == before


def test_kill_a_container(sturdy):
    sturdy.kubectl("run", "victim", "--image=kubeshim.example/busybox:1", "--", "sleep", "1000")
    sturdy.kubectl("wait", "--for=condition=Ready", "pod/victim", "--timeout=180s")
    status = sturdy.get("pod", "victim")["status"]["containerStatuses"][0]
    container = status["containerID"].removeprefix("docker://")
    subprocess.run(["docker", "kill", container], check=True, capture_output=True)
    jsonpath = "--for=jsonpath={.status.containerStatuses[0].restartCount}=1"
    sturdy.kubectl("wait", "pod/victim", jsonpath, "--timeout=180s")
    sturdy.kubectl("wait", "--for=condition=Ready", "pod/victim", "--timeout=180s")
    after = sturdy.get("pod", "victim")["status"]["containerStatuses"][0]
    assert after["lastState"]["terminated"]["exitCode"] == 137
    assert after["containerID"] != status["containerID"]
    eventually(lambda: event_counts(sturdy, "victim").items() >= {"Created": 2, "Started": 2}.items())
    sturdy.kubectl("delete", "pod", "victim", "--now")


def event_counts(cluster, name):
    events = cluster.get("events", f"--field-selector=involvedObject.name={name}")["items"]
    return {event["reason"]: event["count"] for event in events if "count" in event}
