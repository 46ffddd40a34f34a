"""Pod specs, in pods and in templates.

The hot path: a plain pod passes with some dozens of dictionary look-ups, since every part is looked at only where it
is there. Defaults have been filled in before, so what upstream requires after defaulting is required here too.
Everything is judged in upstream's order, which is the order of the complaints.
"""

from collections.abc import Mapping
from typing import Any

from kubeshim.machinery import objects, quantity
from kubeshim.machinery.errors import FieldError
from kubeshim.machinery.validation import (
    amounts,
    containers,
    content,
    environment,
    fields,
    go_structs,
    metadata,
    networks,
    pod_annotations,
    scheduling,
    security,
    volumes,
    windows,
)  # fmt: skip

_RESTART = ("Always", "OnFailure", "Never")
_PREEMPTION = ("PreemptLowerPriority", "Never")
_LONGEST_HOSTNAME = 64
_MOST_RESPONDERS = 10


def pod(obj: objects.Object) -> list[FieldError]:
    """What holds for a pod at any time."""
    found, spec = obj.get("metadata") or {}, obj.get("spec") or {}
    wrong: list[FieldError] = []
    annotations = found.get("annotations") or {}
    if annotations:
        wrong += pod_annotations.validate(annotations, spec, "metadata.annotations")
    mirrored = pod_annotations.MIRROR in annotations
    wrong += validate(spec, "spec", is_pod=True, pod_name=found.get("name") or "", mirrored=mirrored)
    if not spec.get("serviceAccountName"):
        wrong += _tokens_without_account(spec)
    for field in ("containers", "initContainers"):
        for index, container in enumerate(spec.get(field) or ()):
            wrong += containers.padded_image(container, f"spec.{field}[{index}]")
    return wrong


def pod_create(obj: objects.Object) -> list[FieldError]:
    """What holds only for a pod being made."""
    spec = obj.get("spec") or {}
    wrong: list[FieldError] = []
    if spec.get("ephemeralContainers"):
        wrong.append(fields.forbidden("spec.ephemeralContainers", "cannot be set on create"))
    if spec.get("nodeName") and spec.get("schedulingGates"):
        text = "cannot be set until all schedulingGates have been cleared"
        wrong.append(fields.forbidden("spec.nodeName", text))
    annotations = objects.annotations(obj)
    return wrong + pod_annotations.profiles(annotations, spec, "spec") if annotations else wrong


def template(found: Mapping[str, Any] | None, path: str) -> list[FieldError]:
    """A pod template inside a workload."""
    if found is None:
        return [fields.required(path)]
    about, spec = found.get("metadata") or {}, found.get("spec") or {}
    wrong: list[FieldError] = []
    annotations = about.get("annotations") or {}
    if about.get("labels"):
        wrong += metadata.labels(about["labels"], path + ".labels")
    if annotations:
        wrong += metadata.annotations(annotations, path + ".annotations")
        wrong += pod_annotations.validate(annotations, spec, path + ".annotations")
    wrong += validate(spec, path + ".spec", is_pod=False)
    if annotations:
        wrong += pod_annotations.profiles(annotations, spec, path + ".spec")
    if spec.get("ephemeralContainers"):
        text = "ephemeral containers not allowed in pod template"
        wrong.append(fields.forbidden(path + ".spec.ephemeralContainers", text))
    return wrong


