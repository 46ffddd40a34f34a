"""A cluster's certificates, keys and kubeconfig files.

One directory holds them as kubeadm lays them out::

    ca.crt ca.key                            signs every certificate below but one
    front-proxy-ca.crt front-proxy-ca.key    signs only the front proxy's, so that no other client can set X-Remote-*
    front-proxy-client.crt .key              what the API server shows to aggregated API servers
    sa.key sa.pub                            RSA: signs and verifies service-account tokens (RS256)
    apiserver.crt .key                       the API server's serving certificate
    apiserver-kubelet-client.crt .key        what the API server shows to kubelets
    metrics-server.crt .key                  the serving certificate of the resource metrics server
    simulator.crt .key                       what answers for the kubelets of simulated nodes
    NAME.conf                                a kubeconfig with its own client certificate inside: admin,
                                             controller-manager, scheduler, kube-proxy, dns, metrics-server,
                                             ingress, local-storage, simulator, kubelet-NODE
    nodes/NODE/kubelet.crt .key              a kubelet's serving certificate

``create_all`` may be run again at any time: what is there and still good is kept, what is missing, expires within
``RENEW_BEFORE`` or lacks a name is issued anew under the same CA. A CA is never replaced: that would lock out
everybody who trusts it.

Why a crash cannot hurt: every file appears by rename, complete and synced. A key is written before its
certificate, so a certificate without its key does not come to be; a pair that does not match is issued again.
Files are 0600 from their first byte on, whatever the umask. Keys are P-256 (an RSA handshake costs ten times as
much), but for two: RS256 is what every OIDC verifier understands, so ``sa.key`` is RSA, and the administrator's is, in
the form kubeadm writes it, because clients of people's choice read it: fabric8's for Java takes no other without help.
"""

import base64
import dataclasses
import datetime
import ipaddress
import os
import secrets
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kubeshim import clock, fast_yaml

CA_DAYS = 3650
LEAF_DAYS = 365
RENEW_BEFORE = datetime.timedelta(days=30)
_BACKDATED = datetime.timedelta(hours=1)
"""Hosts' clocks differ a little: a certificate must not be "not yet valid" on a second host."""

_Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

CLIENT = ("client",)
SERVER = ("server",)
_USAGES = {"client": ExtendedKeyUsageOID.CLIENT_AUTH, "server": ExtendedKeyUsageOID.SERVER_AUTH}


class PKIError(Exception):
    """What is on disk cannot be used; the message says what to do."""


