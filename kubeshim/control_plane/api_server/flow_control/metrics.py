"""The figures of flow control, in Prometheus' text form and under upstream's names."""

from collections.abc import Iterator

from kubeshim.control_plane.api_server.flow_control import controller
from kubeshim.wire import exposition

_LEVEL = ("priority_level",)
_FLOW = ("flow_schema", "priority_level")


def lines(state: controller.FlowControl) -> Iterator[str]:
    sets = state.sets.items()
    for name, about, figures in (
        ("nominal_limit_seats", "Seats a priority level is meant to have", [one.nominal for _, one in sets]),
        ("current_limit_seats", "Seats a level has after lending and borrowing", [one.seats for _, one in sets]),
        ("current_executing_seats", "Seats that requests being executed take", [one.in_use for _, one in sets]),
        ("current_executing_requests", "Requests being executed", [one.executing for _, one in sets]),
        ("current_inqueue_requests", "Requests waiting in the queues", [one.waiting for _, one in sets]),
    ):
        series = (((level,), figure) for level, figure in zip(state.sets, figures, strict=True))
        yield from exposition.family(f"apiserver_flowcontrol_{name}", "gauge", about, _LEVEL, series)
    yield from exposition.family(
        "apiserver_flowcontrol_dispatched_requests_total", "counter", "Requests that were let through", _FLOW,
        (one for one in state.dispatched().items() if one[1]),
    )  # fmt: skip
    yield from exposition.family(
        "apiserver_flowcontrol_rejected_requests_total", "counter", "Requests that were turned away",
        (*_FLOW, "reason"), state.rejected.items(),
    )  # fmt: skip
