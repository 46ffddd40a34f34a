"""A runtime whose operations are counted and timed, under the names that dashboards of a kubelet ask for."""

import functools
import time
from collections.abc import Callable, Iterator
from typing import Any, cast

from kubeshim.node.container_runtime import runtime
from kubeshim.wire import exposition

_OPERATIONS = {
    "run_sandbox": "run_podsandbox",
    "stop_sandbox": "stop_podsandbox",
    "remove_sandbox": "remove_podsandbox",
    "sandboxes": "list_podsandbox",
    "create_container": "create_container",
    "start_container": "start_container",
    "stop_container": "stop_container",
    "remove_container": "remove_container",
    "containers": "list_containers",
    "container": "container_status",
    "update_resources": "update_container",
    "exec": "exec",
    "exec_sync": "exec_sync",
    "attach": "attach",
    "stats": "container_stats",
    "pull_image": "pull_image",
    "image": "image_status",
    "images": "list_images",
    "remove_image": "remove_image",
}
"""Methods by what the interface between a kubelet and its runtime calls them."""
_BOUNDS = tuple(0.005 * 2.5**power for power in range(14))
_LABELS = ("operation_type",)


class Counted:
    """Use ``counted``: this has every method of the runtime it was made of."""

    def __init__(self, engine: runtime.Runtime) -> None:
        self._engine = engine
        self._done = exposition.Counter(
            "kubelet_runtime_operations_total", "Cumulative number of runtime operations by operation type.", _LABELS
        )
        self._failed = exposition.Counter(
            "kubelet_runtime_operations_errors_total",
            "Cumulative number of runtime operation errors by operation type.",
            _LABELS,
        )
        self._took = exposition.Histogram(
            "kubelet_runtime_operations_duration_seconds",
            "Duration in seconds of runtime operations. Broken down by operation type.",
            _BOUNDS,
            _LABELS,
        )
        for method, operation in _OPERATIONS.items():
            setattr(self, method, self._timed(getattr(engine, method), operation))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def _timed(self, method: Callable[..., Any], operation: str) -> Callable[..., Any]:
        @functools.wraps(method)
        def timed(*arguments: Any, **named: Any) -> Any:
            began = time.monotonic()
            self._done.add(operation)
            try:
                return method(*arguments, **named)
            except Exception:
                self._failed.add(operation)
                raise
            finally:
                self._took.observe(time.monotonic() - began, operation)

        return timed

    def lines(self) -> Iterator[str]:
        yield from self._done.lines()
        yield from self._failed.lines()
        yield from self._took.lines()


def counted(engine: runtime.Runtime) -> tuple[runtime.Runtime, Callable[[], Iterator[str]]]:
    """The same runtime, and what it has done since."""
    made = Counted(engine)
    return cast(runtime.Runtime, made), made.lines
