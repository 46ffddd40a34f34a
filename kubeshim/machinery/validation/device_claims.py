"""Device classes, claims for devices, their templates, and what the status of a claim may say."""

from collections.abc import Mapping
from typing import Any

from kubeshim.machinery import objects
from kubeshim.machinery.errors import FieldError
from kubeshim.machinery.validation import amounts, conditions, content, fields, go_values, metadata, scheduling, volumes
from kubeshim.machinery.validation import device_common as common

_GROUP = "k8s.io.api.resource.v1."
_REQUESTS, _CONSTRAINTS, _CONFIGS, _ALTERNATIVES = 32, 32, 32, 8
_RESULTS, _RESERVED, _CONDITIONS, _ADDRESSES = 32, 256, 8, 16
_REFERENCE = "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'"
Names = dict[str, set[str]]
"""Requests, and the alternatives of each."""


def device_class(obj: objects.Object, old: objects.Object | None = None) -> list[FieldError]:
    """Selectors that are as they were are not judged again, nor is the size of such a configuration."""
    spec, before = obj.get("spec") or {}, (old or {}).get("spec") or {}

    def held(field: str) -> bool:
        return old is not None and (spec.get(field) or []) == (before.get(field) or [])

    def config(found: Mapping[str, Any], path: str) -> list[FieldError]:
        return common.configuration(found, path, stored=held("config"))

    wrong = common.selectors(spec.get("selectors"), "spec.selectors", stored=held("selectors"))
    wrong += common.items(spec.get("config"), _CONFIGS, config, "spec.config")
    name = spec.get("extendedResourceName")
    if name is not None and not amounts.is_extended(name):
        wrong.append(fields.invalid("spec.extendedResourceName", name, "must be a valid extended resource name"))
    return wrong


def claim_create(obj: objects.Object) -> list[FieldError]:
    return _spec(obj.get("spec") or {}, "spec")


def template_create(obj: objects.Object) -> list[FieldError]:
    spec = obj.get("spec") or {}
    wrong = metadata.template(spec.get("metadata") or {}, "spec.metadata")
    return wrong + _spec(spec.get("spec") or {}, "spec.spec")


