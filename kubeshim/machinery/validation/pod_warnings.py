"""What is allowed in pods and their templates but most likely not meant."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kubeshim.machinery import app_armor, objects
from kubeshim.machinery.validation import fields, overlaps, warnings, windows

_Found = Mapping[str, Any]
_DEAD_ANNOTATIONS = {
    "scheduler.alpha.kubernetes.io/critical-pod": (
        'non-functional in v1.16+; use the "priorityClassName" field instead'
    ),
    "security.alpha.kubernetes.io/sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
    "security.alpha.kubernetes.io/unsafe-sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
}
_DEAD_VOLUMES = {
    "photonPersistentDisk": ("photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"),
    "gitRepo": ("gitRepo", "deprecated in v1.11, and disabled by default in v1.33+"),
    "scaleIO": ("scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
    "flocker": ("flocker", "deprecated in v1.22, non-functional in v1.25+"),
    "storageos": ("storageOS", "deprecated in v1.22, non-functional in v1.25+"),
    "quobyte": ("quobyte", "deprecated in v1.22, non-functional in v1.25+"),
    "glusterfs": ("glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
    "cephfs": ("cephfs", "deprecated in v1.28, non-functional in v1.31+"),
    "rbd": ("rbd", "deprecated in v1.28, non-functional in v1.31+"),
}
_SECCOMP_POD = "seccomp.security.alpha.kubernetes.io/pod"
_SECCOMP_CONTAINER = "container.seccomp.security.alpha.kubernetes.io/"
_SECCOMP_TEXT = 'non-functional in v1.27+; use the "seccompProfile" field instead'
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_NULL_SELECTOR = "a null labelSelector results in matching no pod"


def pod(obj: objects.Object, old: objects.Object | None) -> list[str]:
    """Of a new pod; who changes pods is seldom a person."""
    if old is not None:
        return []
    found = warnings.name_of_pods(objects.name(obj), "the Pod's hostname")
    return found + _of(obj, "", is_pod=True)


def status(obj: objects.Object) -> list[str]:
    """Of a reported status."""
    found: list[str] = []
    for field in ("podIPs", "hostIPs"):
        for index, entry in enumerate((obj.get("status") or {}).get(field) or ()):
            found += warnings.address(entry.get("ip") or "", f"status.{field}[{index}].ip")
    return found


def template(found: _Found | None, path: str) -> list[str]:
    """Of a workload's template."""
    return _of(found, path + ".", is_pod=False) if found else []


def workload(obj: objects.Object, old: objects.Object | None) -> list[str]:
    """What workloads warn of: a name that pods will bear, and a template, if it is new."""
    found = [] if old is not None else warnings.name_of_pods(objects.name(obj))
    if _is_new(obj, old):
        found += template(objects.dig(obj, "spec", "template"), "spec.template")
    return found


def replication_controller(obj: objects.Object, old: objects.Object | None) -> list[str]:
    """As of other workloads, but upstream takes one for the other where there are two templates: the old one counts."""
    return workload(obj, None) if old is None else workload(old, obj)


def pod_template(obj: objects.Object, old: objects.Object | None) -> list[str]:
    """Of a PodTemplate."""
    return template(obj.get("template"), "template") if _is_new(obj, old) else []


def _is_new(obj: objects.Object, old: objects.Object | None) -> bool:
    return old is None or objects.dig(obj, "metadata", "generation") != objects.dig(old, "metadata", "generation")


def _of(obj: _Found, path: str, *, is_pod: bool) -> list[str]:
    spec = obj.get("spec") or {}
    annotations = (obj.get("metadata") or {}).get("annotations") or {}
    place = path + "spec"
    found = [*_old_labels(spec, place)]
    for key, text in _DEAD_ANNOTATIONS.items():
        if key in annotations:
            found.append(f"{path}metadata.annotations[{key}]: {text}")
    for index, volume in enumerate(spec.get("volumes") or ()):
        found += _volume(volume, f"{place}.volumes[{index}]")
    found += overlaps.of_volumes(spec.get("volumes") or ())
    found += _hosts_and_secrets(spec, place)
    for name in ("memory", "ephemeral-storage"):
        found += warnings.fraction((spec.get("overhead") or {}).get(name), f"{place}.overhead[{name}]")
    if annotations:
        found += _profiles(annotations, spec, path, is_pod)
    for container, where in windows.visit(spec, place):
        found += _container(container, where)
    found += _ports(spec, place)
    found += _port_names(spec, place)
    if (spec.get("terminationGracePeriodSeconds") or 0) < 0:
        text = "must be >= 0; negative values are invalid and will be treated as 1"
        found.append(f"{place}.terminationGracePeriodSeconds: {text}")
    found += _affinity(spec.get("affinity") or {}, place + ".affinity")
    return found + _addresses(spec, place)


