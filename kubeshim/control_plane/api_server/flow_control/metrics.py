"""The figures of flow control, in Prometheus' text form and under upstream's names."""

from collections.abc import Iterable, Iterator

from kubeshim.control_plane.api_server.flow_control import controller

_Series = Iterable[tuple[dict[str, str], float]]


def lines(state: controller.FlowControl) -> Iterator[str]:
    sets = state.sets.items()
    level = "priority_level"
    yield from _metric("nominal_limit_seats", "gauge", (({level: name}, one.nominal) for name, one in sets))
    yield from _metric("current_limit_seats", "gauge", (({level: name}, one.seats) for name, one in sets))
    yield from _metric("current_executing_seats", "gauge", (({level: name}, one.in_use) for name, one in sets))
    yield from _metric("current_executing_requests", "gauge", (({level: name}, one.executing) for name, one in sets))
    yield from _metric("current_inqueue_requests", "gauge", (({level: name}, one.waiting) for name, one in sets))
    ran = (({"flow_schema": schema, level: name}, count) for (schema, name), count in state.dispatched().items())
    yield from _metric("dispatched_requests_total", "counter", (one for one in ran if one[1]))
    yield from _metric(
        "rejected_requests_total", "counter",
        (
            ({"flow_schema": schema, level: name, "reason": reason}, count)
            for (schema, name, reason), count in state.rejected.items()
        ),
    )  # fmt: skip


def _metric(name: str, kind: str, series: _Series) -> Iterator[str]:
    full = f"apiserver_flowcontrol_{name}"
    yield f"# TYPE {full} {kind}"
    for labels, value in series:
        text = ",".join(f'{key}="{content}"' for key, content in labels.items())
        yield f"{full}{{{text}}} {value:g}"
