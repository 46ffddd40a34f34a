"""Messages whose JSON is not an object of their fields: quantities, times, raw JSON, one-of-two shapes.

Each is a pair of functions between the message's own fields (a dict by field name, as the plain walk reads it)
and the JSON value. ``OMIT`` stands for Go's zero value, where JSON has nothing or null.
"""

import calendar
import datetime
from collections.abc import Callable
from typing import Any

import orjson

from kubeshim import clock
from kubeshim.machinery.codecs import json

OMIT = object()

Fields = dict[str, Any]


def _quantity_in(fields: Fields) -> Any:
    return fields.get("string") or "0"


def _quantity_out(value: Any) -> Fields:
    return {"string": value if isinstance(value, str) else str(value)}


def _int_or_string_in(fields: Fields) -> Any:
    return fields.get("strVal", "") if fields.get("type") else fields.get("intVal", 0)


def _int_or_string_out(value: Any) -> Fields:
    if isinstance(value, str):
        return {"type": 1, "intVal": 0, "strVal": value}
    return {"type": 0, "intVal": value, "strVal": ""}


def _moment(fields: Fields) -> datetime.datetime:
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    try:
        return epoch + datetime.timedelta(seconds=fields.get("seconds", 0), microseconds=fields.get("nanos", 0) // 1000)
    except OverflowError:
        raise ValueError("time is out of range") from None


def _time_in(fields: Fields) -> Any:
    return clock.rfc3339(_moment(fields)) if fields else OMIT


def _micro_time_in(fields: Fields) -> Any:
    return clock.rfc3339_micro(_moment(fields)) if fields else OMIT


def _time_out(value: Any) -> Fields:
    return {"seconds": calendar.timegm(clock.parse_rfc3339(value).utctimetuple()), "nanos": 0}


def _micro_time_out(value: Any) -> Fields:
    moment = clock.parse_rfc3339(value)
    return {"seconds": calendar.timegm(moment.utctimetuple()), "nanos": moment.microsecond * 1000}


def _raw_in(fields: Fields) -> Any:
    raw = fields.get("raw") or fields.get("Raw")
    return orjson.loads(raw) if raw else OMIT


def _raw_out(value: Any) -> Fields:
    # clients compare these bytes with what their own encoder makes
    return {"raw": json.encode(value)}


def _items_in(fields: Fields) -> Any:
    return fields.get("items", [])


def _items_out(value: Any) -> Fields:
    return {"items": value}


def _or_bool_in(fields: Fields) -> Any:
    return fields["schema"] if "schema" in fields else bool(fields.get("allows"))


def _or_bool_out(value: Any) -> Fields:
    return {"allows": value} if isinstance(value, bool) else {"allows": True, "schema": value}


def _or_array_in(fields: Fields) -> Any:
    return fields["jSONSchemas"] if fields.get("jSONSchemas") else fields.get("schema", OMIT)


def _or_array_out(value: Any) -> Fields:
    return {"jSONSchemas": value} if isinstance(value, list) else {"schema": value}


def _or_strings_in(fields: Fields) -> Any:
    return fields["property"] if fields.get("property") else fields.get("schema", OMIT)


def _or_strings_out(value: Any) -> Fields:
    return {"property": value} if isinstance(value, list) else {"schema": value}


Converters = tuple[Callable[[Fields], Any], Callable[[Any], Fields]]

_META = "k8s.io.apimachinery.pkg.apis.meta.v1."
_EXTENSIONS = "k8s.io.apiextensions_apiserver.pkg.apis.apiextensions."

TABLE: dict[str, Converters] = {
    "k8s.io.apimachinery.pkg.api.resource.Quantity": (_quantity_in, _quantity_out),
    "k8s.io.apimachinery.pkg.util.intstr.IntOrString": (_int_or_string_in, _int_or_string_out),
    "k8s.io.apimachinery.pkg.runtime.RawExtension": (_raw_in, _raw_out),
    _META + "Time": (_time_in, _time_out),
    _META + "MicroTime": (_micro_time_in, _micro_time_out),
    _META + "FieldsV1": (_raw_in, lambda value: {"Raw": orjson.dumps(value)}),
    _META + "Verbs": (_items_in, _items_out),
    "k8s.io.api.authentication.v1.AttestationValue": (_items_in, _items_out),
    **{
        f"k8s.io.api.{group}.{version}.ExtraValue": (_items_in, _items_out)
        for group in ("authentication", "authorization", "certificates")
        for version in ("v1", "v1beta1")
    },
    **{
        f"{_EXTENSIONS}{version}.{name}": converters
        for version in ("v1", "v1beta1")
        for name, converters in (
            ("JSON", (_raw_in, _raw_out)),
            ("JSONSchemaPropsOrBool", (_or_bool_in, _or_bool_out)),
            ("JSONSchemaPropsOrArray", (_or_array_in, _or_array_out)),
            ("JSONSchemaPropsOrStringArray", (_or_strings_in, _or_strings_out)),
        )
    },
}
KEEP_BYTES = frozenset(("raw", "Raw"))
"""Bytes fields that a converter wants as they are, not in base64."""
