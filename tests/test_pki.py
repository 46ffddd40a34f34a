import base64
import datetime
import os
import ssl

import pytest
import yaml
from cryptography import x509

from kubeshim import clock, pki


def create(tmp_path, **options):
    return pki.create_all(tmp_path / "pki", server="https://127.0.0.1:6443", **options)


def subject(certificate):
    return [attribute.value for attribute in certificate.subject]


def client_certificate(path):
    user = yaml.safe_load(path.read_bytes())["users"][0]["user"]
    return x509.load_pem_x509_certificate(base64.b64decode(user["client-certificate-data"]))


def alternative_names(path):
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    return pki._alternative_names(certificate)


def test_a_cluster_has_its_certificates_and_nobody_else_can_read_them(tmp_path):
    old = os.umask(0)
    try:
        files = create(tmp_path, nodes=[pki.Node("node-1", ("172.30.0.2",))], ips=("172.30.0.1",))
    finally:
        os.umask(old)
    names, ips = alternative_names(files.pair("apiserver")[0])
    assert set(names) >= {"kubernetes.default.svc.cluster.local", "localhost", "node-1", "kubernetes"}
    assert set(ips) >= {"10.96.0.1", "127.0.0.1", "172.30.0.1"}
    assert alternative_names(files.kubelet_serving("node-1")[0]) == (("node-1",), ("172.30.0.2",))
    assert subject(client_certificate(files.kubeconfig("kubelet-node-1"))) == ["system:nodes", "system:node:node-1"]
    assert subject(client_certificate(files.kubeconfig("admin"))) == ["system:masters", "kubernetes-admin"]
    assert {path.stat().st_mode & 0o777 for path in files.directory.rglob("*") if path.is_file()} == {0o600}
    ssl.create_default_context(cafile=str(files.ca)).load_cert_chain(*files.pair("apiserver"))


def test_a_second_run_changes_nothing(tmp_path):
    files = create(tmp_path, nodes=[pki.Node("a", ("10.0.0.1",))])
    before = {path: path.read_bytes() for path in files.directory.rglob("*") if path.is_file()}
    create(tmp_path)
    assert {path: path.read_bytes() for path in files.directory.rglob("*") if path.is_file()} == before


def test_the_administrators_key_is_of_a_kind_and_form_that_all_clients_read(tmp_path):
    files = create(tmp_path)
    authority = pki.Authority.load(files.ca, files.ca_key)
    curve = authority.issue("kubernetes-admin", ("system:masters",))
    older = pki.kubeconfig(
        "https://x", authority.certificate_pem, user="kubernetes-admin", certificate_pem=curve[0], key_pem=curve[1]
    )
    files.kubeconfig("admin").write_text(yaml.safe_dump(older))
    create(tmp_path)
    user = yaml.safe_load(files.kubeconfig("admin").read_text())["users"][0]["user"]
    assert base64.b64decode(user["client-key-data"]).startswith(b"-----BEGIN RSA PRIVATE KEY-----\n")
    certificate = x509.load_pem_x509_certificate(base64.b64decode(user["client-certificate-data"]))
    certificate.verify_directly_issued_by(authority.certificate)


def test_a_new_name_widens_the_serving_certificate_under_the_same_ca(tmp_path):
    files = create(tmp_path, nodes=[pki.Node("a")])
    ca = files.ca.read_bytes()
    create(tmp_path, nodes=[pki.Node("b")])
    assert {"a", "b"} <= set(alternative_names(files.pair("apiserver")[0])[0])
    assert files.ca.read_bytes() == ca


def test_what_expires_soon_is_renewed(tmp_path):
    files = create(tmp_path)
    old = client_certificate(files.kubeconfig("scheduler"))
    create(tmp_path, time_source=clock.FakeClock(clock.SYSTEM.now() + datetime.timedelta(days=340)))
    assert client_certificate(files.kubeconfig("scheduler")).not_valid_after_utc > old.not_valid_after_utc


def test_a_key_that_is_not_the_cas_is_refused_and_a_torn_pair_is_made_again(tmp_path):
    files = create(tmp_path)
    certificate, key = files.pair("apiserver")
    key.write_bytes(files.pair("front-proxy-client")[1].read_bytes())
    create(tmp_path)
    ssl.create_default_context().load_cert_chain(certificate, key)
    files.ca_key.write_bytes(key.read_bytes())
    with pytest.raises(pki.PKIError, match="is not the key of"):
        create(tmp_path)
