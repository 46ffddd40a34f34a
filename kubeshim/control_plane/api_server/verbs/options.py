"""Query parameters and options bodies, checked as upstream checks them."""

import re
from typing import Any

from kubeshim.control_plane.api_server import request, request_info
from kubeshim.machinery import errors
from kubeshim.machinery.codecs import negotiation
from kubeshim.machinery.validation import fields

_MANAGER_LIMIT = 128
_is_integer = re.compile("[-+]?[0-9]+").fullmatch
_MANY_DIGITS, _BEYOND = 1000, 1 << 63
_VALIDATION = ("", "Ignore", "Strict", "Warn")
_OTHER_PATCHES = frozenset(negotiation.BUILT_IN_PATCHES) - {negotiation.APPLY_PATCH}
_PROPAGATION = ("Foreground", "Background", "Orphan")


def write_options(asked: request.Request, kind: str) -> dict[str, Any]:
    """``CreateOptions``, ``UpdateOptions`` or ``PatchOptions`` from the query. Raises ``errors.Invalid``."""
    options: dict[str, Any] = {"kind": kind, "apiVersion": "meta.k8s.io/v1"}
    query = asked.query
    if "dryRun" in query:
        options["dryRun"] = list(query["dryRun"])
    for name in ("fieldManager", "fieldValidation"):
        if asked.param(name):
            options[name] = asked.param(name)
    if kind == "PatchOptions" and "force" in query:
        options["force"] = boolean(asked, "force")
    problems = _patch_problems(asked) if kind == "PatchOptions" else []
    problems += _manager_problems(options.get("fieldManager", "")) + dry_run_problems(options.get("dryRun"))
    validation = options.get("fieldValidation", "")
    if validation not in _VALIDATION:
        problems.append(fields.not_supported("fieldValidation", validation, _VALIDATION))
    if problems:
        raise errors.invalid("meta.k8s.io", kind, "", problems)
    return options


def _patch_problems(asked: request.Request) -> list[errors.FieldError]:
    """What only server-side apply may say, and must."""
    media_type = asked.header("content-type").partition(";")[0]
    if media_type == negotiation.APPLY_PATCH and not asked.param("fieldManager"):
        return [fields.required("fieldManager", "is required for apply patch")]
    if media_type in _OTHER_PATCHES and "force" in asked.query:
        return [fields.forbidden("force", "may not be specified for non-apply patch")]
    return []


def dry_run_problems(values: Any) -> list[errors.FieldError]:
    wrong = any(value != "All" for value in values or ())
    return [fields.not_supported("dryRun", list(values), ("All",))] if wrong else []


def _manager_problems(manager: str) -> list[errors.FieldError]:
    problems = []
    if len(manager.encode()) > _MANAGER_LIMIT:
        problems.append(fields.too_long("fieldManager", _MANAGER_LIMIT))
    if not manager.isprintable():
        position = 0
        for char in manager:
            if not char.isprintable():
                text = f"invalid character U+{ord(char):04X} (at position {position})"
                problems.append(fields.invalid("fieldManager", manager, text))
            position += len(char.encode())
    return problems


UNREADABLE = "ignoreStoreReadErrorWithClusterBreakingPotential"
"""Of ``DeleteOptions``: the object cannot be read from the store, and is to go all the same."""


def delete_problems(options: dict[str, Any]) -> list[errors.FieldError]:
    """What is wrong with ``DeleteOptions``."""
    problems = dry_run_problems(options.get("dryRun"))
    policy = options.get("propagationPolicy")
    if policy is not None and options.get("orphanDependents") is not None:
        problems.append(
            fields.invalid(
                "propagationPolicy", policy,
                "orphanDependents and deletionPropagation cannot be both set",
            )
        )  # fmt: skip
    if policy is not None and policy not in _PROPAGATION:
        problems.append(fields.not_supported("propagationPolicy", policy, (*_PROPAGATION, "nil")))
    if options.get(UNREADABLE):
        for other in ("dryRun", "propagationPolicy", "orphanDependents", "gracePeriodSeconds", "preconditions"):
            given = options.get(other)
            if given is not None and (given or other != "dryRun"):
                problems.append(fields.invalid(UNREADABLE, True, f"cannot be set together with .{other}"))
    return problems


def manager(asked: request.Request) -> str:
    """Who is said to own the fields: ``fieldManager``, or the user agent up to its first slash."""
    return manager_of(asked.param("fieldManager"), asked.header("user-agent"))


def manager_of(said: str, user_agent: str) -> str:
    if said:
        return said
    # WSGI's headers are bytes as latin-1; this one means UTF-8.
    said = user_agent.partition("/")[0].encode("latin-1", "replace").decode("utf-8", "replace")
    prefix = "".join(char for char in said if char.isprintable())
    return prefix.encode()[:_MANAGER_LIMIT].decode("utf-8", "ignore") or "unknown"


def boolean(asked: request.Request, name: str) -> bool:
    return name in asked.query and request_info.is_true(asked.query[name][0])


def integer(asked: request.Request, name: str) -> int | None:
    """A number parameter; None where it is not given. Raises ``errors.BadRequest``."""
    if name not in asked.query:
        return None
    text = asked.param(name)
    if not _is_integer(text):
        raise errors.BadRequest(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    # Python itself refuses to read numbers of thousands of digits
    number = int(text) if len(text) < _MANY_DIGITS else _BEYOND
    if not -_BEYOND <= number < _BEYOND:
        raise errors.BadRequest(f'strconv.ParseInt: parsing "{text}": value out of range')
    return number
