"""The Pod Security Standards: what a pod may not ask for at the levels ``baseline`` and ``restricted``.

Each check is a function of a pod's spec that answers with what it found, or nothing. ``CHECKS`` is the whole list, in
the order in which the findings are named; ``since`` is the minor version from which a check exists, for namespaces
that pin one. Source: Kubernetes documentation, "Pod Security Standards".
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from kubeshim.machinery.validation.fields import quote

Spec = Mapping[str, Any]
LEVELS = ("privileged", "baseline", "restricted")
LATEST = 1 << 16
"""A minor version above all others."""

_LISTS = ("initContainers", "containers", "ephemeralContainers")
_DEFAULT_CAPABILITIES = frozenset(
    (
        "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP",
        "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
    )
)  # fmt: skip
_SAFE_SYSCTLS: dict[str, int] = {
    "kernel.shm_rmid_forced": 0, "net.ipv4.ip_local_port_range": 0, "net.ipv4.tcp_syncookies": 0,
    "net.ipv4.ping_group_range": 0, "net.ipv4.ip_unprivileged_port_start": 0, "net.ipv4.ip_local_reserved_ports": 27,
    "net.ipv4.tcp_keepalive_time": 29, "net.ipv4.tcp_fin_timeout": 29, "net.ipv4.tcp_keepalive_intvl": 29,
    "net.ipv4.tcp_keepalive_probes": 29, "net.ipv4.tcp_rmem": 32, "net.ipv4.tcp_wmem": 32,
}  # fmt: skip
"""Sysctls that touch only the pod, and since which minor version they count as such."""
_SAFE_VOLUMES = frozenset(
    (
        "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim", "projected",
        "secret",
    )
)  # fmt: skip
_SELINUX_TYPES = ("", "container_t", "container_init_t", "container_kvm_t", "container_engine_t")


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """``reason (detail)`` in the refusal."""

    reason: str
    detail: str

    def __str__(self) -> str:
        return f"{self.reason} ({self.detail})" if self.detail else self.reason


def _containers(spec: Spec) -> Iterator[Mapping[str, Any]]:
    for field in _LISTS:
        yield from spec.get(field) or ()


def _context(holder: Mapping[str, Any]) -> Mapping[str, Any]:
    return holder.get("securityContext") or {}


def _names(found: list[str], noun: str = "container") -> str:
    """``container "a"`` / ``containers "a", "b"``."""
    plural = "" if len(found) == 1 else "s"
    return f"{noun}{plural} {', '.join(quote(name) for name in found)}"


def _named(spec: Spec, wrong: Callable[[Mapping[str, Any]], bool]) -> list[str]:
    return [str(container.get("name") or "") for container in _containers(spec) if wrong(container)]


def _listed(values: set[str]) -> str:
    return ", ".join(quote(value) for value in sorted(values))


def _app_armor(spec: Spec, version: int) -> Finding | None:
    def unconfined(holder: Mapping[str, Any]) -> bool:
        return (_context(holder).get("appArmorProfile") or {}).get("type") == "Unconfined"

    setters = (["pod"] if unconfined(spec) else []) + ([_names(bad)] if (bad := _named(spec, unconfined)) else [])
    if not setters:
        return None
    text = f'{" and ".join(setters)} must not set AppArmor profile type to "Unconfined"'
    return Finding("forbidden AppArmor profile", text)


def _capabilities(spec: Spec, version: int) -> Finding | None:
    return _added(spec, _DEFAULT_CAPABILITIES, "non-default capabilities")


def _added(spec: Spec, allowed: frozenset[str], reason: str) -> Finding | None:
    extra: set[str] = set()
    names = []
    for container in _containers(spec):
        bad = set((_context(container).get("capabilities") or {}).get("add") or ()) - allowed
        if bad:
            names.append(str(container.get("name") or ""))
            extra |= bad
    if not names:
        return None
    return Finding(reason, f"{_names(names)} must not include {_listed(extra)} in securityContext.capabilities.add")


def _host_namespaces(spec: Spec, version: int) -> Finding | None:
    found = [f"{field}=true" for field in ("hostNetwork", "hostPID", "hostIPC") if spec.get(field)]
    return Finding("host namespaces", ", ".join(found)) if found else None


def _host_path(spec: Spec, version: int) -> Finding | None:
    found = [str(volume.get("name")) for volume in spec.get("volumes") or () if volume.get("hostPath") is not None]
    return Finding("hostPath volumes", _names(found, "volume")) if found else None


def _host_ports(spec: Spec, version: int) -> Finding | None:
    names = []
    ports: set[int] = set()
    for container in _containers(spec):
        used = {port["hostPort"] for port in container.get("ports") or () if port.get("hostPort")}
        if used:
            names.append(str(container.get("name") or ""))
            ports |= used
    if not names:
        return None
    verb, noun = ("uses" if len(names) == 1 else "use"), ("hostPort" if len(ports) == 1 else "hostPorts")
    return Finding("hostPort", f"{_names(names)} {verb} {noun} {', '.join(str(port) for port in sorted(ports))}")


def _probe_hosts(spec: Spec, version: int) -> Finding | None:
    """A probe of another host would be made by the kubelet, from the node's network."""
    names = []
    hosts: set[str] = set()
    for container in _containers(spec):
        lifecycle = container.get("lifecycle") or {}
        actions = [container.get(field) for field in ("livenessProbe", "readinessProbe", "startupProbe")]
        actions += [lifecycle.get("postStart"), lifecycle.get("preStop")]
        used = {
            str((action.get(kind) or {}).get("host"))
            for action in actions
            if action
            for kind in ("httpGet", "tcpSocket")
            if (action.get(kind) or {}).get("host")
        }
        if used:
            names.append(str(container.get("name") or ""))
            hosts |= used
    if not names:
        return None
    verb, noun = ("uses" if len(names) == 1 else "use"), ("host" if len(hosts) == 1 else "hosts")
    return Finding("probe or lifecycle host", f"{_names(names)} {verb} probe or lifecycle {noun} {_listed(hosts)}")


