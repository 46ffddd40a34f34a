import pytest

from kubeshim.machinery import schemas
from kubeshim.machinery.structural import defaulting

TEXT = {"type": "string", "default": "d"}


@pytest.mark.parametrize(
    ("node", "value", "filled"),
    [
        ({"properties": {"a": TEXT}}, {}, {"a": "d"}),
        ({"properties": {"a": TEXT}}, {"a": "x"}, {"a": "x"}),
        ({"properties": {"a": TEXT}}, {"a": None}, {"a": "d"}),
        ({"properties": {"a": {**TEXT, "nullable": True}}}, {"a": None}, {"a": None}),
        ({"properties": {"a": {"type": "boolean", "default": False}}}, {}, {"a": False}),
        ({"properties": {"o": {"type": "object", "properties": {"a": TEXT}}}}, {}, {}),
        ({"properties": {"o": {"type": "object", "default": {}, "properties": {"a": TEXT}}}}, {}, {"o": {"a": "d"}}),
        ({"properties": {"l": {"type": "array", "items": {"type": "object", "properties": {"a": TEXT}}}}},
         {"l": [{}, {"a": "x"}]}, {"l": [{"a": "d"}, {"a": "x"}]}),
        ({"properties": {"l": {"type": "array", "items": TEXT}}}, {"l": [None, "x"]}, {"l": ["d", "x"]}),
        ({"properties": {"m": {"additionalProperties": {"type": "object", "properties": {"a": TEXT}}}}},
         {"m": {"k": {}}}, {"m": {"k": {"a": "d"}}}),
        ({"properties": {"m": {"type": "object", "additionalProperties": {"type": "string"}}}},
         {"m": {"k": None, "j": "x"}}, {"m": {"j": "x"}}),
    ],
)  # fmt: skip
def test_fills_in(node, value, filled):
    defaulting.compile_defaults(schemas.from_structural({"type": "object", **node}))(value)
    assert value == filled


def test_values_are_not_shared():
    schema = schemas.from_structural({"type": "object", "properties": {"l": {"type": "array", "default": [1]}}})
    fill = defaulting.compile_defaults(schema)
    one, other = {}, {}
    fill(one)
    fill(other)
    one["l"].append(2)
    assert other == {"l": [1]}


def test_nothing_to_do():
    assert defaulting.compile_defaults(schemas.from_structural({"type": "object", "properties": {"a": {}}})) is None
