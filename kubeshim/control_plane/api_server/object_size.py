"""How large an object may be: as much as upstream's store takes in one request, in the form it keeps.

Records of ownership do not count against a client who does not apply: where an object is too large with them, it is
kept without (``with_or_without_owners``).
"""

from collections.abc import Callable
from typing import TypeVar

from kubeshim.machinery import errors, objects, resources
from kubeshim.machinery.codecs import protobuf

_LIMIT = 3 * 512 * 1024
"""etcd's ``--max-request-bytes``."""

T = TypeVar("T")


_SENT = 2 << 20
"""What etcd's client sends at most."""


class TooLarge(errors.APIStatusError):
    """``size`` is of what would be sent to the store: its client refuses more than the server looks at."""

    def __init__(self, size: int) -> None:
        why = "etcdserver: request is too large"
        if size > _SENT:
            why = (
                "rpc error: code = ResourceExhausted desc = trying to send message larger than max "
                f"({size} vs. {_SENT})"
            )
        super().__init__(why, code=500, reason="")


def check(obj: objects.Object, value: bytes) -> None:
    """``value`` is the object's JSON, which is longer than the message upstream keeps of built-in kinds.

    Raises ``TooLarge``.
    """
    if len(value) <= _LIMIT:
        return
    group, version = resources.split_api_version(obj["apiVersion"])
    gvk = resources.GroupVersionKind(group, version, obj["kind"])
    size = len(protobuf.encode(obj, gvk)) if protobuf.has_form(gvk) else len(value)
    if size > _LIMIT:
        raise TooLarge(size)


def with_or_without_owners(write: Callable[[objects.Object], T], obj: objects.Object) -> T:
    """Writes an object, without managedFields if it is too large with them. Raises what ``write`` raises."""
    try:
        return write(obj)
    except TooLarge:
        if not obj["metadata"].pop("managedFields", None):
            raise
        return write(obj)
