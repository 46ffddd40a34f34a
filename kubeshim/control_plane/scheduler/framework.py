"""The extension points, and running the plugins at each of them.

    PreEnqueue → [queue, QueueSort] → PreFilter → Filter → (PostFilter) → PreScore → Score → Reserve → Permit
    → PreBind → Bind → PostBind

A plugin is a class with methods named after the points; the profile is an ordered table of plugins with their
weights (``plugins/`` has a file each, ``profile`` the table). None as a status is success. Everything up to Permit
runs in the scheduling thread with the cache's lock held, binding in threads of its own.
"""

import dataclasses
import enum
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

from kubeshim.client import informer, rest, series_recorder
from kubeshim.control_plane.scheduler import cache as caches
from kubeshim.control_plane.scheduler import metrics, node_info, pod_info
from kubeshim.machinery import errors
from kubeshim.machinery.objects import Object

MAX_SCORE = 100


class Code(enum.Enum):
    UNSCHEDULABLE = "Unschedulable"
    UNRESOLVABLE = "UnschedulableAndUnresolvable"
    """Preemption cannot help either."""
    WAIT = "Wait"
    ERROR = "Error"


@dataclasses.dataclass(frozen=True, slots=True)
class Status:
    """Why not. ``plugin`` is filled in by the framework."""

    code: Code
    reasons: tuple[str, ...] = ()
    plugin: str = ""

    @property
    def message(self) -> str:
        return ", ".join(self.reasons)


def unschedulable(*reasons: str) -> Status:
    return Status(Code.UNSCHEDULABLE, reasons)


def unresolvable(*reasons: str) -> Status:
    return Status(Code.UNRESOLVABLE, reasons)


def error(*reasons: str) -> Status:
    return Status(Code.ERROR, reasons)


@dataclasses.dataclass(frozen=True, slots=True)
class Event:
    """Something changed that may let a pod be scheduled: ``Node/Add``, ``Node/Taint``, ``AssignedPod/Delete`` …"""

    kind: str
    old: Object | None = None
    new: Object | None = None


CycleState = dict[str, Any]
"""What plugins keep for themselves during one cycle, by a key of their own."""
Nodes = Sequence[node_info.NodeInfo]


@dataclasses.dataclass(frozen=True, slots=True)
class PreFilterResult:
    """Only these nodes are worth looking at."""

    nodes: frozenset[str]


@dataclasses.dataclass(frozen=True, slots=True)
class Handle:
    """What plugins may use."""

    client: rest.Client
    cache: caches.Cache
    informer: Callable[..., informer.Informer]
    """By type and scope (``informer.Factory.informer``)."""
    recorder: series_recorder.SeriesRecorder
    run_filters: Callable[[CycleState, pod_info.PodInfo, node_info.NodeInfo, Nodes], Status | None]
    """With the pods that are nominated to the node counted in."""
    run_pre_filters: Callable[[CycleState, pod_info.PodInfo, Nodes], "Status | PreFilterResult | None"]
    metrics: metrics.Metrics


