"""The address families of a Service (pure): ``ipFamilyPolicy`` and ``ipFamilies``, filled in and kept in step.

What was asked for by addresses, families or policy decides; a Service becomes dual-stack, or single-stack again, only
by its policy, never because the cluster has changed.
"""

from collections.abc import Sequence

from kubeshim.machinery import errors, objects
from kubeshim.machinery.validation import fields, services

_POLICY, _FAMILIES = "spec.ipFamilyPolicy", "spec.ipFamilies"
_BOTH = ("IPv4", "IPv6")
SINGLE, PREFER, REQUIRE = "SingleStack", "PreferDualStack", "RequireDualStack"


def settle(spec: objects.Object, before: objects.Object | None, configured: Sequence[str]) -> list[errors.FieldError]:
    """Changes ``spec`` in place; ``before`` is that of the stored Service, ``configured`` the cluster's families."""
    if spec.get("type") == "ExternalName" or _stays_preferred(spec, before):
        return []
    without_selector = services.is_headless(spec) and not spec.get("selector")
    if not spec.get("ipFamilyPolicy"):
        earlier = (before or {}).get("ipFamilyPolicy")
        spec["ipFamilyPolicy"] = earlier or (REQUIRE if without_selector else SINGLE)
    policy = spec["ipFamilyPolicy"]
    wrong = _follow_policy(spec, before) if before is not None else []
    wrong += _too_many(spec) if policy == SINGLE else []
    wrong += _infer(spec, configured)
    if wrong:
        return wrong
    if without_selector:
        # Its endpoints are somebody's own: the cluster need not have both families.
        spec["ipFamilies"] = spec.get("ipFamilies") or [configured[0]]
        _append_other(spec, _BOTH)
        return []
    if policy == REQUIRE and len(configured) < 2:
        wrong.append(fields.invalid(_POLICY, policy, "this cluster is not configured for dual-stack services"))
    wrong += [
        fields.invalid(f"{_FAMILIES}[{index}]", family, "not configured on this cluster")
        for index, family in enumerate(spec.get("ipFamilies") or ())
        if family not in configured
    ]
    if not wrong:
        spec["ipFamilies"] = spec.get("ipFamilies") or [configured[0]]
        _append_other(spec, configured)
    return wrong


def _stays_preferred(spec: objects.Object, before: objects.Object | None) -> bool:
    """Whether nothing was touched of one that preferred two families and got what there was."""
    return (
        before is not None
        and spec.get("type") == before.get("type")
        and spec.get("ipFamilyPolicy") == before.get("ipFamilyPolicy") == PREFER
        and _same(spec, before, "clusterIPs")
        and _same(spec, before, "ipFamilies")
    )


def _same(spec: objects.Object, before: objects.Object, name: str) -> bool:
    return list(spec.get(name) or ()) == list(before.get(name) or ())


def _follow_policy(spec: objects.Object, before: objects.Object) -> list[errors.FieldError]:
    """A policy of one family takes the second away where the client left it; another one forbids to take it away."""
    wrong = []
    for name, what in (("clusterIPs", "cluster IP"), ("ipFamilies", "IP family")):
        given, earlier = spec.get(name) or [], before.get(name) or []
        if spec["ipFamilyPolicy"] == SINGLE:
            if len(given) > 1 and _same(spec, before, name):
                spec[name] = given[:1]
        elif given and len(given) < len(earlier):
            text = f"must be 'SingleStack' to release the secondary {what}"
            wrong.append(fields.invalid(_POLICY, spec["ipFamilyPolicy"], text))
    return wrong


def _too_many(spec: objects.Object) -> list[errors.FieldError]:
    return [
        fields.invalid(
            _POLICY, SINGLE, f"must be 'RequireDualStack' or 'PreferDualStack' when multiple {what} are specified"
        )
        for name, what in (("clusterIPs", "cluster IPs"), ("ipFamilies", "IP families"))
        if len(spec.get(name) or ()) == 2
    ]


def _infer(spec: objects.Object, configured: Sequence[str]) -> list[errors.FieldError]:
    """Families of the addresses that were asked for."""
    wrong = []
    for index, address in enumerate(spec.get("clusterIPs") or ()):
        if address == "None":
            break
        families = spec.setdefault("ipFamilies", [])
        if index < len(families):
            continue
        family = "IPv6" if ":" in address else "IPv4"
        if family in configured:
            families.append(family)
        else:
            text = f"{family} is not configured on this cluster"
            wrong.append(fields.invalid(f"spec.clusterIPs[{index}]", spec["clusterIPs"], text))
    return wrong


def _append_other(spec: objects.Object, available: Sequence[str]) -> None:
    if spec["ipFamilyPolicy"] != SINGLE and len(spec["ipFamilies"]) == 1:
        spec["ipFamilies"] = [*spec["ipFamilies"], *(each for each in available if each not in spec["ipFamilies"])]
