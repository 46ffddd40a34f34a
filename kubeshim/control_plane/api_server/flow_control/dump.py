"""``/debug/api_priority_and_fairness/…``: levels, queues and waiting requests as tables for people."""

from collections.abc import Callable, Iterable

from kubeshim.control_plane.api_server.flow_control import controller, queue_set

_LEVELS = ("PriorityLevelName", "ActiveQueues", "IsIdle", "IsQuiescing", "WaitingRequests", "ExecutingRequests")
_QUEUES = ("PriorityLevelName", "Index", "PendingRequests", "ExecutingRequests", "SeatsInUse", "NextDispatchR",
           "InitialSeatsSum", "MaxSeatsSum", "TotalWorkSum")  # fmt: skip
_REQUESTS = ("PriorityLevelName", "FlowSchemaName", "QueueIndex", "RequestIndexInQueue", "FlowDistingsher",
             "ArriveTime", "InitialSeats", "FinalSeats", "AdditionalLatency")  # fmt: skip
_DETAILS = ("UserName", "Verb", "APIPath", "Namespace", "Name", "APIVersion", "Resource", "SubResource")


def _levels(state: controller.FlowControl, _detailed: bool) -> str:
    rows = []
    for name, level in state.sets.items():
        active = sum(1 for queue in level.queues if queue.requests)
        quiescing = not state.has(name)
        rows.append((name, active, _bool(level.idle), _bool(quiescing), level.waiting, level.executing))
    return _table(_LEVELS, rows)


def _queues(state: controller.FlowControl, _detailed: bool) -> str:
    rows = []
    for name, level in state.sets.items():
        for queue in level.queues:
            work = queue.work()
            rows.append(
                (name, queue.index, len(queue.requests), queue.executing, queue.seats, f"{queue.served:.8f}ss",
                 work, work, f"{work * queue_set.GUESS:.8f}ss")
            )  # fmt: skip
    return _table(_QUEUES, rows)


def _requests(state: controller.FlowControl, detailed: bool) -> str:
    rows: list[tuple[object, ...]] = []
    for name, level in state.sets.items():
        for queue in level.queues:
            for index, one in enumerate(queue.requests):
                row: tuple[object, ...] = (
                    name, one.schema, queue.index, index, one.flow, one.arrived.isoformat().replace("+00:00", "Z"),
                    one.width, 0, "0s",
                )  # fmt: skip
                if detailed:
                    info = one.info
                    version = f"{info.group}/{info.version}" if info.group else info.version
                    row += (one.user, info.verb, info.path, info.namespace, info.name, version, info.resource,
                            info.subresource)  # fmt: skip
                rows.append(row)
    return _table(_REQUESTS + _DETAILS if detailed else _REQUESTS, rows)


PAGES: dict[str, Callable[[controller.FlowControl, bool], str]] = {
    "dump_priority_levels": _levels,
    "dump_queues": _queues,
    "dump_requests": _requests,
}
"""By the last part of the path; the second argument says whether ``includeRequestDetails`` was asked for."""


def _bool(value: bool) -> str:
    return "true" if value else "false"


def _table(heads: Iterable[str], rows: Iterable[tuple[object, ...]]) -> str:
    """Columns aligned, a comma after all but the last."""
    texts = [tuple(heads), *(tuple(str(cell) for cell in row) for row in rows)]
    cells = [[f"{cell}," for cell in row[:-1]] + [row[-1]] for row in texts]
    widths = [max(8, *(len(row[at]) + 1 for row in cells)) for at in range(len(cells[0]) - 1)]
    return "".join(
        "".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False)) + row[-1] + "\n" for row in cells
    )
