"""Small steps that the default setters share.

A JSON null and an absent field are the same to the API; so is an empty text, unless upstream's field is a pointer.
"""

from collections.abc import Iterable
from typing import Any

from kubeshim.machinery import objects


def fill(obj: objects.Object, field: str, value: Any) -> None:
    """Sets ``field`` where it is absent or null."""
    if obj.get(field) is None:
        obj[field] = value


def fill_text(obj: objects.Object, field: str, value: str) -> None:
    """Sets ``field`` where it is absent, null or empty."""
    if not obj.get(field):
        obj[field] = value


def child(obj: objects.Object, field: str) -> objects.Object:
    """The object at ``field``, made where it is absent."""
    found = obj.get(field)
    if found is None:
        found = obj[field] = {}
    return found if isinstance(found, dict) else {}


def children(obj: objects.Object, field: str) -> Iterable[objects.Object]:
    """The objects in the list at ``field``; none where it is absent."""
    return [item for item in obj.get(field) or () if isinstance(item, dict)]
