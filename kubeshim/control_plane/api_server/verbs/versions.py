"""What ``resourceVersion``, ``resourceVersionMatch``, ``limit`` and ``continue`` mean, and the errors about them.

    list              unset            "0"              N
    no match          most recent      any (cache)      not older than N; with limit: exactly N (legacy)
    NotOlderThan      422              any (cache)      not older than N
    Exact             422              422              exactly N, 410 where that is compacted
    continue          the token's      400              400

A list from the cache is always the most recent one here, so "any" and "not older" differ only in waiting.
Source: Kubernetes API concepts, "Resource versions"; apimachinery ``internalversion/validation``.
"""

import base64
import binascii
import dataclasses
import posixpath
from typing import Any

from kubeshim.control_plane.api_server import request
from kubeshim.control_plane.api_server.verbs import operation, options
from kubeshim.control_plane.cluster_store import store
from kubeshim.machinery import errors
from kubeshim.machinery.codecs import json
from kubeshim.machinery.validation import fields

_MANY_DIGITS = 1000
_TOKEN_VERSION = "meta.k8s.io/v1"
_TOO_OLD = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list "
    "without the continue parameter, or use the continue token in this response to retrieve the remainder of the "
    "results. Continuing with the provided token results in an inconsistent list - objects that were created, "
    "modified, or deleted between the time the first chunk was returned and now may show up in the list."
)
_TOO_OLD_PLAIN = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list "
    "without the continue parameter."
)
_EXPIRED = "The resourceVersion for the provided list is too old."


@dataclasses.dataclass(frozen=True, slots=True)
class ListAt:
    """Which state a list shows. ``revision`` 0 is the most recent; ``not_older`` must be reached first."""

    revision: int = 0
    not_older: int = 0
    limit: int = 0
    after: str = ""
    continued: bool = False


class MalformedVersion(errors.BadRequest):
    """A resourceVersion that is no number: 400 for a list."""

    def __init__(self, problem: errors.FieldError) -> None:
        super().__init__(f"invalid resource version: {problem}")
        self._problem = problem

    def unexpected(self) -> errors.APIStatusError:
        """What a get or a watch says: upstream's storage refuses it without a reason of the API's own."""
        return errors.APIStatusError(str(self._problem), code=500, reason="")


def parse(text: str) -> int:
    """A resourceVersion as a number; 0 where unset. Raises ``MalformedVersion``."""
    if not text:
        return 0
    if not (text.isascii() and text.isdecimal()) or len(text) > _MANY_DIGITS or int(text) >= 1 << 64:
        why = "value out of range" if text.isascii() and text.isdecimal() else "invalid syntax"
        raise MalformedVersion(fields.invalid("resourceVersion", text, f'strconv.ParseUint: parsing "{text}": {why}'))
    return int(text)


