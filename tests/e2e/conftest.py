"""Whole clusters, driven by the real kubectl, with real containers.

Clusters are started by the ``kubeshim`` command as a user would; each has a name of its own, so that a developer's
running cluster is left alone. kubectl is the one of the served release, from the cache that ``tools/setup.sh`` fills.
"""

import dataclasses
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

from kubeshim.client import kinds, kubeconfig, rest
from tests.e2e import command

ROOT = pathlib.Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
PATIENCE = 180.0
"""Seconds after which a wait gives up: of what is right it never decides, however slow the machine."""


def pytest_collection_modifyitems(items):
    here = pathlib.Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.e2e)


def cache():
    """Where fetched tools are kept."""
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "kubeshim"


def fetch_kubectl(version, *options):
    """The path of a kubectl (``--helm``: helm) of that release, out of the cache that ``tools/setup.sh test`` fills."""
    tool = str(ROOT / "tools" / "fetch_kubectl.py")
    command = [sys.executable, tool, "--cache", str(cache()), "--version", version, *options]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(scope="session")
def kubectl_path():
    return os.environ.get("KUBECTL") or fetch_kubectl("1.37")


@pytest.fixture(scope="session")
def images():
    """The examples' images, built once."""
    subprocess.run([str(EXAMPLES / "images" / "build.sh")], check=True, capture_output=True)


@dataclasses.dataclass
class Cluster:
    """A running cluster and a kubectl for it."""

    name: str
    kubeconfig: pathlib.Path
    kubectl_path: str

    @property
    def environment(self):
        return {**os.environ, "KUBECONFIG": str(self.kubeconfig), "HOME": str(self.kubeconfig.parent)}

    def kubectl(self, *arguments, stdin=None, check=True, timeout=300):
        """Runs kubectl; returns its completed process (stdout and stderr as text)."""
        done = subprocess.run(
            [self.kubectl_path, *arguments],
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            env=self.environment,
            timeout=timeout,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(f"kubectl {' '.join(arguments)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def out(self, *arguments, **options):
        return self.kubectl(*arguments, **options).stdout

    def get(self, *arguments):
        return json.loads(self.out("get", *arguments, "-o", "json"))

    def popen(self, *arguments, **options):
        return subprocess.Popen([self.kubectl_path, *arguments], env=self.environment, **options)

    def component_pid(self, component):
        """0 while it does not run."""
        state = json.loads((directory(self.name) / "run" / "state.json").read_text())
        if component == "supervisor":
            return state["supervisor"]["pid"]
        running = state["components"].items()
        return next((entry["pid"] for name, entry in running if name.startswith(component)), 0)

    def kill(self, component):
        """The process id of the component that was running and is no more."""
        victim = eventually(lambda: self.component_pid(component))
        os.kill(victim, signal.SIGKILL)
        return victim


def directory(name):
    return pathlib.Path(os.environ.get("KUBESHIM_ROOT", "/var/lib/kubeshim")) / name


def kubeshim(*arguments, check=True, timeout=300, **options):
    """Runs the command line; returns its completed process."""
    done = subprocess.run(
        [sys.executable, "-m", "kubeshim", *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        **options,
    )
    if check and done.returncode:
        raise AssertionError(f"kubeshim {' '.join(arguments)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def start(name, tmp_path, kubectl_path, *arguments, options=None):
    """``options`` are of ``cluster.json``."""
    kubeconfig, config = tmp_path / "config", tmp_path / "cluster.json"
    # nothing of a test may leave this machine, questions for names neither
    config.write_text(json.dumps({"networking": {"upstreamDNS": False}, **(options or {})}))
    kubeshim("up", "--name", name, "--kubeconfig", str(kubeconfig), "--config", str(config), *arguments)
    return Cluster(name, kubeconfig, kubectl_path)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory, kubectl_path, images):
    """One for all tests that do not end or break one; ``KUBESHIM_E2E_KUBECONFIG`` names a running one instead."""
    given = os.environ.get("KUBESHIM_E2E_KUBECONFIG")
    if given:
        yield Cluster("given", pathlib.Path(given), kubectl_path)
        return
    running = start("e2e", tmp_path_factory.mktemp("e2e"), kubectl_path)
    yield running
    done = kubeshim("down", "--name", "e2e", "--kubeconfig", str(running.kubeconfig))
    assert "warning" not in done.stderr, done.stderr


def make_namespace(cluster, name):
    """A namespace in which pods can be made: a controller gives it the account they run as."""
    cluster.kubectl("create", "namespace", name)
    client = rest.Client(kubeconfig.load(str(cluster.kubeconfig)))
    try:
        listing = client.list(kinds.SERVICE_ACCOUNTS, name)
        if not listing["items"]:
            since = listing["metadata"]["resourceVersion"]
            with client.watch(kinds.SERVICE_ACCOUNTS, name, resource_version=since, timeout=int(PATIENCE)) as events:
                assert next(events, None), f"no account in namespace {name}"
    finally:
        client.close()


@pytest.fixture
def namespace(cluster, request):
    """A namespace of the test's own; deleted without waiting."""
    name = re.sub("[^a-z0-9]+", "-", request.node.name.lower())[:60].strip("-")
    make_namespace(cluster, name)
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")


def eventually(check, seconds=PATIENCE):
    """The first true value of ``check``, asked again until then; for what has no watch of its own."""
    deadline = time.monotonic() + seconds
    while True:
        value = check()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {seconds} s: {check}"
        time.sleep(0.05)


def settled(found, wanted):
    """``found()`` once it is what is wanted, or else whatever it is in the end: for an assertion that tells of it."""
    deadline = time.monotonic() + PATIENCE
    while (last := found()) != wanted and time.monotonic() < deadline:
        time.sleep(0.05)
    return last


@pytest.fixture
def fetch():
    """GET from the host, without any proxy."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def get(url, timeout=60):
        with opener.open(url, timeout=timeout) as answer:
            return answer.read().decode()

    return get


def asked(fetch, url, timeout=10):
    """What it says; empty where nobody answers."""
    try:
        return fetch(url, timeout=timeout)
    except urllib.error.HTTPError as error:
        error.close()
    except OSError:
        pass
    return ""


@pytest.fixture
def kubectl(cluster, namespace):
    """kubectl in a namespace of the test's own."""
    return command.Command(cluster, namespace)
