"""Security contexts of pods and containers."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from kubeshim.machinery.errors import FieldError
from kubeshim.machinery.validation import content, fields, go_structs, mounts, windows

_PROFILES = ("Localhost", "RuntimeDefault", "Unconfined")
_PATH_LIMIT = 4095
_ID_TEXT = content.between(0, 2**31 - 1)
_SEGMENT = "[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_SYSCTL = "^(" + _SEGMENT + r"[\./])*" + _SEGMENT + "$"
_sysctl = re.compile(_SYSCTL).match
_IPC_SYSCTLS = ("kernel.shm", "kernel.msg", "fs.mqueue.")


def pod(found: Mapping[str, Any], spec: Mapping[str, Any], path: str) -> list[FieldError]:
    wrong: list[FieldError] = []
    for field in ("fsGroup", "runAsUser", "runAsGroup"):
        wrong += _identity(found.get(field), f"{path}.{field}")
    for index, group in enumerate(found.get("supplementalGroups") or ()):
        wrong += _identity(group, f"{path}.supplementalGroups[{index}]")
    if found.get("sysctls"):
        wrong += _sysctls(found["sysctls"], spec, path + ".sysctls")
    if (policy := found.get("fsGroupChangePolicy")) is not None:
        wrong += fields.one_of(path + ".fsGroupChangePolicy", policy, ("Always", "OnRootMismatch"))
    wrong += _profile(found.get("seccompProfile"), "seccomp", path + ".seccompProfile")
    wrong += windows.options(found.get("windowsOptions"), path + ".windowsOptions")
    wrong += _profile(found.get("appArmorProfile"), "AppArmor", path + ".appArmorProfile")
    for field, supported in (
        ("supplementalGroupsPolicy", ("Merge", "Strict")),
        ("seLinuxChangePolicy", ("MountOption", "Recursive")),
    ):
        if found.get(field) is not None:
            wrong += fields.one_of(f"{path}.{field}", found[field], supported)
    return wrong


def container(found: Mapping[str, Any], path: str, host_users: bool) -> list[FieldError]:
    wrong: list[FieldError] = []
    for field in ("runAsUser", "runAsGroup"):
        wrong += _identity(found.get(field), f"{path}.{field}")
    wrong += _proc_mount(found.get("procMount"), path + ".procMount", host_users)
    wrong += _profile(found.get("seccompProfile"), "seccomp", path + ".seccompProfile")
    if found.get("allowPrivilegeEscalation") is False:
        if found.get("privileged"):
            text = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
            wrong.append(fields.invalid(path, _shown(found), text))
        if "CAP_SYS_ADMIN" in ((found.get("capabilities") or {}).get("add") or ()):
            text = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"
            wrong.append(fields.invalid(path, _shown(found), text))
    wrong += windows.options(found.get("windowsOptions"), path + ".windowsOptions")
    wrong += _profile(found.get("appArmorProfile"), "AppArmor", path + ".appArmorProfile")
    return wrong


def _shown(found: Mapping[str, Any]) -> fields.Struct:
    return go_structs.shown(go_structs.SECURITY_CONTEXT, found)


def _proc_mount(mode: Any, path: str, host_users: bool) -> list[FieldError]:
    if mode is None:
        return []
    if mode not in ("Default", "Unmasked"):
        return [fields.not_supported(path, mode, ("Default", "Unmasked"))]
    if mode == "Unmasked" and host_users:
        return [fields.invalid(path, mode, "`hostUsers` must be false to use `Unmasked`")]
    return []


def _identity(number: Any, path: str) -> list[FieldError]:
    if number is None or 0 <= number <= 2**31 - 1:
        return []
    return [fields.invalid(path, number, _ID_TEXT)]


def _profile(found: Mapping[str, Any] | None, sort: str, path: str) -> list[FieldError]:
    """Seccomp and AppArmor profiles differ in words and in how a local profile's name is judged."""
    if found is None:
        return []
    field = "seccompProfile" if sort == "seccomp" else "appArmorProfile"
    kind, local, place = found.get("type") or "", found.get("localhostProfile"), path + ".localhostProfile"
    if not kind:
        wrong = [fields.required(path + ".type", f"type is required when {field} is set")]
    else:
        wrong = fields.one_of(path + ".type", kind, _PROFILES)
    if kind == "Localhost":
        wrong += _local_profile(local, sort, place)
    elif local is not None:
        text = f"can only be set when {sort} type is Localhost"
        if sort == "seccomp":
            wrong.append(fields.invalid(place, go_structs.shown(go_structs.SECCOMP_PROFILE, found), text))
        elif not wrong:
            wrong.append(fields.invalid(place, local, text))
    return wrong


def _local_profile(name: str | None, sort: str, path: str) -> list[FieldError]:
    missing = fields.required(path, f"must be set when {sort} type is Localhost")
    if name is None:
        return [missing]
    if sort == "seccomp":
        return mounts.descending_path(name, path)
    wrong: list[FieldError] = []
    if name != name.strip():
        wrong.append(fields.invalid(path, name, "must not be padded with whitespace"))
    elif not name:
        wrong.append(missing)
    if len(name.encode()) > _PATH_LIMIT:
        wrong.append(fields.too_long(path, _PATH_LIMIT))
    return wrong


def _sysctls(found: Sequence[Mapping[str, Any]], spec: Mapping[str, Any], base: str) -> list[FieldError]:
    wrong: list[FieldError] = []
    names: set[str] = set()
    for index, sysctl in enumerate(found):
        path, name = f"{base}[{index}].name", sysctl.get("name") or ""
        if not name:
            wrong.append(fields.required(path))
        elif len(name) > 253 or not _sysctl(name):
            wrong.append(fields.invalid(path, name, f"must have at most 253 characters and match regex {_SYSCTL}"))
        elif name in names:
            wrong.append(fields.duplicate(path, name))
        dotted = name.replace("/", ".")
        if spec.get("hostNetwork") and dotted.startswith("net."):
            wrong.append(fields.invalid(path, name, "may not be specified when 'hostNetwork' is true"))
        if spec.get("hostIPC") and (dotted.startswith(_IPC_SYSCTLS) or dotted == "kernel.sem"):
            wrong.append(fields.invalid(path, name, "may not be specified when 'hostIPC' is true"))
        names.add(name)
    return wrong
