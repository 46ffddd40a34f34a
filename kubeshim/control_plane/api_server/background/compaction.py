"""Forgets old revisions: after each interval, what was superseded before the interval began.

So a revision stays readable for one to two intervals: watches can be resumed and pages of a list continued for at
least that long.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers


def run(server: "servers.Server") -> None:
    before = server.storage.revision
    while not server.stopping.wait(server.config.compaction_interval):
        current = server.storage.revision
        if before:
            server.storage.compact(before)
        before = current
