"""The ranges ClusterIPs come from, and the addresses taken from them."""

import ipaddress

from kubeshim.machinery import objects
from kubeshim.machinery.errors import FieldError
from kubeshim.machinery.validation import content, fields


def service_cidr(obj: objects.Object) -> list[FieldError]:
    found, path = objects.dig(obj, "spec", "cidrs", default=[]) or [], "spec.cidrs"
    if not found:
        return [fields.required(path, "at least one CIDR required")]
    if len(found) > 2:
        return [fields.invalid(path, {"CIDRs": found}, "may only hold up to 2 values")]
    if len(found) == 2 and not _one_of_each(found):
        text = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"
        return [fields.invalid(path, {"CIDRs": found}, text)]
    wrong: list[FieldError] = []
    for index, cidr in enumerate(found):
        wrong += fields.all_invalid(f"{path}[{index}]", cidr, content.cidr(cidr))
    return wrong


def _one_of_each(found: list[str]) -> bool:
    try:
        return {ipaddress.ip_interface(cidr).version for cidr in found} == {4, 6}
    except ValueError:
        return False


def service_cidr_update(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    before = objects.dig(old, "spec", "cidrs", default=[])
    return fields.immutable("spec.cidrs", objects.dig(obj, "spec", "cidrs", default=[]), before)


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
    return fields.immutable(
        "spec.parentRef", objects.dig(obj, "spec", "parentRef"), objects.dig(old, "spec", "parentRef")
    )


def address_name(text: str) -> list[str]:
    """An IP address in its canonical form."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return [f"ParseAddr({fields.quote(text)}): unable to parse IP"]
    return [] if str(found) == text else ["must be a canonical format IP address"]