def validate(asked: request.Request, *, watching: bool) -> None:
    """Combinations upstream refuses with 422."""
    version, match = asked.param("resourceVersion"), asked.param("resourceVersionMatch")
    initial = "sendInitialEvents" in asked.query
    problems: list[errors.FieldError] = []
    if watching:
        problems += _watch_problems(match, asked.param("continue"), initial=initial)
    else:
        if initial:
            problems.append(fields.forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"))
        if match:
            problems += _match_problems(version, match, asked.param("continue"))
    if problems:
        raise errors.invalid("meta.k8s.io", "ListOptions", "", problems)


def _watch_problems(match: str, token: str, *, initial: bool) -> list[errors.FieldError]:
    problems = []
    if initial and match != "NotOlderThan":
        text = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        problems.append(fields.forbidden("resourceVersionMatch", text))
    if match and not initial:
        text = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
        problems.append(fields.forbidden("resourceVersionMatch", text))
    if match and match != "NotOlderThan":
        problems.append(fields.not_supported("resourceVersionMatch", match, ("NotOlderThan",)))
    if match and token:
        problems.append(
            fields.forbidden("resourceVersionMatch", "resourceVersionMatch is forbidden when continue is provided")
        )
    return problems


def _match_problems(version: str, match: str, token: str) -> list[errors.FieldError]:
    problems = []
    if not version:
        text = "resourceVersionMatch is forbidden unless resourceVersion is provided"
        problems.append(fields.forbidden("resourceVersionMatch", text))
    if token:
        text = "resourceVersionMatch is forbidden when continue is provided"
        problems.append(fields.forbidden("resourceVersionMatch", text))
    if match not in ("Exact", "NotOlderThan"):
        problems.append(fields.not_supported("resourceVersionMatch", match, ("Exact", "NotOlderThan", "")))
    if match == "Exact" and version == "0":
        problems.append(
            fields.forbidden(
                "resourceVersionMatch", 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
            )
        )
    return problems


def of_list(asked: request.Request) -> ListAt:
    """Raises 400 and 422."""
    validate(asked, watching=False)
    options.integer(asked, "timeoutSeconds")
    limit = max(options.integer(asked, "limit") or 0, 0)
    token, version, match = asked.param("continue"), asked.param("resourceVersion"), asked.param("resourceVersionMatch")
    if token:
        revision, after = decode_token(token)
        if version not in ("", "0"):
            raise errors.BadRequest("specifying resource version is not allowed when using continue")
        return ListAt(max(revision, 0), 0, limit, after, True)
    number = parse(version)
    if version == "0":
        # The answer comes from the cache whole, as upstream's does.
        return ListAt()
    if number and (match == "Exact" or (limit > 0 and not match)):
        return ListAt(number, 0, limit)
    return ListAt(0, number, limit)


def encode_token(revision: int, following: str) -> str:
    text = json.encode({"v": _TOKEN_VERSION, "rv": revision, "start": following})
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def decode_token(token: str) -> tuple[int, str]:
    """``(revision, first key of the page)``; revision -1 continues with whatever is there now."""
    try:
        content = json.decode(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)), strict=False)[0]
    except (binascii.Error, ValueError, errors.BadRequest) as problem:
        raise errors.BadRequest(f"invalid continue token: continue key is not valid: {problem}") from problem
    if not isinstance(content, dict) or content.get("v") != _TOKEN_VERSION:
        raise errors.BadRequest(
            "invalid continue token: continue key is not valid: server does not recognize this encoded version"
        )
    revision, start = content.get("rv", 0), content.get("start", "")
    if not isinstance(revision, int) or not revision:
        raise errors.BadRequest(
            "continue key is not valid: incorrect encoded start resourceVersion (version meta.k8s.io/v1)"
        )
    if not isinstance(start, str) or not start:
        raise errors.BadRequest(
            "invalid continue token: continue key is not valid: encoded start key empty (version meta.k8s.io/v1)"
        )
    clean = posixpath.normpath("/" + start)
    if clean != "/" + start:
        raise errors.BadRequest(f"invalid continue token: continue key is not valid: {start}")
    return revision, start


def wait_for(op: operation.Operation, revision: int) -> None:
    """Until the cache has reached ``revision``. Raises the 504 upstream gives after three seconds."""
    if revision and not op.server.storage.wait_until(revision):
        raise too_large(revision, op.server.storage.revision)


def too_large(revision: int, current: int) -> errors.Timeout:
    cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
    return errors.Timeout(
        f"Timeout: Too large resource version: {revision}, current: {current}",
        details={"causes": [cause], "retryAfterSeconds": 1},
    )


def expired(at: ListAt, problem: store.Compacted) -> errors.Expired:
    """A page or an exact list whose revision is no longer kept; the token in it goes on without consistency."""
    if not at.continued:
        return errors.Expired(_EXPIRED)
    metadata: dict[str, Any] = {"continue": encode_token(-1, at.after)} if at.after else {}
    return errors.Expired(_TOO_OLD if metadata else _TOO_OLD_PLAIN, metadata=metadata)


def too_old(revision: int, oldest: int) -> errors.Expired:
    """A watch from before what is kept."""
    return errors.Expired(f"too old resource version: {revision} ({oldest})")