def validate(
    spec: Mapping[str, Any], path: str, *, is_pod: bool, pod_name: str = "", mirrored: bool = False
) -> list[FieldError]:
    """A pod spec; ``is_pod`` where it is a pod's own, not a template's."""
    wrong: list[FieldError] = []
    grace = spec.get("terminationGracePeriodSeconds")
    if grace is None:
        wrong.append(fields.required(path + ".terminationGracePeriodSeconds"))
    by_name: Mapping[str, Mapping[str, Any]] = {}
    if found_volumes := spec.get("volumes"):
        problems, by_name = volumes.validate(found_volumes, path + ".volumes", pod_name)
        wrong += problems
    claims: frozenset[str] = frozenset()
    if found_claims := spec.get("resourceClaims"):
        wrong += _claims(found_claims, path + ".resourceClaims", mirrored)
        claims = frozenset(claim["name"] for claim in found_claims if claim.get("name"))
    restart, system = spec.get("restartPolicy") or "", (spec.get("os") or {}).get("name")
    context = containers.Context(by_name, claims, grace, restart, spec.get("hostUsers") is not False, system)
    wrong += containers.validate(spec, path, context)
    if (found := spec.get("resources")) is not None:
        wrong += _pod_resources(found, spec, path, claims)
    if spec.get("hostNetwork"):
        wrong += networks.host_ports(spec, path, is_pod)
    if restart not in _RESTART:
        place = path + ".restartPolicy"
        wrong.append(fields.not_supported(place, restart, _RESTART) if restart else fields.required(place))
    if spec.get("dnsPolicy") not in networks.DNS_POLICIES:
        wrong += networks.dns_policy(spec, path)
    if found := spec.get("nodeSelector"):
        wrong += metadata.labels(found, path + ".nodeSelector")
    if found := spec.get("securityContext"):
        wrong += security.pod(found, spec, path + ".securityContext")
    if spec.get("shareProcessNamespace") and spec.get("hostPID"):
        text = "ShareProcessNamespace and HostPID cannot both be enabled"
        wrong.append(fields.invalid(path + ".shareProcessNamespace", True, text))
    if found := spec.get("affinity"):
        wrong += scheduling.affinity(found, path + ".affinity")
    if spec.get("dnsConfig") is not None or spec.get("dnsPolicy") == "None":
        wrong += networks.dns_config(spec, path)
    return wrong + _gates(spec, path) + _later(spec, path) + _rarer(spec, path)


def _gates(spec: Mapping[str, Any], path: str) -> list[FieldError]:
    wrong: list[FieldError] = []
    for index, gate in enumerate(spec.get("readinessGates") or ()):
        kind = gate.get("conditionType") or ""
        place = f"{path}.readinessGates[{index}].conditionType"
        wrong += fields.all_invalid(place, kind, content.qualified_name(kind))
    seen: set[str] = set()
    for index, gate in enumerate(spec.get("schedulingGates") or ()):
        name = gate.get("name") or ""
        wrong += fields.all_invalid(f"{path}.schedulingGates[{index}]", name, content.qualified_name(name))
        if name in seen:
            wrong.append(fields.duplicate(f"{path}.schedulingGates[{index}]", name))
        seen.add(name)
    return wrong


def _later(spec: Mapping[str, Any], path: str) -> list[FieldError]:
    wrong: list[FieldError] = []
    if found := spec.get("topologySpreadConstraints"):
        wrong += scheduling.topology_spread(found, path + ".topologySpreadConstraints")
    wrong += windows.host_process(spec, path)
    if spec.get("hostUsers") is False:
        wrong += _user_namespace(spec, path)
    if (name := spec.get("hostnameOverride")) is not None:
        wrong += _hostname_override(name, spec, path + ".hostnameOverride")
    for field, check in _NAMES[:2]:
        wrong += _name(spec, field, check, path)
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline <= 2**31 - 1:
        text = content.between(1, 2**31 - 1)
        wrong.append(fields.invalid(path + ".activeDeadlineSeconds", deadline, text))
    for field, check in _NAMES[2:4]:
        wrong += _name(spec, field, check, path)
    if found := spec.get("tolerations"):
        wrong += scheduling.tolerations(found, path + ".tolerations")
    if found := spec.get("hostAliases"):
        wrong += networks.host_aliases(found, path + ".hostAliases")
    return wrong + _name(spec, "priorityClassName", content.dns_subdomain, path)


_NAMES: tuple[tuple[str, content.Check], ...] = (
    ("serviceAccountName", content.dns_subdomain),
    ("nodeName", content.dns_subdomain),
    ("hostname", content.dns_label),
    ("subdomain", content.dns_label),
)