def _privileged(spec: Spec, version: int) -> Finding | None:
    bad = _named(spec, lambda container: bool(_context(container).get("privileged")))
    return Finding("privileged", f"{_names(bad)} must not set securityContext.privileged=true") if bad else None


def _proc_mount(spec: Spec, version: int) -> Finding | None:
    if spec.get("hostUsers") is False and version >= 35:
        return None
    bad = _named(spec, lambda container: _context(container).get("procMount") not in (None, "Default"))
    if not bad:
        return None
    return Finding("procMount", f'{_names(bad)} must not set securityContext.procMount to "Unmasked"')


def _selinux(spec: Spec, version: int) -> Finding | None:
    setters: list[str] = []
    details: list[str] = []

    def wrong(holder: Mapping[str, Any]) -> bool:
        options = _context(holder).get("seLinuxOptions") or {}
        kind = options.get("type") or ""
        found = [f"type {quote(kind)}"] if kind not in _SELINUX_TYPES else []
        found += [f"{field} may not be set" for field in ("user", "role") if options.get(field)]
        details.extend(found)
        return bool(found)

    if wrong(spec):
        setters.append("pod")
    if bad := _named(spec, wrong):
        setters.append(_names(bad))
    if not setters:
        return None
    what = "; ".join(dict.fromkeys(details))
    return Finding("seLinuxOptions", f"{' and '.join(setters)} set forbidden securityContext.seLinuxOptions: {what}")


def _seccomp_type(holder: Mapping[str, Any]) -> str:
    return str((_context(holder).get("seccompProfile") or {}).get("type") or "")


def _seccomp(spec: Spec, version: int) -> Finding | None:
    bad = _unconfined(spec)
    return Finding("seccompProfile", bad) if bad else None


def _unconfined(spec: Spec) -> str:
    setters = ["pod"] if _seccomp_type(spec) == "Unconfined" else []
    if bad := _named(spec, lambda container: _seccomp_type(container) == "Unconfined"):
        setters.append(_names(bad))
    text = 'must not set securityContext.seccompProfile.type to "Unconfined"'
    return f"{' and '.join(setters)} {text}" if setters else ""


def _sysctls(spec: Spec, version: int) -> Finding | None:
    found = [str(sysctl.get("name")) for sysctl in _context(spec).get("sysctls") or ()]
    bad = [name for name in found if _SAFE_SYSCTLS.get(name, LATEST + 1) > version]
    return Finding("forbidden sysctls", ", ".join(bad)) if bad else None


def _host_process(spec: Spec, version: int) -> Finding | None:
    def wrong(holder: Mapping[str, Any]) -> bool:
        return bool((_context(holder).get("windowsOptions") or {}).get("hostProcess"))

    setters = (["pod"] if wrong(spec) else []) + ([_names(bad)] if (bad := _named(spec, wrong)) else [])
    if not setters:
        return None
    text = f"{' and '.join(setters)} must not set securityContext.windowsOptions.hostProcess=true"
    return Finding("hostProcess", text)


def _escalation(spec: Spec, version: int) -> Finding | None:
    if _is_windows(spec, version):
        return None
    bad = _named(spec, lambda container: _context(container).get("allowPrivilegeEscalation") is not False)
    text = "must set securityContext.allowPrivilegeEscalation=false"
    return Finding("allowPrivilegeEscalation != false", f"{_names(bad)} {text}") if bad else None