def claim_update(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    return go_values.immutable("spec", _GROUP + "ResourceClaimSpec", obj.get("spec"), old.get("spec"))


def template_update(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    return go_values.immutable("spec", _GROUP + "ResourceClaimTemplateSpec", obj.get("spec"), old.get("spec"))


def _names(devices: Mapping[str, Any]) -> Names:
    return {
        request.get("name") or "": {one.get("name") or "" for one in request.get("firstAvailable") or ()}
        for request in devices.get("requests") or ()
    }


def _spec(spec: Mapping[str, Any], path: str) -> list[FieldError]:
    devices, path = spec.get("devices") or {}, path + ".devices"
    names = _names(devices)

    def constraint(found: Mapping[str, Any], place: str) -> list[FieldError]:
        return _constraint(found, place, names)

    def config(found: Mapping[str, Any], place: str) -> list[FieldError]:
        return _references(found, place, names) + common.configuration(found, place)

    wrong = common.items(devices.get("requests"), _REQUESTS, _request, path + ".requests", _name_of)
    wrong += common.items(devices.get("constraints"), _CONSTRAINTS, constraint, path + ".constraints")
    return wrong + common.items(devices.get("config"), _CONFIGS, config, path + ".config")


def _name_of(item: Mapping[str, Any]) -> str:
    return item.get("name") or ""


_ONE_OF = "exactly one of `exactly` or `firstAvailable` is required"


def _request(request: Mapping[str, Any], path: str) -> list[FieldError]:
    wrong = common.label(request.get("name") or "", path + ".name")
    exactly, alternatives = request.get("exactly"), request.get("firstAvailable")
    if exactly is None and not alternatives:
        return [*wrong, fields.required(path, _ONE_OF)]
    if exactly is not None and alternatives:
        return [*wrong, fields.invalid(path, None, f"{_ONE_OF}, but multiple fields are set")]
    if exactly is not None:
        return wrong + _exact(exactly, path + ".exactly")
    place = path + ".firstAvailable"
    return wrong + common.items(alternatives, _ALTERNATIVES, _alternative, place, _name_of)


def _alternative(found: Mapping[str, Any], path: str) -> list[FieldError]:
    return common.label(found.get("name") or "", path + ".name") + _exact(found, path)


def _exact(found: Mapping[str, Any], path: str) -> list[FieldError]:
    name = found.get("deviceClassName") or ""
    wrong: list[FieldError] = []
    if not name:
        wrong.append(fields.required(path + ".deviceClassName"))
    else:
        wrong += fields.all_invalid(path + ".deviceClassName", name, content.dns_subdomain(name))
    wrong += common.selectors(found.get("selectors"), path + ".selectors")
    mode, count = found.get("allocationMode") or "", found.get("count") or 0
    if mode == "All":
        if count:
            text = "must not be specified when allocationMode is 'All'"
            wrong.append(fields.invalid(path + ".count", count, text))
    elif mode == "ExactCount":
        if count <= 0:
            wrong.append(fields.invalid(path + ".count", count, "must be greater than zero"))
    else:
        wrong.append(fields.not_supported(path + ".allocationMode", mode, ("All", "ExactCount")))
    return wrong + common.tolerations(found, path)


def _references(holder: Mapping[str, Any], path: str, names: Names) -> list[FieldError]:
    def check(name: str, place: str) -> list[FieldError]:
        return _reference(name, place, names)

    return common.items(holder.get("requests"), _REQUESTS, check, path + ".requests", str)


def _reference(name: str, path: str, names: Names) -> list[FieldError]:
    parts = name.split("/")
    if len(parts) > 2:
        return [fields.invalid(path, name, _REFERENCE)]
    wrong = [error for part in parts for error in common.label(part, path)]
    if parts[0] not in names or (len(parts) == 2 and parts[1] not in names[parts[0]]):
        wrong.append(fields.invalid(path, name, _REFERENCE))
    return wrong


def _constraint(found: Mapping[str, Any], path: str, names: Names) -> list[FieldError]:
    wrong = _references(found, path, names)
    for field in ("matchAttribute", "distinctAttribute"):
        if found.get(field) is not None:
            return wrong + common.fully_qualified(found[field], f"{path}.{field}")
    text = 'exactly one of "matchAttribute" or "distinctAttribute" is required, but multiple fields are set'
    return [*wrong, fields.required(path, text)]


def claim_status(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    status, before = obj.get("status") or {}, old.get("status") or {}
    allocation, reserved = status.get("allocation"), status.get("reservedFor") or []
    given = {_device_id(one) for one in objects.dig(dict(allocation or {}), "devices", "results", default=()) or ()}

    def device(found: Mapping[str, Any], path: str) -> list[FieldError]:
        return _device_status(found, path, given)

    wrong = common.items(reserved, _RESERVED, _consumer, "status.reservedFor", lambda one: one.get("uid") or "")
    wrong += common.items(status.get("devices"), -1, device, "status.devices", _device_id)
    if reserved and allocation is None:
        text = "may not be specified when `allocated` is not set"
        wrong.append(fields.forbidden("status.reservedFor", text))
    elif reserved and objects.dig(obj, "metadata", "deletionTimestamp"):
        held = before.get("reservedFor") or []
        if any(one not in held for one in reserved):
            text = "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set"
            wrong.append(fields.forbidden("status.reservedFor", text))
    if allocation is None:
        return wrong
    if before.get("allocation") is not None:
        message = _GROUP + "AllocationResult"
        return wrong + go_values.immutable("status.allocation", message, allocation, before["allocation"])
    names = _names(objects.dig(obj, "spec", "devices", default={}))
    return wrong + _allocation(allocation, "status.allocation", names)


def _consumer(found: Mapping[str, Any], path: str) -> list[FieldError]:
    return [fields.required(f"{path}.{field}") for field in ("resource", "name", "uid") if not found.get(field)]


def _device_id(found: Mapping[str, Any]) -> str:
    parts = [found.get(field) or "" for field in ("driver", "pool", "device")]
    return "/".join(parts + ([found["shareID"]] if found.get("shareID") else []))


def _allocation(found: Mapping[str, Any], path: str, names: Names) -> list[FieldError]:
    def result(one: Mapping[str, Any], place: str) -> list[FieldError]:
        return _result(one, place, names)

    def config(one: Mapping[str, Any], place: str) -> list[FieldError]:
        source = one.get("source") or ""
        known = ("FromClaim", "FromClass")
        problems = fields.one_of(place + ".source", source, known) if source else [fields.required(place + ".source")]
        return problems + _references(one, place, names) + common.configuration(one, place)

    devices = found.get("devices") or {}
    wrong = common.items(devices.get("results"), _RESULTS, result, path + ".devices.results")
    wrong += common.items(devices.get("config"), 2 * _CONFIGS, config, path + ".devices.config")
    if found.get("nodeSelector") is not None:
        wrong += scheduling.node_selector(found["nodeSelector"], path + ".nodeSelector")
    return wrong


def _device(found: Mapping[str, Any], path: str) -> list[FieldError]:
    wrong = volumes.driver_name(found.get("driver") or "", path + ".driver")
    wrong += common.pool_name(found.get("pool") or "", path + ".pool")
    wrong += common.label(found.get("device") or "", path + ".device")
    return wrong + (common.uid(found["shareID"], path + ".shareID") if found.get("shareID") is not None else [])


def _result(found: Mapping[str, Any], path: str, names: Names) -> list[FieldError]:
    wrong = _reference(found.get("request") or "", path + ".request", names) + _device(found, path)
    return wrong + common.binding_conditions(found, path) + common.tolerations(found, path)


def _device_status(found: Mapping[str, Any], path: str, given: set[str]) -> list[FieldError]:
    wrong = _device(found, path)
    if _device_id(found) not in given:
        wrong.append(fields.invalid(path, _device_id(found), "must be an allocated device in the claim"))
    held = found.get("conditions") or []
    if len(held) > _CONDITIONS:
        wrong.append(fields.too_many(path + ".conditions", len(held), _CONDITIONS))
    wrong += conditions.validate(held, path + ".conditions")
    if found.get("data") is not None:
        wrong += common.raw(found["data"], path + ".data")
    network, path = found.get("networkData") or {}, path + ".networkData"
    for field, limit in (("interfaceName", 256), ("hardwareAddress", 128)):
        if len(network.get(field) or "") > limit:
            wrong.append(fields.too_long(f"{path}.{field}", limit))
    return wrong + common.items(network.get("ips"), _ADDRESSES, _interface_address, path + ".ips", str)


def _interface_address(text: str, path: str) -> list[FieldError]:
    address, slash, length = text.partition("/")
    if content.ip(address) or not slash or not length.isdecimal() or int(length) > (128 if ":" in address else 32):
        text_of = "must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)"
        return [fields.invalid(path, text, text_of)]
    return []
