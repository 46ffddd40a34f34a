"""Where a cluster keeps its files: ``/var/lib/kubeshim/NAME``, readable by root alone."""

import dataclasses
import os
import pathlib

ROOT = pathlib.Path(os.environ.get("KUBESHIM_ROOT", "/var/lib/kubeshim"))
"""Overridden by the environment variable ``KUBESHIM_ROOT``."""


@dataclasses.dataclass(frozen=True, slots=True)
class Layout:
    """The paths of one cluster."""

    directory: pathlib.Path

    @classmethod
    def of(cls, name: str) -> "Layout":
        return cls(ROOT / name)

    @property
    def configuration(self) -> pathlib.Path:
        """What was chosen at the first ``up``; its presence says that the cluster exists."""
        return self.directory / "cluster.json"

    @property
    def pki(self) -> pathlib.Path:
        return self.directory / "pki"

    @property
    def run(self) -> pathlib.Path:
        return self.directory / "run"

    @property
    def logs(self) -> pathlib.Path:
        return self.directory / "logs"

    @property
    def store(self) -> pathlib.Path:
        return self.directory / "store" / "cluster.db"

    def node(self, name: str) -> pathlib.Path:
        """Where the node's kubelet keeps pods' volumes and files."""
        return self.directory / "nodes" / name

    def prepare(self) -> None:
        """Makes the directories, whatever the umask."""
        for path in (ROOT, self.directory, self.pki, self.run, self.logs, self.store.parent, self.directory / "nodes"):
            path.mkdir(parents=True, exist_ok=True)
            path.chmod(0o755 if path == ROOT else 0o700)


def existing() -> list[str]:
    """Names of the clusters on this machine."""
    return sorted(path.parent.name for path in ROOT.glob("*/cluster.json"))
