"""What stands in annotations of a node since before it had fields for it: taints, and pods it would rather not have."""

from typing import Any

import orjson

from kubeshim.machinery import objects
from kubeshim.machinery.codecs import json_scanner
from kubeshim.machinery.errors import FieldError
from kubeshim.machinery.validation import fields, scheduling

_TAINTS, _AVOIDED = (f"scheduler.alpha.kubernetes.io/{name}" for name in ("taints", "preferAvoidPods"))
_PATH = "metadata.annotations"
_KINDS = {dict: "object", list: "array", str: "string", bool: "bool", int: "number", float: "number"}


def validate(obj: objects.Object) -> list[FieldError]:
    found = objects.annotations(obj)
    return _taints(found.get(_TAINTS) or "") + _avoided(found.get(_AVOIDED) or "")


def _taints(text: str) -> list[FieldError]:
    value, problem = _parsed(text, list, "[]core.Taint")
    if problem:
        return [fields.invalid(_PATH, _TAINTS, problem)]
    return scheduling.taints(value or (), f"{_PATH}.{_TAINTS}")


def _avoided(text: str) -> list[FieldError]:
    value, problem = _parsed(text, dict, "v1.AvoidPods")
    if problem:
        return [fields.invalid(f"{_PATH}.AvoidPods", _AVOIDED, problem)]
    wrong: list[FieldError] = []
    for index, entry in enumerate((value or {}).get("preferAvoidPods") or ()):
        path = f"{_PATH}.{_AVOIDED}[{index}].PodSignature"
        owner = (entry.get("podSignature") or {}).get("podController")
        if owner is None:
            wrong.append(fields.required(path))
        elif not owner.get("controller"):
            text = "must point to a controller"
            wrong.append(fields.invalid(f"{path}.PodController.Controller", False, text))
    return wrong


def _parsed(text: str, kind: type, named: str) -> tuple[Any, str]:
    """The JSON of an annotation, and what Go says when it cannot be read as that."""
    if not text:
        return None, ""
    try:
        json_scanner.scan(text.encode())
        value = orjson.loads(text)
    except ValueError as error:
        return None, str(error)
    if value is None or isinstance(value, kind):
        return value, ""
    return None, f"json: cannot unmarshal {_KINDS[type(value)]} into Go value of type {named}"
