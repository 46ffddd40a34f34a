"""Fan-out of committed batches, and the delivery order every store keeps.

For one batch: first each subscriber gets the events, then each operation's ``reply`` its outcome. A store calls
``deliver`` from one thread only, batch after batch, so subscribers see revisions rise. A callback that raises is a
bug in its owner: it is logged and the others still get theirs, for one failing observer must not lose another's event.
"""

import logging
import threading
from collections.abc import Iterable, Sequence

from kubeshim.control_plane.cluster_store import store

_log = logging.getLogger(__name__)


class Broadcaster:
    """The subscribers of one store."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        """Held while a batch becomes visible and while a subscriber joins: nobody misses or doubles a batch."""
        self._subscribers: tuple[store.Subscriber, ...] = ()

    def add(self, subscriber: store.Subscriber) -> None:
        """Call with ``lock`` held."""
        self._subscribers = (*self._subscribers, subscriber)

    def deliver(
        self, events: Sequence[store.Event], outcomes: Iterable[tuple[store.Reply, store.Record | store.StoreError]]
    ) -> None:
        """Tells subscribers, then those who wait."""
        if events:
            for subscriber in self._subscribers:
                try:
                    subscriber(events)
                except Exception:
                    _log.exception("a subscriber of the store failed")
        for reply, outcome in outcomes:
            try:
                reply(outcome)
            except Exception:
                _log.exception("a reply callback of the store failed")
