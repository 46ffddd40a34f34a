"""The checks of the level ``baseline``: known ways from a container to its node are closed."""

from collections.abc import Iterator
from typing import Any

from kubeshim.control_plane.api_server.admission.pod_security import wording
from kubeshim.machinery import objects
from kubeshim.machinery.validation import fields

_APP_ARMOR = "container.apparmor.security.beta.kubernetes.io/"
_SECCOMP_POD = "seccomp.security.alpha.kubernetes.io/pod"
_SECCOMP_CONTAINER = "container.seccomp.security.alpha.kubernetes.io/"
_CAPABILITIES = frozenset(
    (
        "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP",
        "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
    )
)  # fmt: skip
PROFILES = ("RuntimeDefault", "Localhost")
_SELINUX_TYPES = frozenset(("", "container_t", "container_init_t", "container_kvm_t"))
_SYSCTLS = {
    0: (
        "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.tcp_syncookies",
        "net.ipv4.ping_group_range", "net.ipv4.ip_unprivileged_port_start",
    ),
    27: ("net.ipv4.ip_local_reserved_ports",),
    29: (
        "net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
    ),
    32: ("net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"),
    37: ("net.ipv4.tcp_slow_start_after_idle", "net.ipv4.tcp_notsent_lowat"),
}  # fmt: skip
"""By the version from which they are held to be safe."""


def app_armor_profile(metadata: wording.Metadata, spec: wording.Spec, minor: int) -> wording.Violation | None:
    bad: set[str] = set()
    pod = _has_bad_type(wording.security(spec), "appArmorProfile", bad)
    names = [
        one["name"] for one in wording.containers(spec) if _has_bad_type(wording.security(one), "appArmorProfile", bad)
    ]
    annotations = sorted(
        f"{key}={fields.quote(value)}"
        for key, value in (metadata.get("annotations") or {}).items()
        if key.startswith(_APP_ARMOR) and value not in ("", "runtime/default") and not value.startswith("localhost/")
    )
    who = [wording.setters(pod, names)] if pod or names else []
    if annotations:
        who.append("annotation" if len(annotations) == 1 else "annotations")
    if not who:
        return None
    values = [*sorted(bad), *annotations]
    reason = "forbidden AppArmor profile" if len(values) == 1 else "forbidden AppArmor profiles"
    return wording.Violation(
        reason, f"{' and '.join(who)} must not set AppArmor profile type to {wording.quoted(values)}"
    )


def _has_bad_type(security: dict[str, Any], field: str, bad: set[str]) -> bool:
    """Whether a profile is given that is not allowed; its type goes to ``bad``."""
    profile = security.get(field)
    if profile is None or profile.get("type") in PROFILES:
        return False
    bad.add(str(profile.get("type") or ""))
    return True


def capabilities(metadata: wording.Metadata, spec: wording.Spec, minor: int) -> wording.Violation | None:
    added: set[str] = set()
    names = []
    for container in wording.containers(spec):
        beyond = set((wording.security(container).get("capabilities") or {}).get("add") or ()) - _CAPABILITIES
        if beyond:
            names.append(container["name"])
            added |= beyond
    if not names:
        return None
    listed = wording.quoted(sorted(added))
    return wording.Violation(
        "non-default capabilities",
        f"{wording.named('container', names)} must not include {listed} in securityContext.capabilities.add",
    )


def host_namespaces(metadata: wording.Metadata, spec: wording.Spec, minor: int) -> wording.Violation | None:
    found = [f"{field}=true" for field in ("hostNetwork", "hostPID", "hostIPC") if spec.get(field)]
    return wording.Violation("host namespaces", ", ".join(found)) if found else None


def host_path_volumes(metadata: wording.Metadata, spec: wording.Spec, minor: int) -> wording.Violation | None:
    names = [volume["name"] for volume in spec.get("volumes") or () if volume.get("hostPath") is not None]
    return wording.Violation("hostPath volumes", wording.named("volume", names)) if names else None


def host_ports(metadata: wording.Metadata, spec: wording.Spec, minor: int) -> wording.Violation | None:
    ports: set[str] = set()
    names = []
    for container in wording.containers(spec):
        used = [str(port["hostPort"]) for port in container.get("ports") or () if port.get("hostPort")]
        if used:
            names.append(container["name"])
            ports.update(used)
    if not names:
        return None
    use, what = "uses" if len(names) == 1 else "use", "hostPort" if len(ports) == 1 else "hostPorts"
    return wording.Violation("hostPort", f"{wording.named('container', names)} {use} {what} {', '.join(sorted(ports))}")


def host_probes(metadata: wording.Metadata, spec: wording.Spec, minor: int) -> wording.Violation | None:
    hosts: set[str] = set()
    names: set[str] = set()
    for container in wording.containers(spec):
        asked = list(_probed_hosts(container))
        if asked:
            names.add(container["name"])
            hosts.update(asked)
    if not names:
        return None
    use = "uses" if len(names) == 1 else "use"
    what = wording.named("probe or lifecycle host", sorted(hosts))
    return wording.Violation("probe or lifecycle host", f"{wording.named('container', sorted(names))} {use} {what}")


