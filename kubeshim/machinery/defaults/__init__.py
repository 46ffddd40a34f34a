"""What the API fills in where an object says nothing, kind by kind.

``apply`` runs on every decoded request body and after each mutation, so every function here is idempotent and touches
only what is absent. Values that depend on other objects or on the cluster belong to admission and strategies. The
table at the end of ``table`` is the whole list; a kind that is not in it has no defaults.
"""

from kubeshim.machinery import objects, resources
from kubeshim.machinery.defaults import table


def apply(gvk: resources.GroupVersionKind, obj: objects.Object) -> None:
    """Fills in ``obj`` in place."""
    setter = table.TABLE.get(gvk)
    if setter is not None:
        setter(obj)
