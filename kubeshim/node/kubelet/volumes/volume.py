"""What a volume type is told, and what goes wrong with volumes."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import NoReturn

from kubeshim.machinery import objects
from kubeshim.machinery.objects import Object
from kubeshim.node.container_runtime import runtime
from kubeshim.node.kubelet import field_paths, pod_spec


class VolumeProblem(Exception):
    """A volume that cannot be made (yet); the message is what the FailedMount event says after its prefix."""


def _no_images() -> NoReturn:
    raise VolumeProblem("no image volumes here")


@dataclasses.dataclass(frozen=True, slots=True)
class Token:
    """A service account's token, and when (seconds since the epoch) it should be replaced."""

    text: str
    refresh_at: float


@dataclasses.dataclass(frozen=True, slots=True)
class Credentials:
    """A pod's private key and certificate chain, in PEM, and when to ask for them again."""

    key: bytes
    chain: bytes
    refresh_at: float


def _no_certificates() -> NoReturn:
    raise VolumeProblem("no pod certificates here")


@dataclasses.dataclass(frozen=True, slots=True)
class Context:
    """One pod, as its volumes see it."""

    pod: Object
    lookup: Callable[[str, str], Object | None]
    """``(kind, name)`` in the pod's namespace; ``PersistentVolume`` has none. None where it is not there."""
    token: Callable[[Object, str, int], Token]
    """``(pod, audience, seconds)`` → a token of the pod's service account. Raises ``VolumeProblem``."""
    node: field_paths.NodeFacts
    every: Callable[[str], Sequence[Object]] = lambda kind: ()
    """All objects of a kind that has no namespaces."""

    image: Callable[[str, Object], runtime.Image] = lambda name, source: _no_images()
    """``(volume name, source)`` → the image, pulled. Raises ``images.ImageProblem``."""
    tree: Callable[[runtime.Image], str] = lambda image: _no_images()
    """The directory with the image's files."""
    certificate: Callable[[Object, str, int, Object], Credentials] = lambda pod, name, index, source: _no_certificates()
    """``(pod, volume name, number of the source, source)``. Raises ``VolumeProblem``."""

    @property
    def namespace(self) -> str:
        return objects.namespace(self.pod)

    @property
    def fs_group(self) -> int | None:
        group = objects.dig(self.pod, "spec", "securityContext", "fsGroup")
        return None if group is None else int(group)

    @property
    def fs_user(self) -> int | None:
        """The user all containers run as, where that is one and the same."""
        outer = objects.dig(self.pod, "spec", "securityContext", "runAsUser")
        users = {objects.dig(each, "securityContext", "runAsUser", default=outer) for each in pod_spec.every(self.pod)}
        return int(users.pop()) if len(users) == 1 and None not in users else None


@dataclasses.dataclass(frozen=True, slots=True)
class Made:
    """A volume that stands. ``path`` is on this machine."""

    path: str
    read_only: bool = False
    refresh_at: float = 0.0
    """When its contents must be looked at again; 0 means when told of a change."""
    sealed: bool = False
    """Whether the mount itself is read-only and more: containers get it as it is, for an engine that makes a bind
    read-only drops its other restrictions."""
    block: bool = False
    """Whether it is a raw device and not a directory or file."""
    watched: Sequence[tuple[str, str]] = ()
    """``(kind, name)`` whose change calls for a refresh."""


SetUp = Callable[[Object, str, Context], Made]
"""``(volume, directory, context)``: makes or refreshes it; idempotent. Raises ``VolumeProblem`` or ``OSError``."""
