"""A container's environment: Services' variables, then ``envFrom``, then ``env``, later ones winning. Pure.

``$(NAME)`` in a value sees what stands before it in ``env`` and all of ``envFrom``, else the Services' variables.
Whatever is missing and not optional stops the container with ``CreateContainerConfigError``.
"""

import base64
import dataclasses
from collections.abc import Callable, Iterable, Mapping

from kubeshim.machinery import objects
from kubeshim.machinery.objects import Object
from kubeshim.node.kubelet import env_files, expansion, field_paths, pod_spec


class ConfigProblem(Exception):
    """A container that cannot be made from its spec; ``CreateContainerConfigError`` with this message."""


Lookup = Callable[[str, str], Object | None]
"""``(kind, name)`` of the pod's namespace → the object; kind is ``ConfigMap`` or ``Secret``."""


@dataclasses.dataclass(frozen=True, slots=True)
class Sources:
    """Where values come from."""

    lookup: Lookup
    services: Iterable[Object]
    """Of the pod's namespace and the ``kubernetes`` Service, those with a cluster address."""
    node: field_paths.NodeFacts
    volumes: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Where the pod's volumes are on this machine, by name."""


def variables(pod: Object, container: Object, sources: Sources) -> dict[str, str]:
    """Raises ``ConfigProblem``."""
    found: dict[str, str] = {}
    service_values = service_variables(pod, sources.services)
    for source in container.get("envFrom") or ():
        found.update(_whole(objects.namespace(pod), source, sources.lookup))
    known = {**service_values, **found}
    for entry in container.get("env") or ():
        value = _value(pod, container, entry, known, sources)
        if value is not None:
            found[entry["name"]] = known[entry["name"]] = value
    return {**{name: value for name, value in service_values.items() if name not in found}, **found}


def _value(pod: Object, container: Object, entry: Object, known: Mapping[str, str], sources: Sources) -> str | None:
    """None where an optional key is not there."""
    reference = entry.get("valueFrom")
    if not reference:
        return expansion.expand(str(entry.get("value") or ""), known)
    try:
        if reference.get("fieldRef"):
            return field_paths.field(pod, reference["fieldRef"]["fieldPath"], sources.node)
        if reference.get("resourceFieldRef"):
            selector = reference["resourceFieldRef"]
            return field_paths.resource(pod, container["name"], selector, sources.node.allocatable)
    except field_paths.FieldProblem as problem:
        raise ConfigProblem(str(problem)) from problem
    for field, kind in (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")):
        if reference.get(field):
            return _key(objects.namespace(pod), kind, reference[field], sources.lookup)
    if reference.get("fileKeyRef"):
        return _file_key(reference["fileKeyRef"], sources.volumes)
    raise ConfigProblem(f"environment variable {entry['name']}: no supported source in valueFrom")


_PLURAL = {"ConfigMap": "configmap", "Secret": "secret"}


def _key(namespace: str, kind: str, selector: Object, lookup: Lookup) -> str | None:
    name, key, optional = selector.get("name") or "", selector["key"], bool(selector.get("optional"))
    obj = lookup(kind, name)
    if obj is None:
        if optional:
            return None
        raise ConfigProblem(f'{_PLURAL[kind]} "{name}" not found')
    data = texts(obj)
    if key not in data:
        if optional:
            return None
        raise ConfigProblem(f"couldn't find key {key} in {kind} {namespace}/{name}")
    return data[key]


def _file_key(selector: Object, volumes: Mapping[str, str]) -> str | None:
    volume, path, key = selector["volumeName"], selector["path"], selector["key"]
    root = volumes.get(volume)
    if root is None:
        raise ConfigProblem(f'cannot find the volume "{volume}" referenced by FileKeyRef')
    try:
        text = env_files.read(root, path)
        found = env_files.parse(text) if text is not None else {}
    except (env_files.BadFile, OSError) as problem:
        raise ConfigProblem(f"couldn't parse env file {path}: {problem}") from problem
    if key in found:
        return found[key]
    if selector.get("optional"):
        return None
    raise ConfigProblem(f'environment variable key "{key}" not found in file "{path}"')


def _whole(namespace: str, source: Object, lookup: Lookup) -> dict[str, str]:
    prefix = source.get("prefix") or ""
    for field, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
        reference = source.get(field)
        if not reference:
            continue
        obj = lookup(kind, reference.get("name") or "")
        if obj is None:
            if reference.get("optional"):
                return {}
            raise ConfigProblem(f'{_PLURAL[kind]} "{reference.get("name") or ""}" not found')
        return {f"{prefix}{key}": value for key, value in texts(obj).items()}
    return {}


def texts(obj: Object) -> dict[str, str]:
    """A ConfigMap's or Secret's data as environment values have it."""
    if obj.get("kind") == "Secret":
        decoded = {key: base64.b64decode(value) for key, value in (obj.get("data") or {}).items()}
        return {key: value.decode("utf-8", "replace") for key, value in decoded.items()}
    return dict(obj.get("data") or {})


def service_variables(pod: Object, services: Iterable[Object]) -> dict[str, str]:
    """``NAME_SERVICE_HOST``, ``NAME_PORT_80_TCP_ADDR`` and the rest, as Docker links had them."""
    found: dict[str, str] = {}
    every = pod_spec.spec(pod).get("enableServiceLinks") is not False
    for service in services:
        is_master = objects.namespace(service) == "default" and objects.name(service) == "kubernetes"
        same_namespace = objects.namespace(service) == objects.namespace(pod)
        if is_master or (every and same_namespace):
            found.update(_of_service(service))
    return found


def _of_service(service: Object) -> dict[str, str]:
    address = objects.dig(service, "spec", "clusterIP", default="")
    ports = objects.dig(service, "spec", "ports", default=[])
    if address in ("", "None") or not ports:
        return {}
    name = objects.name(service).upper().replace("-", "_")
    found = {f"{name}_SERVICE_HOST": address, f"{name}_SERVICE_PORT": str(ports[0]["port"])}
    for port in ports:
        if port.get("name"):
            found[f"{name}_SERVICE_PORT_{port['name'].upper().replace('-', '_')}"] = str(port["port"])
    for position, port in enumerate(ports):
        protocol = port.get("protocol") or "TCP"
        host = f"[{address}]" if ":" in address else address
        url = f"{protocol.lower()}://{host}:{port['port']}"
        if position == 0:
            found[f"{name}_PORT"] = url
        prefix = f"{name}_PORT_{port['port']}_{protocol}"
        found |= {
            prefix: url,
            f"{prefix}_PROTO": protocol.lower(),
            f"{prefix}_PORT": str(port["port"]),
            f"{prefix}_ADDR": address,
        }
    return found


def command(container: Object, known: Mapping[str, str]) -> tuple[list[str] | None, list[str] | None]:
    """Entrypoint and arguments with ``$(NAME)`` expanded; None leaves the image's."""
    words, args = container.get("command"), container.get("args")
    expanded = [expansion.expand(word, known) for word in words] if words else None
    return expanded, [expansion.expand(word, known) for word in args] if args else None