@dataclasses.dataclass(frozen=True, slots=True)
class Leaf:
    """A certificate to be issued: who it names and what for (``usages`` of ``client``, ``server``)."""

    common_name: str
    organizations: tuple[str, ...] = ()
    dns: tuple[str, ...] = ()
    ips: tuple[str, ...] = ()
    usages: tuple[str, ...] = CLIENT
    rsa: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Node:
    """A node that gets kubelet certificates; ``ips`` are those the API server reaches it at."""

    name: str
    ips: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Authority:
    """A CA: its certificate and the key that signs."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def create(cls, common_name: str, *, days: int = CA_DAYS, time_source: clock.Clock = clock.SYSTEM) -> "Authority":
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        now = time_source.now()
        certificate = (
            _builder(name, name, key, now, days)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_key_usage(certificates=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        return cls(certificate, key)

    @classmethod
    def load(cls, certificate: Path, key: Path) -> "Authority":
        """Raises ``PKIError`` where the files are missing or do not belong together."""
        try:
            loaded = x509.load_pem_x509_certificate(certificate.read_bytes())
            private = serialization.load_pem_private_key(key.read_bytes(), None)
        except (OSError, ValueError) as problem:
            raise PKIError(f"the CA in {certificate} and {key} cannot be read: {problem}") from problem
        if not isinstance(private, ec.EllipticCurvePrivateKey) or not _belongs(loaded, private):
            raise PKIError(f"{key} is not the key of {certificate}; put the right one back, or delete the cluster")
        return cls(loaded, private)

    @property
    def certificate_pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def issue(
        self,
        common_name: str,
        organizations: Sequence[str] = (),
        dns: Sequence[str] = (),
        ips: Sequence[str] = (),
        *,
        usages: Sequence[str] = CLIENT,
        rsa_key: bool = False,
        days: int = LEAF_DAYS,
        time_source: clock.Clock = clock.SYSTEM,
    ) -> tuple[bytes, bytes]:
        """A new key and its certificate: ``(certificate PEM, key PEM)``."""
        key = rsa.generate_private_key(65537, 2048) if rsa_key else ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name(
            [x509.NameAttribute(NameOID.ORGANIZATION_NAME, one) for one in organizations]
            + [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
        )
        builder = (
            _builder(subject, self.certificate.subject, key, time_source.now(), days)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([_USAGES[usage] for usage in usages]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.certificate.public_key()),  # type: ignore[arg-type]
                critical=False,
            )
        )
        names: list[x509.GeneralName] = [x509.DNSName(one) for one in dict.fromkeys(dns)]
        names += [x509.IPAddress(ipaddress.ip_address(one)) for one in dict.fromkeys(ips)]
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM), _key_pem(key)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: _Key, now: datetime.datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + datetime.timedelta(days=days))
    )


def _key_usage(*, certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=certificates, crl_sign=certificates, encipher_only=False,
        decipher_only=False,
    )  # fmt: skip


def _key_pem(key: _Key) -> bytes:
    form = serialization.PrivateFormat
    chosen = form.TraditionalOpenSSL if isinstance(key, rsa.RSAPrivateKey) else form.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, chosen, serialization.NoEncryption())


def _belongs(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> bool:
    return certificate.public_key() == key.public_key()


# ---------------------------------------------------------------------------------------------- a whole cluster


@dataclasses.dataclass(frozen=True, slots=True)
class Files:
    """Where things are in a cluster's PKI directory."""

    directory: Path

    @property
    def ca(self) -> Path:
        return self.directory / "ca.crt"

    @property
    def ca_key(self) -> Path:
        return self.directory / "ca.key"

    @property
    def front_proxy_ca(self) -> Path:
        return self.directory / "front-proxy-ca.crt"

    @property
    def service_account_key(self) -> Path:
        return self.directory / "sa.key"

    @property
    def service_account_public_key(self) -> Path:
        return self.directory / "sa.pub"

    def pair(self, name: str) -> tuple[Path, Path]:
        """``apiserver``, ``apiserver-kubelet-client``, ``front-proxy-client`` → (certificate, key)."""
        return self.directory / f"{name}.crt", self.directory / f"{name}.key"

    def kubelet_serving(self, node: str) -> tuple[Path, Path]:
        return self.pair(f"nodes/{node}/kubelet")

    def kubeconfig(self, name: str) -> Path:
        """``admin``, ``controller-manager``, ``scheduler``, ``kube-proxy``, ``dns``, ``kubelet-NODE``."""
        return self.directory / f"{name}.conf"


COMPONENTS: dict[str, Leaf] = {
    "admin": Leaf("kubernetes-admin", ("system:masters",), rsa=True),
    "controller-manager": Leaf("system:kube-controller-manager"),
    "scheduler": Leaf("system:kube-scheduler"),
    "kube-proxy": Leaf("system:kube-proxy"),
    "dns": Leaf(
        "system:serviceaccount:kube-system:coredns", ("system:serviceaccounts", "system:serviceaccounts:kube-system")
    ),
    "metrics-server": Leaf(
        "system:serviceaccount:kube-system:metrics-server",
        ("system:serviceaccounts", "system:serviceaccounts:kube-system"),
    ),
    "ingress": Leaf("kubeshim:ingress"),
    "local-storage": Leaf("kubeshim:local-storage"),
    "simulator": Leaf("kubeshim:simulator"),
}
"""The kubeconfigs every cluster has, by file name. The bootstrap roles are bound to these names."""


def server_names(cluster_domain: str) -> tuple[str, ...]:
    """The names by which clients inside the cluster and on this machine call the API server."""
    service = "kubernetes.default.svc"
    return ("kubernetes", "kubernetes.default", service, f"{service}.{cluster_domain}", "localhost")


def first_service_ip(service_range: str) -> str:
    """The ClusterIP of the ``kubernetes`` Service: the first of the range."""
    return str(ipaddress.ip_network(service_range)[1])


