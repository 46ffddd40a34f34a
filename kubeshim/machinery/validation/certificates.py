"""Certificate signing requests, trust bundles, and certificates for pods."""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cryptography import exceptions, x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from kubeshim.machinery import objects
from kubeshim.machinery.errors import FieldError
from kubeshim.machinery.validation import content, fields, go_values, metadata

_USAGES = (
    "any", "cert sign", "client auth", "code signing", "content commitment", "crl sign", "data encipherment",
    "decipher only", "digital signature", "email protection", "encipher only", "ipsec end system", "ipsec tunnel",
    "ipsec user", "key agreement", "key encipherment", "microsoft sgc", "netscape sgc", "ocsp signing", "s/mime",
    "server auth", "signing", "timestamping",
)  # fmt: skip
_FINAL = ("Approved", "Denied", "Failed")
_BUNDLE_LIMIT = 1 << 20
_DOMAIN_LIMIT, _PATH_LIMIT = 253, 253 + 1 + 63
_UID_LIMIT = 128
_STUB_LIMIT = 10 * 1024
_SHORTEST, _LONGEST, _LONGEST_OF_KUBERNETES = 3600, 91 * 86400, 86400
_BLOCK = re.compile(
    rb"^-----BEGIN ([^\n-]+)-----[ \t\r]*\n(.*?)^-----END \1-----", re.MULTILINE | re.DOTALL
)  # what is between blocks does not matter
_OMITTED = "<value omitted>"


def blocks(text: bytes) -> Iterator[tuple[str, bool, bytes]]:
    """The PEM blocks of a text: type, whether it has headers, what is in it."""
    for found in _BLOCK.finditer(text):
        body = found[2]
        headers, separator, rest = body.partition(b"\n\n")
        has_headers = bool(separator) and b":" in headers
        try:
            yield found[1].decode(), has_headers, base64.b64decode(rest if has_headers else body)
        except (binascii.Error, UnicodeDecodeError):
            continue


def bytes_of(encoded: Any) -> bytes:
    """A field of bytes, which JSON has in base64."""
    return base64.b64decode(encoded) if isinstance(encoded, str) else b""


def signing_request(obj: objects.Object) -> list[FieldError]:
    spec = obj.get("spec") or {}
    wrong: list[FieldError] = []
    if complaint := _request_problem(bytes_of(spec.get("request"))):
        wrong.append(fields.invalid("spec.request", spec.get("request") or "", complaint))
    usages = spec.get("usages") or ()
    if not usages:
        wrong.append(fields.required("spec.usages"))
    wrong += [error for i, usage in enumerate(usages) for error in fields.one_of(f"spec.usages[{i}]", usage, _USAGES)]
    wrong += [fields.duplicate(f"spec.usages[{i}]", usage) for i, usage in enumerate(usages) if usage in usages[:i]]
    name = spec.get("signerName") or ""
    if name == "kubernetes.io/legacy-unknown":
        wrong.append(
            fields.invalid("spec.signerName", name, "the legacy signerName is not allowed via this API version")
        )
    else:
        wrong += signer_name(name, "spec.signerName")
    seconds = spec.get("expirationSeconds")
    if seconds is not None and seconds < 600:
        text = "may not specify a duration less than 600 seconds (10 minutes)"
        wrong.append(fields.invalid("spec.expirationSeconds", seconds, text))
    return wrong


def _request_problem(pem: bytes) -> str:
    first = next(blocks(pem), None)
    if first is None or first[0] != "CERTIFICATE REQUEST":
        return "PEM block type must be CERTIFICATE REQUEST"
    try:
        request = x509.load_der_x509_csr(first[2])
        valid = request.is_signature_valid
    except (ValueError, exceptions.UnsupportedAlgorithm, TypeError) as problem:
        return str(problem) or "asn1: structure error"
    return "" if valid else "x509: signature does not match the key of the request"


def signer_name(name: str, path: str) -> list[FieldError]:
    if not name:
        return [fields.required(path)]
    domain, _, rest = name.partition("/")
    if name.count("/") != 1:
        text = "must be a fully qualified domain and path of the form 'example.com/signer-name'"
        return [fields.invalid(path, name, text)]
    wrong = [fields.too_long(path, _DOMAIN_LIMIT)] if len(domain) > _DOMAIN_LIMIT else []
    for whole, check in ((domain, content.dns_label), (rest, content.dns_subdomain)):
        labels = whole.split(".")
        for label in labels:
            wrong += [
                fields.invalid(path, whole, f"validating label {fields.quote(label)}: {complaint}")
                for complaint in check(label)
            ]
        if whole is domain and len(labels) < 2:
            text = "should be a domain with at least two segments separated by dots"
            wrong.append(fields.invalid(path, domain, text))
    if len(rest) > _PATH_LIMIT:
        wrong.append(fields.too_long(path, _PATH_LIMIT))
    return wrong


