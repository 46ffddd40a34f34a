"""What whoever reports a pod's status may say."""

from collections.abc import Mapping, Sequence
from typing import Any

from kubeshim.machinery import objects
from kubeshim.machinery.errors import FieldError
from kubeshim.machinery.validation import content, fields, go_structs, pod_annotations

_Found = Mapping[str, Any]
_KNOWN = ("PodScheduled", "Ready", "Initialized")
_HEALTH = ("Healthy", "Unhealthy", "Unknown")
_CONTAINERS = (
    ("containerStatuses", "containers"), ("initContainerStatuses", "initContainers"),
    ("ephemeralContainerStatuses", "ephemeralContainers"),
)  # fmt: skip
_NOT_NEGATIVE = "must be a non-negative integer"
_ID_TEXT = content.between(0, 2**31 - 1)
_MESSAGE_LIMIT, _IMAGE_LIMIT = 1024, 256


def status(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    """The status door."""
    new, before = obj.get("status") or {}, old.get("status") or {}
    spec, earlier = obj.get("spec") or {}, old.get("spec") or {}
    annotations = objects.annotations(obj)
    wrong = pod_annotations.changes(annotations, objects.annotations(old), "metadata.annotations")
    if annotations:
        wrong += pod_annotations.validate(annotations, spec, "metadata.annotations")
    wrong += _conditions(new.get("conditions") or ())
    if (spec.get("nodeName") or "") != (earlier.get("nodeName") or ""):
        wrong.append(fields.forbidden("status.nodeName", "may not be changed directly"))
    wrong += _nomination(new.get("nominatedNodeName") or "", before.get("nominatedNodeName") or "", earlier)
    if (new.get("observedGeneration") or 0) < 0:
        wrong.append(fields.invalid("status.observedGeneration", new["observedGeneration"], _NOT_NEGATIVE))
    wrong += fields.immutable("status.qosClass", new.get("qosClass") or "", before.get("qosClass") or "")
    for field, sort in _CONTAINERS:
        wrong += _revived(new.get(field) or (), before.get(field) or (), f"status.{field}", earlier, sort)
    wrong += _claims(new.get("resourceClaimStatuses") or (), spec)
    wrong += _extended(new.get("extendedResourceClaimStatus"), spec, "status.extendedResourceClaimStatus")
    wrong += _addresses(new, before, "podIP") + _addresses(new, before, "hostIP")
    for field, _ in _CONTAINERS:
        wrong += _users(new.get(field) or (), f"status.{field}", spec)
    for field, sort in _CONTAINERS[:2]:
        wrong += _allocated(new.get(field) or (), f"status.{field}", spec.get(sort) or ())
    for index, one in enumerate(new.get("ephemeralContainerStatuses") or ()):
        if one.get("allocatedResourcesStatus"):
            place = f"status.ephemeralContainerStatuses[{index}].allocatedResourcesStatus"
            wrong.append(fields.forbidden(place, "must not be specified in container status"))
    for field, _ in _CONTAINERS:
        wrong += _mounts(new.get(field) or (), f"status.{field}")
    return wrong


def _conditions(found: Sequence[_Found]) -> list[FieldError]:
    wrong: list[FieldError] = []
    for index, condition in enumerate(found):
        path, kind = f"status.conditions[{index}]", condition.get("type") or ""
        if (generation := condition.get("observedGeneration") or 0) < 0:
            wrong.append(fields.invalid(path + ".observedGeneration", generation, _NOT_NEGATIVE))
        if kind not in _KNOWN:
            wrong += fields.all_invalid(path + ".Type", kind, content.qualified_name(kind))
    return wrong


def _nomination(new: str, old: str, spec: _Found) -> list[FieldError]:
    if not new or new == old:
        return []
    path = "status.nominatedNodeName"
    wrong = fields.all_invalid(path, new, content.dns_subdomain(new))
    if spec.get("nodeName"):
        wrong.append(fields.forbidden(path, "may not be set on pods that are already bound to a node"))
    return wrong


def _revived(new: Sequence[_Found], old: Sequence[_Found], path: str, spec: _Found, sort: str) -> list[FieldError]:
    """Containers that had ended for good and run again."""
    everybody = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    rules = [rule for container in everybody for rule in container.get("restartPolicyRules") or ()]
    if sort != "ephemeralContainers" and any(rule.get("action") == "RestartAllContainers" for rule in rules):
        return []
    states = {one.get("name"): one.get("state") or {} for one in reversed(new)}
    by_name = {container.get("name"): container for container in spec.get(sort) or ()}
    wrong: list[FieldError] = []
    for index, one in enumerate(old):
        ended, name = (one.get("state") or {}).get("terminated"), one.get("name")
        if ended is None or name not in states or states[name].get("terminated") is not None:
            continue
        container = by_name.get(name) if sort != "ephemeralContainers" else None
        if container is None or not _restarts(container, spec, ended.get("exitCode") or 0):
            text = "may not be transitioned to non-terminated state"
            wrong.append(fields.forbidden(f"{path}[{index}].state", text))
    return wrong


def _restarts(container: _Found, spec: _Found, code: int) -> bool:
    """Whether a container that ended with this code is started again."""
    policy = container.get("restartPolicy")
    if policy is not None:
        for rule in container.get("restartPolicyRules") or ():
            codes = rule.get("exitCodes") or {}
            if (code in (codes.get("values") or ())) == (codes.get("operator") == "In"):
                if rule.get("action") == "Restart":
                    return True
                break
    return bool({"Never": False, "OnFailure": code != 0}.get(policy or spec.get("restartPolicy") or "Always", True))


def _claims(found: Sequence[_Found], spec: _Found) -> list[FieldError]:
    names = {claim.get("name") for claim in spec.get("resourceClaims") or ()}
    wrong: list[FieldError] = []
    seen: set[str] = set()
    for index, one in enumerate(found):
        path, name = f"status.resourceClaimStatuses[{index}]", one.get("name") or ""
        if name not in names:
            text = "must match the name of an entry in `spec.resourceClaims`"
            wrong.append(fields.invalid(path + ".name", name, text))
        if name in seen:
            wrong.append(fields.duplicate(path + ".name", name))
        seen.add(name)
        if (claim := one.get("resourceClaimName")) is not None:
            wrong += fields.all_invalid(path + ".resourceClaimName", claim, content.dns_subdomain(claim))
    return wrong


def _extended(found: _Found | None, spec: _Found, path: str) -> list[FieldError]:
    if found is None:
        return []
    containers = {c.get("name"): c for sort in ("initContainers", "containers") for c in spec.get(sort) or ()}
    mappings = found.get("requestMappings") or ()
    wrong = [] if mappings else [fields.required(path + ".requestMappings", "at least one request mapping is required")]
    seen: set[tuple[str, ...]] = set()
    for index, mapping in enumerate(mappings):
        place = f"{path}.requestMappings[{index}]"
        key = tuple(mapping.get(name) or "" for name in ("containerName", "resourceName", "requestName"))
        container = containers.get(key[0])
        if container is None:
            text = "must match the name of an entry in spec.initContainers.name or spec.containers.name"
            wrong.append(fields.invalid(place + ".containerName", key[0], text))
        elif key[1] not in ((container.get("resources") or {}).get("requests") or {}):
            text = (
                "must match the extended resource name of an entry in spec.initContainers.resources.requests or "
                "spec.containers.resources.requests"
            )
            wrong.append(fields.invalid(place + ".resourceName", key[1], text))
        wrong += fields.all_invalid(path + ".requestName", key[2], content.dns_label(key[2]))
        if key in seen:
            names = ("containerName", "resourceName", "requestName")
            wrong += [fields.duplicate(f"{place}.{name}", value) for name, value in zip(names, key, strict=True)]
        seen.add(key)
    name, place = found.get("resourceClaimName") or "", path + ".resourceClaimName"
    return wrong + (fields.all_invalid(place, name, content.dns_subdomain(name)) if name else [fields.required(place)])


def _addresses(new: _Found, old: _Found, field: str) -> list[FieldError]:
    """``podIPs`` / ``hostIPs``: valid, one of each family at most."""
    path, entries = f"status.{field}s", new.get(field + "s") or ()
    kept = [entry.get("ip") or "" for entry in old.get(field + "s") or ()]
    addresses = [entry.get("ip") or "" for entry in entries]
    wrong: list[FieldError] = []
    if field == "hostIP" and addresses and (new.get("hostIP") or "") != addresses[0]:
        wrong.append(fields.invalid(path + "[0].ip", addresses[0], "must be equal to `hostIP`"))
    for index, address in enumerate(addresses):
        wrong += fields.all_invalid(f"{path}[{index}]", address, content.ip(address, kept))
    if len(entries) > 1 and (len({":" in address for address in addresses}) != 2 or len(entries) > 2):
        text = "may specify no more than one IP for each IP family"
        wrong.append(fields.invalid(path, go_structs.listed(go_structs.POD_IP, entries), text))
    return wrong


def _users(found: Sequence[_Found], path: str, spec: _Found) -> list[FieldError]:
    system = (spec.get("os") or {}).get("name") or "linux"
    wrong: list[FieldError] = []
    for index, one in enumerate(found):
        user, place = (one.get("user") or {}).get("linux"), f"{path}[{index}].user.linux"
        if user is None:
            continue
        if system == "windows":
            wrong.append(fields.forbidden(place, "cannot be set for a windows pod"))
            continue
        numbers = [("uid", user.get("uid") or 0), ("gid", user.get("gid") or 0)]
        numbers += [(f"supplementalGroups[{n}]", group) for n, group in enumerate(user.get("supplementalGroups") or ())]
        wrong += [
            fields.invalid(f"{place}.{name}", number, _ID_TEXT)
            for name, number in numbers
            if not 0 <= number <= 2**31 - 1
        ]
    return wrong


def _allocated(found: Sequence[_Found], path: str, containers: Sequence[_Found]) -> list[FieldError]:
    """The health of devices: of resources that the container asked for."""
    by_name = {container.get("name"): container for container in reversed(containers)}
    wrong: list[FieldError] = []
    for index, one in enumerate(found):
        for number, resource in enumerate(one.get("allocatedResourcesStatus") or ()):
            place, name = f"{path}[{index}].allocatedResourcesStatus[{number}]", resource.get("name") or ""
            container = by_name.get(one.get("name"))
            if container is not None and (text := _unasked(name, container.get("resources") or {})):
                wrong.append(fields.invalid(place + ".name", name, text))
            wrong += _health(resource.get("resources") or (), place + ".resources")
    return wrong


def _unasked(name: str, asked: _Found) -> str:
    if not name.startswith("claim:"):
        return "" if name in (asked.get("requests") or {}) else "must match one of the container's resource requests"
    for claim in asked.get("claims") or ():
        request = f"/{claim['request']}" if claim.get("request") else ""
        if name == f"claim:{claim.get('name')}{request}":
            return ""
    return (
        "must match one of the container's resource claims in a format 'claim:<claimName>/<request>' or "
        "'claim:<claimName>' if request is empty"
    )


def _health(found: Sequence[_Found], path: str) -> list[FieldError]:
    wrong: list[FieldError] = []
    seen: set[str] = set()
    for index, one in enumerate(found):
        place, uid, message = f"{path}[{index}]", one.get("resourceID") or "", one.get("message")
        wrong += fields.one_of(place + ".health", one.get("health") or "", _HEALTH)
        if message == "":
            wrong.append(fields.required(place + ".message", "must be non-empty if specified"))
        elif message is not None and len(message.encode()) > _MESSAGE_LIMIT:
            wrong.append(fields.too_long(place + ".message", _MESSAGE_LIMIT))
        if uid in seen:
            wrong.append(fields.duplicate(place + ".resourceID", uid))
        seen.add(uid)
    return wrong


def _mounts(found: Sequence[_Found], path: str) -> list[FieldError]:
    """The digest of a mounted image."""
    wrong: list[FieldError] = []
    for index, one in enumerate(found):
        for number, mount in enumerate(one.get("volumeMounts") or ()):
            image = (mount.get("volumeStatus") or {}).get("image")
            if image is None:
                continue
            place = f"{path}[{index}].volumeMounts[{number}].volumeStatus.imageVolumeStatus.imageRef"
            reference = image.get("imageRef") or ""
            if not reference:
                wrong.append(fields.required(place, "imageRef must not be empty"))
            elif len(reference) > _IMAGE_LIMIT:
                wrong.append(fields.too_long(place, _IMAGE_LIMIT))
    return wrong
