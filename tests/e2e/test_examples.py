"""Every README of the examples does what it says: its commands are run, in order, in one shell, and none fails."""

import os
import pathlib
import re
import subprocess

import pytest

from tests.e2e.conftest import EXAMPLES, ROOT, kubeshim, start

NAME = "e2e-examples"
READMES = sorted(EXAMPLES.glob("[0-9]*/README.md"))


@pytest.fixture(scope="module")
def environment(tmp_path_factory, kubectl_path, images):
    """Of a shell for which ``kubectl`` is that of the tests, and whose cluster has an Ingress controller."""
    where = tmp_path_factory.mktemp("examples")
    (where / "bin").mkdir()
    (where / "bin" / "kubectl").symlink_to(kubectl_path)
    running = start(NAME, where, kubectl_path, "--ingress")
    yield {**running.environment, "PATH": f"{where / 'bin'}:{os.environ['PATH']}", "no_proxy": "*"}
    done = kubeshim("down", "--name", NAME, "--kubeconfig", str(running.kubeconfig))
    assert "warning" not in done.stderr, done.stderr


def commands(text: str) -> list[str]:
    """Those of the console blocks, but for what sets up the machine itself."""
    blocks = re.findall(r"^```console\n(.*?)^```$", text, re.M | re.S)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("$ ")]
    return [line[2:] for line in lines if not line.startswith("$ sudo ")]


ASKS = ("kubectl exec ", "wget ", "curl ")
"""Commands that a reader would simply try again: names, rules and routes follow what is ready by a moment."""


def patiently(number: int, command: str) -> str:
    """The command as a line of the script; how long one may wait depends on the machine."""
    command = re.sub(r"--timeout=\d+s", "--timeout=180s", command)
    failed = f"{{ echo 'failed:' '{number}' >&2; exit 1; }}"
    if not command.startswith(ASKS):
        return f"{command} || {failed}"
    return f"for try in $(seq 60); do {command} && break; [ $try = 60 ] && {failed}; sleep 0.5; done"


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.parent.name)
def test_the_commands_of_the_readme_succeed(environment, readme: pathlib.Path):
    script = "\n".join(patiently(number, command) for number, command in enumerate(commands(readme.read_text())))
    done = subprocess.run(
        ["bash", "-uc", script], cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, f"{commands(readme.read_text())}\n{done.stdout}{done.stderr}"
