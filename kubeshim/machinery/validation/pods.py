"""Pod specs, in pods and in templates.

The hot path: a plain pod passes with some dozens of dictionary look-ups, since every part is looked at only where it
is there. Defaults have been filled in before, so what upstream requires after defaulting is required here too.
"""

from collections.abc import Mapping
from typing import Any

from kubeshim.machinery import objects, quantity
from kubeshim.machinery.errors import FieldError
from kubeshim.machinery.validation import (
    amounts,
    containers,
    content,
    fields,
    metadata,
    scheduling,
    security,
    volumes,
)  # fmt: skip

_RESTART = ("Always", "OnFailure", "Never")
_DNS = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
_PREEMPTION = ("PreemptLowerPriority", "Never")
MIRROR = "kubernetes.io/config.mirror"


def pod(obj: objects.Object) -> list[FieldError]:
    """What holds for a pod at any time."""
    found, spec = obj.get("metadata") or {}, obj.get("spec") or {}
    wrong: list[FieldError] = []
    if found.get("annotations"):
        wrong += annotations(found["annotations"], spec, "metadata.annotations")
    wrong += validate(spec, "spec", is_pod=True)
    if not spec.get("serviceAccountName"):
        wrong += _tokens_without_account(spec)
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
    return wrong


def template(found: Mapping[str, Any] | None, path: str) -> list[FieldError]:
    """A pod template inside a workload."""
    if found is None:
        return [fields.required(path)]
    about, spec = found.get("metadata") or {}, found.get("spec") or {}
    wrong: list[FieldError] = []
    if about.get("labels"):
        wrong += metadata.labels(about["labels"], path + ".labels")
    if about.get("annotations"):
        wrong += metadata.annotations(about["annotations"], path + ".annotations")
        wrong += annotations(about["annotations"], spec, path + ".annotations")
    wrong += validate(spec, path + ".spec", is_pod=False)
    if spec.get("ephemeralContainers"):
        text = "ephemeral containers not allowed in pod template"
        wrong.append(fields.forbidden(path + ".spec.ephemeralContainers", text))
    return wrong


def annotations(found: Mapping[str, str], spec: Mapping[str, Any], path: str) -> list[FieldError]:
    wrong: list[FieldError] = []
    if MIRROR in found and not spec.get("nodeName"):
        text = "must set spec.nodeName if mirror pod annotation is set"
        wrong.append(fields.invalid(f"{path}[{MIRROR}]", found[MIRROR], text))
    cost = found.get("controller.kubernetes.io/pod-deletion-cost")
    if cost is not None:
        try:
            fits = -(2**31) <= int(cost) < 2**31 and not cost.startswith("+") and str(int(cost)) == cost
        except ValueError:
            fits = False
        if not fits:
            place = f"{path}[controller.kubernetes.io/pod-deletion-cost]"
            wrong.append(fields.invalid(place, cost, "must be a 32bit integer"))
    return wrong


def validate(spec: Mapping[str, Any], path: str, *, is_pod: bool) -> list[FieldError]:
    """A pod spec; ``is_pod`` where it is a pod's own, not a template's."""
    wrong: list[FieldError] = []
    grace = spec.get("terminationGracePeriodSeconds")
    if grace is None:
        wrong.append(fields.required(path + ".terminationGracePeriodSeconds"))
    found_volumes = spec.get("volumes") or ()
    if found_volumes:
        wrong += volumes.validate(found_volumes, path + ".volumes")
    by_name = {volume.get("name") or "": volume for volume in found_volumes}
    restart = spec.get("restartPolicy") or ""
    context = containers.Context(by_name, grace, restart, spec.get("hostUsers") is not False, is_pod)
    wrong += containers.validate(spec, path, context)
    if restart not in _RESTART:
        wrong.append(
            fields.not_supported(path + ".restartPolicy", restart, _RESTART)
            if restart
            else fields.required(path + ".restartPolicy")
        )
    if spec.get("dnsPolicy") not in _DNS or spec.get("dnsConfig") or spec.get("dnsPolicy") == "None":
        wrong += _dns(spec, path)
    if spec.get("hostNetwork"):
        wrong += _host_ports(spec, path, is_pod)
    if found := spec.get("nodeSelector"):
        wrong += metadata.labels(found, path + ".nodeSelector")
    if found := spec.get("securityContext"):
        wrong += security.pod(found, spec, path + ".securityContext")
    if spec.get("shareProcessNamespace") and spec.get("hostPID"):
        text = "ShareProcessNamespace and HostPID cannot both be enabled"
        wrong.append(fields.invalid(path + ".securityContext.shareProcessNamespace", True, text))
    if spec.get("hostUsers") is False:
        wrong += _user_namespace(spec, path)
    if found := spec.get("affinity"):
        wrong += scheduling.affinity(found, path + ".affinity")
    if found := spec.get("tolerations"):
        wrong += scheduling.tolerations(found, path + ".tolerations")
    if found := spec.get("topologySpreadConstraints"):
        wrong += scheduling.topology_spread(found, path + ".topologySpreadConstraints")
    return wrong + _names(spec, path) + _rarer(spec, path)


