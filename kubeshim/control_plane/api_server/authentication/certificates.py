"""Client certificates. TLS has verified the chain already; here it is decided whose certificate it is.

The TLS context trusts two authorities: the cluster's, whose certificates name a user, and the front proxy's, whose
certificates only allow to speak for others. Which one signed decides, so the two must never be mixed up.
"""

import dataclasses
import datetime
import hashlib
import pathlib
from collections.abc import Sequence

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from kubeshim import clock
from kubeshim.control_plane.api_server import request

CREDENTIAL_ID = "authentication.kubernetes.io/credential-id"
_UID = ObjectIdentifier("1.3.6.1.4.1.57683.2")
"""Kubernetes' own subject attribute for a user's UID."""
_REMEMBERED = 4096


@dataclasses.dataclass(frozen=True, slots=True)
class Identity:
    """What a certificate says. ``user`` is None for a front proxy's, ``proxy_name`` empty for a user's."""

    user: request.UserInfo | None
    proxy_name: str
    not_before: datetime.datetime
    not_after: datetime.datetime


class Certificates:
    """Reads certificates in DER; remembers them by content."""

    def __init__(self, client_ca: str, front_proxy_ca: str = "", *, time_source: clock.Clock = clock.SYSTEM) -> None:
        """Paths of PEM files; an empty one trusts nobody."""
        self._clients = _authorities(client_ca)
        self._proxies = _authorities(front_proxy_ca)
        self._clock = time_source
        self._known: dict[bytes, Identity | None] = {}

    def identify(self, der: bytes) -> Identity | None:
        """None for a certificate that identifies nobody here, or is not valid now."""
        if der in self._known:
            identity = self._known[der]
        else:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            identity = self._known[der] = self._read(der)
        if identity is None:
            return None
        now = self._clock.now()
        return identity if identity.not_before <= now <= identity.not_after else None

    def remaining(self, identity: Identity) -> float:
        """Seconds until its certificate expires."""
        return (identity.not_after - self._clock.now()).total_seconds()

    def _read(self, der: bytes) -> Identity | None:
        certificate = x509.load_der_x509_certificate(der)
        if not _for_clients(certificate):
            return None
        until = (certificate.not_valid_before_utc, certificate.not_valid_after_utc)
        names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        name = str(names[-1].value) if names else ""
        if _signed_by(certificate, self._clients):
            return Identity(_user(certificate, name, der), "", *until) if name else None
        if _signed_by(certificate, self._proxies):
            return Identity(None, name, *until)
        return None


def _user(certificate: x509.Certificate, name: str, der: bytes) -> request.UserInfo:
    groups = [str(one.value) for one in certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
    uids = certificate.subject.get_attributes_for_oid(_UID)
    return request.UserInfo(
        name,
        tuple(dict.fromkeys((*groups, "system:authenticated"))),
        uid=str(uids[0].value) if uids else "",
        extra={CREDENTIAL_ID: (f"X509SHA256={hashlib.sha256(der).hexdigest()}",)},
    )


def _authorities(path: str) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(pathlib.Path(path).read_bytes()) if path else []


def _signed_by(certificate: x509.Certificate, authorities: Sequence[x509.Certificate]) -> bool:
    for authority in authorities:
        if authority.subject == certificate.issuer:
            try:
                certificate.verify_directly_issued_by(authority)
            except Exception:  # a bad signature, or a key of another kind: not by this one
                continue
            return True
    return False


def _for_clients(certificate: x509.Certificate) -> bool:
    try:
        usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return False
    return ExtendedKeyUsageOID.CLIENT_AUTH in usages or ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in usages
