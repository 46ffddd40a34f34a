"""What all nodes use, brought from their kubelets when somebody asks.

An answer serves for ``RESOLUTION`` seconds, as upstream's samples do. CPU needs two samples: where the last is older
than ``STALE`` seconds (nobody has asked for a while), two are taken a second apart, so that the first answer is about
now and not about the long time nobody looked. Who misses a pod that has just started may ask for newer figures, every
``IMPATIENT`` seconds at most. One scrape at a time; who comes meanwhile waits for it.
"""

import concurrent.futures
import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from kubeshim import clock as clocks
from kubeshim.addons.metrics import rates, samples

_log = logging.getLogger(__name__)
RESOLUTION = 15.0
STALE = 60.0
IMPATIENT = 2.0
PAIR_SECONDS = 1.0
_AT_ONCE = 8


class Source(Protocol):
    """Where readings come from."""

    def nodes(self) -> list[str]:
        """The names of all nodes."""

    def read(self, node: str) -> str:
        """What its kubelet says. Raises ``OSError``."""


class Scraper:
    """``wait`` sleeps between the two samples of a pair."""

    def __init__(
        self, source: Source, clock: clocks.Clock = clocks.SYSTEM, wait: Callable[[float], None] = time.sleep
    ) -> None:
        self._source = source
        self._clock = clock
        self._wait = wait
        self._lock = threading.Lock()
        self._readings: dict[str, samples.Reading] = {}
        self._usage: dict[str, rates.NodeUsage] = {}
        self._taken = float("-inf")

    def usage(self, oldest: float = RESOLUTION) -> Mapping[str, rates.NodeUsage]:
        """By node; ``oldest`` is how many seconds old the figures may be."""
        with self._lock:
            if self._clock.monotonic() - self._taken >= oldest:
                self._scrape()
            return self._usage

    def _scrape(self) -> None:
        nodes = self._source.nodes()
        now = self._clock.now().timestamp()
        known = {
            name: reading for name, reading in self._readings.items() if name in nodes and now - reading.taken <= STALE
        }
        missing = [name for name in nodes if name not in known]
        first = self._read(missing)
        known |= first
        if first or any(now - reading.taken < rates.SHORTEST for reading in known.values()):
            self._wait(PAIR_SECONDS)
        readings = self._read([name for name in nodes if name in known])
        self._usage = {name: rates.usage(known.get(name), reading) for name, reading in readings.items()}
        self._readings = readings
        self._taken = self._clock.monotonic()

    def _read(self, nodes: list[str]) -> dict[str, samples.Reading]:
        """Those that answer; one that does not must not hide the others."""

        def read(name: str) -> samples.Reading | None:
            try:
                text = self._source.read(name)
            except OSError as problem:
                _log.warning("no metrics of node %s: %s", name, problem)
                return None
            return samples.read(text, self._clock.now().timestamp())

        if len(nodes) < 2:
            found = [read(name) for name in nodes]
        else:
            with concurrent.futures.ThreadPoolExecutor(_AT_ONCE, "metrics-scrape") as pool:
                found = list(pool.map(read, nodes))
        return {name: reading for name, reading in zip(nodes, found, strict=True) if reading is not None}