def signing_status(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    """The status door: conditions other than those of approval, and the certificate, once."""
    found = objects.dig(obj, "status", "conditions", default=()) or ()
    before = objects.dig(old, "status", "conditions", default=()) or ()
    wrong = _conditions(found)
    certificate, held = (objects.dig(one, "status", "certificate", default="") or "" for one in (obj, old))
    if certificate != held and (complaint := _certificate_problem(bytes_of(certificate))):
        wrong.append(fields.invalid("status.certificate", "<certificate data>", complaint))
    for kind in _FINAL:
        new, earlier = ([one for one in entries if one.get("type") == kind] for entries in (found, before))
        if len(new) < len(earlier):
            wrong.append(_removed(kind))
        elif kind != "Failed" and len(new) > len(earlier):
            text = f"updates may not add a condition of type {fields.quote(kind)}"
            wrong.append(fields.forbidden("status.conditions", text))
    if held and certificate != held:
        wrong.append(fields.forbidden("status.certificate", "updates may not modify existing certificate content"))
    return wrong


def signing_approval(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    """The approval door: decisions may be added, and stay."""
    found = objects.dig(obj, "status", "conditions", default=()) or ()
    before = objects.dig(old, "status", "conditions", default=()) or ()
    kinds, held = ([one.get("type") for one in entries] for entries in (found, before))
    return _conditions(found) + [_removed(kind) for kind in _FINAL if kinds.count(kind) < held.count(kind)]


def _removed(kind: str) -> FieldError:
    return fields.forbidden("status.conditions", f"updates may not remove a condition of type {fields.quote(kind)}")


def _conditions(found: Sequence[Mapping[str, Any]]) -> list[FieldError]:
    wrong: list[FieldError] = []
    kinds = [condition.get("type") or "" for condition in found]
    for index, condition in enumerate(found):
        kind, status, path = kinds[index], condition.get("status") or "", f"status.conditions[{index}]"
        if not kind:
            wrong.append(fields.required(path + ".type"))
        allowed = ("True",) if kind in _FINAL else ("False", "True", "Unknown")
        if not status:
            wrong.append(fields.required(path + ".status"))
        else:
            wrong += fields.one_of(path + ".status", status, allowed)
        other = {"Approved": "Denied", "Denied": "Approved"}.get(kind)
        if other in kinds[:index]:
            text = "Approved and Denied conditions are mutually exclusive"
            wrong.append(fields.invalid("status.conditions", kind, text))
        if kind in kinds[:index]:
            wrong.append(fields.duplicate(path + ".type", kind))
    return wrong


def _certificate_problem(pem: bytes) -> str:
    if not pem:
        return ""
    count = 0
    for kind, headers, der in blocks(pem):
        if kind != "CERTIFICATE":
            return f"only CERTIFICATE PEM blocks are allowed, found {fields.quote(kind)}"
        if headers:
            return "no PEM block headers are permitted"
        count += 1
        try:
            x509.load_der_x509_certificate(der)
        except ValueError as problem:
            return f"x509: malformed certificate: {problem}"
    return "" if count else "must contain at least one CERTIFICATE PEM block"


def trust_bundle(obj: objects.Object) -> list[FieldError]:
    signer = objects.dig(obj, "spec", "signerName", default="") or ""
    name = objects.name(obj)
    wrong = fields.all_invalid("metadata.name", name, bundle_name(name, signer))
    if signer:
        wrong += signer_name(signer, "spec.signerName")
    return wrong


def trust_bundle_create(obj: objects.Object) -> list[FieldError]:
    return _bundle(objects.dig(obj, "spec", "trustBundle", default="") or "")


def trust_bundle_update(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    """A bundle that stays is not read again: how strictly it is read may change."""
    spec, before = obj.get("spec") or {}, old.get("spec") or {}
    changed = spec.get("trustBundle") != before.get("trustBundle")
    wrong = _bundle(spec.get("trustBundle") or "") if changed else []
    return wrong + fields.immutable("spec.signerName", spec.get("signerName") or "", before.get("signerName") or "")


def bundle_name(name: str, signer: str) -> list[str]:
    if not signer:
        if ":" in name:
            return ['ClusterTrustBundle without signer name must not have ":" in its name']
        return content.dns_subdomain(name)
    prefix = signer.replace("/", ":") + ":"
    if not name.startswith(prefix):
        return [f"ClusterTrustBundle for signerName {signer} must be named with prefix {prefix}"]
    return content.dns_subdomain(name.removeprefix(prefix))


def _bundle(text: str) -> list[FieldError]:
    path = "spec.trustBundle"
    if len(text) > _BUNDLE_LIMIT:
        return [fields.too_long(path, _BUNDLE_LIMIT)]
    wrong: list[FieldError] = []
    seen: dict[bytes, list[int]] = {}
    for index, (kind, headers, der) in enumerate(blocks(text.encode())):
        if complaint := _anchor_problem(kind, headers, der):
            wrong.append(fields.invalid(path, _OMITTED, f"entry {index} {complaint}"))
        else:
            seen.setdefault(der, []).append(index)
    if wrong:
        return wrong
    if not seen:
        return [fields.invalid(path, _OMITTED, "at least one trust anchor must be provided")]
    return [
        fields.invalid(path, _OMITTED, f"duplicate trust anchor (indices [{' '.join(map(str, places))}])")
        for places in seen.values()
        if len(places) > 1
    ]


def _anchor_problem(kind: str, headers: bool, der: bytes) -> str:
    if kind != "CERTIFICATE":
        return f"has bad block type: {kind}"
    if headers:
        return "has PEM block headers"
    try:
        certificate = x509.load_der_x509_certificate(der)
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        return "does not have the CA bit set"
    except ValueError:
        return "does not parse as X.509"
    return "" if constraints.ca else "does not have the CA bit set"


def pod_request(obj: objects.Object) -> list[FieldError]:
    spec = obj.get("spec") or {}
    wrong = signer_name(spec.get("signerName") or "", "spec.signerName")
    if (annotations := spec.get("unverifiedUserAnnotations")) is not None:
        wrong += user_annotations(annotations, "spec.unverifiedUserAnnotations")
    for field in ("pod", "serviceAccount", "node"):
        name, uid = spec.get(f"{field}Name") or "", spec.get(f"{field}UID") or ""
        wrong += fields.all_invalid(f"spec.{field}Name", name, content.dns_subdomain(name))
        if not uid:
            wrong.append(fields.invalid(f"spec.{field}UID", uid, "must not be empty"))
        if len(uid) > _UID_LIMIT:
            wrong.append(fields.too_long(f"spec.{field}UID", _UID_LIMIT))
    seconds = spec.get("maxExpirationSeconds")
    if seconds is None:
        return [*wrong, fields.required("spec.maxExpirationSeconds", "must be set")]
    wrong += lifetime(spec.get("signerName") or "", seconds, "spec.maxExpirationSeconds")
    return wrong + _stub(spec.get("stubPKCS10Request") or "", "spec.stubPKCS10Request")


def lifetime(signer: str, seconds: int, path: str) -> list[FieldError]:
    """How long a pod's certificate may be asked for."""
    ours = signer.partition("/")[0].endswith("kubernetes.io")
    most = _LONGEST_OF_KUBERNETES if ours else _LONGEST
    if _SHORTEST <= seconds <= most:
        return []
    return [fields.invalid(path, seconds, f"must be in the range [{_SHORTEST}, {most}]")]


def user_annotations(found: Mapping[str, str], path: str) -> list[FieldError]:
    wrong = metadata.annotations(found, path)
    for key in found:
        if "/" not in key:
            wrong.append(fields.invalid(path, key, 'must be a domain-prefixed key (such as "acme.io/foo")'))
    return wrong


def _stub(encoded: str, path: str) -> list[FieldError]:
    der = bytes_of(encoded)
    if len(der) > _STUB_LIMIT:
        return [fields.too_long(path, _STUB_LIMIT)]
    try:
        request = x509.load_der_x509_csr(der)
        key = request.public_key()
        valid = request.is_signature_valid
    except (ValueError, exceptions.UnsupportedAlgorithm, TypeError):
        return [fields.invalid(path, encoded, "must be a valid PKCS#10 certificate signing request")]
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size not in (3072, 4096):
            shown = f"{key.key_size}-bit modulus"
            return [fields.invalid(path, shown, "RSA keys must have modulus size 3072 or 4096")]
    elif isinstance(key, ec.EllipticCurvePublicKey):
        if key.curve.name not in ("secp256r1", "secp384r1", "secp521r1"):
            shown = f"curve {key.curve.name}"
            return [fields.invalid(path, shown, "elliptic public keys must use curve P256, P384, or P521")]
    elif not isinstance(key, ed25519.Ed25519PublicKey):
        text = "unknown public key type; supported types are Ed25519, ECDSA, and RSA"
        return [fields.invalid(path, encoded, text)]
    return [] if valid else [fields.invalid(path, encoded, "could not verify the signature of the request")]


def pod_request_update(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    message = "k8s.io.api.certificates.v1.PodCertificateRequestSpec"
    return go_values.immutable("spec", message, obj.get("spec"), old.get("spec"))