def _restricted_capabilities(spec: Spec, version: int) -> Finding | None:
    if _is_windows(spec, version):
        return None
    details = []
    bad = _named(
        spec, lambda container: "ALL" not in ((_context(container).get("capabilities") or {}).get("drop") or ())
    )
    if bad:
        details.append(f'{_names(bad)} must set securityContext.capabilities.drop=["ALL"]')
    added = _added(spec, frozenset(("NET_BIND_SERVICE",)), "")
    if added:
        details.append(added.detail)
    return Finding("unrestricted capabilities", "; ".join(details)) if details else None


def _restricted_volumes(spec: Spec, version: int) -> Finding | None:
    names = []
    kinds: set[str] = set()
    for volume in spec.get("volumes") or ():
        bad = {field for field, value in volume.items() if field != "name" and value is not None} - _SAFE_VOLUMES
        if bad:
            names.append(str(volume.get("name")))
            kinds |= bad
    if not names:
        return None
    verb, noun = ("uses" if len(names) == 1 else "use"), ("type" if len(kinds) == 1 else "types")
    text = f"{_names(names, 'volume')} {verb} restricted volume {noun} {_listed(kinds)}"
    return Finding("restricted volume types", text)


def _non_root(spec: Spec, version: int) -> Finding | None:
    if spec.get("hostUsers") is False and version >= 35:
        return None
    whole = _context(spec).get("runAsNonRoot")
    details = ["pod must not set securityContext.runAsNonRoot=false"] if whole is False else []
    if bad := _named(spec, lambda container: _context(container).get("runAsNonRoot") is False):
        details.append(f"{_names(bad)} must not set securityContext.runAsNonRoot=false")
    if not details and whole is None:
        silent = _named(spec, lambda container: _context(container).get("runAsNonRoot") is None)
        if silent:
            details.append(f"pod or {_names(silent)} must set securityContext.runAsNonRoot=true")
    elif whole is False and not bad and not _named(spec, lambda c: _context(c).get("runAsNonRoot") is None):
        # every container overrides what the pod says
        return None
    return Finding("runAsNonRoot != true", "; ".join(details)) if details else None


def _root_user(spec: Spec, version: int) -> Finding | None:
    if spec.get("hostUsers") is False and version >= 35:
        return None
    setters = ["pod"] if _context(spec).get("runAsUser") == 0 else []
    if bad := _named(spec, lambda container: _context(container).get("runAsUser") == 0):
        setters.append(_names(bad))
    return Finding("runAsUser=0", f"{' and '.join(setters)} must not set runAsUser=0") if setters else None


def _restricted_seccomp(spec: Spec, version: int) -> Finding | None:
    if _is_windows(spec, version):
        return None
    bad = _unconfined(spec)
    if bad:
        return Finding("seccompProfile", bad)
    if _seccomp_type(spec):
        return None
    silent = _named(spec, lambda container: not _seccomp_type(container))
    if not silent:
        return None
    text = 'must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
    return Finding("seccompProfile", f"pod or {_names(silent)} {text}")


def _is_windows(spec: Spec, version: int) -> bool:
    """Linux-only fields are not asked of pods that say they are for Windows."""
    return version >= 25 and (spec.get("os") or {}).get("name") == "windows"


@dataclasses.dataclass(frozen=True, slots=True)
class Check:
    """``replaced``: the restricted level has a stricter form of it."""

    level: str
    run: Callable[[Spec, int], Finding | None]
    since: int = 0
    replaced: bool = False


CHECKS: tuple[Check, ...] = (
    Check("baseline", _app_armor),
    Check("baseline", _capabilities, replaced=True),
    Check("baseline", _host_namespaces),
    Check("baseline", _host_path, replaced=True),
    Check("baseline", _host_ports),
    Check("baseline", _probe_hosts, since=34),
    Check("baseline", _privileged),
    Check("baseline", _proc_mount),
    Check("baseline", _selinux),
    Check("baseline", _seccomp, since=19, replaced=True),
    Check("baseline", _sysctls),
    Check("baseline", _host_process),
    Check("restricted", _escalation, since=8),
    Check("restricted", _restricted_capabilities, since=22),
    Check("restricted", _restricted_volumes),
    Check("restricted", _non_root),
    Check("restricted", _root_user, since=23),
    Check("restricted", _restricted_seccomp, since=19),
)


def evaluate(spec: Spec, level: str, version: int = LATEST) -> list[Finding]:
    """What speaks against the pod at that level; nothing if it may run."""
    if level == "privileged":
        return []
    found = []
    for check in CHECKS:
        if check.since > version or (level == "baseline" and check.level == "restricted"):
            continue
        if level == "restricted" and check.replaced and version >= 22:
            continue
        if (finding := check.run(spec, version)) is not None:
            found.append(finding)
    return found
