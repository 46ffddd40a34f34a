import pathlib

import pytest

from kubeshim.control_plane.api_server import config
from kubeshim.control_plane.api_server.admission import chain

UPSTREAM = [
    "NamespaceLifecycle", "LimitRanger", "ServiceAccount", "NodeRestriction", "TaintNodesByCondition", "PodSecurity",
    "Priority", "DefaultTolerationSeconds", "DefaultStorageClass", "StorageObjectInUseProtection",
    "OwnerReferencesPermissionEnforcement", "PersistentVolumeClaimResize", "RuntimeClass", "CertificateApproval",
    "CertificateSigning", "ClusterTrustBundleAttest", "CertificateSubjectRestriction", "DefaultIngressClass",
    "PodTopologyLabels", "PodResizeValidator", "MutatingAdmissionPolicy", "MutatingAdmissionWebhook",
    "ValidatingAdmissionPolicy", "ValidatingAdmissionWebhook", "ResourceQuota",
]  # fmt: skip
OWN = ["RoleEscalation", "CertificateRequester"]
"""What upstream does in storage."""


def test_the_order_is_upstreams():
    names = [entry.name for entry in chain.PLUGINS]
    assert [name for name in names if name not in OWN] == UPSTREAM
    assert len(set(names)) == len(names)


def test_names_nobody_knows_are_refused():
    with pytest.raises(ValueError, match='disable-admission-plugins plugin "Priorty" is unknown'):
        chain.Chain(None, config.Config(pathlib.Path(), disabled_admission_plugins=("Priorty",)), None)
