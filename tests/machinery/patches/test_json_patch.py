import hypothesis
import pytest
from hypothesis import strategies as st

from kubeshim.machinery import errors
from kubeshim.machinery.patches import json_patch

OBJ = {"a": [1, 2], "b": {"c": 1}, "x/y~z": 1}


@pytest.mark.parametrize(
    ("ops", "expected"),
    [
        ([{"op": "add", "path": "/a/-", "value": 3}], {**OBJ, "a": [1, 2, 3]}),
        ([{"op": "add", "path": "/a/0", "value": 0}], {**OBJ, "a": [0, 1, 2]}),
        ([{"op": "add", "path": "/a/-1", "value": 9}], {**OBJ, "a": [1, 2, 9]}),
        ([{"op": "add", "path": "/b/c", "value": None}], {**OBJ, "b": {"c": None}}),
        ([{"op": "remove", "path": "/x~1y~0z"}], {"a": [1, 2], "b": {"c": 1}}),
        ([{"op": "replace", "path": "/a/-1", "value": {}}], {**OBJ, "a": [1, {}]}),
        ([{"op": "replace", "path": "", "value": {"n": 1}}], {"n": 1}),
        ([{"op": "move", "from": "/b/c", "path": "/d"}], {**OBJ, "b": {}, "d": 1}),
        ([{"op": "copy", "from": "/b", "path": "/d"}, {"op": "remove", "path": "/d/c"}], {**OBJ, "d": {}}),
        ([{"op": "test", "path": "/b", "value": {"c": 1}}, {"op": "test", "path": "/none", "value": None}], OBJ),
    ],
)
def test_operations(ops, expected):
    before = repr(OBJ)
    assert json_patch.apply(OBJ, ops) == expected
    assert repr(OBJ) == before


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "remove", "path": "/none"},
        {"op": "replace", "path": "/none", "value": 1},
        {"op": "add", "path": "/none/deep", "value": 1},
        {"op": "add", "path": "/a/3", "value": 1},
        {"op": "add", "path": "/a/x", "value": 1},
        {"op": "test", "path": "/b/c", "value": True},
        {"op": "copy", "from": "/none", "path": "/d"},
        {"op": "remove", "path": ""},
        {"op": "add", "path": "b", "value": 1},
        {"op": "frobnicate", "path": "/a"},
        {"path": "/a"},
    ],
)
def test_what_does_not_apply_is_a_422_without_the_reason(operation):
    with pytest.raises(errors.Invalid) as caught:
        json_patch.apply(OBJ, [operation])
    assert caught.value.message == "the server rejected our request due to an error in our request"
    assert caught.value.status_code == 422


def test_limits():
    with pytest.raises(errors.RequestEntityTooLarge) as caught:
        json_patch.apply({}, [{"op": "test", "path": "/x", "value": None}] * 10_001)
    assert caught.value.message == "The allowed maximum operations in a JSON patch is 10000, got 10001"
    doubling = [{"op": "copy", "from": "/a", "path": "/a/-"}] * 30
    with pytest.raises(json_patch.DoesNotApply) as bomb:
        json_patch.apply({"a": ["x" * 100]}, doubling)
    assert "accumulated size" in bomb.value.why
    with pytest.raises(errors.BadRequest):
        json_patch.apply({}, {"op": "add"})


@hypothesis.given(st.dictionaries(st.text(max_size=3), st.integers() | st.lists(st.integers(), max_size=3), max_size=4))
def test_building_an_object_member_by_member(target):
    ops = [
        {"op": "add", "path": "/" + key.replace("~", "~0").replace("/", "~1"), "value": value}
        for key, value in target.items()
    ]
    assert json_patch.apply({}, ops) == target


def test_what_is_odd_about_the_operations_themselves():
    ops = [
        {"op": "add", "path": "/a", "value": {"k": 2}, "foo": "x"},
        {"op": "remove", "path": "/b"},
        {"op": "add", "path": "/c", "value": 1, "bar": 1},
    ]
    duplicates = ['duplicate field "[0].value.k"', 'duplicate field "[1].path"']
    assert json_patch.strict_problems(ops, duplicates) == [
        'json patch unknown field "[0].foo"',
        'json patch duplicate field "[0].value.k"',
        'json patch duplicate field "[1].path"',
        'json patch unknown field "[2].bar"',
    ]
    assert json_patch.strict_problems(ops[1:2], []) == []
