"""Pods come and go, and leave nothing behind. ``make bench`` does the same with five hundred of them."""

import pytest

from tests.e2e import engine, leaks
from tests.e2e.conftest import eventually, settled

WARM, CYCLES = 10, 60
SPARE = 6
"""Descriptors and threads that come and go by themselves: idle connections, threads of a pool."""


@pytest.fixture
def cycles(images, kubectl_path):
    machine = engine.Machine("ks-e2e-cycle")
    try:
        machine.boot()
        machine.load(leaks.IMAGE)
        cluster = machine.cluster("cycled", kubectl_path)
        made = leaks.Cycles(cluster)
        yield made
        made.close()
        cluster.down()
    finally:
        machine.scrap()


def test_sixty_pods_leave_nothing_behind(cycles):
    cycles.run(WARM)
    forgotten(cycles.cluster)
    before, processes = leaks.counted(cycles.cluster), leaks.process_counts(cycles.cluster)
    cycles.run(CYCLES)
    forgotten(cycles.cluster)

    def left():
        now = leaks.counted(cycles.cluster)
        return {name: (before[name], count) for name, count in now.items() if count > before[name]}

    assert settled(left, {}) == {}

    def grown():
        now = leaks.process_counts(cycles.cluster)
        return {name: (processes[name], count) for name, count in now.items() if count > processes[name] + SPARE}

    assert settled(grown, {}) == {}


def forgotten(cluster):
    """What has its own time to go: the kernel forgets a datagram's connection after half a minute."""
    eventually(lambda: leaks.counted(cluster)["connections tracked"] == 0, 180)
