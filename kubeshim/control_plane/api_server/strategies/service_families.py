"""Which IP families a Service has: what the client leaves out is inferred, what the cluster cannot give is refused.

    policy             one family configured        two families configured
    SingleStack        one address                  one address
    PreferDualStack    one address                  two, if it is new or its fields are being changed
    RequireDualStack   refused                      two addresses
    none, headless and without a selector: RequireDualStack with both families, on any cluster

Source: upstream's ``pkg/registry/core/service/storage`` allocators.
"""

from collections.abc import Sequence

from kubeshim.machinery import errors, objects
from kubeshim.machinery.validation import fields, services

_FIELDS = ("clusterIPs", "ipFamilies", "ipFamilyPolicy")
_OTHER = {"IPv4": "IPv6", "IPv6": "IPv4"}


def fill(spec: objects.Object, before: objects.Object, configured: Sequence[str]) -> list[errors.FieldError]:
    """Sets ``ipFamilies`` and ``ipFamilyPolicy``; ``configured`` are the cluster's families, the primary first.

    Two addresses or families alone do not ask for two stacks: the policy has to say so.
    """
    if spec.get("type") == "ExternalName" or _stays(spec, before):
        return []
    selectorless = services.is_headless(spec) and not spec.get("selector")
    inferred = "RequireDualStack" if selectorless else "SingleStack"
    policy = spec.get("ipFamilyPolicy") or before.get("ipFamilyPolicy") or inferred
    families = list(spec.get("ipFamilies") or ())
    wrong = _against_policy(spec, before, policy) + _infer(families, spec.get("clusterIPs") or [], configured)
    if wrong:
        return wrong
    if selectorless:
        families = families or [configured[0]]
        if len(families) < 2 and policy != "SingleStack":
            families.append(_OTHER[families[0]])
    else:
        wrong = _unavailable(families, policy, configured)
        if wrong:
            return wrong
        families = families or [configured[0]]
        if policy != "SingleStack":
            families += [family for family in configured if family not in families]
    spec["ipFamilies"], spec["ipFamilyPolicy"] = families, policy
    return []


def downgrade(spec: objects.Object, before: objects.Object) -> None:
    """Who asks for a single stack need not take the second address and family out as well."""
    if (spec.get("ipFamilyPolicy") or before.get("ipFamilyPolicy")) != "SingleStack":
        return
    for field in ("clusterIPs", "ipFamilies"):
        held = spec.get(field) or []
        if len(held) > 1 and held == before.get(field):
            spec[field] = held[:1]


def _stays(spec: objects.Object, before: objects.Object) -> bool:
    """A Service that prefers two families is not changed by the cluster's having got or lost one."""
    return spec.get("ipFamilyPolicy") == "PreferDualStack" and all(
        spec.get(field) == before.get(field) for field in (*_FIELDS, "type")
    )


def _against_policy(spec: objects.Object, before: objects.Object, policy: str) -> list[errors.FieldError]:
    wrong = []
    for field, what, named in (("clusterIPs", "cluster IP", "cluster IPs"), ("ipFamilies", "IP family", "IP families")):
        held = spec.get(field) or ()
        if policy == "SingleStack" and len(held) == 2:
            text = f"must be 'RequireDualStack' or 'PreferDualStack' when multiple {named} are specified"
            wrong.append(fields.invalid("spec.ipFamilyPolicy", policy, text))
        if policy != "SingleStack" and 0 < len(held) < len(before.get(field) or ()):
            text = f"must be 'SingleStack' to release the secondary {what}"
            wrong.append(fields.invalid("spec.ipFamilyPolicy", policy, text))
    return wrong


def _infer(families: list[str], addresses: list[str], configured: Sequence[str]) -> list[errors.FieldError]:
    """Adds the families of addresses that none is given for."""
    wrong = []
    for index, address in enumerate(addresses):
        if address == "None":
            break
        if index < len(families):
            continue
        family = "IPv6" if ":" in address else "IPv4"
        if family not in configured:
            text = f"{family} is not configured on this cluster"
            wrong.append(fields.invalid(f"spec.clusterIPs[{index}]", addresses, text))
        families.append(family)
    return wrong


def _unavailable(families: list[str], policy: str, configured: Sequence[str]) -> list[errors.FieldError]:
    wrong = []
    if policy == "RequireDualStack" and len(configured) < 2:
        text = "this cluster is not configured for dual-stack services"
        wrong.append(fields.invalid("spec.ipFamilyPolicy", policy, text))
    return wrong + [
        fields.invalid(f"spec.ipFamilies[{index}]", family, "not configured on this cluster")
        for index, family in enumerate(families)
        if family not in configured
    ]
