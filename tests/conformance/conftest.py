"""Our own tests under the official suite's names, and a report of how many of the 448 are covered and pass.

A test says which official test it answers to with ``@pytest.mark.conformance("[sig-…] … [Conformance]")``; the name
must be one of ``conformance.tsv``. The tests run against a whole cluster through the official Python client or kubectl.
"""

import csv
import pathlib

import pytest

TABLE = pathlib.Path(__file__).with_name("conformance.tsv")


def official_names():
    """Every official name, in the table's order."""
    with TABLE.open(newline="") as file:
        return [row[4] for row in csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)]


def pytest_configure(config):
    config.stash[RESULTS] = {}


RESULTS = pytest.StashKey[dict]()


def pytest_collection_modifyitems(items):
    known = set(official_names())
    here = pathlib.Path(__file__).parent
    for item in items:
        if here not in item.path.parents:
            continue
        item.add_marker(pytest.mark.e2e)
        for mark in item.iter_markers("conformance"):
            for name in mark.args:
                if name not in known:
                    raise pytest.UsageError(f"{item.nodeid}: no official test is named {name!r}")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    names = [name for mark in item.iter_markers("conformance") for name in mark.args]
    if not names or (report.when != "call" and report.passed):
        return
    for name in names:
        results = item.config.stash[RESULTS]
        results[name] = results.get(name, True) and report.passed


def pytest_terminal_summary(terminalreporter, config):
    results = config.stash[RESULTS]
    if not results:
        return
    total, passed = len(official_names()), sum(results.values())
    terminalreporter.write_line(f"conformance: {len(results)} of {total} covered, {passed} pass")
    for name, good in sorted(results.items()):
        if not good:
            terminalreporter.write_line(f"  fails: {name}")
