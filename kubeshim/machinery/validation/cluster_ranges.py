"""The ranges ClusterIPs come from, and the addresses taken from them."""

from kubeshim.machinery import objects
from kubeshim.machinery.errors import FieldError
from kubeshim.machinery.validation import content, fields, go_structs


def service_cidr(obj: objects.Object) -> list[FieldError]:
    found, path = objects.dig(obj, "spec", "cidrs", default=[]) or [], "spec.cidrs"
    if not found:
        return [fields.required(path, "at least one CIDR required")]
    if len(found) > 2:
        return [fields.invalid(path, {"CIDRs": found}, "may only hold up to 2 values")]
    wrong: list[FieldError] = []
    for index, cidr in enumerate(found):
        wrong += fields.all_invalid(f"{path}[{index}]", cidr, content.canonical_cidr(cidr))
    networks = [content.sloppy_network(cidr) for cidr in found]
    if len(networks) == 2 and None not in networks and len({":" in cidr for cidr in found}) == 1:
        text = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"
        wrong.append(fields.invalid(path, found, text))
    return wrong


def service_cidr_update(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    """A range may be given its pair of the other family, no more."""
    new, path = objects.dig(obj, "spec", "cidrs", default=[]) or [], "spec.cidrs"
    before = objects.dig(old, "spec", "cidrs", default=[]) or []
    if len(new) == len(before):
        pairs = enumerate(zip(new, before, strict=True))
        return [problem for index, (cidr, was) in pairs for problem in fields.immutable(f"{path}[{index}]", cidr, was)]
    if len(before) == 1 and len(new) == 2:
        return fields.immutable(f"{path}[0]", new[0], before[0]) + service_cidr(obj)
    return [fields.invalid(path, new or None, fields.IMMUTABLE)]


def address(obj: objects.Object) -> list[FieldError]:
    """An IPAddress; its name is judged with its metadata."""
    parent, path = objects.dig(obj, "spec", "parentRef"), "spec.parentRef"
    if parent is None:
        return [fields.required(path)]
    wrong: list[FieldError] = []
    if parent.get("group"):
        wrong += fields.all_invalid(path + ".group", parent["group"], content.dns_subdomain(parent["group"]))
    for field, needed in (("resource", True), ("name", True), ("namespace", False)):
        text = parent.get(field) or ""
        if not text and needed:
            wrong.append(fields.required(f"{path}.{field}"))
        elif text:
            wrong += fields.all_invalid(f"{path}.{field}", text, content.path_segment(text))
    return wrong


def address_update(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    new, before = objects.dig(obj, "spec", "parentRef"), objects.dig(old, "spec", "parentRef")
    if new == before:
        return []
    shown = go_structs.shown(go_structs.PARENT_REFERENCE, new) if new is not None else None
    return [fields.invalid("spec.parentRef", shown, fields.IMMUTABLE)]


address_name = content.canonical_ip
