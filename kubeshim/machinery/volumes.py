"""Which claims a pod uses, and which persistent volume is right for a claim, and for a node. Pure.

The scheduler asks for claims that wait for their consumer, the volume binder for all others.
"""

from kubeshim.machinery import node_selection, objects, quantity, selectors
from kubeshim.machinery.objects import Object


def named_claims(pod: Object) -> list[str]:
    """The claims its volumes name."""
    found = (volume.get("persistentVolumeClaim") for volume in pod["spec"].get("volumes") or ())
    return [str(claim["claimName"]) for claim in found if claim]


def claims_of(pod: Object) -> list[str]:
    """The same, and those that are made from an ephemeral volume's template."""
    made = (volume["name"] for volume in pod["spec"].get("volumes") or () if volume.get("ephemeral"))
    return [*named_claims(pod), *(f"{objects.name(pod)}-{name}" for name in made)]


def reaches(volume: Object, node: Object) -> bool:
    """Whether the volume's node affinity admits the node."""
    required = objects.dig(volume, "spec", "nodeAffinity", "required")
    return required is None or node_selection.matches_any_term(required.get("nodeSelectorTerms") or (), node)


def suits(volume: Object, claim: Object) -> bool:
    """Whether the volume has what the claim asks for; one that is promised to the claim needs no more than that."""
    spec, wanted = volume["spec"], claim["spec"]
    if objects.is_deleting(volume):
        return False
    if (spec.get("volumeMode") or "Filesystem") != (wanted.get("volumeMode") or "Filesystem"):
        return False
    if (spec.get("volumeAttributesClassName") or "") != (wanted.get("volumeAttributesClassName") or ""):
        return False
    if not set(wanted.get("accessModes") or ()) <= set(spec.get("accessModes") or ()):
        return False
    asked = objects.dig(wanted, "resources", "requests", "storage", default="0")
    return capacity(volume) >= quantity.parse(asked)


def fits(volume: Object, claim: Object) -> bool:
    """Whether the volume suits the claim, is free or reserved for it, and is of the kind it asks for."""
    spec, wanted = volume["spec"], claim["spec"]
    reference = spec.get("claimRef")
    if reference is not None:
        same = (reference.get("namespace"), reference.get("name")) == (objects.namespace(claim), objects.name(claim))
        if not same or reference.get("uid") not in (None, "", objects.uid(claim)):
            return False
    elif objects.dig(volume, "status", "phase") not in (None, "Available", "Pending"):
        return False
    if (spec.get("storageClassName") or "") != (wanted.get("storageClassName") or ""):
        return False
    selector = wanted.get("selector")
    if selector is not None and not selectors.from_label_selector(selector).matches(objects.labels(volume)):
        return False
    return suits(volume, claim)


def preference(volume: Object) -> tuple[int, quantity.Quantity]:
    """Of volumes that fit, those with the fewest ways of access come first, then the smallest."""
    return len(set(volume["spec"].get("accessModes") or ())), capacity(volume)


def capacity(volume: Object) -> quantity.Quantity:
    return quantity.parse(objects.dig(volume, "spec", "capacity", "storage", default="0"))
