"""What every request passes before it is dispatched, in the order of ``FILTERS``.

Each filter gets the request, the server and what comes next; it answers itself, or passes on. The outermost comes
first: whatever goes wrong further in becomes a ``Status`` in ``recover``, at one place.
"""

import logging
import random
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import gevent

from kubeshim.control_plane.api_server import request, response
from kubeshim.control_plane.api_server.authorization import attributes
from kubeshim.control_plane.api_server.flow_control import controller
from kubeshim.machinery import errors
from kubeshim.machinery.validation import fields, go_times
from kubeshim.wire import http_connection

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers

_log = logging.getLogger(__name__)

Next = Callable[[request.Request, "servers.Server"], request.Response]
Filter = Callable[[request.Request, "servers.Server", Next], request.Response]

_MUTATING = frozenset(("POST", "PUT", "PATCH", "DELETE"))
_LONG_RUNNING_SUBRESOURCES = frozenset(("attach", "exec", "proxy", "log", "portforward"))
_WARNINGS_LIMIT, _WARNING_LIMIT = 4 * 1024, 256
"""Characters of all warnings, above which each is cut, and to what."""
_BUSY = "Too many requests, please try again later."
_PANIC = "This request caused apiserver to panic. Look in the logs for details."


def recover(asked: request.Request, server: "servers.Server", following: Next) -> request.Response:
    """Refusals become a Status; mistakes of ours a 500, without one, as upstream."""
    began = time.monotonic()
    try:
        answer = following(asked, server)
    except errors.APIStatusError as refusal:
        answer = response.of_error(asked, refusal)
    except http_connection.BodyTooLarge as problem:
        answer = response.of_error(
            asked, errors.RequestEntityTooLarge(f"Request entity too large: limit is {problem.limit}")
        )
        answer.headers = [*answer.headers, ("Connection", "close")]
    except (http_connection.ClientGone, ConnectionError):
        raise
    except Exception:
        _log.exception("%s %s", asked.method, asked.path)
        answer = response.plain(500, _PANIC)
    answer.headers = [("Audit-Id", asked.audit_id), *answer.headers, *asked.flow_headers]
    if not asked.info.malformed and not any(name.lower() == "cache-control" for name, _ in answer.headers):
        answer.headers.append(("Cache-Control", "no-cache, private"))  # nobody keeps what nobody said may be kept
    server.metrics.observe(asked, answer.status, time.monotonic() - began)
    return answer


def audit_id(asked: request.Request, server: "servers.Server", following: Next) -> request.Response:
    """Every request has an id, the client's own if it sent one; ``recover`` tells it whatever the answer is."""
    asked.audit_id = asked.header("audit-id") or _random_id()
    return following(asked, server)


def request_info(asked: request.Request, server: "servers.Server", following: Next) -> request.Response:
    """Paths of which nobody can say what they are about get no ``Status``."""
    why = asked.info.malformed
    if not why:
        return following(asked, server)
    text = f"Internal Server Error: {fields.quote(asked.path)}: failed to create RequestInfo: {why}"
    return response.plain(500, text)


def warnings(asked: request.Request, server: "servers.Server", following: Next) -> request.Response:
    """Warnings go out with refusals as well."""
    try:
        answer = following(asked, server)
    except errors.APIStatusError as refusal:
        if not asked.warnings:
            raise
        answer = response.of_error(asked, refusal)
    if asked.warnings:
        texts = fitting_warnings(dict.fromkeys(asked.warnings))
        answer.headers = [*answer.headers, *(("Warning", f"299 - {_quoted(text)}") for text in texts)]
    return answer


def fitting_warnings(texts: Iterable[str]) -> list[str]:
    """As many as headers may hold: once they are too much together, each is cut, and the rest left out."""
    kept: list[str] = []
    written, cut = 0, False
    for text in texts:
        if cut and written >= _WARNINGS_LIMIT:
            break
        if not cut and written + len(text) > _WARNINGS_LIMIT:
            cut = True
            kept = [one[:_WARNING_LIMIT] for one in kept]
            written = sum(map(len, kept))
        kept.append(text[:_WARNING_LIMIT] if cut else text)
        written += len(kept[-1])
    return kept


