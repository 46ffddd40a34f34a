"""JSON patch (RFC 6902) with the habits of the library upstream uses.

Negative array indices count from the end; ``test`` of a missing member against null holds; ``add`` cannot replace
the whole document, ``replace`` can. An operation that does not apply is a 422 whose message says nothing of the
reason: that is what upstream answers.
"""

from collections.abc import Sequence
from typing import Any

import orjson

from kubeshim.machinery import errors
from kubeshim.machinery.patches import equality

MAX_OPERATIONS = 10_000
MAX_COPIED = 3 * 1024 * 1024
"""Bytes that ``copy`` operations of one patch may add up to."""


class DoesNotApply(errors.Invalid):
    """422. ``why`` is for logs and tests; the wire only has the general text."""

    def __init__(self, why: str) -> None:
        super().__init__("the server rejected our request due to an error in our request", details={})
        self.why = why


class TestFailed(DoesNotApply):
    """A ``test`` does not hold."""


def check(ops: Any) -> list[dict[str, Any]]:
    """The decoded patch, if it is a list of objects of a bearable length. Raises 400 or 413."""
    if not isinstance(ops, list):
        raise errors.BadRequest(f"json: cannot unmarshal {_go_type(ops)} into Go value of type jsonpatch.Patch")
    for operation in ops:
        if not isinstance(operation, dict):
            raise errors.BadRequest(
                f"json: cannot unmarshal {_go_type(operation)} into Go value of type jsonpatch.Operation"
            )
    if len(ops) > MAX_OPERATIONS:
        raise errors.RequestEntityTooLarge(
            f"The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {len(ops)}"
        )
    return ops


_MEMBERS = {"op": str, "path": str, "from": str, "value": object}


def strict_problems(ops: Any, duplicates: Sequence[str]) -> list[str]:
    """What ``fieldValidation`` has to say of the operations themselves. Raises 400 where they are none."""
    if not isinstance(ops, list):
        if ops is None:
            return []
        raise errors.BadRequest(f"json: cannot unmarshal {_go_type(ops)} into Go value of type []handlers.jsonPatchOp")
    found: list[str] = []
    for index, operation in enumerate(ops):
        if not isinstance(operation, dict):
            if operation is None:
                continue
            raise errors.BadRequest(
                f"json: cannot unmarshal {_go_type(operation)} into Go value of type handlers.jsonPatchOp"
            )
        for member, value in operation.items():
            if member not in _MEMBERS:
                found.append(f'json patch unknown field "[{index}].{member}"')
            elif value is not None and not isinstance(value, _MEMBERS[member]):
                raise errors.BadRequest(
                    f"json: cannot unmarshal {_go_type(value)} into Go struct field jsonPatchOp.{member} of type string"
                )
        found += [f"json patch {text}" for text in duplicates if text.startswith(f'duplicate field "[{index}].')]
    return found


def apply(obj: Any, ops: Any) -> Any:
    """The patched copy of ``obj``. Raises ``DoesNotApply`` and what ``check`` raises."""
    operations = check(ops)
    document = _Document(orjson.loads(orjson.dumps(obj)))
    for operation in operations:
        kind = operation.get("op")
        act = _OPERATIONS.get(kind) if isinstance(kind, str) else None
        if act is None:
            raise DoesNotApply(f"Unexpected kind: {kind}")
        act(document, operation)
    return document.root


class _Document:
    def __init__(self, root: Any) -> None:
        self.root = root
        self.copied = 0


def _pointer(operation: dict[str, Any], member: str) -> list[str]:
    text = operation.get(member)
    if not isinstance(text, str):
        raise DoesNotApply(f"operation has no {member}")
    if not text:
        return []
    head, *steps = text.split("/")
    if head:
        raise DoesNotApply(f"pointer {text!r} does not start with a slash")
    return [step.replace("~1", "/").replace("~0", "~") for step in steps]


def _value(operation: dict[str, Any]) -> Any:
    return operation.get("value")


