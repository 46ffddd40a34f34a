"""What pods of Windows nodes may have, and what only they may have."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kubeshim.machinery.errors import FieldError
from kubeshim.machinery.validation import content, fields

_CONTAINERS = ("initContainers", "containers", "ephemeralContainers")
_NOT_FOR_WINDOWS = "cannot be set for a windows pod"
_NOT_FOR_LINUX = "windows options cannot be set for a linux pod"
_POD_CONTEXT = (
    "appArmorProfile", "seLinuxOptions", "seccompProfile", "fsGroup", "fsGroupChangePolicy", "sysctls", "runAsUser",
    "runAsGroup", "supplementalGroups", "supplementalGroupsPolicy", "seLinuxChangePolicy",
)  # fmt: skip
_CONTAINER_CONTEXT = (
    "appArmorProfile", "seLinuxOptions", "seccompProfile", "capabilities", "readOnlyRootFilesystem", "privileged",
    "allowPrivilegeEscalation", "procMount", "runAsUser", "runAsGroup",
)  # fmt: skip
_SPEC_SIZE, _DOMAIN_SIZE, _USER_SIZE = 64 * 1024, 256, 104
_control = re.compile(r"[\x00-\x1f\x7f]").search
_net_bios = re.compile(r'[^\\/:*?"<>|.][^\\/:*?"<>|]{0,14}').fullmatch
_DNS_LABEL = "[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
_domain = re.compile(rf"{_DNS_LABEL}(?:\.{_DNS_LABEL})*").fullmatch
_bad_user = re.compile(r'["/\\:;|=,+*?<>@\[\]]').search
_blank_user = re.compile(r"[. ]+").fullmatch


def visit(spec: Mapping[str, Any], path: str) -> Iterator[tuple[Mapping[str, Any], str]]:
    """All containers with their paths, in the order in which upstream walks them."""
    for field in _CONTAINERS:
        for index, container in enumerate(spec.get(field) or ()):
            yield container, f"{path}.{field}[{index}]"


def options(found: Mapping[str, Any] | None, path: str) -> list[FieldError]:
    """``securityContext.windowsOptions``."""
    if found is None:
        return []
    wrong: list[FieldError] = []
    if (name := found.get("gmsaCredentialSpecName")) is not None:
        wrong += fields.all_invalid(path + ".gmsaCredentialSpecName", name, content.dns_subdomain(name))
    if (spec := found.get("gmsaCredentialSpec")) is not None:
        place = path + ".gmsaCredentialSpec"
        if not spec:
            wrong.append(fields.invalid(place, spec, "gmsaCredentialSpec cannot be an empty string"))
        elif len(spec.encode()) > _SPEC_SIZE:
            wrong.append(fields.invalid(place, spec, "gmsaCredentialSpec size must be under 64 KiB"))
    if (name := found.get("runAsUserName")) is not None:
        complaints = [f"runAsUserName{complaint}" for complaint in _user_name(name)]
        wrong += fields.all_invalid(path + ".runAsUserName", name, complaints)
    return wrong


def _user_name(name: str) -> list[str]:
    if not name:
        return [" cannot be an empty string"]
    if _control(name):
        return [" cannot contain control characters"]
    if name.count("\\") > 1:
        return [" cannot contain more than one backslash"]
    domain, backslash, user = name.rpartition("\\")
    wrong = []
    if len(domain) >= _DOMAIN_SIZE:
        wrong.append(f"'s Domain length must be under {_DOMAIN_SIZE} characters")
    if backslash and not _net_bios(domain) and not _domain(domain):
        wrong.append("'s Domain doesn't match the NetBios nor the DNS format")
    if not user:
        wrong.append("'s User cannot be empty")
    elif len(user) > _USER_SIZE:
        wrong.append(f"'s User length must not be longer than {_USER_SIZE} characters")
    if _blank_user(user):
        wrong.append("'s User cannot contain only periods or spaces")
    if _bad_user(user):
        wrong.append(r"""'s User cannot contain the following characters: "/\:;|=,+*?<>@[]""")
    return wrong


def host_process(spec: Mapping[str, Any], path: str) -> list[FieldError]:
    """Containers that are processes of the host: all of a pod's, or none, and in the host's network."""
    of_pod = _host_process(spec)
    wrong: list[FieldError] = []
    total = count = 0
    for container, place in visit(spec, path):
        total += 1
        own = _host_process(container)
        if of_pod is not None and own is not None and of_pod != own:
            text = f"pod hostProcess value must be identical if both are specified, was {str(of_pod).lower()}"
            wrong.append(fields.invalid(place + ".securityContext.windowsOptions.hostProcess", own, text))
        count += bool(of_pod if own is None else own)
    if count:
        if count != total:
            text = "If pod contains any hostProcess containers then all containers must be HostProcess containers"
            wrong.append(fields.invalid(path, "", text))
        if not spec.get("hostNetwork"):
            text = "hostNetwork must be true if pod contains any hostProcess containers"
            wrong.append(fields.invalid(path + ".hostNetwork", False, text))
    return wrong


def _host_process(holder: Mapping[str, Any]) -> bool | None:
    value = ((holder.get("securityContext") or {}).get("windowsOptions") or {}).get("hostProcess")
    return value if value is None else bool(value)


def operating_system(found: Mapping[str, Any], spec: Mapping[str, Any], path: str) -> list[FieldError]:
    """``os``, and what the pod may not have because of it."""
    name = found.get("name") or ""
    if not name:
        return [fields.required(path + ".os.name")]
    if name not in ("linux", "windows"):
        return [fields.not_supported(path + ".os", name, ("linux", "windows"))]
    if name == "linux":
        return _unwanted(spec, path, ("windowsOptions",), ("windowsOptions",), _NOT_FOR_LINUX)
    wrong = _given(spec.get("securityContext"), path + ".securityContext", _POD_CONTEXT, _NOT_FOR_WINDOWS)
    wrong += _given(spec, path, ("hostUsers",), _NOT_FOR_WINDOWS)
    wrong += [
        fields.forbidden(f"{path}.{field}", _NOT_FOR_WINDOWS) for field in ("hostPID", "hostIPC") if spec.get(field)
    ]
    wrong += _given(spec, path, ("shareProcessNamespace",), _NOT_FOR_WINDOWS)
    return wrong + _unwanted(spec, path, (), _CONTAINER_CONTEXT, _NOT_FOR_WINDOWS)


def _unwanted(
    spec: Mapping[str, Any], path: str, of_pod: Sequence[str], of_container: Sequence[str], text: str
) -> list[FieldError]:
    wrong = _given(spec.get("securityContext"), path + ".securityContext", of_pod, text)
    for container, place in visit(spec, path):
        wrong += _given(container.get("securityContext"), place + ".securityContext", of_container, text)
    return wrong


def _given(found: Mapping[str, Any] | None, path: str, names: Sequence[str], text: str) -> list[FieldError]:
    if not found:
        return []
    return [
        fields.forbidden(f"{path}.{name}", text)
        for name in names
        if found.get(name) is not None and not (name == "sysctls" and not found[name])
    ]
