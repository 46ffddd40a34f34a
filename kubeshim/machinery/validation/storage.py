"""CSI drivers and what they say of nodes and capacity; attachments."""

from collections.abc import Mapping
from typing import Any

from kubeshim.machinery import objects
from kubeshim.machinery.errors import FieldError
from kubeshim.machinery.validation import (
    amounts,
    content,
    fields,
    go_structs,
    metadata,
    persistent_volumes,
    volumes,
    warnings,
)

_NODE_ID_LIMIT = 256
_ATTACHMENT_METADATA_SIZE, _MESSAGE_SIZE = 256 * 1024, 1024
_SHORTEST_TOKEN, _LONGEST_TOKEN = 600, 1 << 32


def csi_driver(obj: objects.Object) -> list[FieldError]:
    spec = obj.get("spec") or {}
    required = {
        "attachRequired": "attachedRequired", "podInfoOnMount": "podInfoOnMount", "storageCapacity": "storageCapacity",
    }  # fmt: skip
    wrong = [fields.required(f"spec.{shown}") for field, shown in required.items() if spec.get(field) is None]
    if spec.get("fsGroupPolicy") is not None:
        known = ("File", "None", "ReadWriteOnceWithFSType")
        wrong += fields.one_of("spec.fsGroupPolicy", spec["fsGroupPolicy"], known)
    wrong += _token_requests(spec)
    for mode in spec.get("volumeLifecycleModes") or ():
        wrong += fields.one_of("spec.volumeLifecycleModes", mode, ("Persistent", "Ephemeral"))
    period = spec.get("nodeAllocatableUpdatePeriodSeconds")
    if period is not None and period < 10:
        text = "must be greater than or equal to 10 seconds"
        wrong.append(fields.invalid("spec.nodeAllocatableUpdatePeriodSeconds", period, text))
    in_secrets = spec.get("serviceAccountTokenInSecrets")
    if in_secrets is not None and not spec.get("tokenRequests"):
        text = "serviceAccountTokenInSecrets is set but no tokenRequests are specified"
        wrong.append(fields.invalid("spec.serviceAccountTokenInSecrets", in_secrets, text))
    return wrong


def _token_requests(spec: Mapping[str, Any]) -> list[FieldError]:
    wrong: list[FieldError] = []
    seen: set[str] = set()
    for index, request in enumerate(spec.get("tokenRequests") or ()):
        path, audience, seconds = f"spec.tokenRequests[{index}]", request.get("audience") or "", None
        if audience in seen:
            wrong.append(fields.duplicate(path + ".audience", audience))
            continue
        seen.add(audience)
        seconds = request.get("expirationSeconds")
        if seconds is not None and seconds < _SHORTEST_TOKEN:
            text = "may not specify a duration less than 10 minutes"
            wrong.append(fields.invalid(path + ".expirationSeconds", seconds, text))
        if seconds is not None and seconds > _LONGEST_TOKEN:
            text = "may not specify a duration larger than 2^32 seconds"
            wrong.append(fields.invalid(path + ".expirationSeconds", seconds, text))
    return wrong


