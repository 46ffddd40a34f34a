import os
import subprocess
import sys
import threading

import pytest

from kubeshim.cluster import layout, lock, revival


@pytest.fixture
def where(tmp_path, monkeypatch):
    monkeypatch.setattr(layout, "ROOT", tmp_path)
    return layout.Layout.of("some")


def test_whoever_waits_for_the_lock_may_give_up(where):
    asked = []

    def wait():
        asked.append(True)
        return len(asked) < 3

    with lock.locked(where), pytest.raises(lock.GivenUp), lock.locked(where, wait):
        pass
    assert len(asked) == 3
    with lock.locked(where, lambda: False):
        pass


@pytest.fixture
def holder(tmp_path):
    """A process of the holder's name that ends with its input."""
    program = tmp_path / "pause"
    program.symlink_to("/bin/cat")
    with subprocess.Popen([str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as process:
        process.stdin.write(b"are you there\n")
        assert process.stdout.readline()  # the program runs, under its own name
        yield process
        process.kill()


def test_a_holders_death_is_told(holder):
    died = threading.Event()
    assert revival.watch(holder.pid, died.set)
    assert not died.is_set()
    holder.stdin.close()
    assert died.wait(60)


def test_a_dead_holder_is_not_waited_for(holder):
    holder.kill()
    holder.wait()
    assert not revival.watch(holder.pid, lambda: None)


def test_another_process_with_the_holders_number_is_none():
    before = len(os.listdir("/proc/self/fd"))
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        assert not revival.watch(process.pid, lambda: None)
        process.stdin.close()
    assert len(os.listdir("/proc/self/fd")) <= before
