"""Which StorageClass or IngressClass is the default one: marked by annotation, the youngest if several are."""

from collections.abc import Iterable

from kubeshim.machinery import objects

STORAGE = ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")
INGRESS = ("ingressclass.kubernetes.io/is-default-class",)


def is_default(obj: objects.Object, *annotations: str) -> bool:
    """Whether one of ``annotations`` says ``true``."""
    carried = objects.annotations(obj)
    return any(carried.get(annotation) == "true" for annotation in annotations)


def pick(classes: Iterable[objects.Object], *annotations: str) -> objects.Object | None:
    """The class that is marked; among equally old ones, the first by name."""
    marked = [one for one in classes if is_default(one, *annotations)]
    if not marked:
        return None
    marked.sort(key=objects.name)
    return max(marked, key=lambda one: str(one["metadata"].get("creationTimestamp") or ""))
