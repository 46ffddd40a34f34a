"""Work that would hold up the event loop, in a native thread of gevent's pool."""

from collections.abc import Callable
from typing import Any, TypeVar

import gevent

_Read = TypeVar("_Read")


def run(work: Callable[..., Any], *arguments: Any) -> Any:
    """Waits for ``work`` as a greenlet does; raises what it raised."""
    value, problem = gevent.get_hub().threadpool.apply(_outcome, (work, arguments))
    if problem is not None:
        raise problem
    return value


LARGE_BODY = 256 << 10
"""Reading a body of this size takes some milliseconds as JSON, and nearly a second as YAML."""


def read(body: bytes, reading: Callable[[], _Read]) -> _Read:
    """What ``reading`` makes of a request's body, in a thread only where that takes its time."""
    if len(body) < LARGE_BODY:
        return reading()
    found: _Read = run(reading)
    return found


def _outcome(work: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[Any, Exception | None]:
    """An exception is a result: the pool would print it as a crash."""
    try:
        return work(*arguments), None
    except Exception as problem:
        return None, problem