def _old_labels(spec: _Found, path: str) -> Iterator[str]:
    for key in spec.get("nodeSelector") or {}:
        if text := warnings.old_label(key):
            yield f"{path}.nodeSelector[{key}]: {text}"
    node = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    base = f"{path}.affinity.nodeAffinity"
    for index, term in enumerate((node.get(_REQUIRED) or {}).get("nodeSelectorTerms") or ()):
        yield from warnings.selector_term(term, f"{base}.{_REQUIRED}.nodeSelectorTerms[{index}]")
    for index, term in enumerate(node.get(_PREFERRED) or ()):
        place = f"{base}.{_PREFERRED}[{index}].preference"
        yield from warnings.selector_term(term.get("preference") or {}, place, judge_values=True)
    for index, constraint in enumerate(spec.get("topologySpreadConstraints") or ()):
        place, key = f"{path}.topologySpreadConstraints[{index}]", constraint.get("topologyKey") or ""
        if text := warnings.old_label(key):
            yield f"{place}.topologyKey: {key} is {text}"
        if constraint.get("labelSelector") is None:
            yield f"{place}.labelSelector: {_NULL_SELECTOR}"


def _volume(volume: _Found, path: str) -> list[str]:
    found = [
        f"{path}.{shown}: {text}" for field, (shown, text) in _DEAD_VOLUMES.items() if volume.get(field) is not None
    ]
    claim = (volume.get("ephemeral") or {}).get("volumeClaimTemplate")
    if claim:
        found += warnings.claim_spec(claim.get("spec") or {}, path + ".ephemeral.volumeClaimTemplate.spec")
    return found


def _hosts_and_secrets(spec: _Found, path: str) -> list[str]:
    found: list[str] = []
    addresses = [alias.get("ip") or "" for alias in spec.get("hostAliases") or ()]
    for index, address in enumerate(addresses):
        if address in addresses[:index]:
            found.append(f"{path}.hostAliases[{index}].ip: duplicate ip {fields.quote(address)}")
    names = [secret.get("name") or "" for secret in spec.get("imagePullSecrets") or ()]
    for index, name in enumerate(names):
        if name in names[:index]:
            found.append(f"{path}.imagePullSecrets[{index}].name: duplicate name {fields.quote(name)}")
    for index, name in enumerate(names):
        if not name:
            found.append(f'{path}.imagePullSecrets[{index}].name: invalid empty name ""')
    return found


def _addresses(spec: _Found, path: str) -> list[str]:
    found: list[str] = []
    for index, server in enumerate((spec.get("dnsConfig") or {}).get("nameservers") or ()):
        found += warnings.address(server, f"{path}.dnsConfig.nameservers[{index}]")
    for index, alias in enumerate(spec.get("hostAliases") or ()):
        found += warnings.address(alias.get("ip") or "", f"{path}.hostAliases[{index}].ip")
    return found


def _profiles(annotations: Mapping[str, str], spec: _Found, path: str, is_pod: bool) -> list[str]:
    of_pod, place = spec.get("securityContext") or {}, path + "metadata.annotations"
    found: list[str] = []
    if _SECCOMP_POD in annotations and not of_pod.get("seccompProfile"):
        found.append(f"{place}[{_SECCOMP_POD}]: {_SECCOMP_TEXT}")
    for container, _ in windows.visit(spec, ""):
        own, name = container.get("securityContext") or {}, container.get("name") or ""
        key = _SECCOMP_CONTAINER + name
        if key in annotations and not own.get("seccompProfile"):
            found.append(f"{place}[{key}]: {_SECCOMP_TEXT}")
        key = app_armor.ANNOTATION + name
        if key in annotations and not (own.get("appArmorProfile") or of_pod.get("appArmorProfile")) and not is_pod:
            found.append(f'{place}[{key}]: deprecated since v1.30; use the "appArmorProfile" field instead')
    return found


