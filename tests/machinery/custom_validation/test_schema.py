import pytest

from kubeshim.machinery import errors
from kubeshim.machinery.custom_validation import schema

IP = {"type": "string", "format": "ipv4"}
CHOICE = [{"required": ["a"]}, {"required": ["b"]}]


def complaints(node, value, **options):
    return [str(found) for found in schema.validate(schema.Node(node), value, **options)]


def at(node):
    """A field ``x`` of that schema."""
    return {"type": "object", "properties": {"x": node}}


@pytest.mark.parametrize(
    ("node", "value", "said"),
    [
        ({"type": "integer"}, "a", 'Invalid value: "string": x in body must be of type integer: "string"'),
        ({"type": "integer"}, 1.5, 'Invalid value: "number": x in body must be of type integer: "number"'),
        ({"type": "integer"}, True, 'Invalid value: "boolean": x in body must be of type integer: "boolean"'),
        ({"type": "string"}, None, 'Invalid value: "null": x in body must be of type string: "null"'),
        ({"type": "object"}, [], 'Invalid value: "array": x in body must be of type object: "array"'),
        ({"type": "array", "items": {}}, {}, 'Invalid value: "object": x in body must be of type array: "object"'),
        ({"x-kubernetes-int-or-string": True}, 1.5,
         'Invalid value: "number": x in body must be of type integer,string: "number"'),
        ({"type": "string", "maxLength": 2}, "abc", "Too long: may not be more than 2 bytes"),
        ({"type": "string", "minLength": 2}, "a", 'Invalid value: "a": x in body should be at least 2 chars long'),
        ({"type": "string", "pattern": r"^\d+$"}, "a", r"""Invalid value: "a": x in body should match '^\d+$'"""),
        (IP, "1.2.3", 'Invalid value: "1.2.3": x in body must be of type ipv4: "1.2.3"'),
        ({"type": "integer", "maximum": 3}, 4, "Invalid value: 4: x in body should be less than or equal to 3"),
        ({"type": "integer", "maximum": 3, "exclusiveMaximum": True}, 3,
         "Invalid value: 3: x in body should be less than 3"),
        ({"type": "number", "minimum": 0.5}, 0.25,
         "Invalid value: 0.25: x in body should be greater than or equal to 0.5"),
        ({"type": "integer", "minimum": 0, "exclusiveMinimum": True}, 0,
         "Invalid value: 0: x in body should be greater than 0"),
        ({"type": "integer", "multipleOf": 3}, 4, "Invalid value: 4: x in body should be a multiple of 3"),
        ({"type": "number", "multipleOf": 0.01}, 1e308,
         "Invalid value: 1e+308: x in body should be a multiple of 0.01"),
        ({"enum": ["a", 2, None]}, "b", 'Unsupported value: "b": supported values: "a", "2", "null"'),
        ({"enum": ["a"]}, None, 'Unsupported value: null: supported values: "a"'),
        ({"type": "array", "items": {}, "minItems": 1}, [], "Invalid value: 0: x in body should have at least 1 items"),
        ({"type": "array", "items": {}, "maxItems": 1}, [1, 2], "Too many: 2: must have at most 1 item"),
        ({"type": "object", "minProperties": 1}, {}, "Invalid value: 0: x in body should have at least 1 properties"),
        ({"type": "object", "maxProperties": 1}, {"a": 1, "b": 2}, "Too many: 2: must have at most 1 item"),
    ],
)  # fmt: skip
def test_one_rule_each(node, value, said):
    assert complaints(at(node), {"x": value}) == [f"x: {said}"]


@pytest.mark.parametrize(
    ("node", "value"),
    [
        ({"type": "integer"}, 3), ({"type": "integer"}, 3.0), ({"type": "number"}, 3), ({"type": "string"}, ""),
        ({"type": "string", "nullable": True}, None), ({"x-kubernetes-int-or-string": True}, "http"), (IP, "1.2.3.4"),
        ({"type": "integer", "format": "int32"}, 1 << 40), ({"type": "string", "format": "unknown"}, "x"),
        ({"enum": [1]}, 1.0), ({"type": "object", "additionalProperties": {"type": "string"}}, {"a": "b"}),
    ],
)  # fmt: skip
def test_what_is_right(node, value):
    assert complaints(at(node), {"x": value}) == []


