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
        ("text/html, application/json;stream=watch, application/yaml", MediaType(JSON, stream="watch")),
    ],
)  # fmt: skip
def test_accept(accept, expected):
    assert negotiation.negotiate(accept) == expected


PARTIAL = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
ALL = "application/json, application/yaml, application/vnd.kubernetes.protobuf"
STREAMS = "application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch"


@pytest.mark.parametrize(
    ("accept", "offers", "expected"),
    [
        ("application/json;stream=watch", negotiation.OBJECTS, MediaType(JSON, stream="watch")),
        ("application/yaml;stream=watch,application/vnd.kubernetes.protobuf;stream=watch", negotiation.STATUS_ONLY,
         MediaType(PROTOBUF, stream="watch")),
        ("application/json;sv=v1", negotiation.OBJECTS, MediaType(JSON)),
        ("application/vnd.kubernetes.protobuf,application/json", negotiation.CUSTOM_OBJECTS, MediaType(JSON)),
        (f"{PARTIAL},application/json", negotiation.CUSTOM_OBJECTS,
         MediaType(PROTOBUF, "PartialObjectMetadataList", "meta.k8s.io", "v1")),
        ("application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
         negotiation.Offers((JSON,), converts=(("apidiscovery.k8s.io", "v2", "APIGroupDiscoveryList"),)),
         MediaType(JSON, "APIGroupDiscoveryList", "apidiscovery.k8s.io", "v2")),
    ],
)  # fmt: skip
def test_what_depends_on_the_endpoint(accept, offers, expected):
    assert negotiation.negotiate(accept, offers) == expected


@pytest.mark.parametrize(
    ("accept", "offers"),
    [
        ("text/html", negotiation.OBJECTS),
        ("application/json;stream=other", negotiation.OBJECTS),
        ("application/yaml;stream=watch", negotiation.OBJECTS),
        ("application/json;sv=v2", negotiation.OBJECTS),
        ("application/json;sv=v1", negotiation.STATUS_ONLY),
        (TABLE, negotiation.STATUS_ONLY),
        ("application/json;as=Other;v=v1;g=meta.k8s.io", negotiation.CUSTOM_OBJECTS),
        ("application/vnd.kubernetes.protobuf", negotiation.CUSTOM_OBJECTS),
    ],
)
def test_not_acceptable(accept, offers):
    with pytest.raises(errors.NotAcceptable) as caught:
        negotiation.negotiate(accept, offers)
    assert caught.value.message == f"only the following media types are accepted: {ALL}"


@pytest.mark.parametrize(("accept", "listed"), [("image/png", ALL), ("application/yaml,application/json", STREAMS)])
def test_watches_have_no_yaml(accept, listed):
    with pytest.raises(errors.NotAcceptable) as caught:
        negotiation.negotiate_stream(accept)
    assert caught.value.message == f"only the following media types are accepted: {listed}"


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
