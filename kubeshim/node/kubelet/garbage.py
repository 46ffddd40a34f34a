"""What is left of pods that nobody remembers: containers, sandboxes, directories and cgroups without a pod."""

import logging
import os
from collections.abc import Callable, Collection, Mapping

from kubeshim.machinery.objects import Object
from kubeshim.node.container_runtime import runtime
from kubeshim.node.kubelet import labels, mounts, parts, quality

_log = logging.getLogger(__name__)


Known = Callable[[], Collection[str]]
"""UIDs of the pods there are. Asked after looking at what exists: a pod is known before anything of it is made."""


def orphaned_pods(shared: parts.Parts, known: Known) -> list[Object]:
    """Pods made up from the labels of containers whose UID is not known, to be ended like deleted ones."""
    own = shared.own_labels()
    found: list[runtime.Sandbox | runtime.Container] = [*shared.engine.sandboxes(own), *shared.engine.containers(own)]
    pods: dict[str, Object] = {}
    uids = known()
    for each in found:
        uid = each.labels.get(labels.POD_UID, "")
        if uid and uid not in uids:
            pods.setdefault(uid, _made_up(each.labels))
    return list(pods.values())


def _made_up(found: Mapping[str, str]) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": found.get(labels.POD_NAME, ""),
            "namespace": found.get(labels.POD_NAMESPACE, ""),
            "uid": found.get(labels.POD_UID, ""),
        },
        "spec": {"containers": []},
    }


def remove_cgroups(shared: parts.Parts, known: Known) -> None:
    """Cgroups of pods that nobody remembers."""
    found = [
        (parent, name)
        for parent in _class_parents(shared)
        for name in shared.engine.cgroups_in(parent)
        if name.startswith("pod")
    ]
    uids = known()
    for parent, name in found:
        if name.removeprefix("pod") not in uids:
            shared.engine.remove_cgroup(f"{parent}/{name}")


def remove_cgroup(shared: parts.Parts, uid: str) -> None:
    """The cgroup of a pod that has ended, of whatever class it was.

    Its sandbox took it along, unless the process that removed the sandbox was killed just then, or the engine had not
    cleared a container away yet: then that is to be tried again, which the failure makes sure of.
    """
    for parent in _class_parents(shared):
        if not shared.engine.remove_cgroup(f"{parent}/pod{uid}"):
            raise runtime.RuntimeFailure(f"the cgroup of pod {uid} is still in use")


def _class_parents(shared: parts.Parts) -> list[str]:
    return [quality.class_parent(shared.cgroup_root, kind) for kind in quality.CLASSES]


def remove_directories(shared: parts.Parts, known: Known) -> None:
    """Directories of pods that are neither in the API nor have containers."""
    root = os.path.join(shared.config.data_dir, "pods")
    try:
        names = os.listdir(root)
    except FileNotFoundError:
        return
    uids = known()
    for name in names:
        if name in uids:
            continue
        try:
            mounts.remove_tree(os.path.join(root, name))
        except OSError as error:
            _log.warning("directory of pod %s: %s", name, error)