def authentication(asked: request.Request, server: "servers.Server", following: Next) -> request.Response:
    user = server.authenticators.authenticate(asked)
    if user is None:
        raise errors.Unauthorized("Unauthorized")
    asked.user = user
    return following(asked, server)


def impersonate(asked: request.Request, server: "servers.Server", following: Next) -> request.Response:
    server.impersonation.apply(asked, server.authorizer)
    return following(asked, server)


def priority_and_fairness(asked: request.Request, server: "servers.Server", following: Next) -> request.Response:
    """Waits for a seat in the request's priority level; a watch gives its seat back once it has begun."""
    if is_long_running(asked.info) and asked.info.verb != "watch":
        return following(asked, server)
    kind = "mutating" if asked.method in _MUTATING else "readOnly"
    try:
        flow, leave = server.flow_control.enter(asked)
    except controller.Refused as refusal:
        server.metrics.terminated(asked, 429)
        return response.plain(429, _BUSY, ("Retry-After", "1"), *refusal.flow.headers)
    asked.flow_headers = flow.headers
    running = server.metrics.in_flight
    running[kind] += 1
    try:
        return following(asked, server)
    finally:
        running[kind] -= 1
        leave()


def deadline(asked: request.Request, server: "servers.Server", following: Next) -> request.Response:
    """Refuses what says its time limit in a way nobody understands, whoever it is."""
    if "timeout" in asked.query and not is_long_running(asked.info):
        try:
            _seconds(asked.param("timeout"))
        except ValueError as problem:
            raise errors.BadRequest(f"invalid timeout specified in the request URL - {problem}") from None
    return following(asked, server)


def time_limit(asked: request.Request, server: "servers.Server", following: Next) -> request.Response:
    """Requests that wait are ended; those that only read the cache cannot wait."""
    info = asked.info
    if is_long_running(info) or (asked.method == "GET" and "resourceVersion" not in asked.query):
        return following(asked, server)
    longest = server.config.request_timeout
    wanted = _seconds(asked.param("timeout"))
    with gevent.Timeout(wanted if 0 < wanted < longest else longest, False):
        return following(asked, server)
    raise errors.Timeout("Timeout: request did not complete within the allotted timeout", details={})


def authorization(asked: request.Request, server: "servers.Server", following: Next) -> request.Response:
    assert asked.user is not None
    question = attributes.of(asked, asked.user)
    decision = server.authorizer.authorize(question)
    if not decision.allowed:
        raise attributes.forbidden(question, decision.reason)
    return following(asked, server)


FILTERS: tuple[Filter, ...] = (
    recover, audit_id, request_info, warnings, deadline, authentication, impersonate, priority_and_fairness, time_limit,
    authorization,
)  # fmt: skip


def chain(last: Next, filters: tuple[Filter, ...] = FILTERS) -> Next:
    """All filters before ``last``."""
    for step in reversed(filters):
        last = _link(step, last)
    return last


def _link(step: Filter, following: Next) -> Next:
    return lambda asked, server: step(asked, server, following)


def is_long_running(info: request.RequestInfo) -> bool:
    return info.is_resource and (info.verb in ("watch", "proxy") or info.subresource in _LONG_RUNNING_SUBRESOURCES)


def _random_id() -> str:
    number = f"{random.getrandbits(128):032x}"
    return f"{number[:8]}-{number[8:12]}-4{number[13:16]}-a{number[17:20]}-{number[20:]}"


def _quoted(text: str) -> str:
    clean = "".join(char if char.isprintable() else " " for char in text)
    safe = clean.encode("latin-1", "replace").decode("latin-1")
    return '"' + safe.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _seconds(text: str) -> float:
    """A Go duration (``1m30s``); 0 for none. Raises ``ValueError`` with Go's words."""
    return go_times.duration(text) / 1e9 if text else 0.0
