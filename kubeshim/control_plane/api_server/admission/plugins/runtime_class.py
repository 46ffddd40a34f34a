"""RuntimeClass: what the class says of overhead and placement becomes part of the pod."""

from typing import Any

from kubeshim.control_plane.api_server.admission import plugin, refusals
from kubeshim.machinery import objects, quantity, resources

_CLASSES = resources.GroupVersionResource("node.k8s.io", "v1", "runtimeclasses")


class RuntimeClass:
    resources = frozenset(("pods",))

    def admit(self, attributes: plugin.Attributes, reader: plugin.Reader) -> None:
        found = _class(attributes, reader)
        if found is None or attributes.object is None:
            return
        spec = attributes.object["spec"]
        overhead = _fixed(found)
        if overhead is not None:
            if spec.get("overhead") is not None and not _same(overhead, spec["overhead"]):
                raise refusals.forbidden(attributes, _MISMATCH)
            spec["overhead"] = dict(overhead)
        scheduling = found.get("scheduling")
        if scheduling:
            _place(attributes, spec, scheduling)

    def validate(self, attributes: plugin.Attributes, reader: plugin.Reader) -> None:
        found = _class(attributes, reader)
        if attributes.object is None or attributes.subresource or attributes.operation != "CREATE":
            return
        given = attributes.object["spec"].get("overhead")
        overhead = _fixed(found) if found else None
        if overhead is not None:
            if not _same(overhead, given or {}):
                raise refusals.forbidden(attributes, _MISMATCH)
        elif given is not None:
            raise refusals.forbidden(
                attributes, "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"
            )


_MISMATCH = "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead"


def _class(attributes: plugin.Attributes, reader: plugin.Reader) -> objects.Object | None:
    """The class a new pod names. Raises 403 where there is none of that name."""
    if attributes.operation != "CREATE" or attributes.subresource or attributes.object is None:
        return None
    name = attributes.object["spec"].get("runtimeClassName")
    if name is None:
        return None
    found = reader.get(_CLASSES, "", name)
    if found is None:
        raise refusals.forbidden(attributes, f'pod rejected: RuntimeClass "{name}" not found')
    return found


def _fixed(found: objects.Object) -> dict[str, Any] | None:
    """The overhead, None where the class has none at all."""
    overhead = found.get("overhead")
    return None if overhead is None else overhead.get("podFixed") or {}


def _same(left: dict[str, Any], right: dict[str, Any]) -> bool:
    return left.keys() == right.keys() and all(quantity.parse(left[k]) == quantity.parse(right[k]) for k in left)


def _place(attributes: plugin.Attributes, spec: dict[str, Any], scheduling: dict[str, Any]) -> None:
    wanted = spec.get("nodeSelector") or {}
    for key, value in (scheduling.get("nodeSelector") or {}).items():
        if wanted.get(key, value) != value:
            raise refusals.forbidden(
                attributes,
                f"conflict: runtimeClass.scheduling.nodeSelector[{key}] = {value}; "
                f"pod.spec.nodeSelector[{key}] = {wanted[key]}",
            )
        wanted = {**wanted, key: value}
    if wanted:
        spec["nodeSelector"] = wanted
    tolerations = _merged(spec.get("tolerations") or [], scheduling.get("tolerations") or [])
    if tolerations:
        spec["tolerations"] = tolerations


def _merged(first: list[dict[str, Any]], second: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Both lists without those that another toleration says already, or says more widely."""
    everything = [*first, *second]
    kept: list[dict[str, Any]] = []
    for index, one in enumerate(everything):
        if any(_superset(other, one) for other in kept):
            continue
        if any(one != other and _superset(other, one) for other in everything[index + 1 :]):
            continue
        kept.append(one)
    return kept


def _superset(wide: dict[str, Any], narrow: dict[str, Any]) -> bool:
    """Whether ``wide`` tolerates whatever ``narrow`` does."""
    if wide == narrow:
        return True
    if (wide.get("key") or "") != (narrow.get("key") or "") and not (not wide.get("key") and _exists(wide)):
        return False
    if wide.get("effect") and wide.get("effect") != narrow.get("effect"):
        return False
    if wide.get("effect") == "NoExecute":
        longest, asked = wide.get("tolerationSeconds"), narrow.get("tolerationSeconds")
        if longest is not None and (asked is None or longest < asked):
            return False
    if _exists(wide):
        return True
    both_equal = wide.get("operator") in (None, "", "Equal") and narrow.get("operator") == "Equal"
    return both_equal and (wide.get("value") or "") == (narrow.get("value") or "")


def _exists(toleration: dict[str, Any]) -> bool:
    return toleration.get("operator") == "Exists"
