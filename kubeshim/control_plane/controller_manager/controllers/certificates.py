"""CertificateSigningRequests: approving kubelets' client certificates, signing what was approved, cleaning up.

What is approved by itself stands in ``certificate_approval``. Signed are the signers of ``kubernetes.io``; the
certificate holds exactly what its signer allows. Requests are deleted an hour after they were decided, or a day after
nobody did.
"""

import base64
import datetime
import logging

from kubeshim import clock
from kubeshim.client import kinds
from kubeshim.control_plane.controller_manager import certificate_approval as approval
from kubeshim.control_plane.controller_manager import conditions, controller
from kubeshim.machinery import errors, objects
from kubeshim.machinery.objects import Object
from kubeshim.machinery.resources import GroupVersionResource

_log = logging.getLogger(__name__)

SIGNERS = frozenset(
    {
        approval.CLIENT,
        approval.CLIENT_KUBELET,
        approval.SERVING,
        "kubernetes.io/legacy-unknown",
    }
)
REVIEWS = GroupVersionResource("authorization.k8s.io", "v1", "subjectaccessreviews")
HOUR = 3600.0
LIFETIMES = {"Approved": HOUR, "Denied": HOUR, "Failed": HOUR, "": 24 * HOUR}


class CertificatesController(controller.Controller):
    name = "certificatesigningrequest"
    component = "certificate-controller"
    workers = 1

    def register(self) -> None:
        self._requests = self.watch(kinds.CERTIFICATE_SIGNING_REQUESTS)

    def sync(self, key: str) -> float | None:
        request = self._requests.get(key)
        if request is None:
            return None
        left = lifetime_left(request, self.clock.now())
        if left <= 0:
            self._delete(request)
            return None
        decided = {entry["type"] for entry in objects.dig(request, "status", "conditions", default=())}
        if not decided & {"Approved", "Denied", "Failed"}:
            self._approve(request)
        elif "Approved" in decided and "Failed" not in decided and not objects.dig(request, "status", "certificate"):
            self._sign(request)
        return left

    def _delete(self, request: Object) -> None:
        try:
            options = {"preconditions": {"uid": objects.uid(request)}}
            self.client.delete(kinds.CERTIFICATE_SIGNING_REQUESTS, objects.name(request), options=options)
        except errors.NotFound:
            _log.debug("request %s is gone already", objects.name(request))

    def _approve(self, request: Object) -> None:
        """The first that is recognized and allowed, as upstream tries them."""
        try:
            this = approval.wish(request)
        except ValueError:
            return
        node = self._node(this.node) if this.node and this.signer == approval.SERVING else None
        recognized = [one for one in approval.RECOGNIZERS if one.recognize(this, node)]
        for one in recognized:
            if self._may(request, one.subresource):
                self._condition(request, "Approved", "AutoApproved", one.message, "approval")
                return
        if recognized:  # the role that allows it may be about to be made: nothing else brings us back
            raise errors.Conflict(f"{objects.name(request)} is recognized, but its author may not have it yet")

    def _node(self, name: str) -> Object | None:
        """From the server itself: a node asks as soon as it knows its range, before a cache does."""
        try:
            return self.client.get(kinds.NODES, name)
        except errors.NotFound:
            return None

    def _may(self, request: Object, subresource: str) -> bool:
        spec = request["spec"]
        attributes = {
            "group": "certificates.k8s.io",
            "resource": "certificatesigningrequests",
            "verb": "create",
            "subresource": subresource,
            "version": "*",
        }
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": spec.get("username"),
                "uid": spec.get("uid"),
                "groups": spec.get("groups") or [],
                "extra": spec.get("extra") or {},
                "resourceAttributes": attributes,
            },
        }
        return bool(objects.dig(self.client.create(REVIEWS, review), "status", "allowed", default=False))

    def _condition(self, request: Object, kind: str, reason: str, message: str, subresource: str) -> None:
        moment = clock.rfc3339(self.clock.now())
        new = {
            "type": kind,
            "status": "True",
            "reason": reason,
            "message": message,
            "lastUpdateTime": moment,
            "lastTransitionTime": moment,
        }
        status = {**(request.get("status") or {})}
        status["conditions"] = conditions.put(status.get("conditions"), new)
        self.client.update(kinds.CERTIFICATE_SIGNING_REQUESTS, {**request, "status": status}, subresource=subresource)

    def _sign(self, request: Object) -> None:
        options = self.context.options
        if request["spec"].get("signerName") not in SIGNERS or not options.cluster_signing_key:
            return
        seconds = options.cluster_signing_duration
        asked = request["spec"].get("expirationSeconds")
        if asked is not None:
            seconds = min(seconds, max(600.0, float(asked)))
        try:
            check_signer(request)
        except ValueError as error:
            self._condition(request, "Failed", "SignerValidationFailure", str(error), "status")
            return
        certificate = sign(
            request, options.cluster_signing_cert, options.cluster_signing_key, self.clock.now(), seconds
        )
        status = {**(request.get("status") or {}), "certificate": base64.b64encode(certificate).decode()}
        self.client.update(kinds.CERTIFICATE_SIGNING_REQUESTS, {**request, "status": status}, subresource="status")


