"""What the server counts, in Prometheus' text form."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from kubeshim.control_plane.api_server import request

_BUCKETS = (0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0,
            30.0, 45.0, 60.0)  # fmt: skip
_Key = tuple[str, ...]


class Metrics:
    """Counters and one histogram; updated in the loop's thread only."""

    def __init__(self) -> None:
        self.in_flight = {"readOnly": 0, "mutating": 0}
        self._requests: dict[_Key, int] = defaultdict(int)
        self._durations: dict[_Key, list[float]] = {}

    def observe(self, asked: request.Request, code: int, seconds: float) -> None:
        """One answered request."""
        info = asked.info
        scope = _scope(info)
        key = (info.verb.upper(), info.group, info.version, info.resource, info.subresource, scope)
        self._requests[(*key, str(code))] += 1
        series = self._durations.get(key)
        if series is None:
            series = self._durations[key] = [0.0] * (len(_BUCKETS) + 2)
        for index, bound in enumerate(_BUCKETS):
            if seconds <= bound:
                series[index] += 1
                break
        series[-2] += 1
        series[-1] += seconds

    def text(self, gauges: Mapping[str, float], more: Iterable[str] = ()) -> str:
        """The exposition; ``gauges`` are read at the time of asking, ``more`` are whole lines of others."""
        lines = [
            "# HELP apiserver_request_total Requests by verb, resource and HTTP code.",
            "# TYPE apiserver_request_total counter",
        ]
        for (verb, group, version, resource, subresource, scope, code), count in self._requests.items():
            labels = _labels(verb, group, version, resource, subresource, scope)
            lines.append(f'apiserver_request_total{{code="{code}",{labels}}} {count}')
        lines += [
            "# HELP apiserver_request_duration_seconds Time from a request's arrival to its answer.",
            "# TYPE apiserver_request_duration_seconds histogram",
        ]
        for key, series in self._durations.items():
            labels = _labels(*key)
            total = 0.0
            for bound, within in zip(_BUCKETS, series, strict=False):
                total += within
                lines.append(f'apiserver_request_duration_seconds_bucket{{{labels},le="{bound:g}"}} {total:g}')
            lines.append(f'apiserver_request_duration_seconds_bucket{{{labels},le="+Inf"}} {series[-2]:g}')
            lines.append(f"apiserver_request_duration_seconds_sum{{{labels}}} {series[-1]:.6f}")
            lines.append(f"apiserver_request_duration_seconds_count{{{labels}}} {series[-2]:g}")
        lines += [
            "# HELP apiserver_current_inflight_requests Requests being answered.",
            "# TYPE apiserver_current_inflight_requests gauge",
        ]
        for kind, running in self.in_flight.items():
            lines.append(f'apiserver_current_inflight_requests{{request_kind="{kind}"}} {running}')
        for name, value in gauges.items():
            lines += [f"# TYPE {name} gauge", f"{name} {value:g}"]
        return "\n".join([*lines, *more]) + "\n"


def _scope(info: request.RequestInfo) -> str:
    if not info.is_resource:
        return ""
    if info.name:
        return "resource"
    return "namespace" if info.namespace else "cluster"


def _labels(verb: str, group: str, version: str, resource: str, subresource: str, scope: str) -> str:
    return (
        f'component="apiserver",group="{group}",resource="{resource}",scope="{scope}",subresource="{subresource}",'
        f'verb="{verb}",version="{version}"'
    )
