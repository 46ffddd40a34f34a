"""What a batch of operations does, decided without I/O: the same rules for every store.

Operations see the effects of those before them in the batch. One whose precondition fails, fails alone and takes
no revision.
"""

import dataclasses
from collections.abc import Iterable, Mapping

from kubeshim.control_plane.cluster_store import store

Outcome = store.Record | store.StoreError


@dataclasses.dataclass(slots=True)
class Plan:
    """What to write and what to answer."""

    events: list[store.Event]
    outcomes: list[Outcome]
    """One per operation, in order."""


def plan(operations: Iterable[store.Operation], current: Mapping[str, store.Record], revision: int) -> Plan:
    """Decides ``operations`` against ``current`` (every key they name that exists), after ``revision``."""
    state: dict[str, store.Record | None] = dict(current)
    result = Plan([], [])
    for operation in operations:
        here = state.get(operation.key)
        refusal = _refusal(operation, here)
        if refusal is not None:
            result.outcomes.append(refusal)
            continue
        revision += 1
        event, outcome = _effect(operation, here, revision)
        state[operation.key] = event.record
        result.events.append(event)
        result.outcomes.append(outcome)
    return result


def _refusal(operation: store.Operation, here: store.Record | None) -> store.StoreError | None:
    if isinstance(operation, store.Create):
        return store.KeyExists(here) if here is not None else None
    if here is None or here.mod_revision != operation.revision:
        return store.PreconditionFailed(here)
    return None


def _effect(operation: store.Operation, here: store.Record | None, revision: int) -> tuple[store.Event, store.Record]:
    if isinstance(operation, store.Delete):
        assert here is not None
        last = store.Record(operation.key, here.value, here.create_revision, revision)
        return store.Event(revision, operation.key, None, here), last
    created = here.create_revision if here is not None else revision
    record = store.Record(operation.key, operation.value, created, revision)
    return store.Event(revision, operation.key, record, here), record
