"""The indexes controllers share on their informers."""

from collections.abc import Iterable

from kubeshim.client import informer
from kubeshim.machinery import objects
from kubeshim.machinery.objects import Object


def _namespace(obj: Object) -> Iterable[str]:
    return (objects.namespace(obj),)


def _controller(obj: Object) -> Iterable[str]:
    owner = objects.controller_of(obj)
    return (owner["uid"],) if owner else ()


def _claim(obj: Object) -> Iterable[str]:
    owner = objects.controller_of(obj)
    return (owner["uid"] if owner else f"orphans/{objects.namespace(obj)}",)


def _node(obj: Object) -> Iterable[str]:
    name = obj.get("spec", {}).get("nodeName")
    return (name,) if name else ()


def by_namespace(cache: informer.Informer) -> informer.Informer:
    cache.add_index("namespace", _namespace)
    return cache


def by_controller(cache: informer.Informer) -> informer.Informer:
    """Under the uid of the owner that controls."""
    cache.add_index("controller", _controller)
    return cache


def by_node(cache: informer.Informer) -> informer.Informer:
    """Pods under the node they are bound to."""
    cache.add_index("node", _node)
    return cache


def by_claim(cache: informer.Informer) -> informer.Informer:
    """What ``claimable`` reads: by controller, or by namespace where there is none."""
    cache.add_index("claim", _claim)
    return cache


def claimable(cache: informer.Informer, owner: Object) -> list[Object]:
    """What ``owner`` controls, and what it might adopt: far fewer than all of its namespace."""
    orphans = cache.by_index("claim", f"orphans/{objects.namespace(owner)}")
    return cache.by_index("claim", objects.uid(owner)) + orphans
