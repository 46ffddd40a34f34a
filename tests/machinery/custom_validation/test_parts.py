"""Lists with types, and objects within objects."""

import pytest

from kubeshim.machinery.custom_validation import embedded, lists


def held(node):
    return {"type": "object", "properties": {"x": {"type": "array", **node}}}


SET = {"x-kubernetes-list-type": "set"}
MAP = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["a"]}
TWO = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["a", "b"]}


@pytest.mark.parametrize(
    ("node", "value", "said"),
    [
        (SET, ["a", "b", "a", "a"], ['x[2]: Duplicate value: "a"']),
        (SET, [{"q": 1}, {"q": 1}], ['x[1]: Duplicate value: {"q":1}']),
        (SET, [1, "1", True, None], []),
        (MAP, [{"a": 1}, {"a": 1, "b": 2}], ['x[1]: Duplicate value: {"a":1}']),
        (MAP, [{"b": 1}, {"b": 2}], ["x[1]: Duplicate value: {}"]),
        (MAP, [{"a": 1}, "x"], ['x[1]: Invalid value: "x": must be an object for an array of list-type map']),
        (TWO, [{"a": 1, "b": 1}, {"a": 1, "b": 2}, {"a": 1, "b": 1}], ['x[2]: Duplicate value: {"a":1,"b":1}']),
        ({}, [1, 1], []),
        ({"items": {"type": "array", **SET}}, [[1], [2, 2]], ["x[1][1]: Duplicate value: 2"]),
    ],
)
def test_lists(node, value, said):
    assert [str(problem) for problem in lists.validate({"x": value}, held(node))] == said


RESOURCE = {"type": "object", "properties": {"x": {"type": "object", "x-kubernetes-embedded-resource": True}}}


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({}, ["x.apiVersion: Required value", "x.kind: Required value"]),
        ({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}, []),
        ({"apiVersion": "a/b/c", "kind": "Pod"}, [
            'x.apiVersion: Invalid value: "a/b/c": unexpected GroupVersion string: a/b/c',
        ]),
        ({"apiVersion": "", "kind": 3}, [
            'x.apiVersion: Invalid value: "": must not be empty', "x.kind: Invalid value: 3: must be a string",
        ]),
        ({"apiVersion": "v1", "kind": "Pod", "metadata": {"labels": {"a": 1}}}, [
            'x.metadata: Invalid value: {"labels":{"a":1}}: json: cannot unmarshal number into Go struct field '
            "ObjectMeta.labels of type string",
        ]),
        ({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a/b"}}, [
            'x.metadata.name: Invalid value: "a/b": may not contain \'/\'',
        ]),
    ],
)  # fmt: skip
def test_embedded_resources(value, said):
    assert [str(problem) for problem in embedded.validate({"x": value}, RESOURCE)] == said
