"""Rules of a schema: what a definition is refused for, and what objects are told."""

import pytest

from kubeshim.machinery.cel import rules

ROOT = "spec.versions[0].schema.openAPIV3Schema"


def schema(*found, **properties):
    """An object's schema with rules given as texts or as whole rules."""
    told = [{"rule": each} if isinstance(each, str) else each for each in found]
    return {
        "type": "object",
        "properties": properties,
        **({"x-kubernetes-validations": told} if told else {}),
    }


def refused(node):
    found = rules.compile_schema(node, ROOT)
    assert isinstance(found, list)
    return [(problem.field.removeprefix(ROOT), problem.message) for problem in found]


def told(node, obj, old=None, **more):
    compiled = rules.compile_schema(node, ROOT)
    assert not isinstance(compiled, list), compiled
    return [str(problem) for problem in compiled.validate(obj, old, **more)]


WHOLE, TEXT = {"type": "integer"}, {"type": "string", "maxLength": 20}


# --- definitions -------------------------------------------------------------------------------------------------


def test_a_rule_that_does_not_compile_is_shown_with_the_error():
    ((field, message),) = refused(schema("self.y > 1", x=WHOLE))
    assert field == ".x-kubernetes-validations[0].rule"
    assert message == (
        'Invalid value: {"Rule":"self.y \\u003e 1","Message":"","MessageExpression":"","Reason":null,"FieldPath":"",'
        "\"OptionalOldSelf\":null}: compilation failed: ERROR: <input>:1:5: undefined field 'y'\n"
        " | self.y > 1\n | ....^"
    )


@pytest.mark.parametrize(
    ("rule", "slot", "ending"),
    [
        ({"rule": "self.x"}, "rule", ": cel expression must evaluate to a bool"),
        ({"rule": "true", "messageExpression": "1"}, "messageExpression",
         ": messageExpression must evaluate to a string"),
        ({"rule": "true", "messageExpression": "nope"}, "messageExpression",
         "messageExpression compilation failed: ERROR: <input>:1:1: undeclared reference to 'nope' (in container '')\n"
         " | nope\n | ^"),
        ({"rule": "true", "optionalOldSelf": True}, "optionalOldSelf",
         "Invalid value: true: may not be set if oldSelf is not used in rule"),
    ],
)  # fmt: skip
def test_what_rules_are_refused_for(rule, slot, ending):
    ((field, message),) = refused(schema(rule, x=WHOLE))
    assert field == f".x-kubernetes-validations[0].{slot}"
    assert message.endswith(ending)


def test_old_self_needs_something_to_correspond_to():
    items = {
        "type": "array",
        "maxItems": 5,
        "items": {**TEXT, "x-kubernetes-validations": [{"rule": "self == oldSelf"}]},
    }
    ((field, message),) = refused(schema(l=items))
    assert field == ".properties[l].items.x-kubernetes-validations[0].rule"
    assert message == (
        'Invalid value: "self == oldSelf": oldSelf cannot be used on the uncorrelatable portion of the schema within '
        f"{ROOT}.properties[l]"
    )


_HINT = (
    "(try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are "
    "declared)"
)


def test_a_rule_that_may_cost_too_much_is_refused():
    found = refused(schema("self.l.all(a, self.l.all(b, a == b))", l={"type": "array", "items": {"type": "string"}}))
    assert found == [
        (".x-kubernetes-validations[0].rule",
         f"Forbidden: estimated rule cost exceeds budget by factor of more than 100x {_HINT}"),
        (".x-kubernetes-validations[0].rule",
         "Forbidden: contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema"),
        ("", "Forbidden: x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema exceeds budget "
             f"by factor of more than 100x {_HINT}"),
    ]  # fmt: skip


def test_text_made_of_a_number_has_no_bound():
    node = schema({"rule": "self.x > 5", "messageExpression": "'x is ' + string(self.x)"}, x=WHOLE)
    ((field, message), *_) = refused(node)
    assert field == ".x-kubernetes-validations[0].messageExpression"
    expected = "Forbidden: estimated messageExpression cost exceeds budget by factor of more than 100x"
    assert message == f"{expected} {_HINT}"


def test_cost_is_multiplied_by_how_often_a_place_can_occur():
    item = {**TEXT, "x-kubernetes-validations": [{"rule": "self.contains('x') || self.startsWith('y')"}]}
    assert not isinstance(rules.compile_schema(schema(l={"type": "array", "maxItems": 1000, "items": item})), list)
    ((_, message), *_) = refused(schema(l={"type": "array", "maxItems": 1000_000, "items": item}))
    assert message.startswith("Forbidden: estimated rule cost exceeds budget by factor of 1.")


