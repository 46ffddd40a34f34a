"""How a machine that wants to join finds out whom it is talking to: kubeadm's discovery, from both sides.

The cluster puts its CA's certificate and its URL into ``kube-public/cluster-info``, which anybody may read, and signs
it with each token. The joiner reads it over a connection it cannot trust yet; what it finds must carry a signature by
its own token, and the CA the public key whose hash it was told. A signature alone would let anybody else who has the
token pass himself off as the cluster. A file brought over by other means does instead.
"""

import base64
import dataclasses
import hashlib
import json
import pathlib
from collections.abc import Sequence
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from kubeshim import fast_yaml
from kubeshim.client import kinds, kubeconfig, rest
from kubeshim.cluster import api, configuration
from kubeshim.machinery import bootstrap_tokens, errors, joining

INFO_PATH = f"/api/v1/namespaces/{bootstrap_tokens.INFO_NAMESPACE}/configmaps/{bootstrap_tokens.INFO_NAME}"
CONFIG_PATH = f"/api/v1/namespaces/{joining.CONFIG_NAMESPACE}/configmaps/{joining.CONFIG_NAME}"


class Untrusted(Exception):
    """It could not be made certain that this is the cluster to join; the message says why."""


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    """The cluster, as far as one has to know it to speak to it."""

    server: str
    authority: bytes
    """The CA's certificate, PEM."""
    client: kubeconfig.ClientConfig
    """With what we have got to show at first."""


# -- the cluster's side ----------------------------------------------------------------------------------------


def publish(admin: api.API, config: configuration.Configuration, authority: pathlib.Path) -> None:
    """What anybody may read, and what the bearers of tokens and nodes may. Raises ``api.APIError``."""
    server = f"https://{config.advertise}:{config.port}"
    info = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": bootstrap_tokens.INFO_NAME, "namespace": bootstrap_tokens.INFO_NAMESPACE},
        "data": {bootstrap_tokens.KUBECONFIG_KEY: information(server, authority.read_bytes())},
    }
    admin.apply(INFO_PATH, info)
    admin.apply(CONFIG_PATH, joining.config_map(configuration.shared(config)))


def information(server: str, authority: bytes) -> str:
    """A kubeconfig of nobody: only where the cluster is and how to know it."""
    cluster = {"certificate-authority-data": base64.b64encode(authority).decode(), "server": server}
    document: dict[str, Any] = {
        "apiVersion": "v1",
        "clusters": [{"cluster": cluster, "name": ""}],
        "contexts": None,
        "current-context": "",
        "kind": "Config",
        "preferences": {},
        "users": None,
    }
    return fast_yaml.dump(document)


def key_hash(pem: bytes) -> str:
    """``sha256:HEX`` over a certificate's public key."""
    key = x509.load_pem_x509_certificate(pem).public_key()
    encoded = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return "sha256:" + hashlib.sha256(encoded).hexdigest()


# -- the joiner's side -----------------------------------------------------------------------------------------


def by_token(server: str, token: str, hashes: Sequence[str], *, unsafe: bool = False) -> Found:
    """Raises ``Untrusted``; ``unsafe`` does without hashes."""
    try:
        identifier, secret = bootstrap_tokens.parse(token)
    except ValueError as error:
        raise Untrusted(str(error)) from error
    for one in hashes:
        if not one.startswith("sha256:") or len(one) != 71:
            raise Untrusted(f"{one!r} is no hash of a CA's key, which looks like sha256: and 64 hexadecimal digits")
    if not hashes and not unsafe:
        raise Untrusted("give the hash of the cluster's CA, --ca-cert-hash, as kubeshim token create prints it")
    document = _signed_document(server, identifier, secret)
    authority = _authority(document)
    if hashes and key_hash(authority) not in hashes:
        raise Untrusted(f"the CA of {server} has the key {key_hash(authority)}, not the one --ca-cert-hash tells")
    config = kubeconfig.ClientConfig(server=server, ca_data=authority, token=token)
    return Found(server, authority, config)


def _signed_document(server: str, identifier: str, secret: str) -> str:
    """Over a connection that proves nothing."""
    client = rest.Client(kubeconfig.ClientConfig(server=server, insecure=True))
    try:
        info = client.get(kinds.CONFIG_MAPS, bootstrap_tokens.INFO_NAME, bootstrap_tokens.INFO_NAMESPACE)
    except (errors.APIStatusError, OSError) as error:
        raise Untrusted(f"{server} does not tell about its cluster: {error}") from error
    finally:
        client.close()
    data = info.get("data") or {}
    document = str(data.get(bootstrap_tokens.KUBECONFIG_KEY, ""))
    signature = str(data.get(bootstrap_tokens.SIGNATURE_PREFIX + identifier, ""))
    if not signature:
        raise Untrusted(f"the cluster does not know the token {identifier}: it may have expired, or is not for signing")
    if not bootstrap_tokens.verify(document, signature, identifier, secret):
        raise Untrusted(f"what {server} tells about its cluster is not signed by the token {identifier}")
    return document


def by_file(path: pathlib.Path, token: str) -> Found:
    """From a kubeconfig that names server and CA, and perhaps credentials. Raises ``Untrusted``."""
    try:
        document = fast_yaml.load(path.read_text())
        authority, server = _authority(path.read_text()), str(document["clusters"][0]["cluster"]["server"]).rstrip("/")
        if document.get("current-context"):
            client = kubeconfig.load(path)
        else:
            client = kubeconfig.ClientConfig(server=server, ca_data=authority)
    except (OSError, ValueError, KeyError, TypeError, IndexError, fast_yaml.Error) as error:
        raise Untrusted(f"{path} does not tell where the cluster is: {error}") from error
    if token:
        client = dataclasses.replace(client, token=token, cert_data=None, cert_file=None)
    elif not (client.token or client.token_file or client.cert_data or client.cert_file):
        raise Untrusted(f"{path} has no credentials: give a token, --token")
    return Found(server, authority, client)


def _authority(text: str) -> bytes:
    try:
        document: Any = fast_yaml.load(text)
        return base64.b64decode(document["clusters"][0]["cluster"]["certificate-authority-data"])
    except (ValueError, KeyError, TypeError, IndexError, fast_yaml.Error) as error:
        raise Untrusted("what is told about the cluster has no CA in it") from error


def configuration_of(client: rest.Client) -> configuration.Configuration:
    """Ranges and options of the cluster. Raises ``Untrusted``, API errors."""
    try:
        found = client.get(kinds.CONFIG_MAPS, joining.CONFIG_NAME, joining.CONFIG_NAMESPACE)
    except errors.NotFound as error:
        raise Untrusted(
            f"this cluster has no ConfigMap {joining.CONFIG_NAMESPACE}/{joining.CONFIG_NAME}: only nodes of a kubeshim "
            "cluster started with --advertise can be made here"
        ) from error
    return configuration.parse(json.loads(found["data"][joining.CONFIG_KEY]))