def _probed_hosts(container: dict[str, Any]) -> Iterator[str]:
    handlers = [container.get(field) for field in ("livenessProbe", "readinessProbe", "startupProbe")]
    handlers += [objects.dig(container, "lifecycle", field) for field in ("postStart", "preStop")]
    for handler in handlers:
        for kind in ("httpGet", "tcpSocket"):
            host = objects.dig(handler, kind, "host")
            if host:
                yield str(host)


def privileged(metadata: wording.Metadata, spec: wording.Spec, minor: int) -> wording.Violation | None:
    names = [one["name"] for one in wording.containers(spec) if wording.security(one).get("privileged")]
    if not names:
        return None
    return wording.Violation(
        "privileged", f"{wording.named('container', names)} must not set securityContext.privileged=true"
    )


def proc_mount_relaxed(metadata: wording.Metadata, spec: wording.Spec, minor: int) -> wording.Violation | None:
    return None if wording.in_user_namespace(spec) else proc_mount(metadata, spec, minor)


def proc_mount(metadata: wording.Metadata, spec: wording.Spec, minor: int) -> wording.Violation | None:
    kinds: set[str] = set()
    names = []
    for container in wording.containers(spec):
        kind = wording.security(container).get("procMount")
        if kind is not None and kind != "Default":
            names.append(container["name"])
            kinds.add(kind)
    if not names:
        return None
    listed = wording.quoted(sorted(kinds))
    return wording.Violation(
        "procMount", f"{wording.named('container', names)} must not set securityContext.procMount to {listed}"
    )


def selinux_options(metadata: wording.Metadata, spec: wording.Spec, minor: int) -> wording.Violation | None:
    allowed = _SELINUX_TYPES | {"container_engine_t"} if minor >= 31 else _SELINUX_TYPES
    types: set[str] = set()
    touched: set[str] = set()

    def is_bad(holder: dict[str, Any]) -> bool:
        options = wording.security(holder).get("seLinuxOptions") or {}
        bad = (options.get("type") or "") not in allowed
        if bad:
            types.add(options["type"])
        given = {field for field in ("user", "role") if options.get(field)}
        touched.update(given)
        return bad or bool(given)

    pod = is_bad(spec)
    names = [container["name"] for container in wording.containers(spec) if is_bad(container)]
    if not (pod or names):
        return None
    said = []
    if types:
        # Upstream tells of users and roles only where a type is wrong as well.
        said = [wording.named("type", sorted(types))]
        said += [f"{field} may not be set" for field in ("user", "role") if field in touched]
    who = wording.setters(pod, names)
    return wording.Violation("seLinuxOptions", f"{who} set forbidden securityContext.seLinuxOptions: {'; '.join(said)}")


def seccomp_annotations(metadata: wording.Metadata, spec: wording.Spec, minor: int) -> wording.Violation | None:
    """Before the field there were annotations."""
    keys = [_SECCOMP_POD, *(_SECCOMP_CONTAINER + one["name"] for one in wording.containers(spec))]
    annotations = metadata.get("annotations") or {}
    bad = sorted({f"{key}={fields.quote(annotations[key])}" for key in keys if _is_bad_seccomp(annotations.get(key))})
    if not bad:
        return None
    word = "annotation" if len(bad) == 1 else "annotations"
    return wording.Violation("seccompProfile", f"forbidden {word} {', '.join(bad)}")


def _is_bad_seccomp(value: str | None) -> bool:
    return (
        value is not None and value not in ("runtime/default", "docker/default") and not value.startswith("localhost/")
    )


def seccomp_profile(metadata: wording.Metadata, spec: wording.Spec, minor: int) -> wording.Violation | None:
    bad: set[str] = set()
    pod = _has_bad_type(wording.security(spec), "seccompProfile", bad)
    names = [
        one["name"] for one in wording.containers(spec) if _has_bad_type(wording.security(one), "seccompProfile", bad)
    ]
    if not (pod or names):
        return None
    listed = wording.quoted(sorted(bad))
    who = wording.setters(pod, names)
    return wording.Violation("seccompProfile", f"{who} must not set securityContext.seccompProfile.type to {listed}")


def sysctls(metadata: wording.Metadata, spec: wording.Spec, minor: int) -> wording.Violation | None:
    allowed = {name for since, names in _SYSCTLS.items() if since <= minor for name in names}
    bad = [one["name"] for one in wording.security(spec).get("sysctls") or () if one["name"] not in allowed]
    return wording.Violation("forbidden sysctls", ", ".join(bad)) if bad else None


def windows_host_process(metadata: wording.Metadata, spec: wording.Spec, minor: int) -> wording.Violation | None:
    def is_host_process(holder: dict[str, Any]) -> bool:
        return bool((wording.security(holder).get("windowsOptions") or {}).get("hostProcess"))

    pod = is_host_process(spec)
    names = [container["name"] for container in wording.containers(spec) if is_host_process(container)]
    if not (pod or names):
        return None
    who = wording.setters(pod, names)
    return wording.Violation("hostProcess", f"{who} must not set securityContext.windowsOptions.hostProcess=true")
