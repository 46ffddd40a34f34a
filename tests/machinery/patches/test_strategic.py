import hypothesis
import pytest
from hypothesis import strategies as st

from kubeshim.machinery import errors, resources, schemas
from kubeshim.machinery.patches import strategic

POD = schemas.definitions().schema(resources.GroupVersionKind("", "v1", "Pod"))


def containers(*entries):
    return {"spec": {"containers": list(entries)}}


A, B = {"name": "a", "image": "1"}, {"name": "b", "image": "2"}


@pytest.mark.parametrize(
    ("obj", "patch", "expected"),
    [
        (containers(A, B), containers({"name": "b", "image": "3"}, {"name": "c"}),
         containers(A, {"name": "b", "image": "3"}, {"name": "c"})),
        (containers(A, B), containers({"name": "a", "$patch": "delete"}), containers(B)),
        (containers(A, B), containers({"$patch": "replace"}, {"name": "z"}), containers({"name": "z"})),
        (containers(A), containers({"name": "a", "image": None}), containers({"name": "a"})),
        (containers(A), {"spec": {"$patch": "replace", "nodeName": "n"}}, {"spec": {"nodeName": "n"}}),
        (containers(A), {"spec": {"$patch": "delete"}}, {"spec": {}}),
        (containers(A), {"spec": None}, {}),
        ({}, containers({"name": "n", "image": None}, {"name": "d", "$patch": "delete"}), containers({"name": "n"})),
        ({"spec": {"tolerations": [{"key": "x"}]}}, {"spec": {"tolerations": [{"key": "y"}]}},
         {"spec": {"tolerations": [{"key": "y"}]}}),
        ({"spec": {"securityContext": {"runAsUser": 1}}}, {"spec": {"securityContext": {"runAsGroup": 2}}},
         {"spec": {"securityContext": {"runAsUser": 1, "runAsGroup": 2}}}),
        ({"metadata": {"labels": {"a": "1", "b": "2"}}}, {"metadata": {"labels": {"a": None, "c": "3"}}},
         {"metadata": {"labels": {"b": "2", "c": "3"}}}),
        ({"metadata": {"finalizers": ["a", "b"]}}, {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}},
         {"metadata": {"finalizers": ["b"]}}),
        ({"metadata": {"finalizers": ["a", "b"]}}, {"metadata": {"finalizers": ["b", "c"]}},
         {"metadata": {"finalizers": ["a", "b", "c"]}}),
        ({"metadata": {"finalizers": ["a", "b", "s"]}},
         {"metadata": {"$setElementOrder/finalizers": ["b", "a"]}}, {"metadata": {"finalizers": ["b", "a", "s"]}}),
        (containers(A, {"name": "server"}, B),
         {"spec": {"$setElementOrder/containers": [{"name": "b"}, {"name": "c"}, {"name": "a"}],
                   "containers": [{"name": "c", "image": "9"}]}},
         containers({"name": "server"}, B, {"name": "c", "image": "9"}, A)),
        ({"spec": {"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}},
         {"spec": {"volumes": [{"name": "v", "$retainKeys": ["name", "emptyDir"], "emptyDir": {}}]}},
         {"spec": {"volumes": [{"name": "v", "emptyDir": {}}]}}),
        ({"spec": {"containers": [{"name": "a", "ports": [{"containerPort": 80, "protocol": "TCP"}]}]}},
         {"spec": {"containers": [{"name": "a", "ports": [{"containerPort": 80, "name": "web"}]}]}},
         {"spec": {"containers": [{"name": "a", "ports": [{"containerPort": 80, "protocol": "TCP", "name": "web"}]}]}}),
    ],
)  # fmt: skip
def test_patches(obj, patch, expected):
    before = repr(obj), repr(patch)
    assert strategic.apply(obj, patch, POD) == expected
    assert (repr(obj), repr(patch)) == before


@pytest.mark.parametrize(
    ("patch", "code", "message"),
    [
        ([], 400, "invalid JSON document"),
        ({"spec": {"$retainKeys": ["x"], "nodeName": "n"}}, 400, "invalid patch format of retainKeys"),
        ({"spec": {"$setElementOrder/containers": 1}}, 400, "invalid patch format of setElementOrder list"),
        ({"spec": {"$patch": "frob"}}, 500, "unknown patch type: frob"),
        (containers({"image": "x"}), 500, "map: map[image:x] does not contain declared merge key: name"),
        (containers([1]), 422, "the server rejected our request due to an error in our request"),
        (containers({"name": "a", "$patch": "merge"}), 500, "merging lists cannot yet be specified in the patch"),
    ],
)
def test_refusals(patch, code, message):
    with pytest.raises(errors.APIStatusError) as caught:
        strategic.apply(containers(A), patch, POD)
    assert (caught.value.status_code, caught.value.message) == (code, message)


ENTRIES = st.lists(
    st.fixed_dictionaries({"name": st.sampled_from("abcd")}, optional={"image": st.sampled_from(["1", "2"])}),
    max_size=4, unique_by=lambda entry: entry["name"],
)  # fmt: skip


@hypothesis.given(ENTRIES, ENTRIES)
def test_merging_lists_is_idempotent_and_loses_nothing(current, change):
    once = strategic.apply(containers(*current), containers(*change), POD)
    assert strategic.apply(once, containers(*change), POD) == once
    merged = {entry["name"]: entry for entry in once["spec"]["containers"]}
    assert merged.keys() == {entry["name"] for entry in current + change}
    by_name = {entry["name"]: entry for entry in current}
    for entry in change:
        assert merged[entry["name"]] == {**by_name.get(entry["name"], {}), **entry}


@hypothesis.given(ENTRIES, st.permutations("abcd"))
def test_an_order_is_kept(current, order):
    named = [{"name": name} for name in order]
    result = strategic.apply(containers(*current), {"spec": {"$setElementOrder/containers": named}}, POD)
    names = [entry["name"] for entry in result["spec"]["containers"]]
    assert names == [name for name in order if name in {entry["name"] for entry in current}]
