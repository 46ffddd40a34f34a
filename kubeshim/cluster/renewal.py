"""Certificates a node asks the cluster for: the first time, and again before each ends.

A request is a CertificateSigningRequest; whoever approves and signs is on the other side. The key never leaves this
machine. Certificate and key are one file, replaced by rename, so that they always belong together.
"""

import base64
import dataclasses
import datetime
import ipaddress
import logging
import pathlib
import random
import threading
import time
from collections.abc import Callable, Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kubeshim import clock, pki
from kubeshim.client import kinds, rest
from kubeshim.machinery import errors, joining, objects

_log = logging.getLogger(__name__)

PATIENCE = 60.0
"""Seconds to wait for a request to be approved and signed."""
_RETRY, _RETRY_LATEST = 1.0, 60.0
_WATCH = 10
"""Seconds of one watch: one that lost its connection must not cost the certificate its time."""
_LOOK = 3600.0
"""Longest sleep: a machine that was suspended looks at the time again."""
SIGNER_KUBELET = "kubernetes.io/kube-apiserver-client-kubelet"
SIGNER_CLIENT = "kubernetes.io/kube-apiserver-client"
SIGNER_SERVING = "kubernetes.io/kubelet-serving"


class NotGiven(Exception):
    """The request was denied, failed, or nobody answered."""


@dataclasses.dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for."""

    signer: str
    common_name: str
    organization: str
    usage: str
    """``client auth`` or ``server auth``."""
    dns: tuple[str, ...] = ()
    ips: tuple[str, ...] = ()


def kubelet_client(node: str) -> Wanted:
    return Wanted(SIGNER_KUBELET, f"system:node:{node}", "system:nodes", "client auth")


def kubelet_server(node: str, address: str) -> Wanted:
    return Wanted(SIGNER_SERVING, f"system:node:{node}", "system:nodes", "server auth", (node,), (address,))


def agent_client(node: str) -> Wanted:
    return Wanted(SIGNER_CLIENT, joining.AGENT_USER + node, joining.AGENT_GROUP, "client auth")


def request(client: rest.Client, wanted: Wanted, patience: float = PATIENCE) -> bytes:
    """Certificate and key in PEM. Raises ``NotGiven``, API errors, ``OSError``."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, wanted.organization),
            x509.NameAttribute(NameOID.COMMON_NAME, wanted.common_name),
        ]
    )
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in wanted.dns]
    names += [x509.IPAddress(ipaddress.ip_address(address)) for address in wanted.ips]
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    pem = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    made = client.create(
        kinds.CERTIFICATE_SIGNING_REQUESTS,
        {
            "apiVersion": "certificates.k8s.io/v1",
            "kind": "CertificateSigningRequest",
            "metadata": {"generateName": "csr-"},
            "spec": {
                "request": base64.b64encode(pem).decode(),
                "signerName": wanted.signer,
                "usages": ["digital signature", wanted.usage],
            },
        },
    )
    certificate = _answer(client, objects.name(made), patience)
    encoded = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.rstrip() + b"\n" + encoded


def _answer(client: rest.Client, name: str, patience: float) -> bytes:
    """Follows the request until it is signed."""
    deadline = time.monotonic() + patience
    while (left := deadline - time.monotonic()) > 0:
        seconds = max(1, min(int(left), _WATCH))
        selector = f"metadata.name={name}"
        with client.watch(kinds.CERTIFICATE_SIGNING_REQUESTS, field_selector=selector, timeout=seconds) as watch:
            for kind, obj in watch:
                if objects.name(obj) != name:
                    continue
                status = obj.get("status") or {}
                refused = [entry for entry in status.get("conditions") or () if entry["type"] in ("Denied", "Failed")]
                if refused or kind == "DELETED":
                    said = refused[0].get("message", "") if refused else "it was deleted"
                    raise NotGiven(f"certificate request {name}: {said}")
                if status.get("certificate"):
                    return base64.b64decode(status["certificate"])
    raise NotGiven(
        f"nobody approved and signed the certificate request {name} within {patience:.0f} s: "
        f"kubectl certificate approve {name}"
    )


def valid(path: pathlib.Path) -> tuple[datetime.datetime, datetime.datetime] | None:
    """From when to when, of the file's certificate; None where there is none that can be read."""
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError):
        return None
    return certificate.not_valid_before_utc, certificate.not_valid_after_utc


def is_good(path: pathlib.Path) -> bool:
    period = valid(path)
    return period is not None and period[0] <= clock.SYSTEM.now() < period[1]


def due(start: datetime.datetime, end: datetime.datetime, share: float) -> datetime.datetime:
    """When a certificate shall be replaced: after that share of its time (pure)."""
    return start + (end - start) * share


class Renewal:
    """Replaces the file's certificate after 70 to 90 % of its time, as kubelets do: not all at the same moment."""

    def __init__(
        self, path: pathlib.Path, wanted: Wanted, client: rest.Client, renewed: Sequence[Callable[[], None]]
    ) -> None:
        """``renewed`` are told when there is a new one."""
        self._path, self._wanted, self._client, self._renewed = path, wanted, client, renewed
        self._share = random.uniform(0.7, 0.9)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"renew-{path.stem}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()

    def _run(self) -> None:
        delay = _RETRY
        while not self._stop.wait(min(self._left(), _LOOK)):
            if self._left() > 0:
                continue
            try:
                pki.write_file(self._path, request(self._client, self._wanted))
            except Exception as error:  # whatever it is, it must not be the last attempt
                expected = isinstance(error, (NotGiven, errors.APIStatusError, OSError))
                _log.warning("renewing the certificate in %s: %s", self._path, error, exc_info=not expected)
                self._stop.wait(delay)
                delay = min(2 * delay, _RETRY_LATEST)
                continue
            delay = _RETRY
            _log.info("renewed the certificate in %s", self._path)
            for tell in self._renewed:
                try:
                    tell()
                except Exception:
                    _log.exception("the new certificate in %s is not used by all", self._path)

    def _left(self) -> float:
        """A certificate is dated back a little, which a short one must not be judged by: it began when it came."""
        period = valid(self._path)
        if period is None:
            return 0.0
        came = datetime.datetime.fromtimestamp(self._path.stat().st_mtime, datetime.UTC)
        start = min(max(period[0], came), period[1])
        return (due(start, period[1], self._share) - clock.SYSTEM.now()).total_seconds()