def lifetime_left(request: Object, now: datetime.datetime) -> float:
    """Seconds until the request is deleted."""
    found = objects.dig(request, "status", "conditions", default=())
    ends = []
    if certificate := objects.dig(request, "status", "certificate"):
        ends.append((_expires(certificate) - now).total_seconds())
    for entry in found:
        since = entry.get("lastUpdateTime") or objects.dig(request, "metadata", "creationTimestamp")
        if entry["type"] in LIFETIMES and since:
            ends.append(LIFETIMES[entry["type"]] - (now - clock.parse_rfc3339(since)).total_seconds())
    if ends:
        return min(ends)
    created = objects.dig(request, "metadata", "creationTimestamp")
    return LIFETIMES[""] - ((now - clock.parse_rfc3339(created)).total_seconds() if created else 0.0)


def _expires(certificate: str) -> datetime.datetime:
    """When a certificate that was issued is of no more use; never, where it is none."""
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificate(base64.b64decode(certificate)).not_valid_after_utc
    except ValueError:
        return datetime.datetime.max.replace(tzinfo=datetime.UTC)


def _csr(request: Object):  # type: ignore[no-untyped-def]  # cryptography is imported late
    from cryptography import x509

    return x509.load_pem_x509_csr(base64.b64decode(request["spec"]["request"]))


def check_signer(request: Object) -> None:
    """Raises ``ValueError`` where the signer does not sign such a thing."""
    this = approval.wish(request)
    if this.signer == approval.CLIENT_KUBELET and not approval.is_kubelet_client(this):
        raise ValueError("subject organization is not system:nodes")
    if this.signer == approval.CLIENT and "client auth" not in this.usages:
        raise ValueError(f"usages did not match {sorted(this.usages)}")
    if this.signer == approval.SERVING:
        if this.organizations != ("system:nodes",) or not this.common_name.startswith("system:node:"):
            raise ValueError("subject organization is not system:nodes")
        if not this.names or this.others:
            raise ValueError("DNS or IP subjectAltName is required")
        if "server auth" not in this.usages:
            raise ValueError(f"usages did not match {sorted(this.usages)}")


def sign(request: Object, ca_cert: bytes, ca_key: bytes, now: datetime.datetime, seconds: float) -> bytes:
    """The certificate in PEM. Subject, names and key are the request's; usages those of its spec."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, rsa
    from cryptography.x509.oid import ExtendedKeyUsageOID

    csr = _csr(request)
    if not csr.is_signature_valid:
        raise ValueError("the request's signature is not valid")
    authority = x509.load_pem_x509_certificate(ca_cert)
    key = serialization.load_pem_private_key(ca_key, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise ValueError("the signing key is neither EC nor RSA")
    usages = set(request["spec"].get("usages") or ())
    extended = {"client auth": ExtendedKeyUsageOID.CLIENT_AUTH, "server auth": ExtendedKeyUsageOID.SERVER_AUTH}
    end = min(now + datetime.timedelta(seconds=seconds), authority.not_valid_after_utc)
    builder = (
        x509.CertificateBuilder()
        .subject_name(csr.subject)
        .issuer_name(authority.subject)
        .public_key(csr.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    )
    signs, enciphers = "digital signature" in usages, "key encipherment" in usages
    if signs or enciphers:
        # without any bit the extension is no valid one: it is left out
        allowed = x509.KeyUsage(
            digital_signature=signs, content_commitment=False, key_encipherment=enciphers, data_encipherment=False,
            key_agreement=False, key_cert_sign=False, crl_sign=False, encipher_only=False, decipher_only=False,
        )  # fmt: skip
        builder = builder.add_extension(allowed, critical=True)
    purposes = [extended[usage] for usage in sorted(usages) if usage in extended]
    if purposes:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    try:
        names = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        builder = builder.add_extension(names.value, critical=names.critical)
    except x509.ExtensionNotFound:
        _log.debug("request %s has no alternative names", objects.name(request))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