def _container(container: _Found, path: str) -> list[str]:
    found: list[str] = []
    resources = container.get("resources")
    if resources:
        for name in ("memory", "ephemeral-storage"):
            for kind in ("limits", "requests"):
                place = f"{path}.resources.{kind}[{name}]"
                found += warnings.fraction((resources.get(kind) or {}).get(name), place)
    seen: set[str] = set()
    for index, variable in enumerate(container.get("env") or ()):
        name, value = variable.get("name") or "", str(variable.get("value") or "")
        if name in seen:
            reference = f"$({name})"
            if variable.get("valueFrom") is not None or value == reference or reference not in value:
                text = f"hides previous definition of {fields.quote(name)}, which may be dropped when using apply"
                found.append(f"{path}.env[{index}]: {text}")
        seen.add(name)
    return found


def _ports(spec: _Found, path: str) -> list[str]:
    found: list[str] = []
    taken: dict[tuple[int, str], list[tuple[str, str, int]]] = {}
    for container, where in windows.visit(spec, path):
        for index, port in enumerate(container.get("ports") or ()):
            place = f"{where}.ports[{index}]"
            host, number = port.get("hostIP") or "", port.get("hostPort") or 0
            if host and not number:
                found.append(f"{place}: hostIP set without hostPort: {_shown(port)}")
            others = taken.setdefault((port.get("containerPort") or 0, port.get("protocol") or ""), [])
            for other, other_host, other_number in others:
                if (host, number) == (other_host, other_number):
                    found.append(f"{place}: duplicate port definition with {other}")
                elif not number or not other_number:
                    found.append(f"{place}: overlapping port definition with {other}")
                elif number == other_number and bool(host) != bool(other_host):
                    found.append(f"{place}: dangerously ambiguous port definition with {other}")
            others.append((place, host, number))
    return found


def _port_names(spec: _Found, path: str) -> Iterator[str]:
    """One name for ports of several containers that run side by side: the first is meant by it."""
    first: dict[str, str] = {}
    for field in ("initContainers", "containers"):
        for number, container in enumerate(spec.get(field) or ()):
            if field == "initContainers" and container.get("restartPolicy") != "Always":
                continue
            for index, port in enumerate(container.get("ports") or ()):
                name, place = port.get("name"), f"{path}.{field}[{number}].ports[{index}]"
                if name and name in first:
                    yield (
                        f"{place}: duplicate port name {fields.quote(name)} with {first[name]}, "
                        f"services and probes that select ports by name will use {first[name]}"
                    )
                elif name:
                    first[name] = place


def _shown(port: _Found) -> str:
    """A port as Go prints its struct."""
    return (
        f"{{Name:{port.get('name') or ''} HostPort:{port.get('hostPort') or 0} "
        f"ContainerPort:{port.get('containerPort') or 0} Protocol:{port.get('protocol') or ''} "
        f"HostIP:{port.get('hostIP') or ''}}}"
    )


def _affinity(affinity: _Found, path: str) -> Iterator[str]:
    for field in ("podAffinity", "podAntiAffinity"):
        found = affinity.get(field) or {}
        yield from _null_selectors(found.get(_REQUIRED) or (), f"{path}.{field}.{_REQUIRED}", "")
        terms = [term.get("podAffinityTerm") or {} for term in found.get(_PREFERRED) or ()]
        yield from _null_selectors(terms, f"{path}.{field}.{_PREFERRED}", ".podAffinityTerm")


def _null_selectors(terms: Sequence[_Found], path: str, inside: str) -> Iterator[str]:
    for index, term in enumerate(terms):
        if term.get("labelSelector") is None:
            yield f"{path}[{index}]{inside}.labelSelector: {_NULL_SELECTOR}"
