"""Forgets old revisions: what was superseded more than an interval ago.

A revision stays readable for one interval and a quarter at most: watches can be resumed and pages of a list continued
for at least the interval. It is looked after every quarter, for clients count on both ends: the official suite waits
two intervals, and not a moment longer, for a list's page to be refused.
"""

import collections
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers

PARTS = 4


class Revisions:
    """The revisions of the last interval, one for each part of it. Pure."""

    def __init__(self, current: int) -> None:
        self._seen = collections.deque([current], maxlen=PARTS)

    def pass_part(self, current: int) -> int:
        """A part of the interval is over: the revision of an interval ago; 0 while nobody knows it."""
        ago = self._seen[0] if len(self._seen) == PARTS else 0
        self._seen.append(current)
        return ago


def run(server: "servers.Server") -> None:
    revisions = Revisions(server.storage.revision)
    while not server.stopping.wait(server.config.compaction_interval / PARTS):
        if ago := revisions.pass_part(server.storage.revision):
            server.storage.compact(ago)