def test_a_rule_on_a_place_without_type_is_refused():
    node = {"x-kubernetes-preserve-unknown-fields": True, "x-kubernetes-validations": [{"rule": "true"}]}
    ((field, message),) = refused(schema(any=node))
    assert field == ".properties[any].x-kubernetes-validations"
    assert message.startswith("Internal error: internal error: failed to construct type information")


def test_a_schema_without_rules_is_nothing_to_do():
    compiled = rules.compile_schema(schema(x=WHOLE), ROOT)
    assert not compiled and compiled.validate({"x": 1}) == []


# --- objects -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("self.x > 5", 'spec: Invalid value: failed rule: self.x > 5'),
        ({"rule": "self.x > 5", "message": " too small "}, 'spec: Invalid value: too small'),
        ({"rule": "self.x > 5", "messageExpression": "'x is %d'.format([self.x])"},
         'spec: Invalid value: x is 1'),
        ({"rule": "self.x > 5", "message": "m", "messageExpression": "'a\\nb'"}, 'spec: Invalid value: m'),
        ({"rule": "self.x > 5", "message": "m", "messageExpression": "' '"}, 'spec: Invalid value: m'),
        ({"rule": "self.x > 5", "message": "m", "messageExpression": "[self.x].filter(a, a > 1).map(a, string(a))[0]"},
         'spec: Invalid value: m'),
        ({"rule": "self.x > 5", "reason": "FieldValueForbidden", "message": "m"}, "spec: Forbidden: m"),
        ({"rule": "self.x > 5", "reason": "FieldValueRequired", "fieldPath": ".y"},
         "spec.y: Required value: failed rule: self.x > 5"),
        ({"rule": "self.x > 5", "reason": "FieldValueDuplicate"}, 'spec: Duplicate value'),
        ({"rule": "self.x > 5", "fieldPath": ".x"}, 'spec.x: Invalid value: failed rule: self.x > 5'),
        ("self.y > 5", 'spec: Invalid value: "object": no such key: y evaluating rule: self.y > 5'),
        ({"rule": "self.either + 1 > 2", "message": "m"},
         "spec: Invalid value: \"object\": 'no such overload': call arguments did not match a supported operator, "
         "function or macro signature for rule: m"),
    ],
)  # fmt: skip
def test_messages(rule, message):
    node = schema(spec=schema(rule, x=WHOLE, y=WHOLE, either={"x-kubernetes-int-or-string": True}))
    assert told(node, {"spec": {"x": 1, "either": "25%"}}) == [message]


def test_rules_stand_at_every_level():
    item = {**TEXT, "x-kubernetes-validations": [{"rule": "self.startsWith('a')"}]}
    node = schema(
        "self.metadata.name.startsWith('n')",
        l={"type": "array", "maxItems": 5, "items": item},
        m={"type": "object", "maxProperties": 5, "additionalProperties": item},
    )
    obj = {"metadata": {"name": "x"}, "l": ["a", "b"], "m": {"k": "c", "n": None}}
    assert told(node, obj) == [
        "<nil>: Invalid value: failed rule: self.metadata.name.startsWith('n')",
        "l[1]: Invalid value: \"b\": failed rule: self.startsWith('a')",
        "m[k]: Invalid value: \"c\": failed rule: self.startsWith('a')",
    ]


def test_transition_rules_need_an_old_value():
    node = schema(spec=schema("self.x >= oldSelf.x", x=WHOLE))
    assert told(node, {"spec": {"x": 1}}) == []
    assert told(node, {"spec": {"x": 1}}, {"spec": {"x": 1}}) == []
    assert told(node, {"spec": {"x": 1}}, {"other": 1}) == []
    assert told(node, {"spec": {"x": 1}}, {"spec": {"x": 2}}) == [
        "spec: Invalid value: failed rule: self.x >= oldSelf.x"
    ]


def test_optional_old_self_lets_a_transition_rule_run_on_creation():
    rule = {"rule": "oldSelf.hasValue() ? self.x >= oldSelf.value().x : self.x == 0", "optionalOldSelf": True}
    node = schema(spec=schema(rule, x=WHOLE))
    assert told(node, {"spec": {"x": 0}}) == []
    assert len(told(node, {"spec": {"x": 1}})) == 1
    assert told(node, {"spec": {"x": 3}}, {"spec": {"x": 2}}) == []


