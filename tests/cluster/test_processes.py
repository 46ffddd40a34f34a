"""A supervisor seen from outside, with components that only wait for their end."""

import os
import select
import signal
import sys
import time

import pytest

from kubeshim import supervisor
from kubeshim.cluster import layout, processes

pytestmark = pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")  # it is to outlive us

SLOW = """
import os, runpy, select, sys
directory = {directory!r}
with open(directory + "/begun", "a") as file:
    file.write(f"{{os.getpid()}}\\n")
while not os.path.exists(directory + "/go"):
    select.select([], [], [], 0.01)
sys.argv[0] = {program!r}
runpy.run_path({program!r}, run_name="__main__")
"""


def component(name, code="import signal; signal.pause()"):
    return {"name": name, "command": [sys.executable, "-S", "-c", code]}


def until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        select.select([], [], [], 0.01)


def pid_of(where, name):
    entry = processes.state(where)["components"].get(name)
    return entry["pid"] if supervisor.is_running(entry) else 0


@pytest.fixture
def where(tmp_path):
    made = layout.Layout(tmp_path / "cluster")
    made.run.mkdir(parents=True)
    made.logs.mkdir()
    yield made
    (tmp_path / "go").touch()
    processes.stop(made)


@pytest.fixture
def slow(tmp_path, monkeypatch):
    """Supervisors begin when ``go`` is there; ``begun`` has a line for each."""
    program = tmp_path / "slow.py"
    program.write_text(SLOW.format(directory=str(tmp_path), program=supervisor.__file__))
    monkeypatch.setattr(supervisor, "__file__", str(program))
    return tmp_path


def test_one_that_takes_its_time_to_begin_is_told_and_no_other_is_started(where, slow):
    processes.want(where, [component("one")])
    until((slow / "begun").exists)
    processes.want(where, [component("one"), component("two")])
    assert processes.running(where)["supervisor"]
    (slow / "go").touch()
    until(lambda: pid_of(where, "one") and pid_of(where, "two"))
    processes.want(where, [component("two")])
    processes.wait_gone(where, "one", 60)
    assert (pid_of(where, "one"), pid_of(where, "two") != 0) == (0, True)
    assert len((slow / "begun").read_text().split()) == 1


def test_one_that_has_not_begun_yet_is_ended(where, slow):
    processes.want(where, [component("one")])
    until((slow / "begun").exists)
    pid = int((slow / "begun").read_text())
    (slow / "go").touch()
    processes.stop(where)
    assert supervisor.start_time(pid) == 0
    assert not any(processes.running(where).values())


def test_gone_is_what_the_supervisor_was_told_to_end_and_not_what_was_last_written_down(where, tmp_path):
    """The component has just died: what is written down is the dead process, and the next is about to be started."""
    beginnings = tmp_path / "beginnings"
    code = f"import os, signal; open({str(beginnings)!r}, 'a').write(f'{{os.getpid()}}\\n'); signal.pause()"
    processes.want(where, [component("one", code)])
    until(lambda: beginnings.exists() and beginnings.read_text().endswith("\n"))
    entry = processes.state(where)["supervisor"]
    os.kill(entry["pid"], signal.SIGSTOP)
    os.kill(int(beginnings.read_text()), signal.SIGKILL)
    processes.want(where, [])
    heard = []
    original = processes._has_heard

    def has_heard(at):
        if not heard:
            os.kill(entry["pid"], signal.SIGCONT)
        heard.append(original(at))
        return heard[-1]

    processes._has_heard = has_heard
    try:
        processes.wait_gone(where, "one", 60)
    finally:
        processes._has_heard = original
    for line in beginnings.read_text().split():
        assert supervisor.start_time(int(line)) == 0
    assert processes.state(where)["components"] == {}


def test_a_new_supervisor_ends_what_is_not_wanted_any_more(where):
    processes.want(where, [component("one"), component("two")])
    until(lambda: pid_of(where, "one") and pid_of(where, "two"))
    one = pid_of(where, "one")
    entry = processes.state(where)["supervisor"]
    os.kill(entry["pid"], signal.SIGKILL)
    until(lambda: not processes.running(where)["supervisor"])
    processes.want(where, [component("two")])
    processes.wait_gone(where, "one", 60)
    assert (supervisor.start_time(one), pid_of(where, "two") != 0) == (0, True)
