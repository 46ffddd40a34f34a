"""What a ``clusterTrustBundle`` source writes: the certificates of one bundle, or of all of a signer that match. Pure.

Certificates come out once each, without comments or headers, in an order that says nothing.
Source: Kubernetes documentation, "Certificates and Certificate Signing Requests", cluster trust bundles.
"""

import base64
import re
from collections.abc import Iterable, Sequence

from kubeshim.machinery import objects, selectors
from kubeshim.machinery.objects import Object

KIND = "ClusterTrustBundle"
_BLOCK = re.compile(r"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", re.DOTALL)


class Missing(Exception):
    """No bundle, and the source is not optional."""


def choose(source: Object, bundles: Sequence[Object]) -> list[Object]:
    """The bundles a source means. Raises ``Missing``."""
    optional = bool(source.get("optional"))
    if source.get("name"):
        found = [each for each in bundles if objects.name(each) == source["name"]]
        if not found and not optional:
            raise Missing(f'clustertrustbundle.certificates.k8s.io "{source["name"]}" not found')
        return found
    selector = selectors.from_label_selector(source.get("labelSelector"))
    found = [
        each
        for each in bundles
        if objects.dig(each, "spec", "signerName", default="") == source.get("signerName")
        and selector.matches(objects.labels(each))
    ]
    if not found and not optional:
        raise Missing("combination of signerName and labelSelector matched zero ClusterTrustBundles")
    return found


def anchors(bundles: Iterable[Object]) -> bytes:
    """PEM of all their certificates."""
    found: set[bytes] = set()
    for bundle in bundles:
        for block in _BLOCK.findall(objects.dig(bundle, "spec", "trustBundle", default="")):
            body = re.sub(r"^[\w-]+:.*$", "", block, flags=re.MULTILINE)
            found.add(base64.b64decode("".join(body.split())))
    return b"".join(_pem(der) for der in sorted(found))


def _pem(der: bytes) -> bytes:
    text = base64.b64encode(der)
    lines = [text[start : start + 64] for start in range(0, len(text), 64)]
    return b"\n".join([b"-----BEGIN CERTIFICATE-----", *lines, b"-----END CERTIFICATE-----", b""])
