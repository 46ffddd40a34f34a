"""A pod with a certificate of its own, for which the test signs as any signer of a cluster would."""

import base64
import datetime
import json

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.e2e.conftest import eventually

SIGNER = "example.com/tests"


def pod(name, signer=SIGNER):
    source = {
        "signerName": signer,
        "keyType": "ECDSAP256",
        "credentialBundlePath": "bundle.pem",
        "certificateChainPath": "chain.pem",
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [
                {
                    "name": "main",
                    "image": "kubeshim.example/busybox:1",
                    "command": ["sleep", "1000"],
                    "volumeMounts": [{"name": "identity", "mountPath": "/identity"}],
                }
            ],
            "volumes": [{"name": "identity", "projected": {"sources": [{"podCertificate": source}]}}],
        },
    }


def request_of(cluster, namespace, name):
    def look():
        found = cluster.get("podcertificaterequests", "-n", namespace)["items"]
        return next((one for one in found if one["spec"]["podName"] == name and not one.get("status")), None)

    return eventually(look)


def answer(cluster, request, status):
    cluster.kubectl("replace", "--subresource=status", "-f", "-", stdin=json.dumps({**request, "status": status}))


def stamp(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def issue(request):
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    end = now + datetime.timedelta(hours=2)
    asked = x509.load_der_x509_csr(base64.b64decode(request["spec"]["stubPKCS10Request"]))
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, request["spec"]["podName"])])
    made = x509.CertificateBuilder(x509.Name([]), subject, asked.public_key(), 7, now, end).sign(key, hashes.SHA256())
    return {
        "conditions": [
            {"type": "Issued", "status": "True", "reason": "Signed", "message": "", "lastTransitionTime": stamp(now)}
        ],
        "certificateChain": made.public_bytes(serialization.Encoding.PEM).decode(),
        "notBefore": stamp(now),
        "notAfter": stamp(end),
        "beginRefreshAt": stamp(now + datetime.timedelta(hours=1)),
    }


def test_a_pod_gets_its_certificate(cluster, namespace):
    cluster.kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(pod("one")))
    request = request_of(cluster, namespace, "one")
    answer(cluster, request, issue(request))
    cluster.kubectl("wait", "-n", namespace, "pod/one", "--for=condition=Ready", "--timeout=180s")
    text = cluster.out("exec", "-n", namespace, "one", "--", "cat", "/identity/bundle.pem")
    chain = cluster.out("exec", "-n", namespace, "one", "--", "cat", "/identity/chain.pem")
    assert text.endswith(chain)
    key = serialization.load_pem_private_key(text.encode(), None)
    certificate = x509.load_pem_x509_certificate(chain.encode())
    assert certificate.public_key() == key.public_key()
    assert certificate.subject.rfc4514_string() == "CN=one"


def test_a_refusal_keeps_the_pod_waiting(cluster, namespace):
    cluster.kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(pod("two")))
    request = request_of(cluster, namespace, "two")
    now = stamp(datetime.datetime.now(datetime.UTC))
    denied = {"type": "Denied", "status": "True", "reason": "Unknown", "message": "no", "lastTransitionTime": now}
    answer(cluster, request, {"conditions": [denied]})
    selector = "--field-selector=involvedObject.name=two,reason=Denied"
    said = eventually(
        lambda: cluster.out("get", "events", "-n", namespace, selector, "-o", "jsonpath={.items[*].message}")
    )
    name = request["metadata"]["name"]
    assert said == f'PodCertificateRequest {namespace}/{name} was denied, reason="Unknown", message="no"'
    assert cluster.get("pod", "-n", namespace, "two")["status"]["phase"] == "Pending"
