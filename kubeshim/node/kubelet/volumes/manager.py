"""All volumes of a pod: made before its containers, refreshed while it runs, taken away after it.

``DATA_DIR/pods/UID/volumes/PLUGIN/NAME`` holds those with files of their own, as the genuine kubelet lays them out.
"""

import dataclasses
import os
from collections.abc import Mapping, Sequence

from kubeshim.machinery.objects import Object
from kubeshim.node.container_runtime import runtime
from kubeshim.node.kubelet import environment, expansion, mounts, pod_spec
from kubeshim.node.kubelet.volumes import sub_path, table, volume

_PROPAGATION = {"HostToContainer": "rslave", "Bidirectional": "rshared"}


@dataclasses.dataclass(frozen=True, slots=True)
class Prepared:
    """A pod's volumes by name, what they depend on, and when to look at them again (0: never by time)."""

    made: Mapping[str, volume.Made]
    watched: Sequence[tuple[str, str]]
    refresh_at: float


class Failed(Exception):
    """One volume could not be made; the whole text of the FailedMount event."""


def prepare(pod: Object, pod_directory: str, context: volume.Context) -> Prepared:
    """Makes or refreshes all volumes. Idempotent. Raises ``Failed``."""
    made: dict[str, volume.Made] = {}
    watched: list[tuple[str, str]] = []
    refresh_at = 0.0
    for spec in pod_spec.spec(pod).get("volumes") or ():
        result = made[spec["name"]] = _one(spec, pod_directory, context)
        _check_mode(pod, spec["name"], result)
        watched += result.watched
        if result.refresh_at:
            refresh_at = min(refresh_at or result.refresh_at, result.refresh_at)
    return Prepared(made, watched, refresh_at)


def _one(spec: Object, pod_directory: str, context: volume.Context) -> volume.Made:
    try:
        kind = table.kind_of(spec)
        plugin, set_up = table.TYPES[kind]
        directory = os.path.join(pod_directory, "volumes", plugin, spec["name"])
        if kind in table.OWN_DIRECTORY:
            os.makedirs(directory, 0o755, exist_ok=True)
            os.chmod(os.path.dirname(directory), 0o755)
        return set_up(spec, directory, context)
    except (volume.VolumeProblem, runtime.RuntimeFailure, OSError, ValueError) as problem:
        raise Failed(f'MountVolume.SetUp failed for volume "{spec["name"]}" : {problem}') from problem


def _check_mode(pod: Object, name: str, made: volume.Made) -> None:
    """A raw device is no directory to mount, nor the other way round."""
    mode, field = ("Block", "volumeMounts") if made.block else ("Filesystem", "volumeDevices")
    for container in pod_spec.every(pod):
        if any(entry["name"] == name for entry in container.get(field) or ()):
            raise Failed(
                f"Unable to attach or mount volumes: unmounted volumes=[{name}], unattached volumes=[], failed to "
                f"process volumes=[{name}]: volume {name} has volumeMode {mode}, but is specified in {field}"
            )


def devices_of(container: Object, made: Mapping[str, volume.Made]) -> list[runtime.Mount]:
    """A container's raw devices."""
    return [
        runtime.Mount(made[entry["name"]].path, entry["devicePath"], made[entry["name"]].read_only)
        for entry in container.get("volumeDevices") or ()
    ]


def mounts_of(
    pod: Object, container: Object, made: Mapping[str, volume.Made], pod_directory: str, known: Mapping[str, str]
) -> list[runtime.Mount]:
    """A container's mounts; ``known`` are its environment for ``subPathExpr``. Raises ``ConfigProblem``."""
    found: list[runtime.Mount] = []
    for position, entry in enumerate(container.get("volumeMounts") or ()):
        source = made.get(entry["name"])
        if source is None:
            raise environment.ConfigProblem(f"cannot find volume \"{entry['name']}\" to mount into container "
                                            f"\"{container['name']}\"")  # fmt: skip
        path = source.path
        part = _part(entry, known)
        if part:
            names = "volume-subpaths", entry["name"], container["name"], str(position)
            try:
                path = sub_path.prepare(path, part, os.path.join(pod_directory, *names))
            except volume.VolumeProblem as problem:
                raise environment.ConfigProblem(
                    f'failed to prepare subPath for volumeMount "{entry["name"]}" of container '
                    f'"{container["name"]}": {problem}'
                ) from problem
        recursive = mounts.recursively(entry)
        if recursive:
            names = "volume-readonly", entry["name"], container["name"], str(position)
            path = _sealed(path, os.path.join(pod_directory, *names))
        elif entry.get("recursiveReadOnly") == "Enabled":
            raise environment.ConfigProblem("recursive read-only mounts are not supported by this node")
        target = entry["mountPath"] if entry["mountPath"].startswith("/") else "/" + entry["mountPath"]
        read_only = not (source.sealed or recursive) and (bool(entry.get("readOnly")) or source.read_only)
        propagation = _PROPAGATION.get(entry.get("mountPropagation") or "None", "private")
        if propagation != "private" and source.path.startswith(pod_directory + os.sep):
            # Of the node's own directories that is ours to arrange; of others the machine's administrator decides.
            mounts.share(source.path)
        found.append(runtime.Mount(path, target, read_only, propagation))
    return found


def _sealed(path: str, target: str) -> str:
    """A bind whose whole tree is read-only. The engine must not touch its flags again."""
    if mounts.is_mount(target):
        mounts.unmount(target)
    sub_path.make_target(target, os.stat(path).st_mode)
    mounts.bind_recursively_read_only(path, target)
    return target


def _part(entry: Object, known: Mapping[str, str]) -> str:
    expression = entry.get("subPathExpr")
    if not expression:
        return str(entry.get("subPath") or "")
    missing = expansion.missing(expression, known)
    if missing:
        raise environment.ConfigProblem(f"missing value for {missing[0]!r}".replace("'", '"'))
    part = expansion.expand(expression, known)
    if part.startswith("/"):
        raise environment.ConfigProblem(f"error SubPath `{part}` must not be an absolute path")
    if ".." in part.split("/"):
        raise environment.ConfigProblem(f"unable to provision SubPath `{part}`: must not contain '..'")
    return part


def remove(pod_directory: str) -> None:
    """Takes the pod's whole directory away, mounts first. Raises ``OSError`` while something holds it."""
    mounts.remove_tree(pod_directory)
