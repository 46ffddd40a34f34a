"""Objects as a ``meta.k8s.io`` Table or as PartialObjectMetadata.

Three sorts of kinds: built-in ones with printed columns of their own (``rows``), other built-in ones, which
show name and creation time, and custom resources, which show their definition's columns or, without any, the age.
A column's description may refer to a field (``@core.v1.PodStatus.podIP``); the texts are looked up in the upstream
definitions the first time a kind is shown, about 12 ms, and kept.
"""

import datetime
import functools
from collections.abc import Callable, Sequence
from typing import Any

from kubeshim.machinery import objects, resources, upstream
from kubeshim.machinery.tables import cells, custom, pods, rows, storage

_NAME = resources.Column("Name", format="name", description="@meta.name")
_CREATED = resources.Column("Created At", type="date", description="@meta.creationTimestamp")
_AGE = resources.Column("Age", type="date", path=".metadata.creationTimestamp", description="@meta.creationTimestamp")
_STORAGE_CLASS = ("storage.k8s.io", "StorageClass")

SCALE = resources.Resource(
    "autoscaling",
    "v1",
    "scale",
    "Scale",
    True,
    (),
    columns=(
        resources.Column("Name", description="@meta.name"),
        resources.Column("Desired", type="integer", description="@autoscaling.v1.ScaleSpec.replicas"),
        resources.Column("Available", type="integer", description="@autoscaling.v1.ScaleStatus.replicas"),
        resources.Column("Age", description="@meta.creationTimestamp"),
    ),
)
"""Stands for the type when a ``scale`` subresource is shown as a Table."""


def columns(resource: resources.Resource) -> list[dict[str, Any]]:
    """The ``columnDefinitions`` of a type's Table. Shared between calls: not to be changed."""
    return _definitions(_shown(resource))


def table(
    resource: resources.Resource,
    objs: Sequence[objects.Object],
    *,
    now: datetime.datetime,
    include_object: str = "Metadata",
    version: str = "v1",
    default: str = "",
) -> dict[str, Any]:
    """The Table of some objects of one type; the caller fills in the list's metadata.

    ``default`` names the object that is shown as the default of its type (``default_of``).

    ``include_object`` is ``None``, ``Metadata`` or ``Object``, as the query parameter has it; ``version`` that of
    ``meta.k8s.io`` (``v1`` or ``v1beta1``).
    """
    make = _row(resource)
    if (resource.group, resource.kind) == ("flowcontrol.apiserver.k8s.io", "FlowSchema"):
        objs = sorted(objs, key=_precedence)
    return {
        "kind": "Table",
        "apiVersion": f"meta.k8s.io/{version}",
        "metadata": {},
        "columnDefinitions": columns(resource),
        "rows": [_table_row(resource, obj, _marked(make(obj, now), default), include_object, version) for obj in objs],
    }


def default_of(resource: resources.Resource, listed: Sequence[objects.Object]) -> str:
    """Which of the listed storage classes is in effect the default one; other types have none."""
    return storage.default_class(listed) if (resource.group, resource.kind) == _STORAGE_CLASS else ""


def _marked(found: cells.Cells, default: str) -> cells.Cells:
    return [f"{default} (default)", *found[1:]] if default and found[0] == default else found


def partial(obj: objects.Object, *, version: str = "v1") -> dict[str, Any]:
    """An object's metadata alone, as PartialObjectMetadata."""
    return {
        "kind": "PartialObjectMetadata",
        "apiVersion": f"meta.k8s.io/{version}",
        "metadata": obj.get("metadata") or {},
    }


def _table_row(
    resource: resources.Resource, obj: objects.Object, found: cells.Cells, include_object: str, version: str
) -> dict[str, Any]:
    row: dict[str, Any] = {"cells": found}
    if resource.kind == "Pod" and not resource.group and (conditions := pods.conditions(obj)):
        row["conditions"] = conditions
    if include_object == "Object":
        row["object"] = obj
    elif include_object == "None":
        row["object"] = None
    else:
        row["object"] = partial(obj, version=version)
    return row


def _precedence(schema: objects.Object) -> tuple[int, str]:
    """Flow schemas are listed in the order in which they are tried."""
    return cells.spec(schema).get("matchingPrecedence") or 0, objects.name(schema)


def _row(resource: resources.Resource) -> Callable[[objects.Object, datetime.datetime], cells.Cells]:
    if resource.strategy == "custom":
        return functools.partial(custom.row, _shown(resource)[1:])
    return rows.ROWS.get((resource.group, resource.kind), _name_and_creation)


def _name_and_creation(obj: objects.Object, _now: datetime.datetime) -> cells.Cells:
    return [cells.name(obj), obj["metadata"].get("creationTimestamp")]


def _shown(resource: resources.Resource) -> tuple[resources.Column, ...]:
    if resource.strategy == "custom":
        return (_NAME, *(resource.columns or (_AGE,)))
    return resource.columns or (_NAME, _CREATED)


@functools.lru_cache(maxsize=512)
def _definitions(shown: tuple[resources.Column, ...]) -> list[dict[str, Any]]:
    texts = upstream.descriptions(tuple(column.description[1:] for column in shown if column.description[:1] == "@"))
    return [
        {
            "name": column.name,
            "type": column.type,
            "format": column.format,
            "description": texts.get(column.description[1:], column.description),
            "priority": column.priority,
        }
        for column in shown
    ]