def test_items_of_map_lists_correspond_by_their_keys():
    item = schema("self.v >= oldSelf.v", k=TEXT, v=WHOLE)
    node = schema(l={"type": "array", "maxItems": 5, "items": item,
                     "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]})  # fmt: skip
    old = {"l": [{"k": "a", "v": 1}, {"k": "b", "v": 5}]}
    new = {"l": [{"k": "b", "v": 4}, {"k": "c", "v": 0}, {"k": "a", "v": 1}]}
    assert told(node, new, old) == ["l[0]: Invalid value: failed rule: self.v >= oldSelf.v"]


def test_what_did_not_change_only_warns():
    node = schema(spec=schema("self.x > 5", x=WHOLE, y=WHOLE), z=WHOLE)
    old = {"spec": {"x": 1}, "z": 1}
    warnings = []
    assert told(node, {"spec": {"x": 1}, "z": 2}, old, warn=warnings.append) == []
    assert warnings == ["spec: Invalid value: failed rule: self.x > 5"]
    assert len(told(node, {"spec": {"x": 1, "y": 2}}, old)) == 1


def test_a_reordered_map_list_is_an_unchanged_one():
    keyed = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["n"], "maxItems": 5}
    rule = {"x-kubernetes-validations": [{"rule": "size(self) < 2"}]}
    item = {"type": "object", "required": ["n"], "properties": {"n": WHOLE, "v": WHOLE}}
    node = schema(l={"type": "array", "items": item, **keyed, **rule})
    old = {"l": [{"n": 1, "v": 1}, {"n": 2}]}
    assert told(node, {"l": [{"n": 2}, {"n": 1, "v": 1}]}, old) == []
    assert len(told(node, {"l": [{"n": 2}, {"n": 1, "v": 2}]}, old)) == 1


def test_an_unchanged_item_of_an_atomic_list_is_not_told_apart():
    node = schema(
        l={"type": "array", "maxItems": 5, "items": {**WHOLE, "x-kubernetes-validations": [{"rule": "self > 5"}]}}
    )
    assert told(node, {"l": [1]}, {"l": [1]}) == []
    assert len(told(node, {"l": [1, 7]}, {"l": [1]})) == 1


def test_sets_and_map_lists_are_compared_and_joined_as_such():
    words = {"type": "array", "maxItems": 5, "items": TEXT, "x-kubernetes-list-type": "set"}
    keys = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]}
    keyed = {"type": "array", "maxItems": 5, "items": schema(k=TEXT, v=WHOLE), **keys}
    node = schema(
        "self.a == self.b",
        "self.a + ['z', 'x'] == ['x', 'y', 'z']",
        "self.m[0] == self.m[1]",
        "(self.m[0] + self.m[2]).all(e, e.k == 'one' ? e.v == 9 : e.v == 2)",
        "size(self.m[0] + self.m[2]) == 2",
        a=words,
        b=words,
        m={"type": "array", "maxItems": 3, "items": keyed},
    )
    one, two = {"k": "one", "v": 1}, {"k": "two", "v": 2}
    obj = {"a": ["x", "y"], "b": ["y", "x"], "m": [[one, two], [two, one], [{"k": "one", "v": 9}]]}
    assert told(node, obj) == []


def test_data_is_read_as_its_schema_says():
    node = schema(
        "type(self.number) == double && self.number == 1.0",
        "self.bytes == b'AB'",
        "self.span == duration('90s')",
        "self.date.getFullYear() == 2020",
        "type(self.either) == string && self.either == '25%'",
        "self.__namespace__ == 'n' && self.x__dash__y == 1",
        "!has(self.nothing)",
        number={"type": "number"},
        bytes={"type": "string", "format": "byte"},
        span={"type": "string", "format": "duration"},
        date={"type": "string", "format": "date"},
        either={"x-kubernetes-int-or-string": True},
        namespace=TEXT,
        nothing={**TEXT, "nullable": True},
        **{"x-y": WHOLE},
    )
    obj = {"number": 1, "bytes": "QUI=", "span": "1m30s", "date": "2020-02-03", "either": "25%", "namespace": "n",
           "x-y": 1, "nothing": None}  # fmt: skip
    assert told(node, obj) == []


def test_the_budget_of_an_object_is_shared_by_its_rules():
    words = {"type": "array", "maxItems": 50, "items": WHOLE}
    node = schema("self.l.all(a, self.l.all(b, a + b >= 0))", "true", l=words)
    out = "validation failed due to running out of cost budget, no further validation rules will be run"
    assert told(node, {"l": list(range(50))}, budget=1000) == [f'<nil>: Invalid value: "object": {out}']


def test_one_rule_has_a_limit_too():
    words = {"type": "array", "maxItems": 100, "items": WHOLE}
    node = schema("self.l.all(a, self.l.all(b, self.l.all(c, a + b + c >= 0)))", l=words)
    (message,) = told(node, {"l": list(range(100))})
    assert (
        "'operation cancelled: actual cost limit exceeded': no further validation rules will be run due to " in message
    )


def test_rules_in_all_of_count():
    node = schema(x={**WHOLE, "allOf": [{"x-kubernetes-validations": [{"rule": "self > 5"}]}]})
    assert told(node, {"x": 1}) == ["x: Invalid value: 1: failed rule: self > 5"]
