"""pods/resize: what of a pod's resources may change while it runs. Pure."""

from typing import Any

from kubeshim.machinery import objects

_LISTS = ("containers", "initContainers")
_OWNED = ("resources", "resizePolicy")


def resized(wanted: objects.Object, spec: objects.Object) -> objects.Object:
    """``spec`` with the resources and resize policies of ``wanted``.

    Containers are taken one by one: where they are not the same ones, they are left for validation to refuse.
    """
    if any(len(wanted.get(field) or ()) != len(spec.get(field) or ()) for field in _LISTS):
        return wanted
    made = dict(spec)
    for field in _LISTS:
        if spec.get(field):
            made[field] = _containers(wanted[field], spec[field])
    made.pop("resources", None)
    if wanted.get("resources") is not None:
        made["resources"] = wanted["resources"]
    return made


def _containers(wanted: list[dict[str, Any]], old: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if [one.get("name") for one in wanted] != [one.get("name") for one in old]:
        return wanted
    return [
        {
            **{field: value for field, value in before.items() if field not in _OWNED},
            **{field: new[field] for field in _OWNED if field in new},
        }
        for new, before in zip(wanted, old, strict=True)
    ]
