"""Each collection in each form it can be asked for in."""

import pytest

from kubeshim.machinery.codecs import protobuf
from tests.control_plane.api_server import test_protobuf
from tests.control_plane.api_server.operations import catalogue

COLLECTIONS = sorted(
    {
        one.path
        for family in catalogue.families().values()
        for one in family
        if one.method == "GET" and "{" not in one.path and len(one.place) == 1
    }
)
TABLE = "application/json;as=Table;v={};g=meta.k8s.io"
PARTIAL = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
EVENT = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"


@pytest.mark.parametrize("path", COLLECTIONS)
def test_a_collection(secure, path):
    for version in ("v1", "v1beta1"):
        table = secure.ask("GET", path, headers={"Accept": TABLE.format(version)})
        assert (table.status, table.body["kind"], table.body["apiVersion"]) == (200, "Table", f"meta.k8s.io/{version}")
        columns = table.body["columnDefinitions"]
        assert columns[0]["name"] == "Name" or path.endswith("/events")
        more = path.endswith("/ipaddresses")  # whose rows have a cell that no column names
        assert all(len(row["cells"]) == len(columns) + more for row in table.body["rows"] or ())
    if not path.endswith("componentstatuses"):
        partial = secure.ask("GET", path, headers={"Accept": PARTIAL}).body
        assert partial["kind"] == "PartialObjectMetadataList"
        assert all(item["kind"] == "PartialObjectMetadata" for item in partial["items"])
    plain = secure.ask("GET", path).body
    moment = plain["metadata"].get("resourceVersion")  # the server itself may have written meanwhile
    exactly = f"{path}?resourceVersion={moment}&resourceVersionMatch=Exact" if moment else path
    compact = secure.ask("GET", exactly, headers={"Accept": "application/vnd.kubernetes.protobuf"}).raw
    assert test_protobuf.said(protobuf.decode(compact)) == test_protobuf.said(plain)
    assert secure.ask("GET", path, headers={"Accept": "application/yaml"}).raw.startswith(b"apiVersion: ")
    pretty = secure.ask("GET", f"{path}?pretty=true&limit=1").raw
    assert pretty.startswith(b'{\n  "kind": ')
    refused = secure.ask("GET", path, headers={"Accept": "image/png"})
    assert (refused.status, refused.body["reason"]) == (406, "NotAcceptable")
    assert refused.body["message"] == (
        "406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, "
        "application/vnd.kubernetes.protobuf, application/json;stream=watch, "
        "application/vnd.kubernetes.protobuf;stream=watch"
    )


@pytest.mark.parametrize("path", COLLECTIONS)
def test_field_selectors_nobody_knows(secure, path):
    refused = secure.ask("GET", f"{path}?fieldSelector=spec.nothing%3Dx")
    assert (refused.status, refused.body["reason"]) == (400, "BadRequest"), refused.body
    assert secure.ask("GET", f"{path}?fieldSelector=metadata.name%3Dx,metadata.name!%3Dy").status == 200


@pytest.mark.parametrize(
    "path",
    ["/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", "/apis/authentication.k8s.io/v1/tokenreviews"],
)
def test_what_is_only_created_has_no_table(secure, path):
    body = {"spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}, "token": "x"}}
    refused = secure.ask("POST", path, body, headers={"Accept": TABLE.format("v1")})
    assert (refused.status, refused.body["reason"]) == (406, "NotAcceptable")
