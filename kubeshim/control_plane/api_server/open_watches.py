"""The watches that are open, and whether who opened them still may.

A watch is authorized when it begins and may then last for an hour. ``recheck`` asks again, as if it were to begin now:
the credentials first, then the right. Those that would be refused end as if their time were over, so that their clients
come back and are told why. ``background.revoked_watches`` says when.
"""

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

import gevent

from kubeshim.control_plane.api_server import request
from kubeshim.control_plane.api_server.authorization import attributes

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers

_YIELD_EVERY = 200


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Watch:
    asked: request.Request
    end: Callable[[], None]


class OpenWatches:
    """Lives in the event loop's thread."""

    def __init__(self, server: "servers.Server") -> None:
        self._server = server
        self._watches: dict[Watch, None] = {}

    def add(self, asked: request.Request, end: Callable[[], None]) -> Watch:
        """Remembers a watch; take it away with ``remove`` when it is over."""
        watch = Watch(asked, end)
        self._watches[watch] = None
        return watch

    def remove(self, watch: Watch) -> None:
        self._watches.pop(watch, None)

    def __len__(self) -> int:
        return len(self._watches)

    def recheck(self) -> None:
        """Ends what would be refused now. Gives way to others in between."""
        for index, watch in enumerate(list(self._watches), 1):
            if watch in self._watches and not self._allowed(watch.asked):
                watch.end()
            if index % _YIELD_EVERY == 0:
                gevent.sleep(0)

    def _allowed(self, asked: request.Request) -> bool:
        if asked.user is None or self._server.authenticators.authenticate(asked) is None:
            return False
        decision = self._server.authorizer.authorize(attributes.of(asked, asked.user))
        return bool(decision.allowed)
