# ruff: noqa: E501 (texts stand as they are sent)

import copy

import pytest

from kubeshim.machinery import resources
from kubeshim.machinery.validation import content, metadata
from tests.machinery.validation import tables

CONFIG_MAPS = resources.Resource("", "v1", "configmaps", "ConfigMap", True, ())
SERVICES = resources.Resource("", "v1", "services", "Service", True, ())
ROLES = resources.Resource("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", False, ())

SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)


@pytest.mark.parametrize(
    ("resource", "found", "expected"),
    [
        (CONFIG_MAPS, {"name": "a.b", "namespace": "n"}, []),
        (CONFIG_MAPS, {"namespace": "n"}, ["metadata.name: Required value: name or generateName is required"]),
        (CONFIG_MAPS, {"name": "A", "namespace": "n"}, [f'metadata.name: Invalid value: "A": {SUBDOMAIN}']),
        (CONFIG_MAPS, {"name": "a"}, ["metadata.namespace: Required value"]),
        (CONFIG_MAPS, {"name": "a-x", "generateName": "a-", "namespace": "n"}, []),
        (
            SERVICES,
            {"name": "1.a", "namespace": "n"},
            [f'metadata.name: Invalid value: "1.a": {content.dns_label("1.a")[0]}'],
        ),
        (ROLES, {"name": "system:admin"}, []),
        (ROLES, {"name": "a/b"}, ["metadata.name: Invalid value: \"a/b\": may not contain '/'"]),
        (ROLES, {"name": "a", "namespace": "n"}, ["metadata.namespace: Forbidden: not allowed on this type"]),
        (
            CONFIG_MAPS,
            {"name": "a", "namespace": "n", "annotations": {"k": "x" * (1 << 18)}},
            ["metadata.annotations: Too long: may not be more than 262144 bytes"],
        ),
        (
            CONFIG_MAPS,
            {"name": "a", "namespace": "n", "finalizers": ["mine"]},
            [
                'metadata.finalizers[0]: Invalid value: "mine": name is neither a standard finalizer name nor is it '
                "fully qualified"
            ],
        ),
        (
            CONFIG_MAPS,
            {"name": "a", "namespace": "n", "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "p"}]},
            ['metadata.ownerReferences.uid: Invalid value: "": must not be empty'],
        ),
    ],
)
def test_validate(resource, found, expected):
    assert [str(problem) for problem in metadata.validate(resource, {"metadata": found})] == expected


def test_updates():
    old = {
        "metadata": {
            "name": "a",
            "namespace": "n",
            "uid": "u",
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "resourceVersion": "1",
        }
    }
    new = {"metadata": {"name": "a", "namespace": "n", "resourceVersion": "1"}}
    metadata.inherit(new, old)
    assert metadata.validate_update(CONFIG_MAPS, new, old) == []

    changed = copy.deepcopy(new)
    changed["metadata"].update(uid="other", deletionTimestamp="2026-01-01T00:00:00Z")
    assert [str(problem) for problem in metadata.validate_update(CONFIG_MAPS, changed, old)] == [
        'metadata.uid: Invalid value: "other": field is immutable',
        'metadata.deletionTimestamp: Invalid value: "2026-01-01T00:00:00Z": field is immutable',
    ]


def test_no_finalizer_is_added_to_what_is_being_deleted():
    old = {"metadata": {"name": "a", "deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["x/a"]}}
    new = {"metadata": {**old["metadata"], "resourceVersion": "1", "finalizers": ["x/a", "x/b"]}}
    assert [str(problem) for problem in metadata.validate_update(CONFIG_MAPS, new, old)] == [
        "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new "
        'finalizers []string{"x/b"}'
    ]


def test_label_selectors():
    selector = {"matchLabels": {"a b": "c"}, "matchExpressions": [{"key": "k", "operator": "In"}]}
    found = [str(problem) for problem in metadata.label_selector(selector, "spec.selector")]
    assert found[0].startswith('spec.selector.matchLabels: Invalid value: "a b": name part must consist of')
    assert found[1] == (
        "spec.selector.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'"
    )


METADATA = """
{labels: {a: b, c.d/e: "", f: 0.1.x}}
{labels: {"": b}}
    metadata.labels: Invalid value: "": name part must be non-empty
    metadata.labels: Invalid value: "": $QUALIFIED
{labels: {a/b/c: d}}
    metadata.labels: Invalid value: "a/b/c": a qualified name $PARTS
{labels: {A_/b: c}}
    metadata.labels: Invalid value: "A_/b": prefix part $SUBDOMAIN
{labels: {/b: c}}
    metadata.labels: Invalid value: "/b": prefix part must be non-empty
{labels: {a: -b}}
    metadata.labels: Invalid value: "-b": $VALUE
{labels: {a: 0123456789012345678901234567890123456789012345678901234567890123x}}
    metadata.labels: Invalid value: "0123456789012345678901234567890123456789012345678901234567890123x": must be no more than 63 bytes
{annotations: {"a b": c}}
    metadata.annotations: Invalid value: "a b": $QUALIFIED
{annotations: {A.B/c: d}}
{finalizers: [a.b/c, "d e"]}
    metadata.finalizers: Invalid value: "d e": $QUALIFIED
    metadata.finalizers[1]: Invalid value: "d e": name is neither a standard finalizer name nor is it fully qualified
{finalizers: [orphan, foregroundDeletion]}
    metadata.finalizers: Invalid value: ["orphan","foregroundDeletion"]: finalizer orphan and foregroundDeletion cannot be both set
{ownerReferences: [{apiVersion: v1, kind: Pod, name: p, uid: u}]}
{ownerReferences: [{}]}
    metadata.ownerReferences.apiVersion: Invalid value: "": version must not be empty
    metadata.ownerReferences.kind: Invalid value: "": must not be empty
    metadata.ownerReferences.name: Invalid value: "": must not be empty
    metadata.ownerReferences.uid: Invalid value: "": must not be empty
{ownerReferences: [{apiVersion: v1, kind: Event, name: p, uid: u}]}
    metadata.ownerReferences: Invalid value: {"apiVersion":"v1","kind":"Event","name":"p","uid":"u"}: /v1, Kind=Event is disallowed from being an owner
{ownerReferences: [{apiVersion: v1, kind: Pod, name: p, uid: u, controller: true}, {apiVersion: v1, kind: Pod, name: q, uid: v, controller: true}]}
    metadata.ownerReferences: Invalid value: [{"apiVersion":"v1","kind":"Pod","name":"p","uid":"u","controller":true},{"apiVersion":"v1","kind":"Pod","name":"q","uid":"v","controller":true}]: Only one reference can have Controller set to true. Found "true" in references for Pod/p and Pod/q
"""


@pytest.mark.parametrize(("found", "expected"), tables.rows(METADATA))
def test_parts(found, expected):
    obj = {"metadata": {"name": "a", "namespace": "n", **found}}
    assert tables.texts(metadata.validate(CONFIG_MAPS, obj)) == expected
