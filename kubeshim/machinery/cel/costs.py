"""The most an expression can cost, before it has run: cel-go's estimate, step for step.

A rule whose estimate is over the limit is refused when the definition is written, so this arithmetic is part of the
API. Sizes and costs are ``(least, most)``; everything is capped at 2⁶⁴-1, where upstream's integers end. What is known
of sizes comes from literals, from the schema by the path of a value (``self.list.@items.name``), and from
calls whose result is as big as their arguments.
"""

from collections.abc import Callable

from kubeshim.machinery.cel import counting, declarations, syntax, types

MAX = 2**64 - 1
Range = tuple[int, int]
_UNKNOWN: Range = (0, MAX)
_ONE: Range = (1, 1)
_ZERO: Range = (0, 0)
_Sized = tuple[Range, Range | None]
Path = tuple[str, ...]
_Entry = tuple[str, Range, Range]
"""Of what a literal holds: ``list`` or ``map``, sizes of keys, sizes of values."""


def estimate(tree: syntax.Node, root: declarations.Declaration | None) -> Range:
    """``root`` declares what the variables (``self``, ``oldSelf``) are; None where nothing is known of sizes."""
    return _Coster(root).cost(tree)


def times(one: int, other: int) -> int:
    return min(one * other, MAX)


def _add(*ranges: Range) -> Range:
    return min(sum(each[0] for each in ranges), MAX), min(sum(each[1] for each in ranges), MAX)


def _times(one: Range, other: Range) -> Range:
    return times(one[0], other[0]), times(one[1], other[1])


def _union(one: Range, other: Range) -> Range:
    return min(one[0], other[0]), max(one[1], other[1])


def _tenth(size: Range, factor: int = 1) -> Range:
    """A tenth a character; upstream multiplies as floating point, which near the cap is the cap."""
    return _part(size[0], factor), _part(size[1], factor)