_NAMES: tuple[tuple[str, content.Check], ...] = (
    ("serviceAccountName", content.dns_subdomain),
    ("nodeName", content.dns_subdomain),
    ("hostname", content.dns_label),
    ("subdomain", content.dns_label),
    ("priorityClassName", content.dns_subdomain),
    ("runtimeClassName", content.dns_subdomain),
)


def _names(spec: Mapping[str, Any], path: str) -> list[FieldError]:
    wrong: list[FieldError] = []
    for field, check in _NAMES:
        value = spec.get(field)
        if value and (complaints := check(value)):
            wrong += fields.all_invalid(f"{path}.{field}", value, complaints)
    return wrong


def _rarer(spec: Mapping[str, Any], path: str) -> list[FieldError]:
    """Fields that most pods do not have."""
    wrong: list[FieldError] = []
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline <= 2**31 - 1:
        text = content.between(1, 2**31 - 1)
        wrong.append(fields.invalid(path + ".activeDeadlineSeconds", deadline, text))
    policy = spec.get("preemptionPolicy")
    if policy is not None:
        wrong += fields.one_of(path + ".preemptionPolicy", policy, _PREEMPTION)
    for index, alias in enumerate(spec.get("hostAliases") or ()):
        place = f"{path}.hostAliases[{index}]"
        wrong += fields.all_invalid(place + ".ip", alias.get("ip") or "", content.ip(alias.get("ip") or ""))
        for number, name in enumerate(alias.get("hostnames") or ()):
            wrong += fields.all_invalid(f"{place}.hostnames[{number}]", name, content.dns_subdomain(name))
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
    if found := spec.get("overhead"):
        wrong += amounts.requirements({"limits": found}, path + ".overhead")
    if found := spec.get("resources"):
        wrong += _pod_resources(found, spec, path)
    if found := spec.get("resourceClaims"):
        wrong += _claims(found, path + ".resourceClaims")
    if (found := spec.get("os")) is not None:
        wrong += _operating_system(found, spec, path)
    return wrong


def _dns(spec: Mapping[str, Any], path: str) -> list[FieldError]:
    policy, config = spec.get("dnsPolicy") or "", spec.get("dnsConfig")
    place = path + ".dnsConfig"
    wrong: list[FieldError] = []
    if not policy:
        wrong.append(fields.required(path + ".dnsPolicy"))
    elif policy not in _DNS:
        wrong.append(fields.not_supported(path + ".dnsPolicy", policy, _DNS))
    if policy == "None":
        if config is None:
            return [*wrong, fields.required(place, "must provide `dnsConfig` when `dnsPolicy` is None")]
        if not config.get("nameservers"):
            text = "must provide at least one DNS nameserver when `dnsPolicy` is None"
            return [*wrong, fields.required(place + ".nameservers", text)]
    if config is None:
        return wrong
    servers, searches = config.get("nameservers") or [], config.get("searches") or []
    if len(servers) > 3:
        wrong.append(fields.invalid(place + ".nameservers", servers, "must not have more than 3 nameservers"))
    for index, server in enumerate(servers):
        wrong += fields.all_invalid(f"{place}.nameservers[{index}]", server, content.ip(server))
    if len(searches) > 32:
        wrong.append(fields.invalid(place + ".searches", searches, "must not have more than 32 search paths"))
    if len(" ".join(searches)) > 2048:
        text = "must not have more than 2048 characters (including spaces) in the search list"
        wrong.append(fields.invalid(place + ".searches", searches, text))
    for index, search in enumerate(searches):
        judged = search.removesuffix(".")
        if search != ".":
            complaints = content.dns_subdomain(judged.replace("_", "a"))
            wrong += fields.all_invalid(f"{place}.searches[{index}]", judged, complaints)
    for index, option in enumerate(config.get("options") or ()):
        if not option.get("name"):
            wrong.append(fields.required(f"{place}.options[{index}]", "must not be empty"))
    return wrong


