"""Where rules (``x-kubernetes-validations``) enter: ``check`` judges them when a definition is written,
``compile_rules`` makes what judges objects.

The engine is loaded with the first schema that has rules: most servers start without any.
"""

from collections.abc import Callable, Mapping
from typing import Any

from kubeshim.machinery import errors
from kubeshim.machinery.cel import presence

Problems = list[errors.FieldError]
Rules = Callable[[Any, Any], Problems]
"""From an object whose form is right, and the one before it (None on creation), to what is wrong with it."""


def check(schema: Mapping[str, Any], path: str) -> Problems:
    """What is wrong with the rules of a whole ``openAPIV3Schema`` that is right in all else."""
    if not presence.has_rules(schema):
        return []
    from kubeshim.machinery.cel import rules

    compiled = rules.compile_schema(schema, path)
    return compiled if isinstance(compiled, list) else []


def check_default(schema: Mapping[str, Any], value: Any, path: str, *, root: bool) -> Problems:
    """Whether the default of a part of a schema keeps the rules in that part; ``root`` of a whole object's."""
    if not presence.has_rules(schema):
        return []
    from kubeshim.machinery.cel import rules

    return rules.validate_default(schema, value, path, root=root)


def compile_rules(schema: Mapping[str, Any]) -> Rules | None:
    """The rules of a whole ``openAPIV3Schema``, ready to be evaluated; None where it has none."""
    if not presence.has_rules(schema):
        return None
    from kubeshim.machinery.cel import rules

    compiled = rules.compile_schema(schema)
    if isinstance(compiled, list):
        text = "; ".join(map(str, compiled))
        raise ValueError(f"rules that were accepted do not compile any more: {text}")
    return compiled.validate
