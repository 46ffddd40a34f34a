"""Custom resources: their definitions as objects, as discovery and OpenAPI show them, and their instances."""

import contextlib
import copy
import json
import re

import pytest

from tests.conformance.kube import JSON_PATCH, condition, meta
from tests.conformance.names import answers, case
from tests.e2e.conftest import eventually

OPEN = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
GROUPS = "[sig-api-machinery] CustomResourcePublishOpenAPI [Privileged:ClusterAdmin] works for multiple CRDs of "
SIMPLE = (
    "[sig-api-machinery] CustomResourceDefinition resources [Privileged:ClusterAdmin] Simple CustomResourceDefinition "
)
PUBLISH = "[sig-api-machinery] CustomResourcePublishOpenAPI [Privileged:ClusterAdmin] "


def definition(group, kind="Foo", *, schema=OPEN, versions=("v1",), scope="Namespaced", labels=None):
    """A CustomResourceDefinition; the first version is the stored one."""
    plural = f"{kind.lower()}s"
    return {
        "kind": "CustomResourceDefinition",
        "metadata": meta(f"{plural}.{group}", labels=labels or {}),
        "spec": {
            "group": group,
            "scope": scope,
            "names": {"plural": plural, "singular": kind.lower(), "kind": kind, "listKind": f"{kind}List"},
            "versions": [
                {
                    "name": name,
                    "served": True,
                    "storage": name == versions[0],
                    "schema": {"openAPIV3Schema": copy.deepcopy(schema)},
                }
                for name in versions
            ],
        },
    }


def established(crd):
    return condition(crd, "Established").get("status") == "True"


@pytest.fixture
def define(kube, everywhere):
    """Creates definitions and waits until they serve; they are deleted in the end."""
    with contextlib.ExitStack() as later:

        def make(*arguments, **options):
            crd = everywhere.create(definition(*arguments, **options))
            name = crd["metadata"]["name"]
            later.callback(lambda: everywhere.find(CRD, name) and everywhere.delete(CRD, name))
            return everywhere.wait(CRD, name, established)

        yield make


CRD = "CustomResourceDefinition"


def paths(crd, namespace=None, version=None):
    """The path of a definition's collection."""
    spec = crd["spec"]
    place = f"/namespaces/{namespace}" if namespace else ""
    return f"/apis/{spec['group']}/{version or spec['versions'][0]['name']}{place}/{spec['names']['plural']}"


def instance(crd, name, **more):
    spec = crd["spec"]
    api = f"{spec['group']}/{spec['versions'][0]['name']}"
    return {"apiVersion": api, "kind": spec["names"]["kind"], "metadata": meta(name), **more}


# ---- definitions as objects


@answers(SIMPLE + "creating/deleting custom resource definition objects works")
def test_life_of_a_definition(kube, everywhere, define):
    crd = define(f"{kube.namespace}.example.com", scope="Cluster")
    assert everywhere.call("get", paths(crd))["items"] == []
    everywhere.delete(CRD, crd["metadata"]["name"])
    everywhere.gone(CRD, crd["metadata"]["name"])


@answers(SIMPLE + "listing custom resource definition objects works")
def test_collection_of_definitions(kube, everywhere, define):
    group, chosen = f"{kube.namespace}.example.com", f"e2e-list-test-uuid={kube.namespace}"
    labels = dict([chosen.split("=")])
    made = {
        crd["metadata"]["name"]: crd
        for crd in (define(group, f"Listed{i}", scope="Cluster", labels=labels) for i in range(10))
    }
    other = define(group, "Other", scope="Cluster")
    found = everywhere.items(CRD, labelSelector=chosen)
    assert {crd["metadata"]["name"]: crd["spec"] for crd in found} == {n: crd["spec"] for n, crd in made.items()}
    everywhere.delete_all(CRD, labelSelector=chosen)
    everywhere.wait_all(CRD, lambda left: not left, labelSelector=chosen)
    assert everywhere.get(CRD, other["metadata"]["name"])["spec"] == other["spec"]


@answers(SIMPLE + "getting/updating/patching custom resource definition status sub-resource works")
def test_status_of_a_definition(kube, everywhere, define):
    crd = define(f"{kube.namespace}.example.com", scope="Cluster")
    name = crd["metadata"]["name"]
    assert everywhere.get(CRD, name, subresource="status")["spec"] == crd["spec"]

    def add(found):
        found["status"]["conditions"].append({"message": "updated"})

    updated = everywhere.change(CRD, name, add, subresource="status")
    assert "updated" in [c["message"] for c in updated["status"]["conditions"]]
    patch = [{"op": "add", "path": "/status/conditions", "value": [{"message": "patched"}]}]
    patched = everywhere.patch(CRD, name, patch, how=JSON_PATCH, subresource="status")
    assert "patched" in [c["message"] for c in patched["status"]["conditions"]]