def _name(spec: Mapping[str, Any], field: str, check: content.Check, path: str) -> list[FieldError]:
    value = spec.get(field)
    return fields.all_invalid(f"{path}.{field}", value, check(value)) if value else []


def _rarer(spec: Mapping[str, Any], path: str) -> list[FieldError]:
    """Fields that most pods do not have."""
    wrong: list[FieldError] = []
    if (name := spec.get("runtimeClassName")) is not None:
        wrong += fields.all_invalid(path + ".runtimeClassName", name, content.dns_subdomain(name))
    if (policy := spec.get("preemptionPolicy")) is not None and policy not in _PREEMPTION:
        place = path + ".preemptionPolicy"
        wrong.append(fields.not_supported(place, policy, _PREEMPTION) if policy else fields.required(place))
    if found := spec.get("overhead"):
        wrong += amounts.requirements({"limits": found}, path + ".overhead")
    if (found := spec.get("os")) is not None:
        wrong += windows.operating_system(found, spec, path)
    if (found := spec.get("schedulingGroup")) is not None:
        wrong += _scheduling_group(found.get("podGroupName"), path + ".schedulingGroup.podGroupName")
    if found := spec.get("evictionResponders"):
        wrong += _responders(found, spec, path + ".evictionResponders")
    if volumes_given := spec.get("volumes"):
        for container, place in windows.visit(spec, path):
            wrong += environment.file_volumes(container, volumes_given, place)
    return wrong


def _scheduling_group(name: str | None, path: str) -> list[FieldError]:
    if name is None:
        return [fields.invalid(path, None, "must specify one of: `podGroupName`")]
    return fields.all_invalid(path, name, content.dns_subdomain(name))


def _responders(found: Any, spec: Mapping[str, Any], path: str) -> list[FieldError]:
    if spec.get("schedulingGroup") is not None:
        text = "eviction responders are not supported when spec.schedulingGroup is set"
        return [fields.forbidden(path, text)]
    if len(found) > _MOST_RESPONDERS:
        return [fields.too_many(path, len(found), _MOST_RESPONDERS)]
    names = [responder.get("name") or "" for responder in found]
    wrong = [
        fields.duplicate(f"{path}[{index}]", go_structs.shown(go_structs.EVICTION_RESPONDER, found[index]))
        for index, name in enumerate(names)
        if name in names[:index]
    ]
    for index, name in enumerate(names):
        place = f"{path}[{index}].name"
        complaints = content.domain_prefixed_key(name)
        wrong += fields.all_invalid(place, name, complaints) if name else [fields.required(place)]
    return wrong


def _user_namespace(spec: Mapping[str, Any], path: str) -> list[FieldError]:
    text = "when `hostUsers` is false"
    shown = (("hostNetwork", "hostNetwork"), ("hostPID", "HostPID"), ("hostIPC", "HostIPC"))
    wrong = [fields.forbidden(f"{path}.{name}", text) for field, name in shown if spec.get(field)]
    for container, place in windows.visit(spec, path):
        if container.get("volumeDevices"):
            wrong.append(fields.forbidden(place + ".volumeDevices", text))
    return wrong


def _hostname_override(name: str, spec: Mapping[str, Any], path: str) -> list[FieldError]:
    wrong = [
        fields.forbidden(path, f"may not be specified when {field} is true")
        for field in ("setHostnameAsFQDN", "hostNetwork")
        if spec.get(field)
    ]
    if len(name) > _LONGEST_HOSTNAME:
        wrong.append(fields.too_long(path, _LONGEST_HOSTNAME))
    return wrong + fields.all_invalid(path, name, content.dns_subdomain(name))


