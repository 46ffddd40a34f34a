"""Joining as far as it needs no second machine: tokens shown, discovery trusted or not, certificates asked for."""

import base64
import concurrent.futures
import dataclasses
import datetime
import ssl
import subprocess
import threading

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from kubeshim import clock, pki
from kubeshim.client import kinds
from kubeshim.cluster import components, configuration, discovery, machines, ranges, renewal, tokens
from kubeshim.control_plane.controller_manager.controllers import certificates
from kubeshim.machinery import bootstrap_tokens, joining
from tests import fake_api

TOKEN = "abcdef.0123456789abcdef"
RANGES = ranges.Ranges(*map(ranges.Network, ("10.244.0.0/16", "10.96.0.0/16", "172.30.0.0/24")))


def cluster(**options):
    document = {"networking": {"advertiseAddress": options.pop("advertise", "")}}
    return configuration.complete("c", {**document, **options}, RANGES, 6443, 1)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return pki.create_all(tmp_path_factory.mktemp("pki"), server="https://127.0.0.1:6443").ca.read_bytes()


@pytest.fixture
def api():
    server = fake_api.FakeApi()
    client = server.client()
    yield server, client
    client.close()
    server.stop()


def publish(client, authority, token=TOKEN, **data):
    document = discovery.information("https://192.0.2.1:6443", authority)
    identifier, secret = bootstrap_tokens.parse(token)
    signature = bootstrap_tokens.sign(document, identifier, secret)
    data = {"kubeconfig": document, f"jws-kubeconfig-{identifier}": signature, **data}
    metadata = {"name": "cluster-info", "namespace": "kube-public"}
    client.create(kinds.CONFIG_MAPS, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})


def test_discovery_by_token(api, authority):
    _, client = api
    publish(client, authority)
    found = discovery.by_token(client.config.server, TOKEN, [discovery.key_hash(authority)])
    assert (found.authority, found.client.token, found.client.insecure) == (authority, TOKEN, False)
    assert discovery.by_token(client.config.server, TOKEN, [], unsafe=True).authority == authority


@pytest.mark.parametrize(
    ("token", "hashes", "data", "said"),
    [
        (TOKEN, [], {}, "give the hash"),
        ("nonsense", ["sha256:" + "0" * 64], {}, "not a bootstrap token"),
        (TOKEN, ["md5:00"], {}, "is no hash"),
        (TOKEN, ["sha256:" + "0" * 64], {}, "not the one --ca-cert-hash tells"),
        ("fedcba.0123456789abcdef", ["sha256:" + "0" * 64], {}, "does not know the token fedcba"),
        ("abcdef.fedcba9876543210", ["sha256:" + "0" * 64], {}, "not signed by the token"),
        (TOKEN, ["sha256:" + "0" * 64], {"kubeconfig": "other"}, "not signed by the token"),
    ],
)
def test_clusters_not_to_be_trusted(api, authority, token, hashes, data, said):
    _, client = api
    publish(client, authority, **data)
    with pytest.raises(discovery.Untrusted, match=said):
        discovery.by_token(client.config.server, token, hashes)


def test_nobody_there(authority):
    with pytest.raises(discovery.Untrusted, match="does not tell about its cluster"):
        discovery.by_token("http://127.0.0.1:1", TOKEN, [discovery.key_hash(authority)])


