"""What a component counts, and how it tells it: Prometheus' text format. Pure.

A family is a name with its words, its labels' names and a figure for each of their values. Counters and histograms
keep their figures and may be noted from any thread; gauges are asked for when somebody looks, so they are only written.
"""

import bisect
import itertools
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Series = Iterable[tuple[Sequence[str], float]]
"""Values of the labels, and the figure."""


class Counter:
    """Grows only."""

    def __init__(self, name: str, about: str, labels: Sequence[str] = ()) -> None:
        self._name, self._about, self._labels = name, about, labels
        self._figures: dict[tuple[str, ...], float] = {} if labels else {(): 0}
        self._lock = threading.Lock()

    def add(self, *values: str, amount: float = 1) -> None:
        with self._lock:
            self._figures[values] = self._figures.get(values, 0) + amount

    def lines(self) -> Iterator[str]:
        with self._lock:
            figures = list(self._figures.items())
        return family(self._name, "counter", self._about, self._labels, figures)


class Histogram:
    """How often a figure was at most each of ``bounds``, how often it was noted, and the sum."""

    def __init__(self, name: str, about: str, bounds: Sequence[float], labels: Sequence[str] = ()) -> None:
        self._name, self._about, self._bounds, self._labels = name, about, bounds, labels
        self._figures: dict[tuple[str, ...], list[float]] = {}
        self._lock = threading.Lock()
        if not labels:
            self._figures[()] = self._empty()

    def _empty(self) -> list[float]:
        """One place a bound, one for what is above them all, and the sum."""
        return [0.0] * (len(self._bounds) + 2)

    def observe(self, figure: float, *values: str) -> None:
        with self._lock:
            series = self._figures.get(values)
            if series is None:
                series = self._figures[values] = self._empty()
            series[bisect.bisect_left(self._bounds, figure)] += 1
            series[-1] += figure

    def lines(self) -> Iterator[str]:
        with self._lock:
            figures = [(values, list(series)) for values, series in self._figures.items()]
        yield from head(self._name, "histogram", self._about)
        bounds = [f"{_pair('le', bound)}}} " for bound in (*map(_bound, self._bounds), "+Inf")]
        for values, series in figures:
            known = _pairs(self._labels, values)
            braced = _braced(known)
            start = f"{self._name}_bucket{{" + "".join(f"{pair}," for pair in known)
            total = 0
            for bound, within in zip(bounds, series[:-1], strict=True):
                total += int(within)
                yield f"{start}{bound}{total}"
            yield f"{self._name}_sum{braced} {_number(series[-1])}"
            yield f"{self._name}_count{braced} {total}"


def head(name: str, kind: str, about: str) -> Iterator[str]:
    yield f"# HELP {name} {about}"
    yield f"# TYPE {name} {kind}"


def family(name: str, kind: str, about: str, labels: Sequence[str], series: Series) -> Iterator[str]:
    """A family's lines; nothing where it has no figures."""
    first = True
    for values, figure in series:
        if first:
            yield from head(name, kind, about)
            first = False
        yield f"{name}{_braced(_pairs(labels, values))} {_number(figure)}"


def gauge(name: str, about: str, figure: float, known: Mapping[str, str] | None = None) -> Iterator[str]:
    """A family of one figure."""
    known = known or {}
    return family(name, "gauge", about, list(known), [(list(known.values()), figure)])


def counter(name: str, about: str, figure: float) -> Iterator[str]:
    """A family of one figure that its owner counts."""
    return family(name, "counter", about, (), [((), figure)])


def text(*parts: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in itertools.chain.from_iterable(parts))


def _pairs(labels: Sequence[str], values: Sequence[str]) -> list[str]:
    return [_pair(label, value) for label, value in zip(labels, values, strict=True)]


def _pair(label: str, value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
    return f'{label}="{escaped}"'


def _braced(pairs: Sequence[str]) -> str:
    return f"{{{','.join(pairs)}}}" if pairs else ""


def _number(figure: float) -> str:
    return str(int(figure)) if figure == int(figure) else repr(figure)


def _bound(figure: float) -> str:
    """As Go writes it, since series are told apart by it: 1e+06."""
    if figure < 1e6:
        return _number(figure)
    digits, _, exponent = f"{figure:.16e}".partition("e")
    return f"{float(digits):.15g}e{exponent}"
