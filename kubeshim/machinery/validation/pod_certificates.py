"""What a signer may write into the status of a PodCertificateRequest.

    nothing yet → Issued    with a chain for the requested key and the times that are in its leaf
                → Denied, Failed    with conditions only

After that nothing changes any more.
"""

import datetime
from collections.abc import Mapping
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from kubeshim import clock
from kubeshim.machinery import objects
from kubeshim.machinery.errors import FieldError
from kubeshim.machinery.validation import certificates, conditions, fields

_KNOWN = ("Issued", "Denied", "Failed")
_CHAIN = "status.certificateChain"
_CHAIN_LIMIT = 100 * 1024
_SKEW = datetime.timedelta(minutes=5)
_SHORTEST = datetime.timedelta(hours=1)
_MARGIN = datetime.timedelta(minutes=10)


def _untold(path: str, detail: str) -> list[FieldError]:
    """A refusal that does not repeat the value."""
    return [FieldError(path, "FieldValueInvalid", f"Invalid value: {detail}")]


def status(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    new, before = obj.get("status") or {}, old.get("status") or {}
    if wrong := _conditions(new.get("conditions") or []):
        return wrong
    if _holding(before):
        if new == before:
            return []
        return _untold("status", "immutable after PodCertificateRequest is issued, denied, or failed")
    now_holds = _holding(new)
    if not now_holds:
        if new == before:
            return []
        text = 'status is immutable unless transitioning to "Issued", "Denied", or "Failed"'
        return _untold("status", text)
    if now_holds != "Issued":
        if set(new) <= {"conditions"}:
            return []
        text = "non-condition status fields must be empty when denying or failing the PodCertificateRequest"
        return _untold("status", text)
    return _issued(new, old.get("spec") or {}, clock.SYSTEM.now())


def _conditions(found: list[Any]) -> list[FieldError]:
    wrong: list[FieldError] = []
    for index, condition in enumerate(found):
        path, kind = f"status.conditions.[{index}]", condition.get("type") or ""
        if kind not in _KNOWN:
            wrong.append(fields.not_supported(path + ".type", kind, _KNOWN))
            continue
        if index:
            text = 'There may be at most one condition with type "Issued", "Denied", or "Failed"'
            wrong.append(fields.invalid(path + ".type", kind, text))
        wrong += fields.one_of(path + ".status", condition.get("status") or "", ("True",))
    return wrong + conditions.validate(found, "status.conditions")


def _holding(status_now: Mapping[str, Any]) -> str:
    """Which of the final conditions holds."""
    for condition in status_now.get("conditions") or ():
        if condition.get("type") in _KNOWN and condition.get("status") == "True":
            return str(condition["type"])
    return ""


def _issued(new: Mapping[str, Any], spec: Mapping[str, Any], now: datetime.datetime) -> list[FieldError]:
    chain = new.get("certificateChain") or ""
    if len(chain) > _CHAIN_LIMIT:
        return [fields.too_long(_CHAIN, _CHAIN_LIMIT)]
    found = list(certificates.blocks(chain.encode()))
    if not found:
        return [fields.invalid(_CHAIN, chain, "issued certificate chain must contain at least one certificate")]
    for index, (kind, _, der) in enumerate(found):
        if kind != "CERTIFICATE":
            text = "issued certificate chain must consist entirely of CERTIFICATE PEM blocks"
            return [fields.invalid(_CHAIN, chain, text)]
        try:
            parsed = x509.load_der_x509_certificate(der)
        except ValueError:
            which = "intermediate" if index else "leaf"
            return [fields.invalid(_CHAIN, chain, f"{which} certificate does not parse as valid X.509")]
        if not index:
            leaf = parsed
    request = x509.load_der_x509_csr(certificates.bytes_of(spec.get("stubPKCS10Request")))
    if _key(leaf) != _key(request):
        return [fields.invalid(_CHAIN, chain, "leaf certificate was not issued to the requested public key")]
    return _dns_names(leaf) or _times(new, spec, leaf, now)


def _key(holder: x509.Certificate | x509.CertificateSigningRequest) -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return holder.public_key().public_bytes(serialization.Encoding.DER, form)


def _dns_names(leaf: x509.Certificate) -> list[FieldError]:
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    wrong: list[FieldError] = []
    for name in names.get_values_for_type(x509.DNSName):
        if not name:
            wrong.append(fields.invalid(_CHAIN, name, "leaf certificate should not contain empty DNSName"))
        if ".." in name:
            wrong.append(fields.invalid(_CHAIN, name, "leaf certificate's DNSName should not contain '..'"))
        if name.startswith(".") or name.endswith("."):
            text = "leaf certificate's DNSName should not start or end with '.'"
            wrong.append(fields.invalid(_CHAIN, name, text))
    return wrong


def _times(
    new: Mapping[str, Any], spec: Mapping[str, Any], leaf: x509.Certificate, now: datetime.datetime
) -> list[FieldError]:
    consistent = "must be present and consistent with the issued certificate"
    needed = {
        "notBefore": consistent,
        "notAfter": consistent,
        "beginRefreshAt": "must be present and in the range [notbefore+10min, notafter-10min]",
    }
    if missing := [fields.required(f"status.{name}", text) for name, text in needed.items() if not new.get(name)]:
        return missing
    begin, end, refresh = (clock.parse_rfc3339(new[name]) for name in needed)
    lifetime = leaf.not_valid_after_utc - leaf.not_valid_before_utc
    most = spec.get("maxExpirationSeconds") or 0
    checks = (
        (begin == leaf.not_valid_before_utc, "status.notBefore", new["notBefore"],
         "must be set to the NotBefore time encoded in the leaf certificate"),
        (abs(begin - now) < _SKEW, "status.notBefore", new["notBefore"],
         "must be set to within 5 minutes of kube-apiserver's current time"),
        (end == leaf.not_valid_after_utc, "status.notAfter", new["notAfter"],
         "must be set to the NotAfter time encoded in the leaf certificate"),
        (lifetime >= _SHORTEST, _CHAIN, _nanoseconds(lifetime), "leaf certificate lifetime must be >= 1 hour"),
        (lifetime <= datetime.timedelta(seconds=most), _CHAIN, _nanoseconds(lifetime),
         f"leaf certificate lifetime must be <= spec.maxExpirationSeconds ({most})"),
        (refresh >= begin + _MARGIN, "status.beginRefreshAt", new["beginRefreshAt"],
         "must be at least 10 minutes after status.notBefore"),
        (refresh <= end - _MARGIN, "status.beginRefreshAt", new["beginRefreshAt"],
         "must be at least 10 minutes before status.notAfter"),
    )  # fmt: skip
    for holds, path, value, text in checks:
        if not holds:
            return [fields.invalid(path, value, text)]
    return []


def _nanoseconds(span: datetime.timedelta) -> int:
    return int(span.total_seconds()) * 1_000_000_000
