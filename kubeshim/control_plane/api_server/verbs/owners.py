"""Owner references that are there twice: the server keeps one of each and says so."""

from typing import Any

from kubeshim.control_plane.api_server.verbs import operation
from kubeshim.machinery import objects

_SINCE = "API server dedups owner references in 1.20+, and may reject such requests as early as 1.24"
_SENT = f".metadata.ownerReferences contains duplicate entries; {_SINCE}; please fix your requests"
_ADMITTED = f".metadata.ownerReferences contains duplicate entries after mutating admission happens; {_SINCE}"


def dedup(op: operation.Operation, obj: objects.Object, *, admitted: bool = False) -> None:
    """In place. ``admitted`` says that it was no client, but admission that added them."""
    references = obj["metadata"].get("ownerReferences") if isinstance(obj.get("metadata"), dict) else None
    if not isinstance(references, list) or len(references) < 2:
        return
    kept: list[Any] = []
    repeated: list[str] = []
    for reference in references:
        if reference in kept:
            repeated.append(str(reference.get("uid")))
        else:
            kept.append(reference)
    if repeated:
        obj["metadata"]["ownerReferences"] = kept
        text = f"{_ADMITTED}; please fix your requests" if admitted else _SENT
        op.warnings.append(f"{text}; duplicate UID(s) observed: {', '.join(repeated)}")
