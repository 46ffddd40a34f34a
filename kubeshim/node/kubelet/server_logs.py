"""Container logs over HTTP: ``PodLogOptions`` from a query string, and the bytes that answer it."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping

from kubeshim import clock as clocks
from kubeshim.node.container_runtime import runtime


class BadOptions(Exception):
    """``status`` is the HTTP code; the text is what the kubelet's API says."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f'{{"message": "{message}"}}')
        self.status = status


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """What of a log is wanted. ``since`` is seconds since the epoch, ``limit`` bytes."""

    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    tail_lines: int | None = None
    since: float | None = None
    limit: int | None = None
    stream: str = "All"

    def options(self, stop: Callable[[], bool]) -> runtime.LogOptions:
        return runtime.LogOptions(
            follow=self.follow,
            tail_lines=self.tail_lines,
            since=self.since,
            timestamps=self.timestamps,
            stdout=self.stream in ("All", "Stdout"),
            stderr=self.stream in ("All", "Stderr"),
            stop=stop,
        )


def parse(query: Mapping[str, str], clock: clocks.Clock = clocks.SYSTEM) -> Request:
    """Raises ``BadOptions`` with the kubelet's code and text."""
    given = {name: value for name, value in query.items() if value != ""}
    if "tail" in given:
        tail = given.pop("tail")
        if tail == "all":
            given.pop("tailLines", None)
        else:
            given["tailLines"] = tail
    try:
        tail_lines = _number(given, "tailLines")
        limit = _number(given, "limitBytes")
        seconds = _number(given, "sinceSeconds")
        since = clocks.parse_rfc3339(given["sinceTime"]).timestamp() if "sinceTime" in given else None
        follow, previous, timestamps = (_flag(given, name) for name in ("follow", "previous", "timestamps"))
    except ValueError as error:
        raise BadOptions(400, "Unable to decode query.") from error
    stream = given.get("stream", "All")
    if (
        (tail_lines is not None and tail_lines < 0)
        or (limit is not None and limit < 1)
        or (seconds is not None and (seconds < 1 or since is not None))
        or stream not in ("All", "Stdout", "Stderr")
        or (tail_lines is not None and stream != "All")
    ):
        raise BadOptions(422, "Invalid request.")
    if seconds is not None:
        since = clock.now().timestamp() - seconds
    return Request(follow, previous, timestamps, tail_lines, since, limit, stream)


def limited(lines: Iterator[tuple[str, bytes]], limit: int | None) -> Iterator[bytes]:
    """The bytes of the lines, at most ``limit`` of them, in pieces large enough to be worth a packet."""
    left = limit
    for _, line in lines:
        if left is not None:
            line = line[:left]
            left -= len(line)
        yield line
        if left == 0:
            return


def _number(given: Mapping[str, str], name: str) -> int | None:
    return int(given[name]) if name in given else None


def _flag(given: Mapping[str, str], name: str) -> bool:
    """As Go's ``strconv.ParseBool``, which the API's query decoding ends in."""
    text = given.get(name, "false")
    if text in ("1", "t", "T", "true", "TRUE", "True"):
        return True
    if text in ("0", "f", "F", "false", "FALSE", "False"):
        return False
    raise ValueError(f"not a boolean: {text!r}")
