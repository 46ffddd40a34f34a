"""The most an expression can cost, before it has run: cel-go's estimate, step for step.

A rule whose estimate is over the limit is refused when the definition is written, so this arithmetic is part of the
API. Sizes and costs are ``(least, most)``; everything is capped at 2⁶⁴-1, where upstream's integers end. What is known
of sizes comes from literals, from the schema by the path of a value (``self.list.@items.name``), and from
calls whose result is as big as their arguments.
"""

from kubeshim.machinery.cel import call_costs, counting, declarations, ranges, syntax, types

Path = tuple[str, ...]
_Entry = tuple[str, ranges.Range, ranges.Range]
"""Of what a literal holds: ``list`` or ``map``, sizes of keys, sizes of values."""


def estimate(tree: syntax.Node, root: declarations.Declaration | None) -> ranges.Range:
    """``root`` declares what the variables (``self``, ``oldSelf``) are; None where nothing is known of sizes."""
    return _Coster(root).cost(tree)


class _Local:
    __slots__ = ("entry", "path", "size")

    def __init__(self, path: Path, size: ranges.Range | None, entry: _Entry | None) -> None:
        self.path, self.size, self.entry = path, size, entry


class _Coster:
    def __init__(self, root: declarations.Declaration | None) -> None:
        self._root = root
        self._paths: dict[syntax.Node, Path] = {}
        self._sizes: dict[syntax.Node, ranges.Range] = {}
        self._entries: dict[syntax.Node, _Entry] = {}
        self._locals: dict[str, list[_Local]] = {}

    def cost(self, node: syntax.Node) -> ranges.Range:
        if isinstance(node, syntax.Literal):
            return ranges.ZERO
        if isinstance(node, syntax.Ident):
            local = self._local(node.name)
            self._paths[node] = local.path if local else (node.name,)
            return ranges.ONE
        if isinstance(node, syntax.Select):
            return self._select(node)
        if isinstance(node, syntax.Call):
            return self._call(node)
        if isinstance(node, syntax.ListExpr):
            return self._list(node)
        if isinstance(node, syntax.MapExpr):
            return self._map(node)
        if isinstance(node, syntax.Struct):
            return ranges.add((counting.STRUCT,) * 2, *(self.cost(entry.value) for entry in node.entries))
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
                place = place.element if place.fields_alike else place.fields.get(step)
        return place

    def _by_path(self, path: Path) -> ranges.Range | None:
        place = self._declared(path)
        return (0, place.max_elements) if place is not None else None

    def size(self, node: syntax.Node) -> ranges.Range:
        return self._known_size(node) or ranges.UNKNOWN

    def _known_size(self, node: syntax.Node) -> ranges.Range | None:
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
            return ranges.ONE
        local = self._local(node.name) if isinstance(node, syntax.Ident) else None
        return local.size if local else None

    def _entry(self, node: syntax.Node) -> _Entry | None:
        if node in self._entries:
            return self._entries[node]
        local = self._local(node.name) if isinstance(node, syntax.Ident) else None
        return local.entry if local else None

    # --- nodes ---

    def _select(self, node: syntax.Select) -> ranges.Range:
        if node.qualified:
            self._paths[node] = (node.qualified,)
            return ranges.ONE
        cost = self.cost(node.operand)
        if node.test_only:
            return cost
        if node.operand.type.kind in ("map", "object", "param"):
            cost = ranges.add(cost, ranges.ONE)
        self._paths[node] = (*self._path(node.operand), node.field)
        return cost

    def _list(self, node: syntax.ListExpr) -> ranges.Range:
        cost: ranges.Range = (counting.LIST, counting.LIST)
        item: ranges.Range = (ranges.MAX if node.elements else 0, 0)
        for element in node.elements:
            cost = ranges.add(cost, self.cost(element))
            item = ranges.union(item, self.size(element))
        self._entries[node] = ("list", ranges.ONE, item)
        return cost

    def _map(self, node: syntax.MapExpr) -> ranges.Range:
        cost: ranges.Range = (counting.MAP, counting.MAP)
        key: ranges.Range = (ranges.MAX if node.entries else 0, 0)
        value = key
        for entry in node.entries:
            cost = ranges.add(cost, self.cost(entry.key), self.cost(entry.value))
            key, value = ranges.union(key, self.size(entry.key)), ranges.union(value, self.size(entry.value))
        self._entries[node] = ("map", key, value)
        return cost

    def _call(self, node: syntax.Call) -> ranges.Range:
        if node.function == "dyn":
            cost = ranges.add(ranges.ONE, self.cost(node.args[0]))
            known, entry = self._known_size(node.args[0]), self._entry(node.args[0])
            if known is not None:
                self._sizes[node] = known
            if entry is not None:
                self._entries[node] = entry
            return cost
        args = [self.cost(arg) for arg in node.args]
        total = self.cost(node.target) if node.target is not None else ranges.ZERO
        whole: ranges.Range = (ranges.MAX, 0)
        result: ranges.Range | None = None
        for overload in node.overloads:
            cost, sized = self._function(node, overload.id, args)
            whole = ranges.union(whole, cost)
            if sized is not None:
                result = sized if result is None else ranges.union(result, sized)
            if overload.id in ("index_list", "index_map"):
                entry = self._entry(node.args[0])
                result = entry[2] if entry else None
                self._paths[node] = (*self._path(node.args[0]), "@items" if overload.id == "index_list" else "@values")
            if result is None:
                result = self._known_size(node)
        if result is not None:
            self._sizes[node] = result
        return ranges.add(total, whole)

    def _function(self, node: syntax.Call, overload: str, costs: list[ranges.Range]) -> ranges.Sized:
        args = node.args
        if overload in ("logical_or", "logical_and"):
            return (costs[0][0], ranges.add(costs[0], costs[1])[1]), None
        if overload == "conditional":
            one, other = self._entry(args[1]), self._entry(args[2])
            if one and other:
                self._entries[node] = (one[0], ranges.union(one[1], other[1]), ranges.union(one[2], other[2]))
            return ranges.add(costs[0], ranges.union(costs[1], costs[2])), ranges.union(
                self.size(args[1]), self.size(args[2])
            )
        cost, result = self._own(node, overload)
        return ranges.add(cost, *costs), result

    def _own(self, node: syntax.Call, overload: str) -> ranges.Sized:
        library = call_costs.LIBRARY.get(node.function) if overload not in call_costs.PLAIN_OVERLOADS else None
        if library is not None:
            found = library(self, node, overload)
            if found is not None:
                return found
        builtin = call_costs.BUILTIN.get(overload)
        found = builtin(self, node, overload) if builtin else None
        return found or (ranges.ONE, None)

    def _comprehension(self, node: syntax.Comprehension) -> ranges.Range:
        cost = ranges.add(self.cost(node.range), self.cost(node.initial))
        self._push(
            node.accumulator,
            _Local(self._path(node.initial), self._known_size(node.initial), self._entry(node.initial)),
        )
        names = self._push_iterated(node)
        each_round = ranges.add(self.cost(node.condition), self.cost(node.step))
        for name in names:
            self._locals[name].pop()
        cost = ranges.add(cost, self.cost(node.result))
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
        return ranges.add(cost, ranges.product(count, each_round))

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

    def _bind(self, node: syntax.Comprehension) -> ranges.Range:
        cost = ranges.add(self.cost(node.range), self.cost(node.initial))
        local = _Local(self._path(node.initial), self._known_size(node.initial), self._entry(node.initial))
        self._push(node.accumulator, local)
        cost = ranges.add(cost, self.cost(node.result))
        known, entry = self._known_size(node.result), self._entry(node.result)
        self._locals[node.accumulator].pop()
        if known is not None:
            self._sizes[node] = known
        if entry is not None:
            self._entries[node] = entry
        return cost

    def item_size(self, node: syntax.Node) -> ranges.Range:
        path = self._path(node)
        return (self._by_path((*path, "@items")) if path else None) or ranges.UNKNOWN

    def join_sizes(self, node: syntax.Call, overload: str) -> ranges.Sized:
        one, other = self._entry(node.args[0]), self._entry(node.args[1])
        result = ranges.add(self.size(node.args[0]), self.size(node.args[1]))
        if one and other:
            self._entries[node] = (one[0], ranges.union(one[1], other[1]), ranges.union(one[2], other[2]))
        return (ranges.ONE if overload == "add_list" else ranges.tenth(result)), result


def _scalar(kind: types.Type) -> bool:
    if kind.kind == "optional_type":
        return _scalar(kind.parameters[0])
    return kind.kind in ("bool", "double", "duration", "int", "timestamp", "uint")
