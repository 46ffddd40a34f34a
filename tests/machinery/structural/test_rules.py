import pytest

from kubeshim.machinery.structural import defaults, field_paths, rules

MAP = {"type": "array", "x-kubernetes-list-type": "map"}
KEYED = {**MAP, "x-kubernetes-list-map-keys": ["k"]}
ITEM = {"type": "object", "required": ["k"], "properties": {"k": {"type": "string"}}}


def field(node, name="x"):
    return {"type": "object", "properties": {name: node}}


@pytest.mark.parametrize(
    ("node", "complaints"),
    [
        ({"type": "null"},
         ['type: Unsupported value: "null": supported values: "array", "boolean", "integer", "number", "object", '
          '"string"', "type: Forbidden: type cannot be set to null, use nullable as an alternative"]),
        ({"$ref": "#/x"}, ["$ref: Forbidden: $ref is not supported"]),
        ({"uniqueItems": True},
         ["uniqueItems: Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes quadratic"]),
        ({"properties": {"a": {}}, "additionalProperties": {}},
         ["additionalProperties: Forbidden: additionalProperties and properties are mutual exclusive"]),
        ({"items": [{}]}, ["items: Forbidden: items must be a schema object and not an array"]),
        ({"x-kubernetes-preserve-unknown-fields": False},
         ["x-kubernetes-preserve-unknown-fields: Invalid value: false: must be true or undefined"]),
        ({"type": "object", "x-kubernetes-list-type": "set"},
         ['type: Invalid value: "object": must be array if x-kubernetes-list-type is specified']),
        ({"x-kubernetes-map-type": "atomic"},
         ["type: Required value: must be object if x-kubernetes-map-type is specified"]),
        ({"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "bag"},
         ['x-kubernetes-list-type: Unsupported value: "bag": supported values: "atomic", "set", "map"']),
        ({"type": "array", "items": {"type": "object"}, "x-kubernetes-list-type": "set"},
         ['items.x-kubernetes-map-type: Invalid value: null: must be atomic as item of a list with '
          "x-kubernetes-list-type=set"]),
        ({**MAP, "items": ITEM},
         ["x-kubernetes-list-map-keys: Required value: must not be empty if x-kubernetes-list-type is map"]),
        (KEYED, ["items: Required value: must have a schema if x-kubernetes-list-type is map"]),
        ({**KEYED, "items": {"type": "string"}},
         ['items.type: Invalid value: "string": must be object if parent array\'s x-kubernetes-list-type is map']),
        ({**KEYED, "items": {"type": "object"}},
         ['x-kubernetes-list-map-keys: Invalid value: ["k"]: entries must all be names of item properties']),
        ({**KEYED, "items": {**ITEM, "required": []}},
         ["items.properties[k].default: Required value: this property is in x-kubernetes-list-map-keys, so it must "
          "have a default or be a required property"]),
        ({**KEYED, "items": {**ITEM, "nullable": True}},
         ["items.nullable: Forbidden: cannot be nullable when x-kubernetes-list-type is map"]),
        ({"type": "array", "items": {}, "x-kubernetes-list-map-keys": ["k"]},
         ["x-kubernetes-list-type: Required value: must be map if x-kubernetes-list-map-keys is non-empty"]),
        ({"x-kubernetes-validations": [{"rule": " "}]},
         ["x-kubernetes-validations[0].rule: Required value: rule is not specified"]),
        ({"x-kubernetes-validations": [{"rule": "a\nb", "reason": "X", "fieldPath": ".q"}]},
         ["x-kubernetes-validations[0].message: Required value: message must be specified if rule contains line breaks",
          'x-kubernetes-validations[0].reason: Unsupported value: "X": supported values: "FieldValueDuplicate", '
          '"FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"',
          'x-kubernetes-validations[0].fieldPath: Invalid value: ".q": fieldPath must be a valid path']),
    ],
)  # fmt: skip
def test_one_place(node, complaints):
    found = [str(problem) for problem in rules.validate(field(node), "s")]
    assert found == [f"s.properties[x].{text}" for text in complaints]


def test_defaults_in_metadata():
    root = field({"type": "string", "default": "Foo"}, "kind")
    assert [str(problem) for problem in rules.validate(root, "s")] == [
        "s.properties[kind].default: Forbidden: must not be set in top-level kind"
    ]


@pytest.mark.parametrize(
    ("node", "complaints"),
    [
        ({"type": "string", "default": "a"}, []),
        ({"type": "string", "default": 1},
         ['s.properties[x].default: Invalid value: "integer":  in body must be of type string: "integer"']),
        ({"type": "integer", "maximum": 3, "default": 4},
         ["s.properties[x].default: Invalid value: 4:  in body should be less than or equal to 3"]),
        ({"type": "object", "default": {"a": 1}},
         ['s.properties[x].default: Invalid value: {"a":1}: must not have unknown fields']),
        ({"type": "object", "default": {"a": "b"}, "properties": {"a": {"enum": ["c"]}}},
         ['s.properties[x].default.a: Unsupported value: "b": supported values: "c"']),
        ({"type": "object", "additionalProperties": {"type": "string", "default": 1}}, []),
    ],
)  # fmt: skip
def test_defaults_must_fit(node, complaints):
    assert [str(problem) for problem in defaults.validate(field(node), "s")] == complaints


def test_defaults_make_sound_metadata():
    def told(name, node):
        within = {"type": "object", "x-kubernetes-embedded-resource": True, "properties": {name: node}}
        return [str(problem) for problem in defaults.validate(field(within), "s")]

    assert told("kind", {"type": "string", "default": "Pod"}) == []
    assert told("apiVersion", {"type": "string", "default": "a/b/c"}) == [
        's.properties[x].properties[apiVersion].default: Invalid value: "a/b/c": must result in valid metadata: '
        'apiVersion: Invalid value: "a/b/c": unexpected GroupVersion string: a/b/c'
    ]
    finalizers = {"type": "array", "items": {"type": "string", "default": "a b"}}
    (text,) = told("metadata", {"type": "object", "properties": {"finalizers": finalizers}})
    assert '.default: Invalid value: "a b": must result in valid metadata: metadata.finalizers' in text


def test_defaults_keep_the_rules():
    rules = [
        {"rule": "self.a < 3"},
        {"rule": "self.a > oldSelf.a"},
        {"rule": "oldSelf.hasValue()", "optionalOldSelf": True},
    ]
    node = {"type": "object", "properties": {"a": {"type": "integer"}}, "default": {"a": 5}}

    def told(*chosen):
        schema = field({**node, "x-kubernetes-validations": [rules[index] for index in chosen]})
        return [str(problem).split(": ", 2)[2] for problem in defaults.validate(schema, "s")]

    assert told(0, 1) == ["failed rule: self.a < 3", "failed rule: self.a > oldSelf.a"]
    assert told(2) == ["failed rule: oldSelf.hasValue()"]


SPEC = field(
    {"type": "object", "properties": {"color": {"type": "string"}, "m": {"additionalProperties": ITEM}}}, "spec"
)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (".spec.color", "spec.color"),
        (".spec['color']", "spec.color"),
        (".spec.m.any.k", "spec.m[any].k"),
        (".spec['\\q']", "invalid string literal: invalid escape char \\q"),
        (".spec.nope", "does not refer to a valid field"),
        (".spec.", "unexpected end of JSON path"),
        ("spec", "expected [ or . but got: spec"),
        (".spec[color]", "expected single quoted string but got color"),
    ],
)
def test_field_paths(path, found):
    try:
        assert field_paths.resolve(path, SPEC)[0] == found
    except field_paths.Invalid as problem:
        assert str(problem) == found


def test_field_paths_without_brackets():
    with pytest.raises(field_paths.Invalid, match="array notation is not allowed"):
        field_paths.resolve(".spec['color']", SPEC, brackets=False)
