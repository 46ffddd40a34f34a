"""An object's text in the store: the type first, then what follows as Go writes maps."""

from kubeshim.control_plane.api_server import stored


def test_the_order_in_which_fields_were_written_leaves_no_trace():
    first = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "data": {"z": "1", "a": "2"},
        "metadata": {"name": "x", "uid": "u"},
    }
    second = {"kind": "ConfigMap", "metadata": {"uid": "u", "name": "x", "resourceVersion": "7"}, "apiVersion": "v1"}
    second["data"] = {"a": "2", "z": "1"}
    text = b'{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"x","uid":"u"},"data":{"a":"2","z":"1"}}'
    assert stored.encode(first) == stored.encode(second) == text


def test_an_object_may_be_nothing_but_its_metadata():
    bare = {"kind": "ServiceAccount", "apiVersion": "v1", "metadata": {"name": "x"}}
    assert stored.encode(bare) == b'{"kind":"ServiceAccount","apiVersion":"v1","metadata":{"name":"x"}}'
    assert stored.Stored("x", stored.encode(bare), 4, 4).obj["metadata"] == {"name": "x", "resourceVersion": "4"}