def _pod_resources(
    found: Mapping[str, Any], spec: Mapping[str, Any], path: str, claims: frozenset[str]
) -> list[FieldError]:
    """Pod-level resources, which cover what the containers ask for together."""
    place = path + ".resources"
    if (spec.get("os") or {}).get("name") == "windows":
        return [fields.forbidden(place, "may not be set for a windows pod")]
    wrong: list[FieldError] = []
    if found.get("claims") is not None:
        wrong.append(fields.forbidden(place + ".claims", "claims may not be set for Resources at pod-level"))
    wrong += amounts.pod_requirements(found, place, claims)
    limits, requests = found.get("limits") or {}, found.get("requests") or {}
    for name, total in _together(spec, "requests").items():
        given = requests.get(name)
        if given is not None and total > quantity.parse(given):
            text = f"must be greater than or equal to aggregate container requests of {total}"
            wrong.append(fields.invalid(f"{place}.requests[{name}]", given, text))
    for name, total in _together(spec, "limits").items():
        given = limits.get(name)
        if name.startswith(amounts.HUGE_PAGES) and given is not None and total > quantity.parse(given):
            text = f"must be greater than or equal to aggregate container limits of {total}"
            wrong.append(fields.invalid(f"{place}.limits[{name}]", given, text))
    for index, container in enumerate(spec.get("containers") or ()):
        for name, amount in ((container.get("resources") or {}).get("limits") or {}).items():
            ceiling = limits.get(name)
            if ceiling is not None and quantity.parse(amount) > quantity.parse(ceiling):
                text = f"must be less than or equal to pod limits of {ceiling}"
                wrong.append(fields.invalid(f"{place}.containers[{index}][{name}].limits", amount, text))
    return wrong


def _together(spec: Mapping[str, Any], kind: str) -> dict[str, quantity.Quantity]:
    """What a pod's containers ask for together: the greater of what runs and of what any init container needs."""
    running = _sum(spec.get("containers") or (), kind)
    beside: dict[str, quantity.Quantity] = {}
    most: dict[str, quantity.Quantity] = {}
    for container in spec.get("initContainers") or ():
        own = _sum((container,), kind)
        if container.get("restartPolicy") == "Always":
            for name, amount in own.items():
                beside[name] = beside.get(name, quantity.ZERO) + amount
                running[name] = running.get(name, quantity.ZERO) + amount
            own = {}
        for name in {*own, *beside}:
            needed = own.get(name, quantity.ZERO) + beside.get(name, quantity.ZERO)
            most[name] = max(most.get(name, quantity.ZERO), needed)
    return {name: max(running.get(name, quantity.ZERO), most.get(name, quantity.ZERO)) for name in {**running, **most}}


def _sum(found: Any, kind: str) -> dict[str, quantity.Quantity]:
    total: dict[str, quantity.Quantity] = {}
    for container in found:
        for name, amount in ((container.get("resources") or {}).get(kind) or {}).items():
            total[name] = total.get(name, quantity.ZERO) + quantity.parse(amount)
    return total


def _claims(found: Any, base: str, mirrored: bool) -> list[FieldError]:
    if mirrored:
        return [fields.forbidden("[]", "static pods do not support resource claims") for _ in found]
    wrong: list[FieldError] = []
    names: set[str] = set()
    for index, claim in enumerate(found):
        path, name = f"{base}[{index}]", claim.get("name") or ""
        if not name:
            wrong.append(fields.required(path + ".name"))
        elif name in names:
            wrong.append(fields.duplicate(path + ".name", name))
        else:
            wrong += fields.all_invalid(path + ".name", name, content.dns_label(name))
        names.add(name)
        given = [field for field in ("resourceClaimName", "resourceClaimTemplateName") if claim.get(field) is not None]
        if len(given) != 1:
            text = (
                "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"
                if given
                else "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"
            )
            wrong.append(fields.invalid(path, go_structs.shown(go_structs.POD_RESOURCE_CLAIM, claim), text))
        for field in given:
            wrong += fields.all_invalid(f"{path}.{field}", claim[field], content.dns_subdomain(claim[field]))
    return wrong


def _tokens_without_account(spec: Mapping[str, Any]) -> list[FieldError]:
    text = "must not be specified when serviceAccountName is not set"
    return [
        fields.forbidden(f"spec.volumes[{index}].projected.sources[{place}].serviceAccountToken", text)
        for index, volume in enumerate(spec.get("volumes") or ())
        for place, source in enumerate((volume.get("projected") or {}).get("sources") or ())
        if source.get("serviceAccountToken") is not None
    ]