def create_all(
    directory: Path,
    *,
    server: str,
    service_range: str = "10.96.0.0/16",
    cluster_domain: str = "cluster.local",
    nodes: Iterable[Node] = (),
    dns: Iterable[str] = (),
    ips: Iterable[str] = (),
    cluster_name: str = "kubernetes",
    component_server: str = "",
    time_source: clock.Clock = clock.SYSTEM,
) -> Files:
    """Everything a cluster needs, see the module's docstring.

    ``server`` is the URL in the admin's kubeconfig, ``component_server`` (the same by default) in the components';
    ``dns`` and ``ips`` are further names of the API server (the advertised address, the network's gateway …).
    """
    files = Files(directory)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    ca = _ensure_authority(files.ca, files.ca_key, "kubernetes", time_source)
    front = _ensure_authority(files.front_proxy_ca, directory / "front-proxy-ca.key", "front-proxy-ca", time_source)
    _ensure_signing_key(files)

    nodes = list(nodes)
    names = (*server_names(cluster_domain), *dns, *(node.name for node in nodes))
    addresses = (first_service_ip(service_range), "127.0.0.1", "::1", *ips)
    _ensure_pair(
        ca, files.pair("apiserver"), Leaf("kube-apiserver", (), names, addresses, SERVER), time_source, widen=True
    )
    kubelet_client = Leaf("kube-apiserver-kubelet-client", ("kubeadm:cluster-admins",))
    _ensure_pair(ca, files.pair("apiserver-kubelet-client"), kubelet_client, time_source)
    metrics = Leaf("metrics-server", (), ("metrics-server.kube-system.svc",), (), SERVER)
    _ensure_pair(ca, files.pair("metrics-server"), metrics, time_source)
    simulator = Leaf("simulated-nodes", (), (), tuple(ips), SERVER)
    _ensure_pair(ca, files.pair("simulator"), simulator, time_source)
    _ensure_pair(front, files.pair("front-proxy-client"), Leaf("front-proxy-client"), time_source)
    for name, leaf in COMPONENTS.items():
        url = server if name == "admin" else component_server or server
        _ensure_kubeconfig(files.kubeconfig(name), ca, leaf, url, cluster=cluster_name, time_source=time_source)
    for node in nodes:
        create_node(files, ca, node, component_server or server, cluster_name=cluster_name, time_source=time_source)
    return files


def create_node(
    files: Files,
    ca: Authority,
    node: Node,
    server: str,
    *,
    cluster_name: str = "kubernetes",
    time_source: clock.Clock = clock.SYSTEM,
) -> None:
    """A node's kubelet serving certificate and kubeconfig; may be repeated, and called when a node joins later."""
    user = f"system:node:{node.name}"
    serving = Leaf(user, ("system:nodes",), (node.name,), node.ips, SERVER)
    _ensure_pair(ca, files.kubelet_serving(node.name), serving, time_source)
    client = Leaf(user, ("system:nodes",))
    _ensure_kubeconfig(
        files.kubeconfig(f"kubelet-{node.name}"), ca, client, server, cluster=cluster_name, time_source=time_source
    )


def _ensure_authority(certificate: Path, key: Path, common_name: str, time_source: clock.Clock) -> Authority:
    if certificate.exists():
        return Authority.load(certificate, key)
    made = Authority.create(common_name, time_source=time_source)
    write_file(key, _key_pem(made.key))
    write_file(certificate, made.certificate_pem)
    return made


def _ensure_signing_key(files: Files) -> None:
    """``sa.pub`` may hold further, older keys: tokens signed with them stay valid, so it is never rewritten."""
    if files.service_account_public_key.exists() and files.service_account_key.exists():
        return
    if files.service_account_key.exists():
        private = serialization.load_pem_private_key(files.service_account_key.read_bytes(), None)
        if not isinstance(private, rsa.RSAPrivateKey):
            raise PKIError(f"{files.service_account_key} is not an RSA key; tokens are signed with RS256")
    else:
        private = rsa.generate_private_key(65537, 2048)
        write_file(files.service_account_key, _key_pem(private))
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    write_file(files.service_account_public_key, public)


def _ensure_pair(
    ca: Authority, paths: tuple[Path, Path], leaf: Leaf, time_source: clock.Clock, *, widen: bool = False
) -> None:
    """``widen`` keeps the names an existing certificate has, so that a node added once is not forgotten."""
    certificate_path, key_path = paths
    current = _read_pair(certificate_path, key_path)
    if current is not None:
        if widen:
            held_dns, held_ips = _alternative_names(current)
            leaf = dataclasses.replace(leaf, dns=(*leaf.dns, *held_dns), ips=(*leaf.ips, *held_ips))
        if _still_good(current, ca, leaf, time_source):
            return
    certificate, key = _issue(ca, leaf, time_source)
    certificate_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_file(key_path, key)
    write_file(certificate_path, certificate)


def _issue(ca: Authority, leaf: Leaf, time_source: clock.Clock) -> tuple[bytes, bytes]:
    names = leaf.common_name, leaf.organizations, leaf.dns, leaf.ips
    return ca.issue(*names, usages=leaf.usages, rsa_key=leaf.rsa, time_source=time_source)


