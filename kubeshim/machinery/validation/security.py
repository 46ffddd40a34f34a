"""Security contexts of pods and containers."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from kubeshim.machinery.errors import FieldError
from kubeshim.machinery.validation import content, fields, mounts

_PROFILES = ("Localhost", "RuntimeDefault", "Unconfined")
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
    for field, supported in (
        ("fsGroupChangePolicy", ("Always", "OnRootMismatch")),
        ("supplementalGroupsPolicy", ("Merge", "Strict")),
        ("seLinuxChangePolicy", ("MountOption", "Recursive")),
    ):
        if found.get(field) is not None:
            wrong += fields.one_of(f"{path}.{field}", found[field], supported)
    wrong += _profile(found.get("seccompProfile"), "seccomp", path + ".seccompProfile")
    wrong += _profile(found.get("appArmorProfile"), "AppArmor", path + ".appArmorProfile")
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
            wrong.append(fields.invalid(path, found, text))
        if "CAP_SYS_ADMIN" in ((found.get("capabilities") or {}).get("add") or ()):
            text = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"
            wrong.append(fields.invalid(path, found, text))
    wrong += _profile(found.get("appArmorProfile"), "AppArmor", path + ".appArmorProfile")
    return wrong


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
    kind, local = found.get("type") or "", found.get("localhostProfile")
    if not kind:
        return [fields.required(path + ".type", f"type is required when {field} is set")]
    wrong = fields.one_of(path + ".type", kind, _PROFILES)
    if kind != "Localhost":
        if local is not None:
            shown = found if sort == "seccomp" else local
            text = f"can only be set when {sort} type is Localhost"
            wrong.append(fields.invalid(path + ".localhostProfile", shown, text))
    elif not (local or "").strip():
        wrong.append(fields.required(path + ".localhostProfile", f"must be set when {sort} type is Localhost"))
    elif sort == "seccomp":
        wrong += mounts.descending_path(local or "", path + ".localhostProfile")
    elif local != (local or "").strip():
        wrong.append(fields.invalid(path + ".localhostProfile", local, "must not be padded with whitespace"))
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
