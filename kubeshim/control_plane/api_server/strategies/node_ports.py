"""Node ports of a Service: which it holds, which it lacks, and taking free ones.

One number may serve several protocols of the same Service, so what is held is ``number/PROTOCOL``.
"""

import random
from typing import Any

from kubeshim.machinery import errors, objects
from kubeshim.machinery.validation import fields, services

_TAKEN = "provided port is already allocated"


def wanted(spec: objects.Object) -> bool:
    """Whether every port of the Service has a node port."""
    kind = spec.get("type")
    return kind == "NodePort" or (kind == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts") is not False)


def held(spec: objects.Object) -> set[str]:
    found = {_key(port["nodePort"], port) for port in spec.get("ports") or () if port.get("nodePort")}
    if spec.get("healthCheckNodePort"):
        found.add(f"{spec['healthCheckNodePort']}/TCP")
    return found


def _key(number: int, port: dict[str, Any]) -> str:
    return f"{number}/{port.get('protocol') or 'TCP'}"


def missing(spec: objects.Object) -> bool:
    if wanted(spec) and any(not port.get("nodePort") for port in spec.get("ports") or ()):
        return True
    return services.needs_health_check(spec) and not spec.get("healthCheckNodePort")


def allocate(spec: objects.Object, taken: set[str], limits: tuple[int, int]) -> list[errors.FieldError]:
    """Fills in the ports that are missing; complains of those asked for that cannot be had.

    ``taken`` is what other Services hold; what is found here is added to it.
    """
    wrong: list[errors.FieldError] = []
    own: dict[int, set[str]] = {}
    ports = spec.get("ports") or ()
    for index, port in enumerate(ports):
        number = port.get("nodePort") or 0
        if number:
            wrong += _check(f"spec.ports[{index}].nodePort", number, _key(number, port), taken, limits)
            own.setdefault(number, set()).add(port.get("protocol") or "TCP")
    health = spec.get("healthCheckNodePort") or 0
    if health:
        wrong += _check("spec.healthCheckNodePort", health, f"{health}/TCP", taken, limits)
    if wrong:
        return wrong
    if wanted(spec):
        for port in ports:
            if not port.get("nodePort"):
                port["nodePort"] = _shared(port, own, taken) or _free(taken, own, limits)
                own.setdefault(port["nodePort"], set()).add(port.get("protocol") or "TCP")
    if services.needs_health_check(spec) and not health:
        spec["healthCheckNodePort"] = _free(taken, own, limits)
    return []


def _check(path: str, number: int, key: str, taken: set[str], limits: tuple[int, int]) -> list[errors.FieldError]:
    if not limits[0] <= number <= limits[1]:
        text = f"provided port is not in the valid range. The range of valid ports is {limits[0]}-{limits[1]}"
        return [fields.invalid(path, number, text)]
    return [fields.invalid(path, number, _TAKEN)] if key in taken else []


def _shared(port: dict[str, Any], own: dict[int, set[str]], taken: set[str]) -> int:
    """A number this Service has already, for another protocol: DNS on UDP and TCP likes that."""
    protocol = port.get("protocol") or "TCP"
    for number, protocols in own.items():
        if protocol not in protocols and f"{number}/{protocol}" not in taken:
            return number
    return 0


def _free(taken: set[str], own: dict[int, set[str]], limits: tuple[int, int]) -> int:
    """A random free number, from the upper band while there is one: people ask for low ones by name."""
    low, high = limits
    static = min(max(16, (high - low + 1) // 32), 128)
    busy = {int(what.partition("/")[0]) for what in taken if "/" in what} | own.keys()
    for start, end in ((low + static, high), (low, min(low + static - 1, high))):
        size = end - start + 1
        if size <= 0:
            continue
        offset = random.randrange(size)
        for step in range(size):
            number = start + (offset + step) % size
            if number not in busy:
                return number
    raise errors.internal("failed to allocate a nodePort: range is full")


def _match(port: dict[str, Any], before: objects.Object) -> dict[str, Any] | None:
    for other in before.get("ports") or ():
        if other.get("port") == port.get("port") and other.get("protocol") == port.get("protocol"):
            return dict(other)
    return None


def keep(spec: objects.Object, before: objects.Object) -> None:
    """A port that is still there keeps its node port, where the client does not mention it."""
    if not wanted(spec) or not wanted(before):
        return
    given = {_key(port["nodePort"], port) for port in spec.get("ports") or () if port.get("nodePort")}
    for port in spec.get("ports") or ():
        earlier = _match(port, before)
        if not port.get("nodePort") and earlier and earlier.get("nodePort"):
            key = _key(earlier["nodePort"], port)
            if key not in given:
                port["nodePort"] = earlier["nodePort"]
                given.add(key)


def drop_unchanged(spec: objects.Object, before: objects.Object) -> None:
    """Takes node ports away that the client only sent back."""
    old = [port.get("nodePort") or 0 for port in before.get("ports") or ()]
    if [port.get("nodePort") or 0 for port in spec.get("ports") or ()] == old:
        for port in spec.get("ports") or ():
            port.pop("nodePort", None)
