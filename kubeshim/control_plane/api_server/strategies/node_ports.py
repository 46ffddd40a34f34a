"""Node ports of a Service: which it holds, which it lacks, and taking free ones.

A number is one Service's, whatever the protocol; only ports that have the same ``port`` under two protocols share one
when a Service is made.
"""

import random
from typing import Any

from kubeshim.machinery import errors, objects
from kubeshim.machinery.validation import fields, services

_TYPES = ("NodePort", "LoadBalancer")
_TAKEN = "provided port is already allocated"
_GUESS = 32769
"""What a dry run shows as the first number."""


def wanted(spec: objects.Object) -> bool:
    """Whether every port of the Service has a node port."""
    kind = spec.get("type")
    return kind == "NodePort" or (kind == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts") is not False)


def held(spec: objects.Object) -> set[str]:
    found = _numbers(spec)
    if spec.get("healthCheckNodePort"):
        found.add(spec["healthCheckNodePort"])
    return set(map(str, found))


def _numbers(spec: objects.Object) -> set[int]:
    return {port["nodePort"] for port in spec.get("ports") or () if port.get("nodePort")}


def missing(spec: objects.Object) -> bool:
    if wanted(spec) and any(not port.get("nodePort") for port in spec.get("ports") or ()):
        return True
    return services.needs_health_check(spec) and not spec.get("healthCheckNodePort")


class _Claims:
    """Takes numbers: ``taken`` is what other Services hold, and what is found here is added to it."""

    def __init__(self, taken: set[str], limits: tuple[int, int], dry_run: bool) -> None:
        self._taken, self._limits, self._dry_run = taken, limits, dry_run
        self._own: list[int] = []

    def claim(self, number: int) -> str:
        """Why a number cannot be had, or nothing."""
        low, high = self._limits
        if not self._dry_run and not low <= number <= high:
            return f"provided port is not in the valid range. The range of valid ports is {low}-{high}"
        if str(number) in self._taken:
            return _TAKEN
        self._own.append(number)
        self._taken.add(str(number))
        return ""

    def next(self) -> int:
        """A dry run does not look for one that is really free."""
        number = max(self._own, default=_GUESS - 1) + 1 if self._dry_run else _free(self._taken, self._limits)
        self._own.append(number)
        self._taken.add(str(number))
        return number


def allocate(
    spec: objects.Object, before: objects.Object | None, taken: set[str], limits: tuple[int, int], dry_run: bool
) -> list[errors.FieldError]:
    """Fills in the ports that are missing; complains of the first asked for that cannot be had."""
    claims = _Claims(taken, limits, dry_run)
    wrong: list[errors.FieldError] = []
    if spec.get("type") in _TYPES:
        wrong = _first(spec, claims) if before is None else _changed(spec, before, claims)
    needed = before is not None and services.needs_health_check(before)
    if not wrong and services.needs_health_check(spec) and not needed:
        _health_check(spec, claims)
    return wrong


def _first(spec: objects.Object, claims: _Claims) -> list[errors.FieldError]:
    ports = spec.get("ports") or ()
    given: dict[int, int] = {}
    for index, port in enumerate(ports):
        if not port.get("nodePort") and not wanted(spec):
            continue
        number = given.get(port["port"], 0)
        asked = port.get("nodePort") or 0 if number else _asked_for(port["port"], ports)
        if asked and asked != number and (why := claims.claim(asked)):
            return [fields.invalid(f"spec.ports[{index}].nodePort", asked, why)]
        if number:
            port["nodePort"] = asked or number
        else:
            port["nodePort"] = given[port["port"]] = asked or claims.next()
    return []


def _asked_for(number: int, ports: Any) -> int:
    """The node port that some port of this number asks for."""
    return next((port["nodePort"] for port in ports if port["port"] == number and port.get("nodePort")), 0)


def _changed(spec: objects.Object, before: objects.Object, claims: _Claims) -> list[errors.FieldError]:
    had, claimed = _numbers(before), set()
    for index, port in enumerate(spec.get("ports") or ()):
        number = port.get("nodePort") or 0
        if not number and wanted(spec):
            port["nodePort"] = claims.next()
        elif number and number not in had and number not in claimed:
            if why := claims.claim(number):
                return [fields.invalid(f"spec.ports[{index}].nodePort", number, why)]
            claimed.add(number)
    return []


def _health_check(spec: objects.Object, claims: _Claims) -> None:
    number = spec.get("healthCheckNodePort") or 0
    if not number:
        spec["healthCheckNodePort"] = claims.next()
    elif why := claims.claim(number):
        raise errors.internal(f"failed to allocate requested HealthCheck NodePort {number}: {why}")


def _free(taken: set[str], limits: tuple[int, int]) -> int:
    """A random free number, from the upper band while there is one: people ask for low ones by name."""
    low, high = limits
    static = min(max(16, (high - low + 1) // 32), 128)
    for start, end in ((low + static, high), (low, min(low + static - 1, high))):
        size = end - start + 1
        if size <= 0:
            continue
        offset = random.randrange(size)
        for step in range(size):
            number = start + (offset + step) % size
            if str(number) not in taken:
                return number
    raise errors.internal("failed to allocate a nodePort: range is full")


def keep(spec: objects.Object, before: objects.Object) -> None:
    """A port that still has its name keeps its node port, where the client does not mention it."""
    if not wanted(spec) or not wanted(before):
        return
    used = _numbers(spec) & _numbers(before)
    earlier = {port.get("name") or "": port.get("nodePort") or 0 for port in before.get("ports") or ()}
    for port in spec.get("ports") or ():
        number = earlier.get(port.get("name") or "", 0)
        if not port.get("nodePort") and number and number not in used:
            port["nodePort"] = number


def drop_unchanged(spec: objects.Object, before: objects.Object) -> None:
    """Takes node ports away that the client only sent back."""
    if _numbers(spec) <= _numbers(before):
        for port in spec.get("ports") or ():
            port.pop("nodePort", None)