def _host_ports(spec: Mapping[str, Any], path: str, is_pod: bool) -> list[FieldError]:
    wrong: list[FieldError] = []
    for index, container in enumerate(spec.get("containers") or ()):
        for place, port in enumerate(container.get("ports") or ()):
            host = port.get("hostPort") or 0
            if (is_pod or host) and host != port.get("containerPort"):
                text = "must match `containerPort` when `hostNetwork` is true"
                wrong.append(fields.invalid(f"{path}.containers[{index}].ports[{place}].hostPort", host, text))
    return wrong


def _user_namespace(spec: Mapping[str, Any], path: str) -> list[FieldError]:
    text = "when `pod.Spec.HostUsers` is false"
    shown = (("hostNetwork", "hostNetwork"), ("hostPID", "HostPID"), ("hostIPC", "HostIPC"))
    return [fields.forbidden(f"{path}.{name}", text) for field, name in shown if spec.get(field)]


def _pod_resources(found: Mapping[str, Any], spec: Mapping[str, Any], path: str) -> list[FieldError]:
    """Pod-level resources, which cover what the containers ask for together."""
    place = path + ".resources"
    wrong: list[FieldError] = []
    if found.get("claims"):
        wrong.append(fields.forbidden(place + ".claims", "claims cannot be set for Resources at pod-level"))
    for kind in ("limits", "requests"):
        for name in found.get(kind) or {}:
            if name not in ("cpu", "memory") and not name.startswith(amounts.HUGE_PAGES):
                supported = ("cpu", "memory", amounts.HUGE_PAGES)
                wrong.append(fields.not_supported(f"{place}.{kind}[{name}]", name, supported))
    wrong += amounts.requirements(found, place)
    asked: dict[str, quantity.Quantity] = {}
    for index, container in enumerate(spec.get("containers") or ()):
        resources = container.get("resources") or {}
        for name, amount in (resources.get("requests") or {}).items():
            asked[name] = asked.get(name, quantity.ZERO) + quantity.parse(amount)
        for name, amount in (resources.get("limits") or {}).items():
            ceiling = (found.get("limits") or {}).get(name)
            if ceiling is not None and quantity.parse(amount) > quantity.parse(ceiling):
                text = f"must be less than or equal to pod limits of {ceiling}"
                wrong.append(fields.invalid(f"{place}.containers[{index}][{name}].limits", amount, text))
    for name, total in asked.items():
        given = (found.get("requests") or {}).get(name)
        if given is not None and total > quantity.parse(given):
            text = f"must be greater than or equal to aggregate container requests of {total}"
            wrong.append(fields.invalid(f"{place}.requests[{name}]", given, text))
    return wrong


def _claims(found: Any, base: str) -> list[FieldError]:
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
        if len(given) > 1:
            text = "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"
            wrong.append(fields.invalid(path, claim, text))
        elif not given:
            text = "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"
            wrong.append(fields.invalid(path, claim, text))
        for field in given:
            wrong += fields.all_invalid(f"{path}.{field}", claim[field], content.dns_subdomain(claim[field]))
    return wrong


def _operating_system(found: Mapping[str, Any], spec: Mapping[str, Any], path: str) -> list[FieldError]:
    name = found.get("name") or ""
    if not name:
        return [fields.required(path + ".os.name", "cannot be empty")]
    if name not in ("linux", "windows"):
        return [fields.not_supported(path + ".os", name, ("linux", "windows"))]
    unwanted = "windowsOptions" if name == "linux" else "seLinuxOptions"
    text = f"{'windows options cannot be set for a linux' if name == 'linux' else 'cannot be set for a windows'} pod"
    wrong: list[FieldError] = []
    if (spec.get("securityContext") or {}).get(unwanted) is not None:
        wrong.append(fields.forbidden(f"{path}.securityContext.{unwanted}", text))
    for field in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(field) or ()):
            if (container.get("securityContext") or {}).get(unwanted) is not None:
                wrong.append(fields.forbidden(f"{path}.{field}[{index}].securityContext.{unwanted}", text))
    return wrong


def _tokens_without_account(spec: Mapping[str, Any]) -> list[FieldError]:
    text = "must not be specified when serviceAccountName is not set"
    return [
        fields.forbidden(f"spec.volumes[{index}].projected.sources[{place}].serviceAccountToken", text)
        for index, volume in enumerate(spec.get("volumes") or ())
        for place, source in enumerate((volume.get("projected") or {}).get("sources") or ())
        if source.get("serviceAccountToken") is not None
    ]
