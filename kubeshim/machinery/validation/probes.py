"""Probes and lifecycle hooks."""

from collections.abc import Mapping
from typing import Any

from kubeshim.machinery.errors import FieldError
from kubeshim.machinery.validation import content, fields

_COUNTS = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")
_PROBE_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc")
_HOOK_HANDLERS = ("exec", "httpGet", "tcpSocket", "sleep")


def probe(found: Mapping[str, Any], sort: str, path: str, grace_period: int | None) -> list[FieldError]:
    """``sort`` is the field's name: liveness and startup probes succeed at once or not at all."""
    wrong = _handler(found, _PROBE_HANDLERS, path, grace_period)
    for field in _COUNTS:
        if (found.get(field) or 0) < 0:
            wrong += fields.non_negative(f"{path}.{field}", found[field])
    grace = found.get("terminationGracePeriodSeconds")
    if grace is not None:
        if grace <= 0:
            wrong.append(fields.invalid(path + ".terminationGracePeriodSeconds", grace, "must be greater than 0"))
        if sort == "readinessProbe":
            text = "must not be set for readinessProbes"
            wrong.append(fields.invalid(path + ".terminationGracePeriodSeconds", grace, text))
    successes = found.get("successThreshold")
    if sort != "readinessProbe" and successes != 1:
        wrong.append(fields.invalid(path + ".successThreshold", successes or 0, "must be 1"))
    return wrong


_SIGNAL_NAMES = (
    "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL", "PIPE",
    "POLL", "PROF", "PWR", "QUIT", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP", "TTIN", "TTOU",
    "URG", "USR1", "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ", "RTMIN", "RTMAX",
)  # fmt: skip
_SIGNALS = (
    *(f"SIG{name}" for name in _SIGNAL_NAMES),
    *(f"SIGRTMIN+{number}" for number in range(1, 16)),
    *(f"SIGRTMAX-{number}" for number in range(1, 15)),
)


def _stop_signal(signal: str, path: str, system: str | None) -> list[FieldError]:
    if system is None:
        return [fields.forbidden(path, "may not be set for containers with empty `spec.os.name`")]
    supported = {"linux": _SIGNALS, "windows": ("SIGKILL", "SIGTERM")}.get(system)
    return fields.one_of(path, signal, sorted(supported)) if supported else []


def lifecycle(found: Mapping[str, Any], path: str, grace_period: int | None, system: str | None) -> list[FieldError]:
    wrong: list[FieldError] = []
    for hook in ("postStart", "preStop"):
        if (action := found.get(hook)) is not None:
            wrong += _handler(action, _HOOK_HANDLERS, f"{path}.{hook}", grace_period)
    if (signal := found.get("stopSignal")) is not None:
        wrong += _stop_signal(signal, path + ".stopSignal", system)
    return wrong


def _handler(
    found: Mapping[str, Any], handlers: tuple[str, ...], path: str, grace_period: int | None
) -> list[FieldError]:
    wrong: list[FieldError] = []
    given = 0
    for handler in handlers:
        action = found.get(handler)
        if action is None:
            continue
        given += 1
        if given > 1:
            wrong.append(fields.forbidden(f"{path}.{handler}", "may not specify more than 1 handler type"))
        else:
            wrong += _action(handler, action, f"{path}.{handler}", grace_period)
    return wrong if given else [fields.required(path, "must specify a handler type")]


def _action(handler: str, action: Mapping[str, Any], path: str, grace_period: int | None) -> list[FieldError]:
    match handler:
        case "exec":
            return [] if action.get("command") else [fields.required(path + ".command")]
        case "httpGet":
            return _http_get(action, path)
        case "sleep":
            seconds = action.get("seconds") or 0
            if grace_period is not None and not 0 <= seconds <= grace_period:
                text = f"must be non-negative and less than terminationGracePeriodSeconds ({grace_period})"
                return [fields.invalid(path, seconds, text)]
            return []
        case _:
            return port(action.get("port"), path + ".port")


def _http_get(action: Mapping[str, Any], path: str) -> list[FieldError]:
    wrong: list[FieldError] = []
    if not action.get("path"):
        wrong.append(fields.required(path + ".path"))
    wrong += port(action.get("port"), path + ".port")
    scheme = action.get("scheme") or ""
    if scheme not in ("HTTP", "HTTPS"):
        wrong.append(fields.not_supported(path + ".scheme", scheme, ("HTTP", "HTTPS")))
    for header in action.get("httpHeaders") or ():
        name = header.get("name") or ""
        wrong += fields.all_invalid(path + ".httpHeaders", name, content.http_header_name(name))
    return wrong


def port(value: Any, path: str) -> list[FieldError]:
    """A port number, or the name of a container's port."""
    if isinstance(value, str):
        return fields.all_invalid(path, value, content.port_name(value))
    number = value or 0
    return [] if 1 <= number <= 65535 else fields.all_invalid(path, number, content.port_number(number))