@answers(
    "[sig-api-machinery] CustomResourceDefinition resources [Privileged:ClusterAdmin] should include custom resource definition resources in discovery documents"
)
def test_definitions_in_discovery(everywhere):
    group = next(g for g in everywhere.call("get", "/apis")["groups"] if g["name"] == "apiextensions.k8s.io")
    alone = everywhere.call("get", "/apis/apiextensions.k8s.io")
    assert alone["name"] == group["name"]
    for found in (group, alone):
        assert "v1" in [version["version"] for version in found["versions"]]
    listing = everywhere.call("get", "/apis/apiextensions.k8s.io/v1")
    assert listing["groupVersion"] == "apiextensions.k8s.io/v1"
    assert "customresourcedefinitions" in [resource["name"] for resource in listing["resources"]]


@answers(
    "[sig-api-machinery] AggregatedDiscovery should support aggregated discovery interface for CRDs",
    "[sig-api-machinery] AggregatedDiscovery should support raw aggregated discovery request for CRDs",
)
def test_instances_in_aggregated_discovery(kube, everywhere, define):
    group = f"{kube.namespace}.example.com"
    define(group, versions=("v1", "v1beta1"))
    found = eventually(lambda: [f for f in everywhere.discover().values() if f[1] == f"{group}/v1"])
    assert found[0] == (f"/apis/{group}/v1", f"{group}/v1", "foos", True)
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    answer = everywhere.dynamic.request("get", "/apis", header_params={"Accept": accept}, serialize=False)
    assert answer.headers["Content-Type"] == accept
    groups = {item["metadata"]["name"]: item for item in json.loads(answer.data)["items"]}
    versions = groups[group]["versions"]
    assert [(v["version"], v["freshness"]) for v in versions] == [("v1", "Current"), ("v1beta1", "Current")]
    assert [r["responseKind"]["kind"] for r in versions[0]["resources"]] == ["Foo"]


# ---- instances


@answers(
    "[sig-api-machinery] CustomResourceDefinition resources [Privileged:ClusterAdmin] custom resource defaulting for requests and from storage works"
)
def test_defaults(kube, everywhere, define):
    text = {"type": "string"}
    schema = {"type": "object", "properties": {"a": text, "b": text}}
    crd = define(f"{kube.namespace}.example.com", scope="Cluster", schema=schema)
    name, path = crd["metadata"]["name"], paths(crd)
    at = "/spec/versions/0/schema/openAPIV3Schema/properties"

    def change(*steps):
        everywhere.patch(CRD, name, [dict(step) for step in steps], how=JSON_PATCH)

    def shown(instance_name, field):
        return everywhere.call("get", f"{path}/{instance_name}").get(field)

    assert "a" not in everywhere.call("post", path, instance(crd, "first"))
    change({"op": "add", "path": f"{at}/a/default", "value": "A"})
    eventually(lambda: shown("first", "a") == "A")
    assert everywhere.call("post", path, instance(crd, "second"))["a"] == "A"
    change(
        {"op": "remove", "path": f"{at}/a/default"},
        {"op": "add", "path": f"{at}/b/default", "value": "B"},
    )
    eventually(lambda: shown("second", "b") == "B")
    assert shown("second", "a") == "A"
    assert shown("first", "a") is None


@answers(
    "[sig-api-machinery] CustomResourceDefinition Watch [Privileged:ClusterAdmin] CustomResourceDefinition Watch watch on custom resource definition objects"
)
def test_watch_instances(kube, everywhere, define):
    crd = define(f"{kube.namespace}.example.com", scope="Cluster")
    watcher = kube.within("")
    watcher.kinds = {**kube.kinds, "Foo": (f"/apis/{crd['spec']['group']}/v1", "", "foos", False)}
    with (
        watcher.watch("Foo", fieldSelector="metadata.name=one") as of_one,
        watcher.watch("Foo", fieldSelector="metadata.name=two") as of_two,
    ):
        for name in ("one", "two"):
            assert everywhere.call("post", paths(crd), instance(crd, name))["metadata"]["uid"]
        for name in ("one", "two"):
            patch = [{"op": "add", "path": "/dummy", "value": "test"}]
            everywhere.call("patch", f"{paths(crd)}/{name}", patch, headers={"Content-Type": JSON_PATCH})
        for name in ("one", "two"):
            everywhere.call("delete", f"{paths(crd)}/{name}")
        for name, events in (("one", of_one), ("two", of_two)):
            seen = [next(events) for _ in range(3)]
            assert [event for event, _ in seen] == ["ADDED", "MODIFIED", "DELETED"]
            assert {obj["metadata"]["name"] for _, obj in seen} == {name}


