import pytest

from kubeshim.machinery.structural import invariants

ROOT = {"type": "object"}


def said(schema):
    return [str(problem) for problem in invariants.validate(schema, "s")]


def field(node, name="x"):
    return {**ROOT, "properties": {name: node}}


@pytest.mark.parametrize(
    ("schema", "complaints"),
    [
        ({}, ["s.type: Required value: must not be empty at the root"]),
        ({"type": "string"}, ['s.type: Invalid value: "string": must be object at the root']),
        ({**ROOT, "additionalProperties": {"type": "string"}},
         ["s.additionalProperties: Forbidden: must not be used at the root"]),
        (field({}), ["s.properties[x].type: Required value: must not be empty for specified object fields"]),
        (field({"type": "array"}), ["s.properties[x].items: Required value: must be specified"]),
        (field({"type": "array", "items": {}}),
         ["s.properties[x].items.type: Required value: must not be empty for specified array items"]),
        (field({"type": "string", "pattern": "[a"}),
         ['s.properties[x].pattern: Invalid value: "[a": must be a valid regular expression, but isn\'t: '
          "error parsing regexp: missing closing ]: `[a`"]),
        (field({"x-kubernetes-int-or-string": True, "x-kubernetes-preserve-unknown-fields": True}),
         ["s.properties[x].x-kubernetes-preserve-unknown-fields: Invalid value: true: must be false if "
          "x-kubernetes-int-or-string is true"]),
        (field({"x-kubernetes-embedded-resource": True, "x-kubernetes-preserve-unknown-fields": True}),
         ["s.properties[x].type: Required value: must be object if x-kubernetes-embedded-resource is true"]),
        (field({"type": "object", "x-kubernetes-embedded-resource": True}),
         ["s.properties[x].properties: Required value: must not be empty if x-kubernetes-embedded-resource is true "
          "without x-kubernetes-preserve-unknown-fields"]),
        (field({"type": "integer"}, "kind"), ['s.properties[kind].type: Invalid value: "integer": must be string']),
        (field({"type": "object", "properties": {"labels": {"type": "object"}}}, "metadata"),
         ["s.properties[metadata]: Forbidden: must not specify anything other than name and generateName, but metadata "
          "is implicitly specified"]),
        ({**ROOT, "anyOf": [{"type": "object", "nullable": True, "description": "d", "default": {}}]},
         ["s.anyOf[0].default: Forbidden: must be undefined to be structural",
          "s.anyOf[0].description: Forbidden: must be empty to be structural",
          "s.anyOf[0].nullable: Forbidden: must be false to be structural",
          "s.anyOf[0].type: Forbidden: must be empty to be structural"]),
        ({**ROOT, "not": {"properties": {"metadata": {}}}},
         ["s.not.properties[metadata]: Forbidden: must not be specified in a nested context",
          "s.properties[metadata]: Required value: because it is defined in s.not.properties[metadata]"]),
        ({**ROOT, "oneOf": [{"required": ["a"], "properties": {"a": {"minimum": 1}}}]},
         ["s.properties[a]: Required value: because it is defined in s.oneOf[0].properties[a]"]),
    ],
)  # fmt: skip
def test_what_is_not_structural(schema, complaints):
    assert said(schema) == complaints


@pytest.mark.parametrize(
    "schema",
    [
        ROOT,
        {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        field({"x-kubernetes-int-or-string": True}),
        field({"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]}),
        field({"x-kubernetes-int-or-string": True,
               "allOf": [{"anyOf": [{"type": "integer"}, {"type": "string"}]}, {"minimum": 1}]}),
        field({"type": "object", "additionalProperties": {"type": "string"}}),
        field({"type": "object", "properties": {"name": {"type": "string", "maxLength": 5}}}, "metadata"),
        {**field({"type": "integer"}), "oneOf": [{"properties": {"x": {"minimum": 1}}}]},
        field({"type": "object", "properties": {"metadata": {"type": "array", "items": {"type": "string"}}}}),
    ],
)  # fmt: skip
def test_what_is(schema):
    assert said(schema) == []


def test_what_cannot_be_looked_at():
    below = field({"type": "array", "items": {"allOf": [{"$ref": "#/x"}]}})
    assert invariants.unreadable(below) == "OpenAPIV3Schema '$ref' is not supported"
    assert invariants.unreadable(ROOT) == ""