def _part(size: int, factor: int) -> int:
    return -(-size * factor // 10) if size < 2**53 else min(int(float(size) * (0.1 * factor)), MAX)


def _regex_part(size: Range) -> Range:
    return -(-size[0] // 4), -(-size[1] // 4)


class _Local:
    __slots__ = ("entry", "path", "size")

    def __init__(self, path: Path, size: Range | None, entry: _Entry | None) -> None:
        self.path, self.size, self.entry = path, size, entry


class _Coster:
    def __init__(self, root: declarations.Declaration | None) -> None:
        self._root = root
        self._paths: dict[syntax.Node, Path] = {}
        self._sizes: dict[syntax.Node, Range] = {}
        self._entries: dict[syntax.Node, _Entry] = {}
        self._locals: dict[str, list[_Local]] = {}

    def cost(self, node: syntax.Node) -> Range:
        if isinstance(node, syntax.Literal):
            return _ZERO
        if isinstance(node, syntax.Ident):
            local = self._local(node.name)
            self._paths[node] = local.path if local else (node.name,)
            return _ONE
        if isinstance(node, syntax.Select):
            return self._select(node)
        if isinstance(node, syntax.Call):
            return self._call(node)
        if isinstance(node, syntax.ListExpr):
            return self._list(node)
        if isinstance(node, syntax.MapExpr):
            return self._map(node)
        if isinstance(node, syntax.Struct):
            return _add((counting.STRUCT,) * 2, *(self.cost(entry.value) for entry in node.entries))
        assert isinstance(node, syntax.Comprehension)
        return self._bind(node) if node.is_bind() else self._comprehension(node)

    # --- sizes ---

    def _local(self, name: str) -> _Local | None:
        found = self._locals.get(name)
        return found[-1] if found else None

    def _path(self, node: syntax.Node) -> Path:
        if isinstance(node, syntax.Ident):
            local = self._local(node.name)
            if local:
                return local.path
        return self._paths.get(node, ())

    def _declared(self, path: Path) -> declarations.Declaration | None:
        if not path or path[0] == syntax.ACCUMULATOR:
            return None
        place = self._root
        for step in path[1:]:
            if place is None:
                return None
            if step in ("@items", "@values"):
                place = place.element
            elif step == "@keys":
                place = place.key
            else:
                place = place.fields.get(step)
        return place

    def _by_path(self, path: Path) -> Range | None:
        place = self._declared(path)
        return (0, place.max_elements) if place is not None else None

    def size(self, node: syntax.Node) -> Range:
        return self._known_size(node) or _UNKNOWN

    def _known_size(self, node: syntax.Node) -> Range | None:
        if node in self._sizes:
            return self._sizes[node]
        if isinstance(node, syntax.Literal):
            length = len(node.value) if isinstance(node.value, str | bytes) else 1
            return length, length
        if isinstance(node, syntax.ListExpr):
            return len(node.elements), len(node.elements)
        if isinstance(node, syntax.MapExpr):
            return len(node.entries), len(node.entries)
        found = self._by_path(self._path(node))
        if found is not None:
            self._sizes[node] = found
            return found
        if _scalar(node.type):
            return _ONE
        local = self._local(node.name) if isinstance(node, syntax.Ident) else None
        return local.size if local else None

    def _entry(self, node: syntax.Node) -> _Entry | None:
        if node in self._entries:
            return self._entries[node]
        local = self._local(node.name) if isinstance(node, syntax.Ident) else None
        return local.entry if local else None

    # --- nodes ---

    def _select(self, node: syntax.Select) -> Range:
        if node.qualified:
            self._paths[node] = (node.qualified,)
            return _ONE
        cost = self.cost(node.operand)
        if node.test_only:
            return cost
        if node.operand.type.kind in ("map", "object", "param"):
            cost = _add(cost, _ONE)
        self._paths[node] = (*self._path(node.operand), node.field)
        return cost

    def _list(self, node: syntax.ListExpr) -> Range:
        cost: Range = (counting.LIST, counting.LIST)
        item: Range = (MAX if node.elements else 0, 0)
        for element in node.elements:
            cost = _add(cost, self.cost(element))
            item = _union(item, self.size(element))
        self._entries[node] = ("list", _ONE, item)
        return cost

    def _map(self, node: syntax.MapExpr) -> Range:
        cost: Range = (counting.MAP, counting.MAP)
        key: Range = (MAX if node.entries else 0, 0)
        value = key
        for entry in node.entries:
            cost = _add(cost, self.cost(entry.key), self.cost(entry.value))
            key, value = _union(key, self.size(entry.key)), _union(value, self.size(entry.value))
        self._entries[node] = ("map", key, value)
        return cost

    def _call(self, node: syntax.Call) -> Range:
        if node.function == "dyn":
            cost = _add(_ONE, self.cost(node.args[0]))
            known, entry = self._known_size(node.args[0]), self._entry(node.args[0])
            if known is not None:
                self._sizes[node] = known
            if entry is not None:
                self._entries[node] = entry
            return cost
        args = [self.cost(arg) for arg in node.args]
        total = self.cost(node.target) if node.target is not None else _ZERO
        whole: Range = (MAX, 0)
        result: Range | None = None
        for overload in node.overloads:
            cost, sized = self._function(node, overload.id, args)
            whole = _union(whole, cost)
            if sized is not None:
                result = sized if result is None else _union(result, sized)
            if overload.id in ("index_list", "index_map"):
                entry = self._entry(node.args[0])
                result = entry[2] if entry else None
                self._paths[node] = (*self._path(node.args[0]), "@items" if overload.id == "index_list" else "@values")
            if result is None:
                result = self._known_size(node)
        if result is not None:
            self._sizes[node] = result
        return _add(total, whole)

    def _function(self, node: syntax.Call, overload: str, costs: list[Range]) -> _Sized:
        args = node.args
        if overload in ("logical_or", "logical_and"):
            return (costs[0][0], _add(costs[0], costs[1])[1]), None
        if overload == "conditional":
            one, other = self._entry(args[1]), self._entry(args[2])
            if one and other:
                self._entries[node] = (one[0], _union(one[1], other[1]), _union(one[2], other[2]))
            return _add(costs[0], _union(costs[1], costs[2])), _union(self.size(args[1]), self.size(args[2]))
        cost, result = self._own(node, overload)
        return _add(cost, *costs), result

    def _own(self, node: syntax.Call, overload: str) -> _Sized:
        library = _LIBRARY.get(node.function) if overload not in _PLAIN_OVERLOADS else None
        if library is not None:
            found = library(self, node, overload)
            if found is not None:
                return found
        builtin = _BUILTIN.get(overload)
        found = builtin(self, node, overload) if builtin else None
        return found or (_ONE, None)

    def _comprehension(self, node: syntax.Comprehension) -> Range:
        cost = _add(self.cost(node.range), self.cost(node.initial))
        self._push(
            node.accumulator,
            _Local(self._path(node.initial), self._known_size(node.initial), self._entry(node.initial)),
        )
        names = self._push_iterated(node)
        each_round = _add(self.cost(node.condition), self.cost(node.step))
        for name in names:
            self._locals[name].pop()
        cost = _add(cost, self.cost(node.result))
        self._locals[node.accumulator].pop()
        count = self.size(node.range)
        if isinstance(node.initial, syntax.Literal):
            known = self._known_size(node.initial)
            if known is not None:
                self._sizes[node] = known
        else:
            self._sizes[node] = count
            entry = self._entry(node.step)
            if entry is not None:
                self._entries[node] = entry
        return _add(cost, _times(count, each_round))

    def _push(self, name: str, local: _Local) -> None:
        self._locals.setdefault(name, []).append(local)

    def _push_iterated(self, node: syntax.Comprehension) -> list[str]:
        entry, path = self._entry(node.range), self._path(node.range)
        kind = entry[0] if entry else node.range.type.kind
        key, value = (entry[1], entry[2]) if entry else (None, None)
        is_list = kind == "list"
        if node.var2:
            self._push(node.var, _Local((*path, "@indices" if is_list else "@keys"), key, None))
            self._push(node.var2, _Local((*path, "@items" if is_list else "@values"), value, None))
            return [node.var, node.var2]
        local = (*path, "@items"), value
        if not is_list:
            local = (*path, "@keys"), key
        self._push(node.var, _Local(local[0], local[1], None))
        return [node.var]

    def _bind(self, node: syntax.Comprehension) -> Range:
        cost = _add(self.cost(node.range), self.cost(node.initial))
        local = _Local(self._path(node.initial), self._known_size(node.initial), self._entry(node.initial))
        self._push(node.accumulator, local)
        cost = _add(cost, self.cost(node.result))
        known, entry = self._known_size(node.result), self._entry(node.result)
        self._locals[node.accumulator].pop()
        if known is not None:
            self._sizes[node] = known
        if entry is not None:
            self._entries[node] = entry
        return cost

    def item_size(self, node: syntax.Node) -> Range:
        path = self._path(node)
        return (self._by_path((*path, "@items")) if path else None) or _UNKNOWN

    def join_sizes(self, node: syntax.Call, overload: str) -> _Sized:
        one, other = self._entry(node.args[0]), self._entry(node.args[1])
        result = _add(self.size(node.args[0]), self.size(node.args[1]))
        if one and other:
            self._entries[node] = (one[0], _union(one[1], other[1]), _union(one[2], other[2]))
        return (_ONE if overload == "add_list" else _tenth(result)), result


def _scalar(kind: types.Type) -> bool:
    if kind.kind == "optional_type":
        return _scalar(kind.parameters[0])
    return kind.kind in ("bool", "double", "duration", "int", "timestamp", "uint")


_PLAIN_OVERLOADS = frozenset({"string_to_string", "bytes_to_string", "string_to_bytes"})
_Estimator = Callable[[_Coster, syntax.Call, str], _Sized | None]

# --- Kubernetes' libraries -----------------------------------------------------------------------------------------


def _traversal(coster: _Coster, node: syntax.Call, overload: str) -> _Sized | None:
    target = node.target
    if target is None:
        return None
    if target.type.kind != "list":
        return _tenth(coster.size(target)), None
    each: Range = _ONE
    if target.type.parameters[0].kind in ("string", "bytes"):
        each = _add(each, _tenth(coster.item_size(target)))
    return _times(coster.size(target), each), None


def _parsed(factor: int = 1) -> _Estimator:
    return lambda coster, node, overload: (_tenth(coster.size(node.args[0]), factor), None) if node.args else None


def _kept(coster: _Coster, node: syntax.Call, overload: str) -> _Sized | None:
    if node.target is None:
        return None
    size = coster.size(node.target)
    return _tenth(size), size


def _replaced(coster: _Coster, node: syntax.Call, overload: str) -> _Sized | None:
    if node.target is None:
        return None
    size, old, new = coster.size(node.target), coster.size(node.args[0]), coster.size(node.args[1])
    most, kept = 0, 0
    if old[0] == 0:
        most, kept = min(size[1] + 1, MAX), size[1]
    elif new[1] <= old[0]:
        kept = size[1]
    else:
        most = -(-size[1] // old[0])
    least, kept_least = 0, 0
    if old[1] == 0:
        least, kept_least = min(size[0] + 1, MAX), size[0]
    elif old[1] <= new[0]:
        kept_least = size[0]
    else:
        least = -(-size[0] // old[1])
    return _tenth(size, 2), _add(_times((least, most), new), (kept_least, kept))


def _split(coster: _Coster, node: syntax.Call, overload: str) -> _Sized | None:
    if node.target is None:
        return None
    size = coster.size(node.target)
    limit = node.args[1] if len(node.args) > 1 else None
    most = size[1]
    if isinstance(limit, syntax.Literal) and isinstance(limit.value, int):
        most = limit.value % (MAX + 1)
    return _tenth(size, 2), (0, most)


def _joined(coster: _Coster, node: syntax.Call, overload: str) -> _Sized | None:
    if node.target is None:
        return None
    count = coster.size(node.target)
    size = _times(count, coster.item_size(node.target))
    if node.args:
        size = _add(size, _times(coster.size(node.args[0]), (max(count[0] - 1, 0), max(count[1] - 1, 0))))
    return _tenth(size), size


def _found(coster: _Coster, node: syntax.Call, overload: str) -> _Sized | None:
    if node.target is None:
        return None
    size = coster.size(node.target)
    return _times(_tenth(_add(size, _ONE)), _regex_part(coster.size(node.args[0]))), (0, size[1])


def _within(extra: bool) -> _Estimator:
    def run(coster: _Coster, node: syntax.Call, overload: str) -> _Sized | None:
        cost: Range = (1, 4)
        if extra:
            cost = _add(cost, (1, 2), _ONE)
        if overload.endswith("_string"):
            cost = _add(cost, _tenth(coster.size(node.args[0])))
        return cost, None

    return run


def _product(factor: int) -> _Estimator:
    def run(coster: _Coster, node: syntax.Call, overload: str) -> _Sized | None:
        if len(node.args) != 2:
            return None
        cost = _times(coster.size(node.args[0]), coster.size(node.args[1]))
        return _add(_times(cost, (factor, factor)), _ONE), None

    return run


def _formatted(coster: _Coster, node: syntax.Call, overload: str) -> _Sized | None:
    if node.target is None or overload != "format-validate":
        return None
    return _times(coster.size(node.args[0]), (0, max(counting.FORMAT_SIZES.values()))), None


_LIBRARY: dict[str, _Estimator] = {
    "check": lambda coster, node, overload: ((counting.AUTHORIZATION_CHECK,) * 2, None),
    **dict.fromkeys(("isSorted", "sum", "max", "min", "indexOf", "lastIndexOf"), _traversal),
    **dict.fromkeys(("url", "cidr", "isIP", "isCIDR", "quantity", "isQuantity", "semver", "isSemver"), _parsed()),
    "ip": lambda coster, node, overload: None if overload == "cidr_ip" else _parsed()(coster, node, overload),
    "ip.isCanonical": _parsed(2),
    **dict.fromkeys(("lowerAscii", "upperAscii", "substring", "trim"), _kept),
    "replace": _replaced, "split": _split, "join": _joined, "find": _found, "findAll": _found,
    "containsIP": _within(False), "containsCIDR": _within(True),
    "sets.contains": _product(1), "sets.intersects": _product(1), "sets.equivalent": _product(2),
    "validate": _formatted,
}  # fmt: skip

# --- CEL's own -----------------------------------------------------------------------------------------------------


def _format(coster: _Coster, node: syntax.Call, overload: str) -> _Sized | None:
    return (_tenth(coster.size(node.target)), None) if node.target is not None else None


def _to_bytes(coster: _Coster, node: syntax.Call, overload: str) -> _Sized | None:
    size = coster.size(node.args[0])
    return _tenth(size), (size[0], min(size[1] * 4, MAX))


def _to_text(coster: _Coster, node: syntax.Call, overload: str) -> _Sized | None:
    size = coster.size(node.args[0])
    return _tenth(size), (size[0] // 4, size[1])


def _quoted(coster: _Coster, node: syntax.Call, overload: str) -> _Sized | None:
    size = coster.size(node.args[0])
    return _tenth(size), (size[0] + 2, min(size[1] * 2 + 2, MAX))


def _in_list(coster: _Coster, node: syntax.Call, overload: str) -> _Sized | None:
    return coster.size(node.args[1]), None


def _matches(coster: _Coster, node: syntax.Call, overload: str) -> _Sized | None:
    if node.target is None:
        return None
    return _times(_tenth(_add(coster.size(node.target), _ONE)), _regex_part(coster.size(node.args[0]))), None


def _contains(coster: _Coster, node: syntax.Call, overload: str) -> _Sized | None:
    if node.target is None:
        return None
    return _times(_tenth(coster.size(node.target)), _tenth(coster.size(node.args[0]))), None


def _compared(coster: _Coster, node: syntax.Call, overload: str) -> _Sized | None:
    most = min(coster.size(node.args[0])[1], coster.size(node.args[1])[1])
    return _tenth((1 if most else 0, most)), None


def _added(coster: _Coster, node: syntax.Call, overload: str) -> _Sized | None:
    return coster.join_sizes(node, overload)


_BUILTIN: dict[str, _Estimator] = {
    "string_format": _format, "string_to_bytes": _to_bytes, "bytes_to_string": _to_text, "strings_quote": _quoted,
    "starts_with_string": _parsed(), "ends_with_string": _parsed(), "in_list": _in_list, "matches_string": _matches,
    "contains_string": _contains, "add_string": _added, "add_bytes": _added, "add_list": _added,
    "equals": _compared, "not_equals": _compared,
    **{f"{word}_{kind}": _compared for word in ("less", "less_equals", "greater", "greater_equals")
       for kind in ("string", "bytes")},
}  # fmt: skip