@pytest.mark.parametrize(
    ("node", "value", "said"),
    [
        ({"oneOf": CHOICE}, {}, [
            '<nil>: Invalid value: "": "x" must validate one and only one schema (oneOf). Found none valid',
            "x.a: Required value",
        ]),
        ({"oneOf": CHOICE}, {"a": 1, "b": 1}, [
            '<nil>: Invalid value: "": "x" must validate one and only one schema (oneOf). Found 2 valid alternatives',
        ]),
        ({"anyOf": CHOICE}, {}, [
            '<nil>: Invalid value: "": "x" must validate at least one schema (anyOf)', "x.a: Required value",
        ]),
        ({"allOf": CHOICE}, {"a": 1}, [
            "x.b: Required value", '<nil>: Invalid value: "": "x" must validate all the schemas (allOf)',
        ]),
        ({"not": {"required": ["a"]}}, {"a": 1}, [
            '<nil>: Invalid value: "": "x" must not validate the schema (not)',
        ]),
        ({"anyOf": [{"minimum": 5}, {"maximum": 1}]}, 3, [
            '<nil>: Invalid value: "": "x" must validate at least one schema (anyOf)',
            "x: Invalid value: 3: x in body should be greater than or equal to 5",
        ]),
    ],
)  # fmt: skip
def test_combinations(node, value, said):
    assert complaints(at(node), {"x": value}) == said


def test_paths_of_elements_members_and_parts():
    node = at({"type": "array", "items": {"type": "object", "additionalProperties": {"type": "string"}}})
    assert complaints(node, {"x": [{}, {"k": 1}]}) == [
        'x[1].k: Invalid value: "integer": x[1].k in body must be of type string: "integer"'
    ]
    assert complaints({"type": "string"}, 3, prefix="spec.default") == [
        'spec.default: Invalid value: "integer":  in body must be of type string: "integer"'
    ]


def test_causes_have_upstreams_reasons():
    node = at({"type": "object", "required": ["a"], "properties": {"b": {"enum": ["x"]}, "c": {"type": "string"}}})
    found = schema.validate(schema.Node(node), {"x": {"b": "y", "c": 1}})
    assert [(problem.field, problem.reason) for problem in found] == [
        ("x.b", "FieldValueNotSupported"), ("x.c", "FieldValueTypeInvalid"), ("x.a", "FieldValueRequired"),
    ]  # fmt: skip
    assert all(isinstance(problem, errors.FieldError) for problem in found)


ITEMS = {"type": "array", "items": {"type": "object", "properties": {"n": {"type": "string"}, "v": {"maximum": 3}}}}
KEYED = {**ITEMS, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["n"]}


@pytest.mark.parametrize(
    ("node", "old", "new", "wrong"),
    [
        ({"maximum": 3}, 9, 9, False),
        ({"maximum": 3}, 9, 8, True),
        ({"maximum": 3}, schema.NOTHING, 9, True),
        (KEYED, [{"n": "a", "v": 9}], [{"n": "b", "v": 1}, {"n": "a", "v": 9}], False),
        (KEYED, [{"n": "a", "v": 9}], [{"n": "b", "v": 9}], True),
        (ITEMS, [{"n": "a", "v": 9}], [{"n": "b", "v": 1}, {"n": "a", "v": 9}], True),
        (ITEMS, [{"n": "a", "v": 9}], [{"n": "a", "v": 9}], False),
        ({**KEYED, "maxItems": 1}, [{"n": "a"}, {"n": "b"}], [{"n": "b"}, {"n": "a"}], False),
        ({**KEYED, "maxItems": 1}, [{"n": "a"}, {"n": "b"}], [{"n": "b"}, {"n": "a", "v": 1}], True),
        ({**ITEMS, "maxItems": 1}, [{"n": "a"}, {"n": "b"}], [{"n": "b"}, {"n": "a"}], True),
    ],
)
def test_what_has_not_changed_is_not_judged(node, old, new, wrong):
    before = {} if old is schema.NOTHING else {"x": old}
    assert bool(complaints(at(node), {"x": new, "y": 1}, old=before)) == wrong
