"""Making and deleting pods for an owner, with the events that tell of it."""

import logging
from collections.abc import Callable, Sequence
from concurrent import futures
from typing import TypeVar

from kubeshim.client import kinds, recorder, rest
from kubeshim.control_plane.controller_manager import pods
from kubeshim.machinery import errors, objects
from kubeshim.machinery.objects import Object

_log = logging.getLogger(__name__)
T = TypeVar("T")

PARALLEL = 8
"""Requests at a time; more gain nothing against one API server."""


class PodControl:
    def __init__(self, client: rest.Client, events: recorder.Recorder) -> None:
        self._client, self._events = client, events

    def create(self, template: Object, owner: Object, *, pod: Object | None = None) -> Object:
        """Creates ``pod``, by default one of ``template``. Raises what the server answered."""
        wanted = pod or pods.from_template(template, owner)
        try:
            made = self._client.create(kinds.PODS, wanted, objects.namespace(owner))
        except (errors.APIStatusError, rest.Unreachable) as error:
            if not namespace_is_going(error):
                self._events.event(owner, "Warning", "FailedCreate", f"Error creating: {error}")
            raise
        self._events.event(owner, "Normal", "SuccessfulCreate", f"Created pod: {objects.name(made)}")
        return made

    def delete(self, pod: Object, owner: Object) -> bool:
        """Deletes; False for a pod that is gone already, of which the cache may tell nothing any more.

        Raises what the server answered otherwise.
        """
        name = objects.name(pod)
        try:
            self._client.delete(
                kinds.PODS, name, objects.namespace(pod), options={"preconditions": {"uid": objects.uid(pod)}}
            )
        except (errors.NotFound, errors.Conflict):
            _log.debug("pod %s was deleted already", name)
            return False
        except (errors.APIStatusError, rest.Unreachable) as error:
            self._events.event(owner, "Warning", "FailedDelete", f"Error deleting: {error}")
            raise
        self._events.event(owner, "Normal", "SuccessfulDelete", f"Deleted pod: {name}")
        return True


def namespace_is_going(error: Exception) -> bool:
    """Whether a creation failed because its namespace is being deleted, which is nobody's fault."""
    if not isinstance(error, errors.APIStatusError):
        return False
    return any(cause.get("reason") == "NamespaceTerminating" for cause in error.causes)


def slow_start(count: int, one: Callable[[int], object]) -> tuple[int, Exception | None]:
    """Calls ``one(0..count-1)`` in batches of 1, 2, 4 …; stops after the first batch in which one failed.

    Returns how many succeeded and the first error: what cannot work (a quota, a bad template) is tried once, not
    five hundred times.
    """
    done, size, position = 0, 1, 0
    while position < count:
        batch = range(position, min(count, position + size))
        failures = run_all(one, list(batch))
        done += len(batch) - len(failures)
        if failures:
            return done, failures[0]
        position, size = batch.stop, size * 2
    return done, None


def run_all(one: Callable[[T], object], items: Sequence[T]) -> list[Exception]:
    """Calls ``one`` on every item, some in parallel; returns the errors."""
    if len(items) == 1:
        return _failures([_attempt(one, items[0])])
    if not items:
        return []
    with futures.ThreadPoolExecutor(min(PARALLEL, len(items))) as pool:
        return _failures(list(pool.map(lambda item: _attempt(one, item), items)))


def _attempt(one: Callable[[T], object], item: T) -> Exception | None:
    try:
        one(item)
    except (errors.APIStatusError, OSError) as error:
        return error
    return None


def _failures(found: Sequence[Exception | None]) -> list[Exception]:
    return [error for error in found if error is not None]
