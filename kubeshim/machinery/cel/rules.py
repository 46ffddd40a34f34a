"""``x-kubernetes-validations``: the rules of a custom resource's schema.

    compiled = rules.compile_schema(schema, "spec.versions[0].schema.openAPIV3Schema")
    if isinstance(compiled, list): …             # field errors: the definition is refused
    compiled.validate(obj, old)                  # field errors of an object; old is None on creation

``compile_schema`` takes a schema whose form is right (structural, rules' texts in order) and finds what only an engine
can: expressions that do not compile or may cost too much. ``validate`` takes an object whose form is right.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from kubeshim.machinery import errors
from kubeshim.machinery.cel import environment, presence, rule_compilation, rule_evaluation

Problems = list[errors.FieldError]


@dataclasses.dataclass(frozen=True, slots=True)
class Compiled:
    _root: rule_compilation.Place | None

    def __bool__(self) -> bool:
        """Whether there is any rule."""
        return self._root is not None

    def validate(
        self,
        obj: Any,
        old: Any = None,
        *,
        warn: Callable[[str], None] | None = None,
        budget: int = environment.RULES_BUDGET,
    ) -> Problems:
        """What rules say of ``obj``, and of its change from ``old``.

        A rule that fails on a part that did not change is told to ``warn`` and not counted (ratcheting), unless it
        is a transition rule.
        """  # fmt: skip
        if self._root is None:
            return []
        return rule_evaluation.validate(self._root, obj, old, budget, warn or (lambda text: None))


def validate_default(schema: Mapping[str, Any], value: Any, path: str, *, root: bool) -> Problems:
    """What rules in a part of a schema say of the part's default value. Rules that do not compile say nothing."""
    place, problems = rule_compilation.compile_rules(schema, path, root=root)
    if place is None or problems:
        return []
    return rule_evaluation.validate_default(place, value, path, environment.RULES_BUDGET)


def compile_schema(schema: Mapping[str, Any], path: str = "spec.validation.openAPIV3Schema") -> Compiled | Problems:
    """``path`` is where the schema stands, for the errors."""
    if not presence.has_rules(schema):
        return Compiled(None)
    root, problems = rule_compilation.compile_rules(schema, path)
    return problems or Compiled(root)
