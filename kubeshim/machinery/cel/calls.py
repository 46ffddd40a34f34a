"""What calls and selections do when they run, on the frame of ``evaluation``."""

from collections.abc import Callable, Mapping
from typing import Any

from kubeshim.machinery.cel import counting, functions, values

Frame = list[Any]
"""Cost so far, limit, variables, then a place for each variable of a comprehension."""
Run = Callable[[Frame], Any]
Piece = tuple[Run, int]
"""A closure, and what it costs at every evaluation."""
COST, LIMIT = 0, 1


def bound(overload: functions.Overload, runs: list[Run], cost: int) -> Piece:
    call, counter = overload.run, counting.actual(overload.function, overload.id)

    def guarded(frame: Frame) -> Any:
        given = tuple([run(frame) for run in runs])
        try:
            found = call(*given)
        except (TypeError, AttributeError):
            # a null where the schema allows one: to the checker it was a string
            if all(map(functions.accepts, overload.parameters, given)):
                raise
            raise values.no_such_overload() from None
        if counter is not None:
            charge(frame, counter, given, found)
        return found

    def pair(frame: Frame) -> Any:
        one, other = first(frame), second(frame)
        try:
            return call(one, other)
        except (TypeError, AttributeError):
            if functions.accepts(overload.parameters[0], one) and functions.accepts(overload.parameters[1], other):
                raise
            raise values.no_such_overload() from None

    def compared(frame: Frame) -> Any:
        try:
            one, other = first(frame), second(frame)
        except values.EvaluationError:
            # cel-go compares errors too
            frame[COST] += 1
            raise
        if type(one) is str and type(other) is str:
            frame[COST] += -(-min(len(one), len(other)) // 10)
            return (one == other) is wanted
        charge(frame, counter, (one, other), None)
        return call(one, other)

    if len(runs) == 2:
        first, second = runs
        wanted = overload.id == "equals"
        if overload.id in ("equals", "not_equals"):
            return compared, cost
        if counter is None:
            return pair, cost + 1
    return guarded, cost + (1 if counter is None else 0)


def charge(frame: Frame, counter: counting.Counter | None, given: tuple[Any, ...], found: Any) -> None:
    frame[COST] += 1 if counter is None else counter(given, found)
    if frame[COST] > frame[LIMIT]:
        raise values.CostExceeded


def select(value: Any, field: str) -> Any:
    """``value.field`` of anything; of an optional the optional field."""
    if isinstance(value, Mapping):
        if field in value:
            return value[field]
        raise values.EvaluationError(f"no such key: {field}")
    if isinstance(value, values.Object):
        return value.get(field)
    if isinstance(value, values.Optional):
        if not value.present or not has(value.value, field):
            return values.NONE
        return values.Optional(select(value.value, field), True)
    raise values.no_such_overload()


def has(value: Any, field: str) -> bool:
    if type(value) is values.Object:
        return value.has(field)
    if isinstance(value, Mapping):
        return field in value
    if isinstance(value, values.Optional):
        return value.present and has(value.value, field)
    raise values.no_such_overload()


def expect_optional(value: Any) -> values.Optional:
    if isinstance(value, values.Optional):
        return value
    raise values.no_such_overload()
