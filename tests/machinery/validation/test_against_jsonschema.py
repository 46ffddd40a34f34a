"""The walkers against ``jsonschema`` on the restored definitions: of any object of any kind both say the same.

Types are ``decoding``'s, required fields ``required``'s. Enumerations are not looked at: the restored definitions have
those that upstream publishes, and the kinds' own rules judge them, in their own words. What Go's decoder does otherwise
than JSON Schema is said by ``RESTATED`` (definitions whose JSON is not what they publish), ``FORMATS`` (which
jsonschema leaves to its user) and the two functions after them.
"""

import base64
import binascii
import copy
import functools
import random
import re

import hypothesis
import jsonschema
import pytest
from hypothesis import strategies

from kubeshim import clock
from kubeshim.machinery import builtin, errors, quantity, schemas, upstream
from kubeshim.machinery.validation import decoding, required
from tests.machinery import random_objects

KINDS = sorted({resource.gvk for resource in builtin.load()})
few = hypothesis.settings(max_examples=60, derandomize=True)

_EXTENSIONS = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1."
RESTATED = {
    upstream.QUANTITY: {"type": ["string", "number"], "format": "quantity"},
    upstream.INT_OR_STRING: {"type": ["string", "integer"]},
    # Whatever JSON there is, is kept.
    "io.k8s.apimachinery.pkg.runtime.RawExtension": {},
    "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1": {},
    **{
        _EXTENSIONS + name: {}
        for name in ("JSON", "JSONSchemaPropsOrArray", "JSONSchemaPropsOrBool", "JSONSchemaPropsOrStringArray")
    },
}
FORMATS = jsonschema.FormatChecker(formats=())


@FORMATS.checks("int32")
def _int32(value):
    return not isinstance(value, int) or -(2**31) <= value < 2**31


@FORMATS.checks("int64")
def _int64(value):
    return not isinstance(value, int) or -(2**63) <= value < 2**63


@FORMATS.checks("byte", raises=(binascii.Error, ValueError))
def _byte(value):
    return not isinstance(value, str) or base64.b64decode(value, validate=True) is not None


@FORMATS.checks("date-time", raises=ValueError)
def _time(value):
    return not isinstance(value, str) or clock.parse_rfc3339(value) is not None


@FORMATS.checks("quantity", raises=quantity.FormatError)
def _quantity(value):
    return isinstance(value, bool) or quantity.parse(value if isinstance(value, str) else repr(value)) is not None


def without_nulls(value):
    """To Go's decoder null is nothing, in a struct as in a list or map of structs and texts."""
    if isinstance(value, dict):
        return {key: without_nulls(child) for key, child in value.items() if child is not None}
    return [without_nulls(child) for child in value if child is not None] if isinstance(value, list) else value


def without_blanks(value, schema):
    """An empty text where one is required is as good as none."""
    if schema.kind == "object" and isinstance(value, dict):
        return {
            key: without_blanks(child, schema.properties[key]) if key in schema.properties else child
            for key, child in value.items()
            if not (child == "" and key in schema.required)
        }
    inner = schema.items if schema.kind == "array" else schema.values
    if schema.kind == "array" and inner is not None:
        return [without_blanks(child, inner) for child in value]
    if schema.kind == "map" and inner is not None:
        return {key: without_blanks(child, inner) for key, child in value.items()}
    return value


@functools.cache
def definitions():
    found = copy.deepcopy(upstream.v2())
    found.update(RESTATED)
    return found


@functools.cache
def oracle(name):
    whole = {"definitions": definitions(), "$ref": f"#/definitions/{name}"}
    kind = jsonschema.validators.extend(
        jsonschema.Draft7Validator,
        # A float is no integer to Go, however whole; true is no number.
        type_checker=jsonschema.Draft7Validator.TYPE_CHECKER.redefine(
            "integer", lambda checker, value: isinstance(value, int) and not isinstance(value, bool)
        ),
    )
    return kind(whole, format_checker=FORMATS)


def problems(obj, name):
    """``(validator, path)`` of each of the oracle's errors; of a missing field the path is the field's."""
    for error in oracle(name).iter_errors(obj):
        path = list(error.absolute_path)
        if error.validator == "required":
            path.append(re.match(r"'(.*)' is a required property", error.message)[1])
        yield error.validator, path


WRONG = (
    None,
    True,
    0,
    -1,
    1.5,
    3.0,
    2**31,
    2**63,
    "x",
    "",
    "1",
    [],
    ["x"],
    [1],
    {},
    {"a": "b"},
    {"a": 1},
    [{}],
    "2026",
)


def mutated(obj, rng):
    """The object with some values taken out or put in the place of others."""
    obj = copy.deepcopy(obj)
    places = list(_places(obj))
    for parent, key in rng.sample(places, min(len(places), rng.randint(0, 3))):
        if isinstance(parent, dict) and rng.random() < 0.4:
            parent.pop(key, None)
        else:
            parent[key] = copy.deepcopy(rng.choice(WRONG))
    return obj


def _places(value):
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, child in pairs:
        if key not in ("apiVersion", "kind"):
            yield value, key
        if isinstance(child, (dict, list)):
            yield from _places(child)


@pytest.mark.parametrize("gvk", KINDS, ids=lambda gvk: f"{gvk.group_version} {gvk.kind}")
@few
@hypothesis.given(seed=strategies.integers(0, 2**32))
def test_a_kind(gvk, seed):
    schema, name = schemas.definitions().schema(gvk), schemas.definitions().name(gvk)
    rng = random.Random(seed)
    random_obj = random_objects.of(schema, seed, rng.choice((0.1, 0.2, 0.4)))
    obj = mutated({"apiVersion": gvk.group_version, "kind": gvk.kind, **random_obj}, rng)
    wrong = [found for found in problems(without_nulls(obj), name) if found[0] in ("type", "format")]
    try:
        decoding.decode(obj, schema, gvk)
    except errors.BadRequest as refusal:
        assert wrong, f"only decoding refuses: {refusal.message}"
        return
    assert not wrong
    said = without_blanks(without_nulls(obj), schema)
    expected = {
        place(schema, path)
        for validator, path in problems(said, name)
        if validator == "required" and path[0] not in ("metadata", "status") and not _lenient(schema, path)
    }
    assert {problem.field for problem in required.validate(obj, schema)} == expected


def step_into(schema, step):
    return schema.properties[step] if schema.kind == "object" else schema.items or schema.values


def place(schema, path):
    """``spec.containers[0].env[a]``, as field errors say it."""
    text = ""
    for step in path:
        text += (f".{step}" if text else step) if schema.kind == "object" else f"[{step}]"
        schema = step_into(schema, step)
    return text


def _lenient(schema, path):
    """A list that is required may be empty, which is missing; false may be left out."""
    return functools.reduce(step_into, path, schema).kind in ("array", "boolean")