def csi_driver_update(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    spec, before = obj.get("spec") or {}, old.get("spec") or {}
    wrong = fields.immutable("spec.attachedRequired", spec.get("attachRequired"), before.get("attachRequired"))
    modes = spec.get("volumeLifecycleModes"), before.get("volumeLifecycleModes")
    return wrong + fields.immutable("spec.volumeLifecycleModes", *modes)


def csi_node(obj: objects.Object) -> list[FieldError]:
    wrong: list[FieldError] = []
    drivers = objects.dig(obj, "spec", "drivers", default=()) or ()
    names = [driver.get("name") or "" for driver in drivers]
    for index, driver in enumerate(drivers):
        path, node = f"spec.drivers[{index}]", driver.get("nodeID") or ""
        wrong += volumes.driver_name(names[index], path + ".name")
        if not node:
            wrong.append(fields.required(path + ".nodeID"))
        if len(node) > _NODE_ID_LIMIT:
            wrong.append(fields.invalid(path + ".nodeID", node, f"must be {_NODE_ID_LIMIT} characters or less"))
        count = objects.dig(driver, "allocatable", "count")
        wrong += fields.non_negative(path + ".allocatable.count", count)
        if names[index] in names[:index]:
            wrong.append(fields.duplicate(path + ".name", names[index]))
        wrong += _topology_keys(driver, path)
    return wrong


def _topology_keys(driver: Mapping[str, Any], path: str) -> list[FieldError]:
    wrong: list[FieldError] = []
    keys = driver.get("topologyKeys") or ()
    for index, key in enumerate(keys):
        if not key:
            wrong.append(fields.required(path))
        if key in keys[:index]:
            wrong.append(fields.duplicate(path, key))
        wrong += fields.all_invalid(path, key, content.qualified_name(key))
    return wrong


def csi_node_update(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    """Of a driver that stays, only how many volumes it takes may change."""
    wrong: list[FieldError] = []
    for before in objects.dig(old, "spec", "drivers", default=()) or ():
        for driver in objects.dig(obj, "spec", "drivers", default=()) or ():
            if driver.get("name") == before.get("name") and _fixed(driver) != _fixed(before):
                shown = go_structs.shown(go_structs.CSI_NODE_DRIVER, _fixed(driver))
                wrong.append(fields.invalid("spec.drivers", shown, fields.IMMUTABLE))
    return wrong


def _fixed(driver: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in driver.items() if key != "allocatable"}


def storage_capacity(obj: objects.Object) -> list[FieldError]:
    wrong = metadata.label_selector(obj.get("nodeTopology"), "nodeTopology")
    name = obj.get("storageClassName") or ""
    wrong += fields.all_invalid("storageClassName", name, content.dns_subdomain(name))
    if obj.get("capacity") is not None:
        wrong += amounts.non_negative(obj["capacity"], "capacity")
    return wrong


def storage_capacity_update(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    new, wrong = obj.get("nodeTopology"), list[FieldError]()
    if new != old.get("nodeTopology"):
        wrong.append(fields.invalid("nodeTopology", fields.shown_selector(new), fields.IMMUTABLE))
    return wrong + fields.immutable("storageClassName", obj.get("storageClassName"), old.get("storageClassName"))


_SOURCE = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"


def attachment(obj: objects.Object) -> list[FieldError]:
    spec = obj.get("spec") or {}
    source, path = spec.get("source") or {}, "spec.source"
    inline, volume = source.get("inlineVolumeSpec"), source.get("persistentVolumeName")
    wrong: list[FieldError] = []
    if not spec.get("attacher"):
        wrong.append(fields.required("spec.attacher"))
    if inline is None and volume is None:
        wrong.append(fields.required(path, _SOURCE))
    elif inline is not None and volume is not None:
        wrong.append(fields.forbidden(path, _SOURCE))
    elif volume == "":
        text = "must specify non empty persistentVolumeName"
        wrong.append(fields.required(path + ".persistentVolumeName", text))
    elif inline is not None:
        wrong += persistent_volumes.inline(inline, path + ".inlineVolumeSpec")
    node = spec.get("nodeName") or ""
    wrong += fields.all_invalid("spec.nodeName", node, content.dns_subdomain(node))
    return wrong + attachment_status(obj, obj)


def attachment_create(obj: objects.Object) -> list[FieldError]:
    """What the first version of the type did not ask for."""
    spec = obj.get("spec") or {}
    wrong = volumes.driver_name(spec.get("attacher") or "", "spec.attacher")
    if (volume := objects.dig(spec, "source", "persistentVolumeName")) is not None:
        wrong += fields.all_invalid("spec.source.persistentVolumeName", volume, content.dns_subdomain(volume))
    return wrong


def attachment_update(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    if obj.get("spec") == old.get("spec"):
        return []
    shown = go_structs.shown(go_structs.VOLUME_ATTACHMENT, obj.get("spec") or {})
    return [fields.invalid("spec", shown, fields.IMMUTABLE)]


def warn_storage_capacity(obj: objects.Object, old: objects.Object | None) -> list[str]:
    chosen = obj.get("nodeTopology") or {}
    found = []
    for index, expression in enumerate(chosen.get("matchExpressions") or ()):
        if text := warnings.old_label(expression.get("key") or ""):
            found.append(f"nodeTopology.matchExpressions[{index}].key: {expression['key']} is {text}")
    for key in chosen.get("matchLabels") or ():
        if text := warnings.old_label(key):
            found.append(f"nodeTopology.matchLabels.{key}: {text}")
    return found


def attachment_status(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    status = obj.get("status") or {}
    wrong: list[FieldError] = []
    size = sum(
        len(key.encode()) + len(value.encode()) for key, value in (status.get("attachmentMetadata") or {}).items()
    )
    if size > _ATTACHMENT_METADATA_SIZE:
        wrong.append(fields.too_long("status.attachmentMetadata", _ATTACHMENT_METADATA_SIZE))
    for field in ("attachError", "detachError"):
        problem = status.get(field) or {}
        if len((problem.get("message") or "").encode()) > _MESSAGE_SIZE:
            # upstream names the other limit in this refusal
            wrong.append(fields.too_long(f"status.{field}.message", _ATTACHMENT_METADATA_SIZE))
        code = problem.get("errorCode")
        if code is not None and code < 0:
            wrong.append(fields.invalid(f"status.{field}.errorCode", code, content.between(0, (1 << 31) - 1)))
    return wrong