# ---- the published schemas

FOO = {
    "description": "Foo CRD for Testing",
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "description": "Specification of Foo",
            "properties": {
                "bars": {
                    "description": "List of Bars and their specs.",
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["name"],
                        "properties": {
                            "name": {"description": "Name of Bar.", "type": "string"},
                            "age": {"description": "Age of Bar.", "type": "string"},
                            "feeling": {"description": "Whether Bar feels well.", "type": "string", "enum": ["Great"]},
                            "bazs": {"description": "List of Bazs.", "items": {"type": "string"}, "type": "array"},
                        },
                    },
                }
            },
        },
        "status": {
            "description": "Status of Foo",
            "type": "object",
            "properties": {"bars": {"type": "array", "items": {"type": "object", "properties": {}}}},
        },
    },
}
WALDO = {
    "description": "Waldo CRD for Testing",
    "type": "object",
    "properties": {
        "spec": {
            "description": "Specification of Waldo",
            "type": "object",
            "properties": {"dummy": {"description": "Dummy property.", "type": "string"}},
        }
    },
}
del FOO["properties"]["status"]["properties"]["bars"]["items"]["properties"]

ADDED = ("apiVersion", "kind", "metadata")
"""What the server adds to each schema."""


def published(everywhere):
    return everywhere.call("get", "/openapi/v2")["definitions"]


def key(crd, version):
    group = ".".join(reversed(crd["spec"]["group"].split(".")))
    return f"{group}.{version}.{crd['spec']['names']['kind']}"


def shows(everywhere, crd, version, schema):
    """Waits until the document has the schema, without what the server adds."""

    def same():
        found = published(everywhere).get(key(crd, version))
        if found is None:
            return False
        found.pop("x-kubernetes-group-version-kind")
        properties = {k: v for k, v in found.pop("properties", {}).items() if k not in ADDED}
        expected = {k: v for k, v in schema.items() if k != "properties"}
        return found == expected and properties == schema.get("properties", {})

    eventually(same)


def vanishes(everywhere, crd, version):
    eventually(lambda: key(crd, version) not in published(everywhere))


@pytest.mark.parametrize(
    ("groups", "versions"),
    [
        case(("one", "two"), ("v1", "v1beta1"), of=GROUPS + "different groups"),
        case(("one", "one"), ("v4", "v5"), of=GROUPS + "same group but different versions"),
        case(("one", "one"), ("v6", "v6"), of=GROUPS + "same group and version but different kinds"),
    ],
)
def test_two_definitions_are_published(kube, everywhere, define, groups, versions):
    made = [
        define(f"{group}.{kube.namespace}.example.com", kind, schema=schema, versions=(version,))
        for group, version, kind, schema in zip(groups, versions, ("Foo", "Waldo"), (FOO, WALDO), strict=True)
    ]
    for crd, version, schema in zip(made, versions, (FOO, WALDO), strict=True):
        shows(everywhere, crd, version, schema)
    for crd, version in zip(made, versions, strict=True):
        everywhere.delete(CRD, crd["metadata"]["name"])
        vanishes(everywhere, crd, version)


@answers(
    GROUPS + "same group but different versions",
    PUBLISH + "updates the published spec when one version gets renamed",
)
def test_a_version_is_renamed(kube, everywhere, define):
    crd = define(f"{kube.namespace}.example.com", schema=FOO, versions=("v2", "v3"))
    for version in ("v2", "v3"):
        shows(everywhere, crd, version, FOO)
    place = "/spec/versions/1/name"
    patch = [{"op": "test", "path": place, "value": "v3"}, {"op": "replace", "path": place, "value": "v4"}]
    everywhere.patch(CRD, crd["metadata"]["name"], patch, how=JSON_PATCH)
    shows(everywhere, crd, "v4", FOO)
    vanishes(everywhere, crd, "v3")
    shows(everywhere, crd, "v2", FOO)


@answers(PUBLISH + "removes definition from spec when one version gets changed to not be served")
def test_a_version_is_served_no_longer(kube, everywhere, define):
    crd = define(f"{kube.namespace}.example.com", schema=FOO, versions=("v5", "v6alpha1"))
    for version in ("v5", "v6alpha1"):
        shows(everywhere, crd, version, FOO)

    def stop(found):
        found["spec"]["versions"][1]["served"] = False

    everywhere.change(CRD, crd["metadata"]["name"], stop)
    vanishes(everywhere, crd, "v6alpha1")
    shows(everywhere, crd, "v5", FOO)


