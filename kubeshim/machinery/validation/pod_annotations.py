"""Annotations that mean something to a pod: those of static pods, of old features, and what a deletion costs."""

import re
from collections.abc import Mapping
from typing import Any

import orjson

from kubeshim.machinery import app_armor
from kubeshim.machinery.errors import FieldError
from kubeshim.machinery.validation import fields, mounts, scheduling, windows

MIRROR = "kubernetes.io/config.mirror"
_COST = "controller.kubernetes.io/pod-deletion-cost"
_TOLERATIONS = "scheduler.alpha.kubernetes.io/tolerations"
_SECCOMP_POD = "seccomp.security.alpha.kubernetes.io/pod"
_SECCOMP_CONTAINER = "container.seccomp.security.alpha.kubernetes.io/"
_LOCAL = "localhost/"
_whole_number = re.compile(r"-?[0-9]+", re.ASCII).fullmatch


def validate(found: Mapping[str, str], spec: Mapping[str, Any], path: str) -> list[FieldError]:
    wrong: list[FieldError] = []
    if MIRROR in found and not spec.get("nodeName"):
        text = "must set spec.nodeName if mirror pod annotation is set"
        wrong.append(fields.invalid(f"{path}[{MIRROR}]", found[MIRROR], text))
    if found.get(_TOLERATIONS):
        wrong += _tolerations(found[_TOLERATIONS], path)
    if not _is_cost(found.get(_COST, "0")):
        wrong.append(fields.invalid(f"{path}[{_COST}]", found[_COST], "must be a 32bit integer"))
    if _SECCOMP_POD in found:
        wrong += _seccomp(found[_SECCOMP_POD], f"{path}.{_SECCOMP_POD}")
    for key, value in found.items():
        if key.startswith(_SECCOMP_CONTAINER):
            wrong += _seccomp(value, f"{path}.{key}")
    for key, value in found.items():
        if key.startswith(app_armor.ANNOTATION):
            wrong += _app_armor(key, value, spec, path)
    return wrong


def _is_cost(text: str) -> bool:
    """A 32 bit integer without a plus sign or zeros in front."""
    if not _whole_number(text) or (text[0] == "0" and text != "0"):
        return False
    return -(2**31) <= int(text) < 2**31


def _tolerations(text: str, path: str) -> list[FieldError]:
    try:
        found = orjson.loads(text)
    except ValueError as error:
        return [fields.invalid(path, _TOLERATIONS, str(error))]
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        complaint = "json: cannot unmarshal object into Go value of type []core.Toleration"
        return [fields.invalid(path, _TOLERATIONS, complaint)]
    return scheduling.tolerations(found, f"{path}.{_TOLERATIONS}")


def _seccomp(profile: str, path: str) -> list[FieldError]:
    if profile in ("runtime/default", "docker/default", "unconfined"):
        return []
    if profile.startswith(_LOCAL):
        return mounts.descending_path(profile.removeprefix(_LOCAL), path)
    return [fields.invalid(path, profile, "must be a valid seccomp profile")]


def _app_armor(key: str, profile: str, spec: Mapping[str, Any], path: str) -> list[FieldError]:
    wrong: list[FieldError] = []
    name = key.removeprefix(app_armor.ANNOTATION)
    if all(container.get("name") != name for container, _ in windows.visit(spec, "")):
        wrong.append(fields.invalid(f"{path}[{key}]", name, "container not found"))
    if profile not in ("", "runtime/default", "unconfined") and not profile.startswith(_LOCAL):
        text = f"invalid AppArmor profile name: {fields.quote(profile)}"
        wrong.append(fields.invalid(f"{path}[{key}]", profile, text))
    return wrong


def profiles(found: Mapping[str, str], spec: Mapping[str, Any], path: str) -> list[FieldError]:
    """Where annotation and field both name a profile they name the same."""
    of_pod = spec.get("securityContext") or {}
    wrong: list[FieldError] = []
    if _SECCOMP_POD in found and of_pod.get("seccompProfile"):
        place = path + ".securityContext.seccompProfile"
        wrong += _match(found[_SECCOMP_POD], of_pod["seccompProfile"], "seccomp", place)
    placed = [(c, f"{place}.securityContext") for c, place in windows.visit(spec, path)]
    for container, place in placed:
        key, own = _SECCOMP_CONTAINER + (container.get("name") or ""), container.get("securityContext") or {}
        if key in found and own.get("seccompProfile"):
            wrong += _match(found[key], own["seccompProfile"], "seccomp", place + ".seccompProfile")
    if (spec.get("os") or {}).get("name") == "windows":
        return wrong
    for container, place in placed:
        key, own = app_armor.ANNOTATION + (container.get("name") or ""), container.get("securityContext") or {}
        profile = own.get("appArmorProfile") or of_pod.get("appArmorProfile")
        if key in found and profile:
            wrong += _match(found[key], profile, "apparmor", place + ".appArmorProfile")
    return wrong


def _match(annotation: str, profile: Mapping[str, Any], sort: str, path: str) -> list[FieldError]:
    kind, local = profile.get("type"), profile.get("localhostProfile")
    allowed = {
        "Unconfined": ("unconfined",),
        "RuntimeDefault": ("runtime/default", "docker/default") if sort == "seccomp" else ("runtime/default",),
    }.get(kind or "")
    if allowed is not None and annotation in allowed:
        return []
    if kind == "Localhost" and annotation.startswith(_LOCAL):
        if local is not None and annotation.removeprefix(_LOCAL) == local:
            return []
        text = f"{sort} profile in annotation and field must match"
        return [fields.forbidden(path + ".localhostProfile", text)]
    if allowed is None and kind != "Localhost":
        return []
    return [fields.forbidden(path + ".type", f"{sort} type in annotation and field must match")]


def changes(new: Mapping[str, str], old: Mapping[str, str], path: str) -> list[FieldError]:
    """What of a pod's annotations stays for its life."""
    wrong: list[FieldError] = []
    for keys, verb in ((old, "remove or update"), ([key for key in new if key not in old], "add")):
        for key in keys:
            if new.get(key) == old.get(key):
                continue
            if key.startswith(app_armor.ANNOTATION):
                wrong.append(fields.forbidden(f"{path}[{key}]", f"may not {verb} AppArmor annotations"))
            if key == MIRROR:
                wrong.append(fields.forbidden(f"{path}[{key}]", f"may not {verb} mirror pod annotation"))
    return wrong
