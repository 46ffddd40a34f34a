import hypothesis
import pytest
from hypothesis import strategies as st

from kubeshim.machinery import fieldsets

ELEMENTS = ["f:a", "f:b", 'k:{"name":"x"}', "v:1"]
PATHS = st.frozensets(st.lists(st.sampled_from(ELEMENTS), min_size=1, max_size=3).map(tuple), max_size=6)


def tree(paths):
    """The set with exactly these paths."""
    result = {}
    for path in paths:
        branch = {}
        for element in reversed(path):
            branch = {element: branch}
        result = fieldsets.union(result, branch)
    return result


@hypothesis.given(PATHS, PATHS)
def test_the_algebra_is_that_of_sets(left, right):
    one, other = tree(left), tree(right)
    assert set(fieldsets.paths(one)) == left
    assert set(fieldsets.paths(fieldsets.union(one, other))) == left | right
    assert set(fieldsets.paths(fieldsets.difference(one, other))) == left - right
    assert set(fieldsets.paths(fieldsets.intersection(one, other))) == left & right
    assert (one, other) == (tree(left), tree(right)), "arguments are left alone"


@hypothesis.given(PATHS, PATHS)
def test_results_have_one_form(left, right):
    assert fieldsets.difference(tree(left), tree(right)) == tree(left - right)
    assert fieldsets.intersection(tree(left), tree(right)) == tree(left & right)
    assert bool(fieldsets.difference(tree(left), tree(right))) == bool(left - right)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("f:spec", "f:replicas"), ".spec.replicas"),
        (("f:spec", "f:containers", 'k:{"name":"web"}', "f:image"), '.spec.containers[name="web"].image'),
        (("f:ports", 'k:{"port":80,"protocol":"TCP"}'), '.ports[port=80,protocol="TCP"]'),
        (("f:finalizers", 'v:"a/b"'), '.finalizers[="a/b"]'),
        (("f:l", "i:3"), ".l[3]"),
    ],
)
def test_paths_in_words(path, text):
    assert fieldsets.path_text(path) == text


@pytest.mark.parametrize(
    ("fields", "valid"),
    [
        ({"f:a": {".": {}, 'k:{"n":1}': {}, "v:null": {}, "i:0": {}}}, True),
        ({"a": {}}, False),
        ({"f:a": 1}, False),
        ({"k:{}": {}}, False),
        ({"v:x": {}}, False),
        ([], False),
    ],
)
def test_validity(fields, valid):
    assert fieldsets.is_valid(fields) is valid


def test_paths_go_by_place_members_first_and_numbers_by_size():
    fields = {
        "f:b": {".": {}, "f:c": {}}, "f:a": {"f:x": {}},
        "f:list": {'k:{"port":80}': {"f:name": {}}, 'k:{"port":9}': {".": {}}, "v:10": {}, "v:9": {}},
    }  # fmt: skip
    assert [fieldsets.path_text(path) for path in fieldsets.paths(fields)] == [
        ".b", ".a.x", ".b.c", ".list[port=9]", ".list[=9]", ".list[=10]", ".list[port=80].name",
    ]  # fmt: skip


def test_whole_numbers_are_one_element_however_written():
    assert fieldsets.value_element(2.0) == fieldsets.value_element(2) == "v:2"
    assert fieldsets.key_element({"page": 2.0, "line": 1.5}) == 'k:{"line":1.5,"page":2}'
