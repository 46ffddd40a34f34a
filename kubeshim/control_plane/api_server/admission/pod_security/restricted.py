"""The checks that the level ``restricted`` adds: a container holds no privileges at all, and says so."""

from kubeshim.control_plane.api_server.admission.pod_security import baseline, wording

_VOLUMES = (
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim", "projected", "secret",
)  # fmt: skip
_OTHER_VOLUMES = (
    "hostPath", "gcePersistentDisk", "awsElasticBlockStore", "gitRepo", "nfs", "iscsi", "glusterfs", "rbd",
    "flexVolume", "cinder", "cephfs", "flocker", "fc", "azureFile", "vsphereVolume", "quobyte", "azureDisk",
    "photonPersistentDisk", "portworxVolume", "scaleIO", "storageos",
)  # fmt: skip
_WINDOWS_KNOWN = 25
"""From this version on, what only Linux has is not asked of pods that say they are for Windows."""


def _is_excused(spec: wording.Spec, minor: int) -> bool:
    return minor >= _WINDOWS_KNOWN and wording.is_windows(spec)


def privilege_escalation(metadata: wording.Metadata, spec: wording.Spec, minor: int) -> wording.Violation | None:
    if _is_excused(spec, minor):
        return None
    names = [
        container["name"]
        for container in wording.containers(spec)
        if wording.security(container).get("allowPrivilegeEscalation") is not False
    ]
    if not names:
        return None
    return wording.Violation(
        "allowPrivilegeEscalation != false",
        f"{wording.named('container', names)} must set securityContext.allowPrivilegeEscalation=false",
    )


def capabilities(metadata: wording.Metadata, spec: wording.Spec, minor: int) -> wording.Violation | None:
    if _is_excused(spec, minor):
        return None
    keeping, adding = [], []
    added: set[str] = set()
    for container in wording.containers(spec):
        given = wording.security(container).get("capabilities") or {}
        if "ALL" not in (given.get("drop") or ()):
            keeping.append(container["name"])
        beyond = set(given.get("add") or ()) - {"NET_BIND_SERVICE"}
        if beyond:
            adding.append(container["name"])
            added |= beyond
    details = []
    if keeping:
        details.append(f'{wording.named("container", keeping)} must set securityContext.capabilities.drop=["ALL"]')
    if adding:
        listed = wording.quoted(sorted(added))
        details.append(
            f"{wording.named('container', adding)} must not include {listed} in securityContext.capabilities.add"
        )
    return wording.Violation("unrestricted capabilities", "; ".join(details)) if details else None


def volumes(metadata: wording.Metadata, spec: wording.Spec, minor: int) -> wording.Violation | None:
    names = []
    kinds: set[str] = set()
    for volume in spec.get("volumes") or ():
        if all(volume.get(kind) is None for kind in _VOLUMES):
            names.append(volume["name"])
            kinds.add(next((kind for kind in _OTHER_VOLUMES if volume.get(kind) is not None), "unknown"))
    if not names:
        return None
    use = "uses" if len(names) == 1 else "use"
    what = wording.named("restricted volume type", sorted(kinds))
    return wording.Violation("restricted volume types", f"{wording.named('volume', names)} {use} {what}")


def run_as_non_root(metadata: wording.Metadata, spec: wording.Spec, minor: int) -> wording.Violation | None:
    if minor >= 35 and wording.in_user_namespace(spec):
        return None
    whole = wording.security(spec).get("runAsNonRoot")
    said = [(one["name"], wording.security(one).get("runAsNonRoot")) for one in wording.containers(spec)]
    refusing = [name for name, value in said if value is False]
    if whole is False or refusing:
        who = wording.setters(whole is False, refusing)
        return wording.Violation("runAsNonRoot != true", f"{who} must not set securityContext.runAsNonRoot=false")
    silent = [name for name, value in said if value is None and not whole]
    if not silent:
        return None
    return wording.Violation(
        "runAsNonRoot != true",
        f"pod or {wording.named('container', silent)} must set securityContext.runAsNonRoot=true",
    )


def run_as_user(metadata: wording.Metadata, spec: wording.Spec, minor: int) -> wording.Violation | None:
    if minor >= 35 and wording.in_user_namespace(spec):
        return None
    pod = wording.security(spec).get("runAsUser") == 0
    names = [one["name"] for one in wording.containers(spec) if wording.security(one).get("runAsUser") == 0]
    if not (pod or names):
        return None
    return wording.Violation("runAsUser=0", f"{wording.setters(pod, names)} must not set runAsUser=0")


def seccomp_profile(metadata: wording.Metadata, spec: wording.Spec, minor: int) -> wording.Violation | None:
    if _is_excused(spec, minor):
        return None
    bad = baseline.seccomp_profile(metadata, spec, minor)
    if bad is not None or wording.security(spec).get("seccompProfile") is not None:
        return bad
    silent = [one["name"] for one in wording.containers(spec) if wording.security(one).get("seccompProfile") is None]
    if not silent:
        return None
    return wording.Violation(
        "seccompProfile",
        f"pod or {wording.named('container', silent)} must set securityContext.seccompProfile.type to "
        '"RuntimeDefault" or "Localhost"',
    )