class Plugin:
    """Does nothing at every point; plugins override those they are about."""

    name: ClassVar[str]
    weight: ClassVar[int] = 0
    """Of its score; plugins that do not score have 0."""
    events: ClassVar[frozenset[str]] = frozenset()
    """Kinds of ``Event`` after which a pod this plugin rejected is worth another try."""

    def __init__(self, handle: Handle) -> None:
        self.handle = handle

    def hint(self, pod: pod_info.PodInfo, event: Event) -> bool:
        """Whether ``event`` (one of ``events``) may help ``pod``."""
        return True

    def pre_enqueue(self, pod: pod_info.PodInfo) -> Status | None:
        return None

    def sort_key(self, pod: pod_info.PodInfo) -> tuple[Any, ...] | None:
        return None

    def pre_filter(self, state: CycleState, pod: pod_info.PodInfo, nodes: Nodes) -> Status | PreFilterResult | None:
        return None

    def filter(self, state: CycleState, pod: pod_info.PodInfo, node: node_info.NodeInfo) -> Status | None:
        return None

    def post_filter(
        self, state: CycleState, pod: pod_info.PodInfo, statuses: dict[str, Status], nodes: Nodes
    ) -> tuple[str | None, Status | None]:
        """Tries to make room: the node that will have it and no status, or why not.

        Where there is none, "" takes back an earlier nomination and None lets it be.
        """
        return None, None

    def pre_score(self, state: CycleState, pod: pod_info.PodInfo, nodes: Nodes) -> bool:
        """False: this plugin has nothing to say about this pod's scores."""
        return True

    def score(self, state: CycleState, pod: pod_info.PodInfo, node: node_info.NodeInfo) -> float:
        return 0

    def normalize(self, state: CycleState, pod: pod_info.PodInfo, scores: dict[str, float]) -> None:
        """Brings the scores of all nodes between 0 and ``MAX_SCORE``, in place."""

    def reserve(self, state: CycleState, pod: pod_info.PodInfo, node: str) -> Status | None:
        return None

    def unreserve(self, state: CycleState, pod: pod_info.PodInfo, node: str) -> None:
        """Takes back ``reserve``; may be called without it."""

    def permit(self, state: CycleState, pod: pod_info.PodInfo, node: str) -> Status | None:
        return None

    def takes_time(self, state: CycleState, pod: pod_info.PodInfo, node: str) -> bool:
        """Whether ``pre_bind`` will have something to do: then the pod is nominated to the node meanwhile."""
        return False

    def pre_bind(self, state: CycleState, pod: pod_info.PodInfo, node: str) -> Status | None:
        return None

    def bind(self, state: CycleState, pod: pod_info.PodInfo, node: str) -> "bool | Status":
        """True if it bound the pod, False if it does not bind such pods. Raises ``NotFound`` where it is gone."""
        return False

    def post_bind(self, state: CycleState, pod: pod_info.PodInfo, node: str) -> None:
        """The pod is bound."""


def overrides(plugin: Plugin, point: str) -> bool:
    return getattr(type(plugin), point) is not getattr(Plugin, point)


