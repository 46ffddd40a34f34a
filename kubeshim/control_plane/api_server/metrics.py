"""What the server counts, under upstream's names and labels, so that dashboards and alerts made for it work here."""

import itertools
from collections.abc import Iterable, Iterator

from kubeshim.control_plane.api_server import request
from kubeshim.wire import exposition

_BUCKETS = (0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0,
            30.0, 45.0, 60.0)  # fmt: skip
_WHERE = ("component", "group", "resource", "scope", "subresource", "verb", "version")
_ASKED = ("component", "dry_run", *_WHERE[1:])
_CONNECTING = frozenset(("attach", "exec", "portforward", "proxy"))
_LASTING = frozenset(("WATCH", "CONNECT"))
"""Verbs of which no time to the answer is promised."""
_COMPONENT = "apiserver"
_HEALTH = frozenset(("/healthz", "/livez", "/readyz"))
"""Told apart where others tell their subresource."""
_SIZES = tuple(10.0**power for power in range(3, 10))
_ADMISSION_BUCKETS = (0.005, 0.025, 0.1, 0.5, 1.0, 2.5)
_ADMISSION = ("operation", "rejected", "type")


class Metrics:
    """Of one server."""

    def __init__(self) -> None:
        self.in_flight = {"readOnly": 0, "mutating": 0}
        self._requests = exposition.Counter(
            "apiserver_request_total",
            "Requests by verb, dry run value, group, version, resource, subresource, scope, component and HTTP code.",
            ("code", *_ASKED),
        )
        self._durations = exposition.Histogram(
            "apiserver_request_duration_seconds",
            "Seconds from a request's arrival to its answer, of each verb, dry run value, group, version, resource, "
            "subresource, scope and component.",
            _BUCKETS, _ASKED,
        )  # fmt: skip
        self._promised = exposition.Histogram(
            "apiserver_request_sli_duration_seconds",
            "The same without requests that last as long as the client likes: what service level indicators are of.",
            _BUCKETS, _WHERE,
        )  # fmt: skip
        self._terminated = exposition.Counter(
            "apiserver_request_terminations_total",
            "Requests that were ended in self-defense.",
            ("code", *_WHERE),
        )
        self._sizes = exposition.Histogram(
            "apiserver_response_sizes", "Bytes of the answers to reads, of each group, version, resource and verb.",
            _SIZES, _WHERE,
        )  # fmt: skip
        self._plugins = exposition.Histogram(
            "apiserver_admission_controller_admission_duration_seconds",
            "Seconds each admission plugin took, of each operation and type (admit or validate).",
            _ADMISSION_BUCKETS, ("name", *_ADMISSION),
        )  # fmt: skip
        self._steps = exposition.Histogram(
            "apiserver_admission_step_admission_duration_seconds",
            "Seconds all admission plugins took together, of each operation and type (admit or validate).",
            _ADMISSION_BUCKETS, _ADMISSION,
        )  # fmt: skip
        self._deprecated: set[tuple[str, ...]] = set()

    def observe(self, asked: request.Request, code: int, seconds: float, size: int = 0) -> None:
        """One answered request; ``size`` is of the answer, where it was known before it was sent."""
        where = _where(asked)
        full = (where[0], "All" if asked.query.get("dryRun") == ["All"] else "", *where[1:])
        self._requests.add(str(code), *full)
        self._durations.observe(seconds, *full)
        if asked.info.is_resource and where[-2] not in _LASTING:
            self._promised.observe(seconds, *where)
        if size and where[-2] in ("GET", "LIST"):
            self._sizes.observe(size, *where)

    def deprecated(self, asked: request.Request) -> None:
        """Somebody still asks for a version that is to go."""
        info = asked.info
        self._deprecated.add((info.group, "", info.resource, info.subresource, info.version))

    def admitted(self, name: str, kind: str, operation: str, rejected: bool, seconds: float) -> None:
        """A plugin was asked; without a ``name``, all of them."""
        of = (operation, "true" if rejected else "false", kind)
        if name:
            self._plugins.observe(seconds, name, *of)
        else:
            self._steps.observe(seconds, *of)

    def terminated(self, asked: request.Request, code: int) -> None:
        self._terminated.add(str(code), *_where(asked))

    def text(self, gauges: Iterable[tuple[str, str, float]], more: Iterable[str] = ()) -> str:
        """The exposition, from any thread; ``gauges`` were read when it was asked for, ``more`` are lines of others."""
        return exposition.text(
            self._requests.lines(),
            self._durations.lines(),
            self._promised.lines(),
            self._terminated.lines(),
            self._sizes.lines(),
            self._plugins.lines(),
            self._steps.lines(),
            exposition.family(
                "apiserver_requested_deprecated_apis", "gauge", "Deprecated versions that were asked for.",
                ("group", "removed_release", "resource", "subresource", "version"),
                ((one, 1) for one in sorted(self._deprecated)),
            ),
            exposition.family(
                "apiserver_current_inflight_requests", "gauge", "Requests being answered, of each kind.",
                ("request_kind",), (((kind,), running) for kind, running in self.in_flight.items()),
            ),
            itertools.chain.from_iterable(exposition.gauge(*one) for one in gauges),
            more,
        )  # fmt: skip


def objects_held(counts: Iterable[tuple[str, str, int]]) -> Iterator[str]:
    """``counts`` are of a group's resource each."""
    about = "Objects in the store, of each kind."
    series = (((group, resource), count) for group, resource, count in counts)
    return exposition.family("apiserver_resource_objects", "gauge", about, ("group", "resource"), series)


def stored(size: int) -> Iterator[str]:
    about = "Bytes of the store's file."
    return exposition.gauge("apiserver_storage_size_bytes", about, size, {"storage_cluster_id": "etcd-0"})


def unavailable_services(known: Iterable[tuple[str, bool]]) -> Iterator[str]:
    """``known`` are names of APIServices, and whether each is available."""
    about = "Whether an APIService is unavailable."
    series = (((name,), not available) for name, available in known)
    return exposition.family("aggregator_unavailable_apiservice", "gauge", about, ("name",), series)


def _where(asked: request.Request) -> tuple[str, ...]:
    info = asked.info
    if info.path in _HEALTH:
        return "", "", "", "", info.path, verb(asked), ""
    return _COMPONENT, info.group, info.resource, _scope(info), info.subresource, verb(asked), info.version


def verb(asked: request.Request) -> str:
    """Reads by what they read, writes by their method, as dashboards tell them apart."""
    info = asked.info
    if info.subresource in _CONNECTING:
        return "CONNECT"
    if info.is_resource and info.verb in ("get", "list", "watch", "deletecollection"):
        return info.verb.upper()
    if asked.method == "PATCH" and asked.header("content-type").startswith("application/apply-patch"):
        return "APPLY"
    return asked.method


def _scope(info: request.RequestInfo) -> str:
    if not info.is_resource:
        return ""
    if info.name or info.verb == "create":
        return "resource"
    return "namespace" if info.namespace else "cluster"
