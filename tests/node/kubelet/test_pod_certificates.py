"""Pods' certificates: asked for, waited for, refused, renewed. The test is the signer."""

import base64
import datetime
import threading

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from kubeshim import clock
from kubeshim.client import kinds
from kubeshim.node.kubelet import pod_certificates, pod_keys
from kubeshim.node.kubelet.volumes import volume
from tests import fake_api
from tests.node.kubelet import kubelet_kit

POD = {
    "metadata": {"name": "p", "namespace": "x", "uid": "u"},
    "spec": {"serviceAccountName": "default", "containers": []},
}
SOURCE = {"signerName": "example.com/s", "keyType": "ECDSAP256", "userAnnotations": {"example.com/a": "b"}}


@pytest.mark.parametrize("kind", ["RSA3072", "ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519"])
def test_a_request_holds_the_public_key_and_nothing_else(kind):
    private, request = pod_keys.generate(kind)
    parsed = x509.load_der_x509_csr(base64.b64decode(request))
    key = serialization.load_pem_private_key(private, None)
    assert parsed.public_key() == key.public_key() and parsed.is_signature_valid
    assert list(parsed.subject) == [] and list(parsed.extensions) == []


def test_an_unknown_key_type_is_refused():
    with pytest.raises(ValueError, match='unknown key type "DSA"'):
        pod_keys.generate("DSA")


def test_a_chain_is_cleaned():
    body = base64.b64encode(b"x" * 60).decode()
    dirty = f"words\n-----BEGIN CERTIFICATE-----\nHeader: x\n\n{body}\n-----END CERTIFICATE-----\nmore\n"
    lines = f"{body[:64]}\n{body[64:]}"
    assert pod_keys.clean(dirty).decode() == f"-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n"


class Kit:
    def __init__(self, api):
        self.api, self.client, self.clock = api, api.client(), clock.FakeClock()
        self.events, self.woken = kubelet_kit.Events(), []
        self.answered = threading.Event()
        node = fake_api.node("n")
        self.client.create(kinds.SERVICE_ACCOUNTS, {"metadata": {"name": "default", "namespace": "x", "uid": "sa"}})
        self.certificates = pod_certificates.Certificates(
            self.client, lambda: node, "n", self.events, self.clock, self.woken.append
        )

    def get(self):
        return self.certificates.get(POD, "v", 0, SOURCE)

    def problem(self):
        with pytest.raises(volume.VolumeProblem) as caught:
            self.get()
        return str(caught.value)

    def requests(self):
        return self.client.list(kinds.POD_CERTIFICATE_REQUESTS, "x")["items"]

    def answer(self, request, **status):
        before = len(self.woken)
        self.client.update(kinds.POD_CERTIFICATE_REQUESTS, {**request, "status": status}, subresource="status")
        self.answered.set()
        fake_api.eventually(lambda: len(self.woken) > before)

    def issue(self, request, renew_in=3600, ends_in=7200):
        now = self.clock.now()
        self.answer(
            request,
            conditions=[{"type": "Issued", "status": "True"}],
            certificateChain=certificate(request, now, now + datetime.timedelta(seconds=ends_in)),
            beginRefreshAt=clock.rfc3339(now + datetime.timedelta(seconds=renew_in)),
            notAfter=clock.rfc3339(now + datetime.timedelta(seconds=ends_in)),
        )


def certificate(request, begin, end):
    asked = x509.load_der_x509_csr(base64.b64decode(request["spec"]["stubPKCS10Request"]))
    authority = ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateBuilder(x509.Name([]), x509.Name([]), asked.public_key(), 1, begin, end)
    return builder.sign(authority, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


@pytest.fixture
def kit():
    server = fake_api.FakeApi()
    made = Kit(server)
    yield made
    made.certificates.close()
    made.client.close()
    server.stop()


def test_from_the_first_request_to_renewal(kit):
    assert kit.problem() == "credential bundle is not issued yet"
    (request,) = kit.requests()
    spec = request["spec"]
    assert (spec["podUID"], spec["serviceAccountUID"], spec["nodeName"]) == ("u", "sa", "n")
    assert spec["unverifiedUserAnnotations"] == {"example.com/a": "b"}
    assert kit.problem() and len(kit.requests()) == 1

    kit.issue(request)
    first = kit.get()
    assert matches(first)
    assert 3600 <= first.refresh_at - kit.clock.now().timestamp() <= 3600 + 300
    assert kit.get() == first

    kit.clock.step(3600 + 301)
    assert kit.get().key == first.key
    (renewal,) = [one for one in kit.requests() if one["metadata"]["name"] != request["metadata"]["name"]]
    kit.issue(renewal)
    second = kit.get()
    assert second.key != first.key and matches(second)


def test_a_request_that_is_answered_before_anybody_follows_wakes_its_pod(kit):
    def hold(handler, method, path):
        return "fieldSelector" in handler.path and not kit.answered.wait(60)

    kit.api.hooks.append(hold)
    assert kit.problem() == "credential bundle is not issued yet"
    (request,) = kit.requests()
    kit.issue(request)
    assert kit.woken == ["u"] and matches(kit.get())


def matches(found):
    key = serialization.load_pem_private_key(found.key, None)
    return x509.load_pem_x509_certificate(found.chain).public_key() == key.public_key()


@pytest.mark.parametrize(("kind", "verb"), [("Denied", "was denied"), ("Failed", "failed")])
def test_refusals_are_final_and_told(kit, kind, verb):
    assert kit.problem()
    (request,) = kit.requests()
    kit.answer(request, conditions=[{"type": kind, "status": "True", "reason": "Why", "message": "because"}])
    said = f'PodCertificateRequest was permanently {kind.lower()}: reason="Why" message="because"'
    assert kit.problem() == said == kit.problem()
    assert len(kit.requests()) == 1
    name = request["metadata"]["name"]
    text = f'PodCertificateRequest x/{name} {verb}, reason="Why", message="because"'
    assert kit.events.told == [("p", kind, text, "")]


def test_a_deleted_request_is_made_again(kit):
    assert kit.problem()
    (request,) = kit.requests()
    kit.client.delete(kinds.POD_CERTIFICATE_REQUESTS, request["metadata"]["name"], "x")
    fake_api.eventually(lambda: kit.woken)
    assert kit.problem()
    (again,) = kit.requests()
    assert again["metadata"]["name"] != request["metadata"]["name"]


def test_what_is_not_renewed_is_told_once(kit):
    assert kit.problem()
    kit.issue(kit.requests()[0])
    kit.get()
    kit.clock.step(3600 + 300 + 601)
    kit.get()
    kit.clock.step(7200)
    held = [kit.get() for _ in range(3)]
    assert held[0].key
    assert kit.events.reasons("p") == ["CertificateOverdueForRefresh", "CertificateExpired"]
