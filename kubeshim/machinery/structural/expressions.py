"""Where rules (``x-kubernetes-validations``) enter: ``check`` judges them when a definition is written,
``compile_rules`` makes what judges objects.

Until there is an engine for them, a schema with rules is refused by name, never taken and left unenforced.
"""

from collections.abc import Callable, Mapping
from typing import Any

from kubeshim.machinery import errors
from kubeshim.machinery.validation import fields

Problems = list[errors.FieldError]
Rules = Callable[[Any, Any], Problems]
"""From an object whose form is right, and the one before it (None on creation), to what is wrong with it."""


def check(schema: Mapping[str, Any], path: str) -> Problems:
    """What is wrong with the rules of one subschema."""
    return [fields.forbidden(f"{path}.x-kubernetes-validations", "validation rules are not supported")]


def compile_rules(schema: Mapping[str, Any]) -> Rules | None:
    """The rules of a whole ``openAPIV3Schema``, ready to be evaluated; None where it has none."""
    return None
