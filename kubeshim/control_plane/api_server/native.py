"""Work that would hold up the event loop, in a native thread of gevent's pool."""

from collections.abc import Callable
from typing import Any

import gevent


def run(work: Callable[..., Any], *arguments: Any) -> Any:
    """Waits for ``work`` as a greenlet does; raises what it raised."""
    value, problem = gevent.get_hub().threadpool.apply(_outcome, (work, arguments))
    if problem is not None:
        raise problem
    return value


def _outcome(work: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[Any, Exception | None]:
    """An exception is a result: the pool would print it as a crash."""
    try:
        return work(*arguments), None
    except Exception as problem:
        return None, problem
