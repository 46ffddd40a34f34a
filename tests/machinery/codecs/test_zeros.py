"""Bookmarks, as upstream's structs are written when all but the metadata is zero."""

import pytest

from kubeshim.machinery import builtin, resources
from kubeshim.machinery.codecs import protobuf, zeros

KIND = resources.GroupVersionKind
METADATA = {"resourceVersion": "7"}


@pytest.mark.parametrize(
    ("gvk", "rest"),
    [
        (KIND("", "v1", "ConfigMap"), {}),
        (KIND("", "v1", "Pod"), {"spec": {"containers": None}, "status": {}}),
        (KIND("", "v1", "Service"), {"spec": {}, "status": {"loadBalancer": {}}}),
        (KIND("rbac.authorization.k8s.io", "v1", "ClusterRole"), {"rules": None}),
        (KIND("coordination.k8s.io", "v1", "Lease"), {"spec": {}}),
        (
            KIND("", "v1", "Event"),
            {
                "involvedObject": {}, "source": {}, "firstTimestamp": None, "lastTimestamp": None, "eventTime": None,
                "reportingComponent": "", "reportingInstance": "",
            },
        ),
        (KIND("example.com", "v1", "Widget"), {}),
    ],
)  # fmt: skip
def test_a_bookmark(gvk, rest):
    found = zeros.bookmark(gvk, METADATA)
    assert found == {"kind": gvk.kind, "apiVersion": gvk.group_version, "metadata": METADATA, **rest}


def test_every_kind_has_one_that_protobuf_can_say():
    for resource in builtin.load():
        assert protobuf.decode(protobuf.encode(zeros.bookmark(resource.gvk, METADATA)))["metadata"] == METADATA
