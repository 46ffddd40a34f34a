"""Why a pod could not be placed, in kube-scheduler's words. Pure."""

import dataclasses
from collections.abc import Mapping

from kubeshim.control_plane.scheduler import framework

LONGEST_NOTE, _MORE = 1024, " ..."
NO_NODES = "no nodes available to schedule pods"


@dataclasses.dataclass(slots=True)
class FitError:
    """``nodes`` is how many nodes there are; ``statuses`` says of each that was looked at why not."""

    nodes: int
    statuses: dict[str, framework.Status] = dataclasses.field(default_factory=dict)
    pre_filter: str = ""
    absent: str = ""
    """What is said of nodes that PreFilter left out."""
    post_filter: str = ""
    plugins: set[str] = dataclasses.field(default_factory=set)

    def message(self) -> str:
        """``0/3 nodes are available: 1 Insufficient cpu, 2 node(s) were unschedulable. preemption: …``."""
        if not self.nodes:
            return NO_NODES
        text = f"0/{self.nodes} nodes are available:"
        if self.pre_filter:
            text += f" {self.pre_filter}."
        else:
            listed = histogram(self.statuses, self.nodes, self.absent)
            if listed:
                text += f" {listed}."
        return f"{text} {self.post_filter}" if self.post_filter else text


def shortened(message: str) -> str:
    """The message, as much of it as an event may say."""
    return message if len(message) <= LONGEST_NOTE else f"{message[: LONGEST_NOTE - len(_MORE)]}{_MORE}"


def histogram(statuses: Mapping[str, framework.Status], nodes: int, absent: str) -> str:
    """``N reason`` of every reason, sorted as texts, as upstream does."""
    counts: dict[str, int] = {}
    for status in statuses.values():
        for reason in status.reasons:
            counts[reason] = counts.get(reason, 0) + 1
    if absent and nodes > len(statuses):
        counts[absent] = counts.get(absent, 0) + nodes - len(statuses)
    return ", ".join(sorted(f"{count} {reason}" for reason, count in counts.items()))
