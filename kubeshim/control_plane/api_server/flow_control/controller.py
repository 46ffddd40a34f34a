"""Follows FlowSchemas and PriorityLevelConfigurations, and admits requests by them.

``classify`` remembers its answers for as long as the objects stay as they are, so that a request usually costs one
look into a dictionary here and two additions in its level.
"""

import dataclasses
import math
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import gevent

from kubeshim.control_plane.api_server import request
from kubeshim.control_plane.api_server.flow_control import classification, levels, queue_set
from kubeshim.machinery import resources

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers
    from kubeshim.control_plane.api_server import storage as storages

GROUP = "flowcontrol.apiserver.k8s.io"
LEVELS = resources.GroupVersionResource(GROUP, "v1", "prioritylevelconfigurations")
SCHEMAS = resources.GroupVersionResource(GROUP, "v1", "flowschemas")
ADJUSTMENT_PERIOD = 10.0
_REMEMBERED = 8192
_OBJECTS_PER_SEAT = 100
_MOST_SEATS = 10
_LONGEST_LIMIT = 10
_WAIT_FRACTION = 4
"""A request may wait for a fourth of the time it may take."""
_ALL_USERS = [{"subjects": [{"kind": "Group", "group": {"name": "*"}}]}]
_EXEMPT = classification.Schema("exempt", "", "exempt", 1, "", ())
_CATCH_ALL = classification.Schema("catch-all", "", "catch-all", 10_000, "ByUser", _ALL_USERS)


_Followed = TypeVar("_Followed", classification.Schema, levels.Level)


class Refused(Exception):
    """The request must not run now (429); ``reason`` as the metric names it."""

    def __init__(self, flow: "Flow", reason: str) -> None:
        super().__init__(reason)
        self.flow = flow


@dataclasses.dataclass(slots=True, eq=False)
class Flow:
    """Where the requests of one schema go."""

    schema: classification.Schema
    level: queue_set.QueueSet
    headers: list[tuple[str, str]]
    dispatched: int = 0


