"""Cells of custom resources: what a column's JSONPath finds, in the column's type."""

import datetime
from typing import Any

import orjson

from kubeshim.machinery import jsonpath, objects, resources
from kubeshim.machinery.tables import cells, durations


def row(columns: tuple[resources.Column, ...], obj: objects.Object, now: datetime.datetime) -> cells.Cells:
    """The name, then a cell a column; a column that finds nothing, or not its type, is null."""
    return [cells.name(obj), *(cell(column, obj, now) for column in columns)]


def cell(column: resources.Column, obj: objects.Object, now: datetime.datetime) -> Any:
    found = jsonpath.compile_path(column.path)(obj)
    if not found:
        return None
    value = found[0]
    match column.type:
        case "string":
            return _text(value)
        case "integer":
            return int(value) if _is_number(value) else None
        case "number":
            return float(value) if _is_number(value) else None
        case "boolean":
            return value if isinstance(value, bool) else None
        case "date":
            return _date(value, now)
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    return orjson.dumps(value).decode()


def _date(value: Any, now: datetime.datetime) -> str | None:
    if not isinstance(value, str):
        return None
    try:
        return durations.human(now - durations.moment(value))
    except ValueError:
        return "<invalid>"