def _read_pair(certificate: Path, key: Path) -> x509.Certificate | None:
    try:
        loaded = x509.load_pem_x509_certificate(certificate.read_bytes())
        private = serialization.load_pem_private_key(key.read_bytes(), None)
    except (OSError, ValueError):
        return None
    return loaded if loaded.public_key() == private.public_key() else None


def _alternative_names(certificate: x509.Certificate) -> tuple[tuple[str, ...], tuple[str, ...]]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return (), ()
    return tuple(names.get_values_for_type(x509.DNSName)), tuple(
        str(one) for one in names.get_values_for_type(x509.IPAddress)
    )


def _still_good(certificate: x509.Certificate, ca: Authority, leaf: Leaf, time_source: clock.Clock) -> bool:
    """Signed by this CA, for this subject, at least these names and a key of this kind, and not about to expire."""
    try:
        certificate.verify_directly_issued_by(ca.certificate)
    except Exception:  # ValueError, TypeError or InvalidSignature: any of them means "not by this CA"
        return False
    if certificate.not_valid_after_utc - time_source.now() < RENEW_BEFORE:
        return False
    held_dns, held_ips = _alternative_names(certificate)
    wanted_ips = {str(ipaddress.ip_address(one)) for one in leaf.ips}
    subject = [*leaf.organizations, leaf.common_name]
    return (
        [str(attribute.value) for attribute in certificate.subject] == subject
        and leaf.rsa == isinstance(certificate.public_key(), rsa.RSAPublicKey)
        and set(leaf.dns) <= set(held_dns)
        and wanted_ips <= set(held_ips)
    )


# -------------------------------------------------------------------------------------------------- kubeconfigs


def kubeconfig(
    server: str,
    ca_pem: bytes,
    *,
    user: str,
    certificate_pem: bytes = b"",
    key_pem: bytes = b"",
    token: str = "",
    cluster: str = "kubernetes",
    context: str = "",
    namespace: str = "",
) -> dict[str, Any]:
    """A kubeconfig with one context, everything inline. ``context`` defaults to ``user@cluster``."""
    credentials: dict[str, str] = {}
    if certificate_pem:
        credentials["client-certificate-data"] = base64.b64encode(certificate_pem).decode()
        credentials["client-key-data"] = base64.b64encode(key_pem).decode()
    if token:
        credentials["token"] = token
    context = context or f"{user}@{cluster}"
    target = {"cluster": cluster, "user": user} | ({"namespace": namespace} if namespace else {})
    authority = {"certificate-authority-data": base64.b64encode(ca_pem).decode(), "server": server}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": cluster, "cluster": authority}],
        "contexts": [{"name": context, "context": target}],
        "current-context": context,
        "users": [{"name": user, "user": credentials}],
    }


def _ensure_kubeconfig(
    path: Path, ca: Authority, leaf: Leaf, server: str, *, cluster: str, time_source: clock.Clock
) -> None:
    """Keeps the client certificate inside while it is good; the server's URL is always brought up to date."""
    pair = _pair_inside(path)
    if pair is None or not _still_good(x509.load_pem_x509_certificate(pair[0]), ca, leaf, time_source):
        pair = _issue(ca, leaf, time_source)
    config = kubeconfig(
        server, ca.certificate_pem, user=leaf.common_name, certificate_pem=pair[0], key_pem=pair[1], cluster=cluster
    )
    text = fast_yaml.dump(config).encode()
    if not path.exists() or path.read_bytes() != text:
        write_file(path, text)


def _pair_inside(path: Path) -> tuple[bytes, bytes] | None:
    try:
        user = fast_yaml.load(path.read_bytes())["users"][0]["user"]
        certificate = base64.b64decode(user["client-certificate-data"])
        key = base64.b64decode(user["client-key-data"])
        private = serialization.load_pem_private_key(key, None)
        if x509.load_pem_x509_certificate(certificate).public_key() != private.public_key():
            return None
    except (OSError, fast_yaml.Error, ValueError, KeyError, TypeError, IndexError):
        return None
    return certificate, key


def write_file(path: Path, content: bytes, *, mode: int = 0o600, owner: tuple[int, int] | None = None) -> None:
    """Writes a whole file or nothing: a synced temporary beside it, renamed over it, the directory synced."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            os.fchmod(stream.fileno(), mode)
            if owner:
                os.fchown(stream.fileno(), *owner)
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.rename(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