class FlowControl:
    """Lives in the event loop's thread."""

    def __init__(self, server: "servers.Server") -> None:
        self._server = server
        self._total = server.config.max_requests_in_flight + server.config.max_mutating_requests_in_flight
        self._wait = server.config.request_timeout / _WAIT_FRACTION
        self._schemas: dict[str, classification.Schema] = {}
        self._levels: dict[str, levels.Level] = {}
        self.sets: dict[str, queue_set.QueueSet] = {}
        self._flows: list[Flow] = []
        self._known: dict[tuple[object, ...], Flow] = {}
        self.rejected: Counter[tuple[str, str, str]] = Counter()
        """By schema, level and reason."""
        self._dispatched: Counter[tuple[str, str]] = Counter()
        self._configure()

    def start(self) -> None:
        """Takes in what there is, and follows."""
        storage = self._server.storage
        storage.subscribe(LEVELS, lambda change: self._follow(self._levels, levels.of(change.obj), change))
        storage.subscribe(SCHEMAS, lambda change: self._follow(self._schemas, classification.of(change.obj), change))

    def _follow(self, held: dict[str, _Followed], made: _Followed, change: "storages.Change") -> None:
        if change.kind == "DELETED":
            held.pop(made.name, None)
        elif held.get(made.name) == made:
            return
        else:
            held[made.name] = made
        self._configure()

    def _configure(self) -> None:
        """Shares out the seats and sorts the schemas. A level that is gone stays for those it has still to serve."""
        held = {level.name: level for level in levels.MANDATORY} | self._levels
        seats = levels.nominal(self._total, held.values())
        for name, level in held.items():
            found = self.sets.get(name)
            if found is None:
                self.sets[name] = queue_set.QueueSet(level, seats[name])
                continue
            found.configure(level)
            found.nominal = found.seats = seats[name]
            found.dispatch()
        for name in [name for name, level in self.sets.items() if name not in held and level.idle]:
            del self.sets[name]
        for flow in self._flows:
            self._dispatched[(flow.schema.name, flow.level.level.name)] += flow.dispatched
        given = {_EXEMPT.name: _EXEMPT, _CATCH_ALL.name: _CATCH_ALL} | self._schemas
        self._flows = [
            Flow(schema, self.sets[schema.level], _headers(schema, held[schema.level]))
            for schema in sorted(given.values(), key=classification.order)
            if schema.level in held
        ]
        self._known.clear()

    # --- one request ------------------------------------------------------------------------------------------------

    def classify(self, info: request.RequestInfo, user: request.UserInfo) -> Flow:
        what = (info.group, info.resource, info.subresource, info.namespace) if info.is_resource else (info.path,)
        key = (user.name, user.groups, info.verb, *what)
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            found = self._known[key] = self._classify(info, user)
        return found

    def _classify(self, info: request.RequestInfo, user: request.UserInfo) -> Flow:
        for flow in self._flows:
            if flow.schema is _EXEMPT:
                if request.MASTERS in user.groups:
                    return flow
            elif flow.schema.matches(info, user):
                return flow
        return next(flow for flow in self._flows if flow.schema.name == _CATCH_ALL.name)

    def enter(self, asked: request.Request) -> tuple[Flow, Callable[[], None]]:
        """Returns when the request may run, with its flow and what to call at its end. Raises ``Refused``."""
        assert asked.user is not None
        flow = self.classify(asked.info, asked.user)
        level = flow.level
        width = level.width(self._seats(asked)) if asked.info.verb == "list" else 1
        if level.fits(width):
            level.start(width)
            flow.dispatched += 1
            return flow, lambda: level.finish(width)
        return flow, self._queue(asked, flow, width)

    def _queue(self, asked: request.Request, flow: Flow, width: int) -> Callable[[], None]:
        level, clock = flow.level, self._server.clock
        assert asked.user is not None
        one = queue_set.Waiting(
            flow.schema.name, flow.schema.flow(asked.info, asked.user), width, clock.now(), asked.user.name, asked.info
        )
        reason = level.enqueue(one)
        if not reason:
            connection = asked.environ.get("wire.connection")
            if connection is not None and not one.granted.ready():
                connection.on_gone(one.cancel)
            with gevent.Timeout(self._wait, False):
                one.granted.wait()
            if not one.granted.ready():
                one.granted.set(False)
                reason = "time-out"
            elif not one.granted.value:
                reason = "cancelled"
        if reason:
            level.withdraw(one)
            self.rejected[(flow.schema.name, level.level.name, reason)] += 1
            raise Refused(flow, reason)
        flow.dispatched += 1
        began = clock.monotonic()
        return lambda: level.end(one, clock.monotonic() - began)

    def _seats(self, asked: request.Request) -> int:
        """A list is as wide as what it has to look at."""
        info = asked.info
        resource = self._server.registry.get(info.group, info.version, info.resource)
        if resource is None or info.name:
            return 1
        count = self._server.storage.count(resource)
        limit = asked.param("limit")  # nobody has looked at it yet
        if limit.isascii() and limit.isdigit() and len(limit) < _LONGEST_LIMIT and int(limit):
            count = min(count, 2 * int(limit))
        return min(_MOST_SEATS, math.ceil(count / _OBJECTS_PER_SEAT)) or 1

    # --- over time --------------------------------------------------------------------------------------------------

    def adjust(self) -> None:
        """Lends and takes back seats by what the last period has asked for."""
        held = [one.level for one in self.sets.values()]
        seats = {name: one.nominal for name, one in self.sets.items()}
        wanted = {name: one.wanted for name, one in self.sets.items()}
        for name, count in levels.adjusted(held, seats, wanted).items():
            one = self.sets[name]
            one.seats, one.wanted = count, one.in_use
            one.dispatch()

    def has(self, level: str) -> bool:
        """Whether the level is there, and not only being emptied."""
        return level in self._levels or any(level == one.name for one in levels.MANDATORY)

    def dispatched(self) -> dict[tuple[str, str], int]:
        """Requests that ran, by schema and level."""
        found = Counter(self._dispatched)
        for flow in self._flows:
            found[(flow.schema.name, flow.level.level.name)] += flow.dispatched
        return dict(found)


def _headers(schema: classification.Schema, level: levels.Level) -> list[tuple[str, str]]:
    """Names stay hidden: the classification is the administrators' matter."""
    return [("X-Kubernetes-Pf-Flowschema-Uid", schema.uid), ("X-Kubernetes-Pf-Prioritylevel-Uid", level.uid)]
