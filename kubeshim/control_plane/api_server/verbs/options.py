"""Query parameters and options bodies, checked as upstream checks them."""

import re
from typing import Any

from kubeshim.control_plane.api_server import request, request_info
from kubeshim.machinery import errors
from kubeshim.machinery.validation import fields

_MANAGER_LIMIT = 128
_is_integer = re.compile("[-+]?[0-9]+").fullmatch
_MANY_DIGITS, _BEYOND = 1000, 1 << 63
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
    problems = dry_run_problems(options.get("dryRun")) + _manager_problems(options.get("fieldManager", ""))
    validation = options.get("fieldValidation", "")
    if validation not in ("", "Ignore", "Warn", "Strict"):
        problems.append(fields.not_supported("fieldValidation", validation, ("Ignore", "Strict", "Warn")))
    if problems:
        raise errors.invalid("meta.k8s.io", kind, "", problems)
    return options


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
    return problems


def manager(asked: request.Request) -> str:
    """Who is said to own the fields: ``fieldManager``, or the user agent up to its first slash."""
    return manager_of(asked.param("fieldManager"), asked.header("user-agent"))


def manager_of(said: str, user_agent: str) -> str:
    if said:
        return said
    prefix = "".join(char for char in user_agent.partition("/")[0] if char.isprintable())
    return prefix[:_MANAGER_LIMIT] or "unknown"


def boolean(asked: request.Request, name: str) -> bool:
    return name in asked.query and request_info.is_true(asked.query[name][0])


def integer(asked: request.Request, name: str) -> int | None:
    """A number parameter; None where it is not given. Raises ``errors.BadRequest``."""
    text = asked.param(name)
    if not text:
        return None
    if not _is_integer(text):
        raise errors.BadRequest(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    # Python itself refuses to read numbers of thousands of digits
    number = int(text) if len(text) < _MANY_DIGITS else _BEYOND
    if not -_BEYOND <= number < _BEYOND:
        raise errors.BadRequest(f'strconv.ParseInt: parsing "{text}": value out of range')
    return number