def _parent(document: _Document, steps: Sequence[str]) -> Any:
    """The container that the last step is a member of."""
    if not steps:
        raise DoesNotApply("doc is missing path")
    at = document.root
    for step in steps[:-1]:
        at = _member(at, step)
        if not isinstance(at, (dict, list)):
            raise DoesNotApply(f"doc is missing path: {'/'.join(steps)}")
    if not isinstance(at, (dict, list)):
        raise DoesNotApply(f"doc is missing path: {'/'.join(steps)}")
    return at


_MISSING = object()


def _member(container: Any, step: str) -> Any:
    if isinstance(container, dict):
        return container.get(step, _MISSING)
    if isinstance(container, list):
        return container[_index(step, len(container))]
    return _MISSING


def _index(step: str, length: int) -> int:
    """A position that exists."""
    number = _number(step)
    if not -length <= number < length:
        raise DoesNotApply(f"index {step} is out of bounds")
    return number % length


def _number(step: str) -> int:
    if not step.lstrip("+-").isascii() or not step.lstrip("+-").isdigit() or len(step) > 20:
        raise DoesNotApply(f"{step!r} is no array index")
    return int(step)


def _add_at(document: _Document, steps: Sequence[str], value: Any) -> None:
    parent, step = _parent(document, steps), steps[-1]
    if isinstance(parent, dict):
        parent[step] = value
        return
    if step == "-":
        parent.append(value)
        return
    length = len(parent) + 1
    number = _number(step)
    if not -length <= number < length:
        raise DoesNotApply(f"index {step} is out of bounds")
    parent.insert(number % length, value)


def _remove_at(document: _Document, steps: Sequence[str]) -> Any:
    parent, step = _parent(document, steps), steps[-1]
    if isinstance(parent, dict):
        if step not in parent:
            raise DoesNotApply(f"nothing to remove at {'/'.join(steps)}")
        return parent.pop(step)
    return parent.pop(_index(step, len(parent)))


def _look_up(document: _Document, steps: Sequence[str]) -> Any:
    return _member(_parent(document, steps), steps[-1]) if steps else document.root


def _add(document: _Document, operation: dict[str, Any]) -> None:
    _add_at(document, _pointer(operation, "path"), _value(operation))


def _remove(document: _Document, operation: dict[str, Any]) -> None:
    _remove_at(document, _pointer(operation, "path"))


def _replace(document: _Document, operation: dict[str, Any]) -> None:
    steps, value = _pointer(operation, "path"), _value(operation)
    if not steps:
        if not isinstance(value, (dict, list)):
            raise DoesNotApply("replace operation value must be object or array")
        document.root = value
        return
    parent, step = _parent(document, steps), steps[-1]
    if isinstance(parent, dict):
        if step not in parent:
            raise DoesNotApply(f"nothing to replace at {'/'.join(steps)}")
        parent[step] = value
    else:
        parent[_index(step, len(parent))] = value


def _move(document: _Document, operation: dict[str, Any]) -> None:
    value = _remove_at(document, _pointer(operation, "from"))
    _add_at(document, _pointer(operation, "path"), value)


def _copy(document: _Document, operation: dict[str, Any]) -> None:
    value = _look_up(document, _pointer(operation, "from"))
    if value is _MISSING:
        raise DoesNotApply("nothing to copy")
    encoded = orjson.dumps(value)
    document.copied += len(encoded)
    if document.copied > MAX_COPIED:
        raise DoesNotApply(f"unable to complete the copy, the accumulated size increase is {document.copied}")
    _add_at(document, _pointer(operation, "path"), orjson.loads(encoded))


def _test(document: _Document, operation: dict[str, Any]) -> None:
    found = _look_up(document, _pointer(operation, "path"))
    if found is _MISSING:
        found = None
    if not equality.same(found, _value(operation)):
        raise TestFailed(f"testing value {operation.get('path')} failed")


_OPERATIONS = {"add": _add, "remove": _remove, "replace": _replace, "move": _move, "copy": _copy, "test": _test}


def _go_type(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, str):
        return "string"
    if isinstance(value, (int, float)):
        return "number"
    return "array" if isinstance(value, list) else "object"
