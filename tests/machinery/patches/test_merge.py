import hypothesis
import pytest
from hypothesis import strategies as st

from kubeshim.machinery import errors
from kubeshim.machinery.patches import merge


@pytest.mark.parametrize(
    ("obj", "patch", "expected"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": [{"b": None, "c": 1}, None]}, {"a": [{"c": 1}, None]}),
        ({"a": 1}, {"a": {"b": None}}, {"a": {}}),
    ],
)
def test_rfc_7386_and_its_library(obj, patch, expected):
    before = repr(obj)
    assert merge.apply(obj, patch) == expected
    assert repr(obj) == before


def test_a_patch_is_an_object():
    with pytest.raises(errors.BadRequest) as caught:
        merge.apply({}, [])
    assert caught.value.message == "Invalid JSON Patch"


OBJECTS = st.recursive(
    st.integers(0, 9) | st.text(max_size=3),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3) | st.lists(inner, max_size=2),
    max_leaves=8,
)
MAPS = st.dictionaries(st.sampled_from("abc"), OBJECTS, max_size=3)


def difference(old, new):
    """The merge patch from one object to the other."""
    patch = {key: None for key in old if key not in new}
    for key, value in new.items():
        if key not in old:
            patch[key] = value
        elif isinstance(old[key], dict) and isinstance(value, dict):
            patch[key] = difference(old[key], value)
        elif old[key] != value:
            patch[key] = value
    return patch


@hypothesis.given(MAPS, MAPS)
def test_the_difference_patches_one_into_the_other(old, new):
    assert merge.apply(old, difference(old, new)) == new


@hypothesis.given(MAPS, MAPS)
def test_patching_twice_changes_nothing_more(obj, patch):
    once = merge.apply(obj, patch)
    assert merge.apply(once, patch) == once