@pytest.fixture
def kubectl(cluster, kube, tmp_path):
    """kubectl in the test's namespace, with a cache of its own: other tests define kinds of the same names."""

    def run(*arguments, **options):
        return cluster.kubectl("-n", kube.namespace, "--cache-dir", str(tmp_path), *arguments, **options)

    return run


def told(kubectl, what, pattern):
    """``kubectl explain`` prints what the pattern says; a command reads discovery and schema anew each time."""
    return eventually(lambda: re.search(pattern, kubectl("explain", what, check=False).stdout, re.DOTALL))


def create_and_apply(kubectl, crd, body):
    """Both ways in, with kubectl's strict validation."""
    text = json.dumps(body)
    for verb in ("create", "apply"):
        kubectl(verb, "-f", "-", stdin=text)
        kubectl("delete", crd["spec"]["names"]["plural"], body["metadata"]["name"])


@answers(PUBLISH + "works for CRD with validation schema")
def test_a_schema(kube, everywhere, define, kubectl):
    crd = define(f"{kube.namespace}.example.com", schema=FOO)
    shows(everywhere, crd, "v1", FOO)
    create_and_apply(kubectl, crd, instance(crd, "test-foo", spec={"bars": [{"name": "test-bar"}]}))
    refused = [
        ({"bars": [{"name": "b", "feeling": "NonExistentValue"}]}, 'Unsupported value: "NonExistentValue"'),
        ({"foo": True}, 'unknown field "spec.foo"'),
        ({"bars": [{"age": "10"}]}, "spec.bars[0].name: Required value"),
    ]
    for spec, said in refused:
        for verb in ("create", "apply"):
            done = kubectl(verb, "-f", "-", stdin=json.dumps(instance(crd, "bad", spec=spec)), check=False)
            assert done.returncode == 1
            assert said in done.stderr
    described = [
        (
            "",
            "DESCRIPTION:.*Foo CRD for Testing.*FIELDS:.*apiVersion.*<string>.*APIVersion defines.*spec.*<Object>.*Spec",
        ),
        (
            ".metadata",
            "DESCRIPTION:.*Standard object's metadata.*FIELDS:.*creationTimestamp.*<string>.*CreationTimestamp",
        ),
        (".spec", r"DESCRIPTION:.*Specification of Foo.*FIELDS:.*bars.*<\[\]Object>.*List of Bars and their specs"),
        (
            ".spec.bars",
            r"bars.*<\[\]Object>.*DESCRIPTION:.*List of Bars.*FIELDS:.*bazs.*<\[\]string>.*List of Bazs.*name.*",
        ),
    ]
    for path, pattern in described:
        told(kubectl, "foos" + path, pattern)
    assert 'field "bars2" does not exist' in kubectl("explain", "foos.spec.bars2", check=False).stderr


NESTED = {
    "description": "preserve-unknown-properties in nested field for Testing",
    "type": "object",
    "properties": {
        "spec": {"description": "Specification of Waldo", **OPEN},
        "status": {
            "description": "Status of Waldo",
            "type": "object",
            "properties": {"bars": {"description": "List of Bars and their statuses.", "type": "string"}},
        },
    },
}


@pytest.mark.parametrize(
    ("schema", "body", "pattern"),
    [
        case(OPEN, {"a": {"b": [{"c": "d"}]}}, "DESCRIPTION:.*<empty>", of=PUBLISH + "works for CRD without validation schema"),
        case(
            {"description": "preserve-unknown-properties at root for Testing", **OPEN}, {"a": {"b": [{"c": "d"}]}}, "KIND:.*Foo",
            of=PUBLISH + "works for CRD preserving unknown fields at the schema root",
        ),
        case(
            NESTED, {"spec": {"a": None, "b": [{"c": "d"}]}}, "DESCRIPTION:.*preserve-unknown-properties in nested field",
            of=PUBLISH + "works for CRD preserving unknown fields in an embedded object",
        ),
    ],
)  # fmt: skip
def test_open_schemas(kube, everywhere, define, kubectl, schema, body, pattern):
    crd = define(f"{kube.namespace}.example.com", schema=schema)
    eventually(lambda: key(crd, "v1") in published(everywhere))
    create_and_apply(kubectl, crd, instance(crd, "test-cr", **body))
    told(kubectl, "foos", pattern)
