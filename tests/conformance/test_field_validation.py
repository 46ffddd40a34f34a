"""Fields nobody knows and fields told twice, refused by strict requests, of types and of custom resources."""

import json
import urllib.parse

import pytest

from tests.conformance.kube import APPLY, condition
from tests.conformance.names import answers, case


def raw(kube, method, path, text, content_type, **query):
    """A request whose body is exactly ``text``, through the client's own connections; the answer's text."""
    url = f"{kube.client.configuration.host}{path}?{urllib.parse.urlencode(query)}"
    pool = kube.client.rest_client.pool_manager
    headers = {"Accept": "application/json", **({"Content-Type": content_type} if content_type else {})}
    return pool.request(method, url, body=text.encode(), headers=headers).data.decode()


def deployed(spec="", metadata=""):
    """Text of a Deployment with more in it than an object can hold."""
    return f"""{{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {{"name": "it", {metadata} "labels": {{"app": "it"}}}},
"spec": {{{spec} "selector": {{"matchLabels": {{"app": "it"}}}},
"template": {{"metadata": {{"labels": {{"app": "it"}}}}, "spec": {{"containers": [{{"name": "main", "image": "none"}}]}}}}}}}}"""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        case(
            deployed(spec='"unknownField": "foo", "replicas": 2, "replicas": 3,'),
            'strict decoding error: unknown field "spec.unknownField", duplicate field "spec.replicas"',
            of="[sig-api-machinery] FieldValidation should detect unknown and duplicate fields of a typed object",
        ),
        case(
            deployed(metadata='"unknownMeta": "foo",'),
            'strict decoding error: unknown field "metadata.unknownMeta"',
            of="[sig-api-machinery] FieldValidation should detect unknown metadata fields of a typed object",
        ),
    ],
)
def test_typed_fields(kube, text, said):
    # as the official test's REST client sends text: of no type
    answer = json.loads(raw(kube, "POST", kube.path("Deployment"), text, None, fieldValidation="Strict"))
    assert (answer["code"], answer["reason"]) == (400, "BadRequest")
    assert said in answer["message"]


def crd(group, *, schema=None):
    schema = schema or {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    return {
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"noxus.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": "noxus", "singular": "noxu", "kind": "Noxu", "listKind": "NoxuList"},
            "versions": [version],
        },
    }


CRON = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "x-kubernetes-preserve-unknown-fields": True,
            "properties": {
                "cronSpec": {"type": "string", "pattern": r"^(\d+|\*)(/\d+)?(\s+(\d+|\*)(/\d+)?){4}$"},
                "ports": {
                    "type": "array",
                    "x-kubernetes-list-map-keys": ["containerPort", "protocol"],
                    "x-kubernetes-list-type": "map",
                    "items": {
                        "type": "object",
                        "required": ["containerPort", "protocol"],
                        "properties": {
                            "containerPort": {"type": "integer", "format": "int32"},
                            "hostIP": {"type": "string"},
                            "protocol": {"type": "string"},
                        },
                    },
                },
                "embedded": {
                    "type": "object",
                    "x-kubernetes-embedded-resource": True,
                    "x-kubernetes-preserve-unknown-fields": True,
                },
            },
        }
    },
}
CLOSED = json.loads(json.dumps(CRON))
del CLOSED["properties"]["spec"]["x-kubernetes-preserve-unknown-fields"]


@pytest.fixture
def custom(kube, everywhere, request):
    """Defines a kind with the test's schema; a function that applies text of such an object strictly."""
    group = f"{kube.namespace}.example.com"
    made = crd(group, schema=request.param)
    everywhere.create(made)
    everywhere.wait(
        "CustomResourceDefinition", f"noxus.{group}", lambda c: condition(c, "Established").get("status") == "True"
    )
    path = f"/apis/{group}/v1/namespaces/{kube.namespace}/noxus/it"

    def text(spec):
        """Applies an object whose spec is YAML; the official test's text begins with an empty line, too."""
        return send(f"\napiVersion: {group}/v1\nkind: Noxu\nmetadata:\n  name: it\n{spec}")

    def send(body):
        return raw(kube, "PATCH", path, body, APPLY, fieldManager="it", fieldValidation="Strict")

    def apply(body, metadata=""):
        return send(f'{{"apiVersion": "{group}/v1", "kind": "Noxu", "metadata": {{"name": "it"{metadata}}}, {body}}}')

    apply.text = text
    yield apply
    everywhere.delete("CustomResourceDefinition", f"noxus.{group}")


GOOD = '"spec": {"cronSpec": "* * * * */5", "ports": [{"containerPort": 80, "protocol": "TCP"}]'


@pytest.mark.parametrize("custom", [None], indirect=True)
@answers(
    "[sig-api-machinery] FieldValidation should create/apply a CR with unknown fields for CRD with no validation schema"
)
def test_custom_without_a_schema(custom):
    assert '"kind":"Noxu"' in custom(f'{GOOD}, "anything": 1}}')


@pytest.mark.parametrize("custom", [CLOSED], indirect=True)
@answers("[sig-api-machinery] FieldValidation should create/apply a valid CR for CRD with validation schema")
def test_custom_that_is_valid(custom):
    assert '"kind":"Noxu"' in custom(f"{GOOD}}}")


@pytest.mark.parametrize("custom", [CLOSED], indirect=True)
@answers(
    "[sig-api-machinery] FieldValidation should create/apply an invalid CR with extra properties for CRD with validation schema"
)
def test_custom_with_more_than_its_schema(custom):
    assert ".spec.extra: field not declared in schema" in custom(f'{GOOD}, "extra": 1}}')


@pytest.mark.parametrize("custom", [CRON], indirect=True)
@answers("[sig-api-machinery] FieldValidation should detect duplicates in a CR when preserving unknown fields")
def test_custom_with_duplicates(custom):
    spec = """spec:
  unknown: uk1
  foo: foo1
  foo: foo2
  cronSpec: "* * * * */5"
  ports: [{containerPort: 80, protocol: TCP}]
"""
    assert 'line 9: key \\"foo\\" already set in map' in custom.text(spec)


@pytest.mark.parametrize("custom", [CRON], indirect=True)
@answers(
    "[sig-api-machinery] FieldValidation should detect unknown metadata fields in both the root and embedded object of a CR"
)
def test_custom_with_unknown_metadata(custom):
    embedded = '{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x", "unknownSub": "y"}}'
    said = custom(f'{GOOD}, "embedded": {embedded}}}', ', "unknownMeta": "foo"')
    assert ".metadata.unknownMeta: field not declared in schema" in said, said
    said = custom(f'{GOOD}, "embedded": {embedded}}}')
    assert ".spec.embedded.metadata.unknownSub: field not declared in schema" in said, said
