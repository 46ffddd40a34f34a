"""Which StorageClass or IngressClass is the default one: marked by annotation, the youngest if several are."""

from collections.abc import Iterable

from kubeshim.machinery import objects


def pick(classes: Iterable[objects.Object], *annotations: str) -> objects.Object | None:
    """The class on which one of ``annotations`` says ``true``; among equally old ones, the first by name."""
    marked = [one for one in classes if any(objects.annotations(one).get(key) == "true" for key in annotations)]
    if not marked:
        return None
    marked.sort(key=objects.name)
    return max(marked, key=lambda one: str(one["metadata"].get("creationTimestamp") or ""))
