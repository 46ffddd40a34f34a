import pytest

from kubeshim.machinery import jsonpath

DOCUMENT = {
    "metadata": {"name": "n", "labels": {"app.kubernetes.io/name": "web", "b": "2"}},
    "spec": {"ports": [{"name": "a", "port": 80}, {"name": "b", "port": 443, "tls": True}], "n": [1, 2, 3, 4]},
}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (".metadata.name", ["n"]),
        ("{.metadata.name}", ["n"]),
        ("$.metadata.name", ["n"]),
        ("metadata.name", ["n"]),
        (".metadata.missing.deeper", []),
        (r".metadata.labels.app\.kubernetes\.io/name", ["web"]),
        (".metadata.labels['app.kubernetes.io/name']", ["web"]),
        ('.metadata.labels["b"]', ["2"]),
        (".spec.ports[0].port", [80]),
        (".spec.ports[-1].port", [443]),
        (".spec.ports[5].port", []),
        (".spec.ports[*].name", ["a", "b"]),
        (".spec.n[1:3]", [2, 3]),
        (".spec.n[::2]", [1, 3]),
        (".spec.n[0,2]", [1, 3]),
        (".metadata['name','missing']", ["n"]),
        ('.spec.ports[?(@.name=="b")].port', [443]),
        (".spec.ports[?(@.name == 'b')].port", [443]),
        (".spec.ports[?(@.port>100)].name", ["b"]),
        (".spec.ports[?(@.port!=80)].name", ["b"]),
        (".spec.ports[?(@.tls)].name", ["b"]),
        (".spec.ports[?(@.tls==true)].name", ["b"]),
        (".spec.n[?(@>=3)]", [3, 4]),
        ("..port", [80, 443]),
        (".metadata.labels.*", ["web", "2"]),
        (".", [DOCUMENT]),
    ],
)
def test_find(path, expected):
    assert jsonpath.compile_path(path)(DOCUMENT) == expected


@pytest.mark.parametrize("path", [".a[", ".a[]", ".a[?(b)]", "..", ".a b"])
def test_not_a_path(path):
    with pytest.raises(ValueError):
        jsonpath.compile_path(path)
