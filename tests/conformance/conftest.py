"""Our own tests under the official suite's names, and a report of how many of the 448 are covered and pass.

A test says which official test it answers to with ``@pytest.mark.conformance("[sig-…] … [Conformance]")``; the name
must be one of ``conformance.tsv``. The tests run against a whole cluster through the official Python client or kubectl.
"""

import contextlib
import gc
import itertools
import os
import pathlib
import re

import pytest

from tests.conformance import kube as clusters
from tests.conformance import names as table
from tests.e2e import conftest as e2e
from tests.e2e.conftest import images, kubectl_path
from tests.images import build

__all__ = ["images", "kubectl_path"]


def pytest_configure(config):
    config.pluginmanager.register(Report())
    if any("conformance" in str(argument) for argument in config.args):
        # what the official client left of its websockets is collected after the last test too
        config.addinivalue_line("filterwarnings", "ignore::pytest.PytestUnraisableExceptionWarning")


def pytest_collection_modifyitems(items):
    known = set(table.official())
    here = pathlib.Path(__file__).parent
    for item in items:
        if here not in item.path.parents:
            continue
        item.add_marker(pytest.mark.e2e)
        # the official client leaves the sockets of its websockets to the collector
        item.add_marker(pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"))
        item.add_marker(pytest.mark.filterwarnings("ignore::ResourceWarning"))
        for mark in item.iter_markers("conformance"):
            for name in mark.args:
                if name not in known:
                    raise pytest.UsageError(f"{item.nodeid}: no official test is named {name!r}")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    outcome = yield
    names = [name for mark in item.iter_markers("conformance") for name in mark.args]
    if names:
        # told this way, they get from a worker process to the one that counts
        outcome.get_result().user_properties.append((_NAMES, names))


_NAMES = "conformance"


class Report:
    """How many official names the tests that ran stand for, and which failed."""

    def __init__(self):
        self.results = {}

    def pytest_runtest_logreport(self, report):
        if report.when != "call" and report.passed:
            return
        for name in dict(report.user_properties).get(_NAMES, ()):
            self.results[name] = self.results.get(name, True) and report.passed

    def pytest_terminal_summary(self, terminalreporter):
        if not self.results:
            return
        total, passed = len(table.official()), sum(self.results.values())
        terminalreporter.write_line(f"conformance: {len(self.results)} of {total} covered, {passed} pass")
        for name, good in sorted(self.results.items()):
            if not good:
                terminalreporter.write_line(f"  fails: {name}")


def cluster_name():
    """``KUBESHIM_CONFORMANCE_NAME`` is another stem, where several checkouts are tested side by side."""
    stem, worker = os.environ.get("KUBESHIM_CONFORMANCE_NAME", "conf"), os.environ.get("PYTEST_XDIST_WORKER", "")
    return f"{stem}-{worker}" if worker else stem


@pytest.fixture(scope="session")
def cluster(tmp_path_factory, kubectl_path, images):
    """One cluster of two nodes for all tests of a process (of pytest-xdist's, where there are several);
    ``KUBESHIM_CONFORMANCE_KUBECONFIG`` names a running one to use instead."""
    given = os.environ.get("KUBESHIM_CONFORMANCE_KUBECONFIG")
    if given:
        yield e2e.Cluster("given", pathlib.Path(given), kubectl_path)
        return
    running = e2e.start(
        cluster_name(),
        tmp_path_factory.mktemp("conf"),
        kubectl_path,
        "--nodes",
        "2",
    )
    yield running
    e2e.kubeshim("down", "--name", running.name, "--kubeconfig", str(running.kubeconfig))


@pytest.fixture
def forgetful(tmp_path, kubectl_path):
    """A cluster of its own that forgets old states after seconds, not minutes."""
    name = f"{cluster_name()}-forgets"
    options = {"apiServer": {"compactionInterval": "5s"}}
    running = e2e.start(name, tmp_path, kubectl_path, options=options)
    found = clusters.Kube(running.kubeconfig)
    yield found
    found.close()
    e2e.kubeshim("down", "--name", running.name, "--kubeconfig", str(running.kubeconfig))


@pytest.fixture(scope="session")
def testhost():
    """The image with the subcommands of the official suite's, made of this machine's packages."""
    return build.ensure()


@pytest.fixture(scope="session")
def everywhere(cluster):
    """The cluster's administrator, outside any test's namespace."""
    found = clusters.Kube(cluster.kubeconfig)
    yield found
    found.close()
    gc.collect()  # what the official client left of its sockets goes while these tests' filters still hold


COUNT = itertools.count(1)


@pytest.fixture
def make_namespace(everywhere, request):
    """Makes namespaces of the test's own with all that pods need in them; they are deleted without waiting."""
    made = []
    stem = re.sub("[^a-z0-9]+", "-", request.node.originalname.removeprefix("test_"))[:40].strip("-")

    def make(labels=None):
        name = f"{stem}-{os.getpid()}-{next(COUNT)}"
        made.append(name)
        everywhere.create({"kind": "Namespace", "metadata": {"name": name, "labels": labels or {}}})
        for kind, needed in (("ServiceAccount", "default"), ("v1 ConfigMap", "kube-root-ca.crt")):
            everywhere.wait(kind, needed, bool, namespace=name)
        return everywhere.within(name)

    yield make
    for name in made:
        # the namespace first: in one that ends nobody makes pods anew
        with contextlib.suppress(clusters.refusals.NotFoundError):
            everywhere.delete("Namespace", name)
        everywhere.delete_all("Pod", namespace=name, grace=0)


@pytest.fixture
def kube(make_namespace):
    """The cluster seen from a namespace of the test's own."""
    return make_namespace()
