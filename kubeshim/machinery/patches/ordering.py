"""In which order a merged list stands: the patch's order, woven into the server's."""

from typing import Any

from kubeshim.machinery.patches import equality


def position(items: list[Any], item: Any, merge_key: str) -> int:
    """Where ``items`` has the element that is ``item`` (by merge key, or by value without one); -1 if nowhere."""
    if not merge_key:
        for index, other in enumerate(items):
            if equality.same(other, item):
                return index
        return -1
    wanted = item.get(merge_key) if isinstance(item, dict) else None
    for index, other in enumerate(items):
        if isinstance(other, dict) and merge_key in other and equality.same(other[merge_key], wanted):
            return index
    return -1


def arranged(merged: list[Any], patch_order: list[Any], server_order: list[Any], merge_key: str) -> list[Any]:
    """``merged`` with what ``patch_order`` names in that order, the rest in ``server_order``, woven together.

    Between the two, an element of the server alone goes first only where the server has both and has it first.
    """
    patched: list[tuple[int, Any]] = []
    others: list[tuple[int, Any]] = []
    for item in merged:
        at = position(patch_order, item, merge_key)
        if at >= 0:
            patched.append((at, item))
        else:
            others.append((position(server_order, item, merge_key), item))
    patched.sort(key=lambda entry: entry[0])
    others.sort(key=lambda entry: entry[0])
    result: list[Any] = []
    left, right = [item for _, item in others], [item for _, item in patched]
    i = j = 0
    while i < len(left) and j < len(right):
        own, theirs = position(server_order, left[i], merge_key), position(server_order, right[j], merge_key)
        if 0 <= own < theirs:
            result.append(left[i])
            i += 1
        else:
            result.append(right[j])
            j += 1
    return result + left[i:] + right[j:]
