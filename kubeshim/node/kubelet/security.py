"""From the two security contexts, pod's and container's, to what the runtime is told. Pure."""

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence

from kubeshim.machinery.objects import Object
from kubeshim.node.container_runtime import runtime
from kubeshim.node.kubelet import environment, pod_spec

_UNSAFE_PROFILE = "cannot load seccomp profile"


@dataclasses.dataclass(frozen=True, slots=True)
class Defaults:
    """Of the kubelet. ``profiles`` is the directory of localhost seccomp profiles."""

    seccomp_default: bool
    profiles: str


def of(pod: Object, container: Object, image_user: str, defaults: Defaults) -> runtime.Security:
    """Raises ``environment.ConfigProblem`` where the image's user contradicts ``runAsNonRoot``."""
    outer: Mapping[str, object] = pod_spec.spec(pod).get("securityContext") or {}
    inner: Mapping[str, object] = container.get("securityContext") or {}
    merged = {**outer, **{key: value for key, value in inner.items() if value is not None}}
    _check_user(pod, container, merged, image_user)
    capabilities = container.get("securityContext", {}).get("capabilities") or {}
    privileged = bool(merged.get("privileged"))
    return runtime.Security(
        user=_user(merged, image_user),
        groups=tuple(_groups(outer)),
        privileged=privileged,
        add_capabilities=tuple(capabilities.get("add") or ()),
        drop_capabilities=tuple(capabilities.get("drop") or ()),
        no_new_privileges=merged.get("allowPrivilegeEscalation") is False,
        read_only_root=bool(merged.get("readOnlyRootFilesystem")),
        seccomp=_seccomp(merged, defaults),
        apparmor=_apparmor(merged),
        unmasked_proc=merged.get("procMount") == "Unmasked",
    )


def _user(merged: Mapping[str, object], image_user: str) -> str:
    user, group = merged.get("runAsUser"), merged.get("runAsGroup")
    if user is None and group is None:
        return ""
    if user is None:
        return f"{image_user.partition(':')[0]}:{group}"
    # Without a group the runtime takes the user's own from the image, as CRI runtimes do.
    return f"{user}:{group}" if group is not None else str(user)


def _groups(outer: Mapping[str, object]) -> list[int]:
    extra = outer.get("supplementalGroups") or []
    found = [int(group) for group in extra] if isinstance(extra, list) else []
    if outer.get("fsGroup") is not None:
        found.append(int(str(outer["fsGroup"])))
    return list(dict.fromkeys(found))


def _check_user(pod: Object, container: Object, merged: Mapping[str, object], image_user: str) -> None:
    if not merged.get("runAsNonRoot"):
        return
    where = (
        f'(pod: "{pod["metadata"]["name"]}_{pod["metadata"].get("namespace", "")}({pod["metadata"].get("uid", "")})"'
    )
    where += f", container: {container['name']})"
    if merged.get("runAsUser") is not None:
        if int(str(merged["runAsUser"])) == 0:
            raise environment.ConfigProblem(f"container's runAsUser breaks non-root policy {where}")
        return
    user = image_user.partition(":")[0]
    if user in ("", "0", "root"):
        raise environment.ConfigProblem(f"container has runAsNonRoot and image will run as root {where}")
    if not user.isdigit():
        raise environment.ConfigProblem(
            f"container has runAsNonRoot and image has non-numeric user ({user}), "
            f"cannot verify user is non-root {where}"
        )


def _seccomp(merged: Mapping[str, object], defaults: Defaults) -> str:
    profile = merged.get("seccompProfile")
    if not isinstance(profile, dict):
        return "runtime/default" if defaults.seccomp_default else "unconfined"
    kind = profile.get("type")
    if kind == "RuntimeDefault":
        return "runtime/default"
    if kind != "Localhost":
        return "unconfined"
    name = str(profile.get("localhostProfile") or "")
    path = os.path.normpath(os.path.join(defaults.profiles, name))
    if not path.startswith(defaults.profiles + os.sep):
        raise environment.ConfigProblem(f"{_UNSAFE_PROFILE} {name!r}: path is outside of the profiles' directory")
    try:
        with open(path, encoding="utf-8") as file:
            return json.dumps(json.load(file))
    except (OSError, ValueError) as error:
        raise environment.ConfigProblem(f'{_UNSAFE_PROFILE} "{path}": {error}') from error


def wants_apparmor(pod: Object) -> bool:
    """Whether some container is to be confined by a profile."""
    outer = (pod_spec.spec(pod).get("securityContext") or {}).get("appArmorProfile")
    for container in pod_spec.every(pod):
        profile = (container.get("securityContext") or {}).get("appArmorProfile") or outer or {}
        if profile.get("type") in ("RuntimeDefault", "Localhost"):
            return True
    return False


def _apparmor(merged: Mapping[str, object]) -> str:
    profile = merged.get("appArmorProfile")
    if not isinstance(profile, dict):
        return ""
    if profile.get("type") == "Unconfined":
        return "unconfined"
    return str(profile.get("localhostProfile") or "") if profile.get("type") == "Localhost" else ""


SAFE_SYSCTLS = frozenset(
    {
        "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.tcp_syncookies",
        "net.ipv4.ping_group_range", "net.ipv4.ip_unprivileged_port_start", "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem",
        "net.ipv4.tcp_slow_start_after_idle", "net.ipv4.tcp_notsent_lowat",
    }
)  # fmt: skip


def sysctls(pod: Object) -> dict[str, str]:
    """Names with dots, whichever way they were written."""
    context = pod_spec.spec(pod).get("securityContext") or {}
    return {dotted(entry["name"]): str(entry["value"]) for entry in context.get("sysctls") or ()}


def dotted(name: str) -> str:
    """``kernel/shm_rmid_forced`` → ``kernel.shm_rmid_forced``; a name whose first separator is a dot stays."""
    slash, dot = name.find("/"), name.find(".")
    if slash < 0 or (0 <= dot < slash):
        return name
    return name.translate(str.maketrans("./", "/."))


def forbidden_sysctl(pod: Object, allowed: Sequence[str]) -> str:
    """The first kernel parameter this node does not let pods set; empty where all are fine."""
    for name in sysctls(pod):
        if name in SAFE_SYSCTLS or name in allowed:
            continue
        if any(pattern.endswith("*") and name.startswith(pattern[:-1]) for pattern in allowed):
            continue
        return name
    return ""
