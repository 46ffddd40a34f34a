"""Which fields an endpoint writes, and so who uses it can own.

Most endpoints say what they reset (``spec``, ``metadata.labels``); all else they write. Those that own a part of their
object say what alone they write (``Only``), every step a field's name or ``*`` for any element.
"""

import dataclasses
import functools
from collections.abc import Callable, Collection

from kubeshim.machinery import fieldsets, schemas

Fields = fieldsets.Fields
Pattern = tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Only:
    paths: tuple[str, ...]


Rule = Collection[str] | Only | None
"""None means the usual: the status endpoint writes ``status`` and metadata, the main one all but ``status``."""


@dataclasses.dataclass(frozen=True, slots=True)
class Written:
    """``unwritten`` goes with all that is below it; of the rest there is only what fits one of ``patterns``, if any."""

    unwritten: Fields
    patterns: tuple[Pattern, ...] = ()

    def of(self, fields: Fields) -> Fields:
        if self.patterns:
            return _matching(fields, self.patterns)
        return fieldsets.without_subtrees(fields, self.unwritten)

    def asks(self, name: str) -> bool:
        """Whether what a configuration says in a top-level field is asked for at all."""
        return name == "metadata" or self.unwritten.get("f:" + name) != {}


Named = Callable[[schemas.Schema], Written]
"""What an endpoint writes of a type in each of its versions."""


def named(rule: Rule, subresource: str) -> Named:
    return lambda schema: of(rule, schema, subresource)


def of(rule: Rule, schema: schemas.Schema, subresource: str) -> Written:
    if isinstance(rule, Only):
        return Written(fieldsets.LEAF, tuple(_pattern(path) for path in rule.paths))
    if rule is None:
        rule = ()
        if subresource == "status":
            rule = [name for name in schema.properties if name not in ("status", "metadata", "apiVersion", "kind")]
        elif not subresource and schema.definition and "status" in schema.properties:
            rule = ("status",)
    return Written(_of_paths(tuple(rule)))


def _pattern(path: str) -> Pattern:
    return tuple(step if step == "*" else f"f:{step}" for step in path.split("."))


@functools.cache
def _of_paths(paths: tuple[str, ...]) -> Fields:
    fields: Fields = fieldsets.LEAF
    for path in paths:
        fields = fieldsets.union(fields, fieldsets.of_path(path.split(".")))
    return fields


def _matching(fields: Fields, patterns: Collection[Pattern]) -> Fields:
    """What a pattern leads to, whole; what only lies on the way there is no member."""
    found: Fields = {}
    for key, below in fields.items():
        left = [pattern[1:] for pattern in patterns if pattern[0] in (key, "*")] if key != fieldsets.SELF else []
        if () in left:
            found[key] = below
        elif left and (kept := _matching(below, left)):
            found[key] = kept
    return found