class Framework:
    """The plugins of one profile."""

    def __init__(self, plugins: Iterable[Plugin]) -> None:
        self.plugins = tuple(plugins)
        self._at = {
            point: [plugin for plugin in self.plugins if overrides(plugin, point)]
            for point in (
                "pre_enqueue", "sort_key", "pre_filter", "filter", "post_filter", "pre_score", "score", "reserve",
                "permit", "takes_time", "pre_bind", "bind", "post_bind",
            )
        }  # fmt: skip
        self.by_name = {plugin.name: plugin for plugin in self.plugins}

    def pre_enqueue(self, pod: pod_info.PodInfo) -> Status | None:
        for plugin in self._at["pre_enqueue"]:
            if (status := plugin.pre_enqueue(pod)) is not None:
                return dataclasses.replace(status, plugin=plugin.name)
        return None

    def sort_key(self, pod: pod_info.PodInfo) -> tuple[Any, ...]:
        return self._at["sort_key"][0].sort_key(pod) or ()

    def pre_filter(self, state: CycleState, pod: pod_info.PodInfo, nodes: Nodes) -> Status | PreFilterResult | None:
        """The first failure, or the nodes that all plugins leave (None: all)."""
        left: frozenset[str] | None = None
        for plugin in self._at["pre_filter"]:
            found = plugin.pre_filter(state, pod, nodes)
            if isinstance(found, Status):
                return dataclasses.replace(found, plugin=plugin.name)
            if isinstance(found, PreFilterResult):
                left = found.nodes if left is None else left & found.nodes
        return PreFilterResult(left) if left is not None else None

    def filter(self, state: CycleState, pod: pod_info.PodInfo, node: node_info.NodeInfo) -> Status | None:
        for plugin in self._at["filter"]:
            if (status := plugin.filter(state, pod, node)) is not None:
                return dataclasses.replace(status, plugin=plugin.name)
        return None

    def post_filter(
        self, state: CycleState, pod: pod_info.PodInfo, statuses: dict[str, Status], nodes: Nodes
    ) -> tuple[str | None, str]:
        """The nominated node, and what the plugins say where there is none. An error ends the asking."""
        texts = []
        found: str | None = None
        for plugin in self._at["post_filter"]:
            nominated, status = plugin.post_filter(state, pod, statuses, nodes)
            if nominated:
                return nominated, ""
            if status is not None and status.code == Code.ERROR:
                return None, status.message
            if nominated is not None:
                found = nominated
            if status is not None:
                texts.append(status.message)
        return found, ", ".join(texts)

    def score(self, state: CycleState, pod: pod_info.PodInfo, nodes: Nodes) -> dict[str, float]:
        total = dict.fromkeys((node.name for node in nodes), 0.0)
        for plugin in self._at["score"]:
            if not plugin.pre_score(state, pod, nodes):
                continue
            scores = {node.name: plugin.score(state, pod, node) for node in nodes}
            plugin.normalize(state, pod, scores)
            for name, value in scores.items():
                total[name] += value * plugin.weight
        return total

    def reserve(self, state: CycleState, pod: pod_info.PodInfo, node: str) -> Status | None:
        for plugin in self._at["reserve"]:
            if (status := plugin.reserve(state, pod, node)) is not None:
                self.unreserve(state, pod, node)
                return dataclasses.replace(status, plugin=plugin.name)
        return None

    def unreserve(self, state: CycleState, pod: pod_info.PodInfo, node: str) -> None:
        for plugin in reversed(self._at["reserve"]):
            plugin.unreserve(state, pod, node)

    def permit(self, state: CycleState, pod: pod_info.PodInfo, node: str) -> Status | None:
        for plugin in self._at["permit"]:
            if (status := plugin.permit(state, pod, node)) is not None:
                return dataclasses.replace(status, plugin=plugin.name)
        return None

    def takes_time(self, state: CycleState, pod: pod_info.PodInfo, node: str) -> bool:
        """Whether there is work to do before the pod can be bound."""
        return any(plugin.takes_time(state, pod, node) for plugin in self._at["takes_time"])

    def bind(self, state: CycleState, pod: pod_info.PodInfo, node: str) -> Status | None:
        """PreBind, Bind and PostBind. Raises ``NotFound`` where the pod is gone."""
        for plugin in self._at["pre_bind"]:
            try:
                status = plugin.pre_bind(state, pod, node)
            except errors.NotFound as gone:  # it is not the pod that is
                status = error(str(gone))
            if status is not None:
                return _failed("PreBind", plugin, status)
        for plugin in self._at["bind"]:
            if (bound := plugin.bind(state, pod, node)) is True:
                break
            if bound:
                return _failed("Bind", plugin, bound)
        for plugin in self._at["post_bind"]:
            plugin.post_bind(state, pod, node)
        return None


def _failed(point: str, plugin: Plugin, status: Status) -> Status:
    """An error of a plugin, with its name and where; a rejection is the plugin's own word."""
    if status.code == Code.ERROR:
        status = Status(Code.ERROR, (f'running {point} plugin "{plugin.name}": {status.message}',))
    return dataclasses.replace(status, plugin=plugin.name)


def default_normalize(scores: dict[str, float], *, reverse: bool = False) -> None:
    """Scales so that the largest becomes ``MAX_SCORE``; ``reverse`` makes it 0."""
    most = max(scores.values(), default=0)
    for name, value in scores.items():
        scaled = MAX_SCORE * value // most if most else 0
        scores[name] = MAX_SCORE - scaled if reverse else scaled
