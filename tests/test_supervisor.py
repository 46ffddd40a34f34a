"""The supervisor is tested as it runs: a process of its own, with components that are small Python programs."""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time

import pytest

from kubeshim import supervisor
from tests import ports

ECHO = """
import os, socket, sys
listener = socket.socket(fileno=3)
assert os.environ["LISTEN_FDNAMES"] == "echo" and int(os.environ["LISTEN_PID"]) == os.getpid()
while True:
    peer, _ = listener.accept()
    peer.sendall(str(os.getpid()).encode())
    peer.close()
"""


@pytest.fixture
def cluster(tmp_path):
    """Directories, a component description, and whatever was started is ended."""
    run, logs = tmp_path / "run", tmp_path / "logs"
    run.mkdir()
    logs.mkdir()
    (tmp_path / "echo.py").write_text(ECHO)
    port = ports.free()
    spec = {
        "name": "echo",
        "command": [sys.executable, "-S", str(tmp_path / "echo.py")],
        "sockets": [{"name": "echo", "address": "127.0.0.1", "port": port}],
    }
    (run / "components.json").write_text(json.dumps({"components": [spec]}))
    started = []

    def start():
        process = subprocess.Popen([sys.executable, "-S", supervisor.__file__, str(run), str(logs)])
        started.append(process)
        return process

    yield start, run, port
    state = run / "state.json"
    components = json.loads(state.read_text())["components"] if state.exists() else {}
    for process in started:
        process.terminate()
        process.wait(60)
    for entry in components.values():
        if supervisor.is_running(entry):
            os.kill(entry["pid"], signal.SIGKILL)


def ask(port):
    """The pid of who answers. Connecting may have to wait for the first bind; answering queues."""
    deadline = time.monotonic() + 60
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=60) as peer:
                return int(peer.recv(100))
        except ConnectionRefusedError:
            assert time.monotonic() < deadline
            select.select([], [], [], 0.02)


def wait_for_takeover(run, pid):
    deadline = time.monotonic() + 60
    while json.loads((run / "state.json").read_text())["supervisor"]["pid"] != pid:
        assert time.monotonic() < deadline
        select.select([], [], [], 0.02)


def end(pid):
    descriptor = os.pidfd_open(pid)
    os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(OSError):
        select.select([descriptor], [], [], 10)
    os.close(descriptor)


def test_a_killed_component_comes_back_and_no_connection_is_refused(cluster):
    start, run, port = cluster
    start()
    first = ask(port)
    end(first)
    with socket.create_connection(("127.0.0.1", port), timeout=60) as peer:  # refused if the socket had closed
        second = int(peer.recv(100))
    assert second != first
    wait_until(lambda: components(run).get("echo", {}).get("pid") == second)
    assert components(run)["echo"]["restarts"] == 1


def test_a_new_supervisor_takes_over_process_and_socket(cluster):
    start, run, port = cluster
    old = start()
    pid = ask(port)
    old.kill()
    old.wait()
    wait_for_takeover(run, start().pid)
    assert ask(port) == pid
    end(pid)
    with socket.create_connection(("127.0.0.1", port), timeout=60) as peer:
        assert int(peer.recv(100)) != pid


def test_sigterm_ends_everything(cluster):
    start, run, port = cluster
    process = start()
    pid = ask(port)
    process.terminate()
    assert process.wait(60) == 0
    assert supervisor.start_time(pid) == 0
    assert not (run / "state.json").exists()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=1)


def change(run, port):
    """Another command and another port for the component."""
    path = run / "components.json"
    document = json.loads(path.read_text())
    document["components"][0]["command"].append("changed")
    document["components"][0]["sockets"][0]["port"] = port
    path.write_text(json.dumps(document))


def test_a_changed_description_starts_the_component_anew_with_new_sockets(cluster):
    start, run, port = cluster
    process = start()
    first, other = ask(port), ports.free()
    change(run, other)
    process.send_signal(signal.SIGHUP)
    assert ask(other) != first
    assert supervisor.start_time(first) == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=1)


def test_a_new_supervisor_ends_what_was_started_from_another_description(cluster):
    start, run, port = cluster
    old = start()
    first, other = ask(port), ports.free()
    old.kill()
    old.wait()
    change(run, other)
    start()
    assert ask(other) != first
    assert supervisor.start_time(first) == 0


def test_a_signal_cuts_the_wait_for_a_restart_short(cluster):
    """Of a component that ends again and again: whoever says what shall run does not mean in ten seconds."""
    start, run, port = cluster
    process = start()
    last = ask(port)
    for number in range(9):  # the next wait would be 0.1 * 2**7, so the longest there is
        end(last)
        wait_until(lambda ended=last: components(run).get("echo", {}).get("pid") != ended)
        process.send_signal(signal.SIGHUP)
        last = ask(port)
        wait_until(lambda pid=last: components(run).get("echo", {}).get("pid") == pid)
        assert components(run)["echo"]["restarts"] == number + 1
    assert process.poll() is None


def components(run):
    return json.loads((run / "state.json").read_text())["components"]


def wait_until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        select.select([], [], [], 0.01)
