import pytest

from kubeshim.machinery import errors
from kubeshim.machinery.codecs import negotiation
from kubeshim.machinery.codecs.negotiation import JSON, PROTOBUF, YAML, MediaType

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", MediaType(JSON)),
        ("*/*", MediaType(JSON)),
        ("application/*", MediaType(JSON)),
        ("application/json, */*", MediaType(JSON)),
        ("application/vnd.kubernetes.protobuf,application/json", MediaType(PROTOBUF)),
        ("application/json;q=0.5, application/yaml", MediaType(YAML)),
        ("*/*, application/yaml", MediaType(YAML)),
        ("application/json;q=0.9,application/cbor;q=1", MediaType(JSON)),
        (f"{TABLE},application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json",
         MediaType(JSON, "Table", "meta.k8s.io", "v1")),
        ("application/vnd.kubernetes.protobuf;as=Table;g=meta.k8s.io;v=v1,application/json", MediaType(JSON)),
        ("application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json",
         MediaType(PROTOBUF, "PartialObjectMetadata", "meta.k8s.io", "v1")),
        ("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
         MediaType(JSON, "PartialObjectMetadataList", "meta.k8s.io", "v1")),
        ("application/json;pretty=1", MediaType(JSON, pretty=True)),
        ("text/html, application/json;stream=watch, application/yaml", MediaType(YAML)),
    ],
)  # fmt: skip
def test_accept(accept, expected):
    assert negotiation.negotiate(accept) == expected


def test_streams_and_conversions_depend_on_the_endpoint():
    assert negotiation.negotiate("application/json;stream=watch", negotiation.WATCH) == MediaType(JSON, stream="watch")
    discovery = negotiation.Offers((JSON,), converts=(("apidiscovery.k8s.io", "v2", "APIGroupDiscoveryList"),))
    found = negotiation.negotiate("application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList", discovery)
    assert found.kind == "APIGroupDiscoveryList"


@pytest.mark.parametrize(
    ("accept", "offers", "text"),
    [
        ("text/html", negotiation.OBJECTS, "application/json, application/yaml, application/vnd.kubernetes.protobuf"),
        ("application/yaml", negotiation.WATCH,
         "application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch"),
        (TABLE, negotiation.STATUS_ONLY, "application/json, application/yaml, application/vnd.kubernetes.protobuf"),
        ("application/json;as=Other;v=v1;g=meta.k8s.io", negotiation.CUSTOM_OBJECTS,
         "application/json, application/yaml"),
    ],
)  # fmt: skip
def test_not_acceptable(accept, offers, text):
    with pytest.raises(errors.NotAcceptable) as caught:
        negotiation.negotiate(accept, offers)
    assert caught.value.message == f"only the following media types are accepted: {text}"


def test_content_types():
    assert negotiation.content_type("") == JSON
    assert negotiation.content_type("application/json; charset=utf-8") == JSON
    assert negotiation.patch_type("application/merge-patch+json;x=y") == negotiation.MERGE_PATCH
    with pytest.raises(errors.UnsupportedMediaType) as caught:
        negotiation.content_type("application/cbor")
    assert caught.value.message == (
        "the body of the request was in an unknown format - accepted media types include: "
        "application/json, application/yaml, application/vnd.kubernetes.protobuf"
    )
    with pytest.raises(errors.UnsupportedMediaType):
        negotiation.patch_type("", negotiation.CUSTOM_PATCHES)
