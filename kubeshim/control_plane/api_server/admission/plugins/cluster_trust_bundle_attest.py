"""ClusterTrustBundleAttest: who says which certificates a signer's are must be allowed to attest for it."""

from collections.abc import Callable
from typing import Any

from kubeshim.control_plane.api_server.admission import plugin, refusals, signers
from kubeshim.control_plane.api_server.authorization import attributes as questions
from kubeshim.machinery import objects

_NO_MATTER = ("ownerReferences", "finalizers", "managedFields", "resourceVersion")
"""Metadata that garbage collection and migration change without touching what is attested."""


class ClusterTrustBundleAttest:
    resources = frozenset(("clustertrustbundles.certificates.k8s.io",))

    def __init__(self, authorizer: Callable[[], questions.Authorizer]) -> None:
        self._authorizer = authorizer

    def validate(self, attributes: plugin.Attributes, reader: plugin.Reader) -> None:
        new, old = attributes.object, attributes.old_object
        if new is None or attributes.operation not in ("CREATE", "UPDATE") or attributes.subresource:
            return
        signer = str(objects.dig(new, "spec", "signerName", default=""))
        if not signer or (old is not None and _content(new) == _content(old)):
            return
        if not signers.is_allowed(self._authorizer(), attributes.user, "attest", signer):
            raise refusals.forbidden(attributes, f'user not permitted to attest for signerName "{signer}"')


def _content(bundle: objects.Object) -> dict[str, Any]:
    metadata = {key: value for key, value in bundle.get("metadata", {}).items() if key not in _NO_MATTER}
    return {**bundle, "metadata": metadata}
