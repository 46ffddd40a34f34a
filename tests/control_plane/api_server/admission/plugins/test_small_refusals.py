"""Plugins that know one reason to say no."""

import base64

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from kubeshim.control_plane.api_server.admission.plugins import (
    certificate_approval,
    certificate_signing,
    certificate_subject_restriction,
    cluster_trust_bundle_attest,
    owner_references_permission_enforcement,
    persistent_volume_claim_resize,
    pod_resize_validator,
)
from kubeshim.control_plane.api_server.authorization import attributes as questions
from kubeshim.machinery import errors, resources
from tests.control_plane.api_server.admission import admission_kit as kit

REQUESTS = "certificatesigningrequests.certificates.k8s.io"
CLIENT = "kubernetes.io/kube-apiserver-client"


class Allows:
    """Says yes to ``verb resource[/subresource] name``."""

    def __init__(self, *allowed):
        self.allowed = allowed

    def __call__(self):
        return self

    def authorize(self, question):
        resource = f"{question.resource}/{question.subresource}" if question.subresource else question.resource
        asked = f"{question.verb} {resource} {question.name}"
        verdict = questions.Verdict.ALLOW if asked in self.allowed else questions.Verdict.NO_OPINION
        return questions.Decision(verdict)


def refused(plugin, asked, reader=None):
    """Why the plugin says no; empty if it does not."""
    try:
        plugin.validate(asked, reader or kit.Objects())
    except errors.Forbidden as refusal:
        return refusal.message.partition("is forbidden: ")[2]
    return ""


def claim(storage, phase="Bound"):
    spec = {"storageClassName": "s", "resources": {"requests": {"storage": storage}}}
    return kit.named("c", spec=spec, status={"phase": phase})


@pytest.mark.parametrize(
    ("new", "old", "expandable", "why"),
    [
        (claim("2Gi"), claim("1Gi"), True, ""),
        (claim("1Gi"), claim("2Gi"), False, ""),
        (claim("2Gi"), claim("1Gi", "Pending"), True, "Only bound persistent volume claims can be expanded"),
        (
            claim("2Gi"), claim("1Gi"), False,
            "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support "
            "resize",
        ),
    ],
)  # fmt: skip
def test_claims_grow_where_their_class_lets_them(new, old, expandable, why):
    reader = kit.Objects(storageclasses=[{"metadata": {"name": "s"}, "allowVolumeExpansion": expandable}])
    plugin = persistent_volume_claim_resize.PersistentVolumeClaimResize()
    assert refused(plugin, kit.attributes("persistentvolumeclaims", new, old), reader) == why


def signing_request(**status):
    return {"metadata": {"name": "r"}, "spec": {"signerName": "example.com/s"}, "status": status}


@pytest.mark.parametrize("allowed", ["approve signers example.com/s", "approve signers example.com/*", ""])
def test_approving_needs_permission_for_the_signer(allowed):
    asked = kit.attributes(REQUESTS, signing_request(), signing_request(), sub="approval", name="r")
    expected = "" if allowed else 'user not permitted to approve requests with signerName "example.com/s"'
    assert refused(certificate_approval.CertificateApproval(Allows(allowed)), asked) == expected


@pytest.mark.parametrize(
    ("status", "allowed", "why"),
    [
        ({"certificate": "x"}, "sign signers example.com/*", ""),
        ({}, "", ""),
        ({"certificate": "x"}, "", 'user not permitted to sign requests with signerName "example.com/s"'),
    ],
)
def test_signing_needs_permission_for_the_signer(status, allowed, why):
    asked = kit.attributes(REQUESTS, signing_request(**status), signing_request(), sub="status", name="r")
    assert refused(certificate_signing.CertificateSigning(Allows(allowed)), asked) == why