def test_the_hash_is_that_of_openssl(tmp_path, authority):
    """As kubeadm's documentation computes it."""
    (tmp_path / "ca.crt").write_bytes(authority)
    script = "openssl x509 -pubkey -in ca.crt | openssl pkey -pubin -outform der | openssl dgst -sha256 -hex"
    said = subprocess.run(["sh", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert discovery.key_hash(authority) == "sha256:" + said.split()[-1]


@pytest.mark.parametrize(
    ("context", "token", "said"), [(False, TOKEN, ""), (True, "", ""), (False, "", "has no credentials")]
)
def test_discovery_by_file(tmp_path, authority, context, token, said):
    path = tmp_path / "file"
    text = discovery.information("https://192.0.2.1:6443/", authority)
    if context:
        text = yaml.safe_dump(pki.kubeconfig("https://192.0.2.1:6443/", authority, user="x", token="secret"))
    path.write_text(text)
    if said:
        with pytest.raises(discovery.Untrusted, match=said):
            discovery.by_file(path, token)
        return
    found = discovery.by_file(path, token)
    assert (found.server, found.authority) == ("https://192.0.2.1:6443", authority)
    assert found.client.token == (token or "secret")


@pytest.mark.parametrize("text", ["", "a: b", "clusters: []", "clusters: [{cluster: {server: x}}]"])
def test_files_that_tell_nothing(tmp_path, text):
    (tmp_path / "file").write_text(text)
    with pytest.raises(discovery.Untrusted):
        discovery.by_file(tmp_path / "file", TOKEN)


def test_the_clusters_configuration_comes_over(api):
    _, client = api
    config = cluster(advertise="192.0.2.1", kubelet={"maxPods": 7})
    client.create(kinds.CONFIG_MAPS, joining.config_map(configuration.shared(config)))
    found = discovery.configuration_of(client)
    assert (found.ranges, found.sections, found.nodes, found.advertise) == (RANGES, {"kubelet": {"maxPods": 7}}, (), "")


def test_a_cluster_of_another_kind(api):
    with pytest.raises(discovery.Untrusted, match="has no ConfigMap"):
        discovery.configuration_of(api[1])


def test_a_joined_machines_configuration_reads_back(tmp_path):
    joined = configuration.Joined("https://192.0.2.1:6443", "192.0.2.7", "10.244.7.0/24")
    config = configuration.parse(configuration.shared(cluster()))
    config = dataclasses.replace(config, joined=joined, nodes=(configuration.Node("n", "10.244.7.2"),))
    configuration.save(config, tmp_path / "cluster.json")
    assert configuration.load(tmp_path / "cluster.json") == config
    assert (config.gateway, config.machine_address, config.server) == ("10.244.7.1", "192.0.2.7", joined.server)


@pytest.mark.parametrize(
    ("advertise", "listen", "expected"),
    [
        ("", (), ["127.0.0.1", "172.30.0.1"]),
        ("192.0.2.1", ("192.0.2.1", "192.0.2.9"), ["127.0.0.1", "172.30.0.1", "192.0.2.1", "192.0.2.9"]),
        ("192.0.2.1", ("0.0.0.0",), ["0.0.0.0"]),
    ],
)
def test_where_the_api_server_listens(advertise, listen, expected):
    networking = {"advertiseAddress": advertise, "listenAddresses": list(listen)}
    config = configuration.complete("c", {"networking": networking}, RANGES, 6443, 1)
    assert components.listened(config) == expected


@pytest.mark.parametrize(
    ("left", "ttl"), [(None, "<forever>"), (-1, "<expired>"), (59, "59s"), (3599, "59m"), (86400, "1d")]
)
def test_how_long_a_token_has(left, ttl):
    now = clock.SYSTEM.now().replace(microsecond=0)
    end = "" if left is None else clock.rfc3339(now + datetime.timedelta(seconds=left))
    token = bootstrap_tokens.Token("abcdef", "0123456789abcdef", expiration=end)
    shown = tokens.row(token, now)
    assert (shown.token, shown.ttl, shown.usages) == (TOKEN, ttl, "<none>")


class Signing:
    """Signs certificate requests as the cluster would, when told to."""

    def __init__(self, client, seconds):
        self._client, self._seconds = client, seconds
        self._authority = pki.Authority.create("test")
        self._key = self._authority.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def __call__(self):
        """How many there were to sign."""
        found = 0
        for request in self._client.list(kinds.CERTIFICATE_SIGNING_REQUESTS)["items"]:
            if (request.get("status") or {}).get("certificate"):
                continue
            now = clock.SYSTEM.now()
            pem = certificates.sign(request, self._authority.certificate_pem, self._key, now, self._seconds)
            status = {"certificate": base64.b64encode(pem).decode()}
            signed = {**request, "status": status}
            self._client.update(kinds.CERTIFICATE_SIGNING_REQUESTS, signed, subresource="status")
            found += 1
        return found


def test_certificates_are_asked_for_and_renewed(api, tmp_path):
    _, client = api
    sign, told = Signing(client, 3600), threading.Event()
    one = machines.certificates(pki.Files(tmp_path), "n1", "10.244.7.2")[1]
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        asking = pool.submit(renewal.request, client, one.wanted)
        fake_api.eventually(sign)
        pki.write_file(one.path, asking.result(10))
    first = one.path.read_bytes()
    assert renewal.is_good(one.path)
    certificate = x509.load_pem_x509_certificate(first)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["n1"]
    assert list(map(str, names.get_values_for_type(x509.IPAddress))) == ["10.244.7.2"]
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(one.path)
    renewing = renewal.Renewal(tmp_path / "missing.pem", one.wanted, client, [told.set])
    renewing.start()
    fake_api.eventually(sign)
    assert told.wait(60)
    renewing.stop()
    assert renewal.is_good(tmp_path / "missing.pem")
    assert (tmp_path / "missing.pem").read_bytes() != first


def test_neither_an_odd_answer_nor_who_cannot_use_a_certificate_ends_the_renewals(monkeypatch, tmp_path):
    answers, told = [ValueError("that is no answer"), b"one"], threading.Event()

    def request(client, wanted):
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def fail():
        raise ssl.SSLError("no certificate or key")

    monkeypatch.setattr(renewal, "request", request)
    monkeypatch.setattr(renewal, "_RETRY", 0.01)
    renewing = renewal.Renewal(tmp_path / "one.pem", renewal.agent_client("n1"), None, [fail, told.set])
    renewing.start()
    assert told.wait(60)
    renewing.stop()
    assert (tmp_path / "one.pem").read_bytes() == b"one"


def test_a_request_that_is_denied(api):
    _, client = api
    wanted = renewal.agent_client("n1")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        asking = pool.submit(renewal.request, client, wanted)
        request = fake_api.eventually(lambda: client.list(kinds.CERTIFICATE_SIGNING_REQUESTS)["items"])[0]
        status = {"conditions": [{"type": "Denied", "status": "True", "message": "never"}]}
        client.update(kinds.CERTIFICATE_SIGNING_REQUESTS, {**request, "status": status}, subresource="status")
        with pytest.raises(renewal.NotGiven, match="never"):
            asking.result(10)


def test_nobody_answers(api):
    with pytest.raises(renewal.NotGiven, match="kubectl certificate approve"):
        renewal.request(api[1], renewal.kubelet_client("n1"), 1.0)
