"""One priority level: its seats, and the queues of those that wait for one.

A flow is dealt a hand of the queues and waits in the one with the least work (shuffle sharding), so that a flow that
floods its own queues leaves others of nearly every other flow alone. A free seat goes to the queue that has had the
least service: each queue has a virtual time up to which it has been served; serving a request of ``width`` seats for
``t`` seconds moves it on by ``width * t``, which is guessed when the request starts and set right when it ends. A queue
that had nothing to do starts again at the present of the others. Source: apiserver ``fairqueuing/queueset``.

Everything happens in the event loop's thread, so nothing is locked.
"""

import datetime
import hashlib
from collections import deque

from gevent import event as gevent_event

from kubeshim.control_plane.api_server import request
from kubeshim.control_plane.api_server.flow_control import levels

GUESS = 0.003
"""Seconds a request is taken to last until it has ended."""


class Waiting:
    """A request in a queue: ``granted`` is set with True when it has its seats, with False when it must not run."""

    __slots__ = ("arrived", "flow", "granted", "info", "queue", "schema", "user", "width")

    def __init__(
        self, schema: str, flow: str, width: int, arrived: datetime.datetime, user: str, info: request.RequestInfo
    ) -> None:
        self.schema, self.flow, self.width, self.arrived = schema, flow, width, arrived
        self.user, self.info = user, info
        self.granted: gevent_event.AsyncResult[bool] = gevent_event.AsyncResult()
        self.queue: Queue | None = None

    def cancel(self) -> None:
        """The client is gone."""
        if not self.granted.ready():
            self.granted.set(False)


class Queue:
    __slots__ = ("executing", "index", "requests", "seats", "served")

    def __init__(self, index: int) -> None:
        self.index = index
        self.requests: deque[Waiting] = deque()
        self.executing = 0
        self.seats = 0
        self.served = 0.0

    def work(self) -> int:
        return sum(one.width for one in self.requests)


class QueueSet:
    """The state of one level; it outlives changes of its configuration."""

    def __init__(self, level: levels.Level, seats: int) -> None:
        self.level = level
        self.seats = self.nominal = seats
        self.in_use = 0
        self.executing = 0
        self.waiting = 0
        self.wanted = 0
        """The most seats in use and waited for at once since somebody looked."""
        self.queues: list[Queue] = []
        self.configure(level)

    def configure(self, level: levels.Level) -> None:
        """Queues that are too many are emptied before they go."""
        self.level = level
        wanted = level.queuing.queues if level.queuing else 0
        while len(self.queues) < wanted:
            self.queues.append(Queue(len(self.queues)))
        while len(self.queues) > wanted and not self.queues[-1].requests and not self.queues[-1].executing:
            self.queues.pop()

    @property
    def idle(self) -> bool:
        return not (self.executing or self.waiting)

    def width(self, seats: int) -> int:
        """What a request of so many seats may take here: never more than a seventh of the level, but one."""
        return 1 if seats <= 1 or self.level.exempt else max(1, min(seats, int(self.nominal * 0.15)))

    def fits(self, width: int) -> bool:
        """Whether a request may run at once, without having to choose among those that wait."""
        return self.level.exempt or (not self.waiting and self._room(width))

    def _room(self, width: int) -> bool:
        # A request wider than the whole level runs alone.
        return self.in_use + width <= self.seats or (not self.in_use and self.seats > 0)

    def start(self, width: int) -> None:
        self.in_use += width
        self.executing += 1
        self.wanted = max(self.wanted, self.in_use)

    def finish(self, width: int) -> None:
        """Somebody has ended; others may begin."""
        self.in_use -= width
        self.executing -= 1
        if self.waiting:
            self.dispatch()

    # --- queues -----------------------------------------------------------------------------------------------------

    def enqueue(self, one: Waiting) -> str:
        """Where it cannot wait the reason, else nothing."""
        queuing = self.level.queuing
        if queuing is None:
            return "concurrency-limit"
        hand = deal(f"{one.schema}\0{one.flow}", len(self.queues), queuing.hand)
        queue = min((self.queues[index] for index in hand), key=lambda queue: queue.work() + queue.seats)
        if len(queue.requests) >= queuing.length:
            return "queue-full"
        if not queue.requests and not queue.executing:
            queue.served = max(queue.served, self._present())
        one.queue = queue
        queue.requests.append(one)
        self.waiting += 1
        self.wanted = max(self.wanted, self.in_use + sum(queue.work() for queue in self.queues))
        self.dispatch()
        return ""

    def withdraw(self, one: Waiting) -> None:
        """Who has waited long enough, or whose client is gone."""
        if one.queue is not None and one in one.queue.requests:
            one.queue.requests.remove(one)
            self.waiting -= 1
            self.dispatch()

    def dispatch(self) -> None:
        """Gives free seats to whose turn it is."""
        while self.waiting:
            queue = min((queue for queue in self.queues if queue.requests), key=_turn)
            one = queue.requests[0]
            if not self._room(one.width):
                return
            queue.requests.popleft()
            self.waiting -= 1
            if one.granted.ready():
                continue
            queue.executing += 1
            queue.seats += one.width
            queue.served += GUESS * one.width
            self.start(one.width)
            one.granted.set(True)

    def end(self, one: Waiting, seconds: float) -> None:
        """One that had waited has ended; its queue pays for what it took."""
        queue = one.queue
        assert queue is not None
        queue.executing -= 1
        queue.seats -= one.width
        queue.served += (seconds - GUESS) * one.width
        self.finish(one.width)
        self.configure(self.level)

    def _present(self) -> float:
        """The virtual time of the least served queue with anything to do."""
        return min((queue.served for queue in self.queues if queue.requests or queue.executing), default=0.0)


def _turn(queue: Queue) -> float:
    return queue.served + GUESS * queue.requests[0].width


def deal(flow: str, deck: int, hand: int) -> list[int]:
    """``hand`` different queues of ``deck``, the same ones for the same flow."""
    number = int.from_bytes(hashlib.sha256(flow.encode()).digest())
    rest = list(range(deck))
    cards = []
    for left in range(deck, deck - min(hand, deck), -1):
        number, at = divmod(number, left)
        cards.append(rest.pop(at))
    return cards