@pytest.mark.parametrize(
    ("group", "signer", "why"),
    [
        ("system:masters", CLIENT, f"use of {CLIENT} signer with system:masters group is not allowed"),
        ("system:masters", "example.com/s", ""),
        ("others", CLIENT, ""),
    ],
)
def test_nobody_asks_for_a_master_certificate(group, signer, why):
    name = x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, group)])
    key = ec.generate_private_key(ec.SECP256R1())
    made = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    text = base64.b64encode(made.public_bytes(serialization.Encoding.PEM)).decode()
    asked = kit.attributes(REQUESTS, {"metadata": {"name": "r"}, "spec": {"signerName": signer, "request": text}})
    assert refused(certificate_subject_restriction.CertificateSubjectRestriction(), asked) == why


def bundle(certificates, **metadata):
    return {
        "metadata": {"name": "b", **metadata},
        "spec": {"signerName": "example.com/s", "trustBundle": certificates},
    }


@pytest.mark.parametrize(
    ("new", "old", "allowed", "why"),
    [
        (bundle("x"), None, "attest signers example.com/*", ""),
        (bundle("x"), None, "", 'user not permitted to attest for signerName "example.com/s"'),
        (bundle("x", finalizers=["f"]), bundle("x"), "", ""),
        (bundle("y"), bundle("x"), "", 'user not permitted to attest for signerName "example.com/s"'),
    ],
)
def test_attesting_needs_permission_for_the_signer(new, old, allowed, why):
    asked = kit.attributes("clustertrustbundles.certificates.k8s.io", new, old)
    assert refused(cluster_trust_bundle_attest.ClusterTrustBundleAttest(Allows(allowed)), asked) == why


def owned(**reference):
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "r", "uid": "u", **reference}
    return {"metadata": {"name": "p", "namespace": "n", "ownerReferences": [owner]}}


FREE = kit.named("p")


@pytest.mark.parametrize(
    ("new", "old", "allowed", "why"),
    [
        (owned(), None, (), ""),
        (FREE, FREE, (), ""),
        (owned(), FREE, ("delete pods p",), ""),
        (owned(), FREE, (), "cannot set an ownerRef on a resource you can't delete: , <nil>"),
        (owned(blockOwnerDeletion=True), None, ("update replicasets/finalizers r",), ""),
        (
            owned(blockOwnerDeletion=True), None, (),
            "cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set finalizers on: , "
            "<nil>",
        ),
        (
            owned(blockOwnerDeletion=True, kind="Nothing"), None, (),
            "cannot set blockOwnerDeletion in this case because cannot find RESTMapping for APIVersion apps/v1 Kind "
            'Nothing: no matches for kind "Nothing" in version "apps/v1"',
        ),
    ],
)  # fmt: skip
def test_owners(new, old, allowed, why):
    plugin = owner_references_permission_enforcement.OwnerReferencesPermissionEnforcement(
        resources.Registry(tuple(kit.TYPES.values())), Allows(*allowed)
    )
    assert refused(plugin, kit.attributes("pods", new, old, name="p")) == why


def running(cpu, generation):
    pod = kit.pod(kit.container(requests={"cpu": cpu, "memory": "1Gi"}), nodeName="a")
    pod["metadata"]["generation"] = generation
    return pod


@pytest.mark.parametrize(
    ("cpu", "labels", "why", "cause"),
    [
        ("2", {"kubernetes.io/os": "linux"}, "", ""),
        ("2", {}, "", ""),
        (
            "3", {"kubernetes.io/os": "linux"},
            "node didn't have enough allocatable resources: cpu, requested: 3000, allocatable: 2000", "NodeCapacity",
        ),
        (
            "3", {"kubernetes.io/os": "windows"},
            'pod resize is only supported on linux nodes, node "a" is "windows"', "UnsupportedPlatform",
        ),
    ],
)  # fmt: skip
def test_pods_are_not_made_larger_than_their_node(cpu, labels, why, cause):
    node = {"metadata": {"name": "a", "labels": labels}, "status": {"allocatable": {"cpu": "2", "memory": "4Gi"}}}
    asked = kit.attributes("pods", running(cpu, 2), running("500m", 1), sub="resize")
    validator, reader = pod_resize_validator.PodResizeValidator(), kit.Objects(nodes=[node])
    assert refused(validator, asked, reader) == why
    if cause:
        with pytest.raises(errors.Forbidden) as refusal:
            validator.validate(asked, reader)
        assert refusal.value.causes == [{"reason": cause}]
