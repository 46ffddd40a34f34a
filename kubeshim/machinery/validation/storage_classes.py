"""StorageClasses and VolumeAttributesClasses."""

from collections.abc import Mapping, Sequence
from typing import Any

from kubeshim.machinery import objects
from kubeshim.machinery.errors import FieldError
from kubeshim.machinery.validation import content, fields, warnings

_PARAMETERS_LIMIT, _PARAMETERS_SIZE = 512, 256 * 1024


def storage_class(obj: objects.Object) -> list[FieldError]:
    provisioner = obj.get("provisioner") or ""
    wrong: list[FieldError] = []
    if not provisioner:
        wrong.append(fields.required("provisioner"))
    else:
        wrong += fields.all_invalid("provisioner", provisioner, content.qualified_name(provisioner.lower()))
    wrong += _parameters(obj.get("parameters") or {})
    if obj.get("reclaimPolicy") is not None:
        wrong += fields.one_of("reclaimPolicy", obj["reclaimPolicy"], ("Delete", "Retain"))
    mode = obj.get("volumeBindingMode")
    if mode is None:
        wrong.append(fields.required("volumeBindingMode"))
    else:
        wrong += fields.one_of("volumeBindingMode", mode, ("Immediate", "WaitForFirstConsumer"))
    return wrong + _topologies(obj.get("allowedTopologies") or ())


def storage_class_update(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    wrong: list[FieldError] = []
    if (obj.get("parameters") or {}) != (old.get("parameters") or {}):
        wrong.append(fields.forbidden("parameters", "updates to parameters are forbidden."))
    if obj.get("provisioner") != old.get("provisioner"):
        wrong.append(fields.forbidden("provisioner", "updates to provisioner are forbidden."))
    if obj.get("reclaimPolicy") != old.get("reclaimPolicy"):
        wrong.append(fields.forbidden("reclaimPolicy", "updates to reclaimPolicy are forbidden."))
    new = obj.get("volumeBindingMode")
    return wrong + fields.immutable("volumeBindingMode", new, old.get("volumeBindingMode"))


def _parameters(found: Mapping[str, str]) -> list[FieldError]:
    if len(found) > _PARAMETERS_LIMIT:
        return [fields.too_long("parameters", _PARAMETERS_LIMIT)]
    wrong = [fields.invalid("parameters", "", "field can not be empty.")] if "" in found else []
    if sum(len(key.encode()) + len(value.encode()) for key, value in found.items()) > _PARAMETERS_SIZE:
        wrong.append(fields.too_long("parameters", _PARAMETERS_SIZE))
    return wrong


def _topologies(terms: Sequence[Mapping[str, Any]]) -> list[FieldError]:
    """No two terms may say the same; one that says nothing counts as said before."""
    wrong: list[FieldError] = []
    before: list[dict[str, frozenset[str]]] = [{} for _ in terms]
    for index, term in enumerate(terms):
        path, said = f"allowedTopologies[{index}].matchLabelExpressions", dict[str, frozenset[str]]()
        for place, expression in enumerate(term.get("matchLabelExpressions") or ()):
            key, values = expression.get("key") or "", expression.get("values") or ()
            where = f"{path}[{place}]"
            if not values:
                wrong.append(fields.required(where + ".values"))
            for position, value in enumerate(values):
                if value in values[:position]:
                    wrong.append(fields.duplicate(f"{where}.values[{position}]", value))
            wrong += fields.all_invalid(where + ".key", key, content.qualified_name(key))
            if key in said:
                wrong.append(fields.duplicate(where + ".key", key))
            said[key] = frozenset(values)
        wrong += [fields.duplicate(path, "") for other in before if other == said]
        before.append(said)
    return wrong


def warn_storage_class(obj: objects.Object, old: objects.Object | None) -> list[str]:
    return [
        f"allowedTopologies[{index}].matchLabelExpressions[{place}]: {text}"
        for index, term in enumerate(obj.get("allowedTopologies") or ())
        for place, expression in enumerate(term.get("matchLabelExpressions") or ())
        if (text := warnings.old_label(expression.get("key") or ""))
    ]


def attributes_class(obj: objects.Object) -> list[FieldError]:
    driver, parameters = obj.get("driverName") or "", obj.get("parameters") or {}
    wrong: list[FieldError] = []
    if not driver:
        wrong.append(fields.required("driverName"))
    else:
        wrong += fields.all_invalid("driverName", driver, content.qualified_name(driver.lower()))
    wrong += _parameters(parameters)
    if not parameters:
        wrong.append(fields.required("parameters", "must contain at least one key/value pair"))
    return wrong


def attributes_class_change(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    """The object is told twice: by itself and with the change."""
    forbidden = [
        fields.forbidden(field, f"updates to {field} are forbidden.")
        for field in ("driverName", "parameters")
        if (obj.get(field) or None) != (old.get(field) or None)
    ]
    return [*attributes_class(obj), *forbidden, *attributes_class(obj)]
