"""Who somebody is and what they may do: service accounts, tokens, reviews, certificates."""

import base64
import itertools
import json
import ssl
import urllib.parse

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID

from kubeshim import pki
from tests.conformance.kube import MERGE, Refused, condition, container, meta, pod
from tests.conformance.names import answers

MOUNTED = "/var/run/secrets/kubernetes.io/serviceaccount"


def token_of(kube, name, **spec):
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
    return kube.call("post", kube.path("ServiceAccount", name, subresource="token"), body)["status"]["token"]


def reviewed(kube, token):
    return kube.create({"kind": "TokenReview", "spec": {"token": token}})["status"]


@answers("[sig-auth] ServiceAccounts should create a serviceAccountToken and ensure a successful TokenReview")
def test_a_token_is_good(kube):
    made = kube.create({"kind": "ServiceAccount", "metadata": meta("it")})
    status = reviewed(kube, token_of(kube, "it"))
    assert status["authenticated"] is True
    assert status["user"]["username"] == f"system:serviceaccount:{kube.namespace}:it"
    assert status["user"]["uid"] == made["metadata"]["uid"]
    groups = {"system:serviceaccounts", f"system:serviceaccounts:{kube.namespace}", "system:authenticated"}
    assert groups <= set(status["user"]["groups"])


@answers("[sig-auth] ServiceAccounts should mount an API token into pods")
def test_a_pod_has_a_token(kube):
    kube.create({"kind": "ServiceAccount", "metadata": meta("it")})
    script = f"cd {MOUNTED}; cat token; echo; cat namespace; echo; cat ca.crt"
    token, namespace, *authority = kube.run(pod("it", container(script), serviceAccountName="it")).splitlines()
    assert namespace == kube.namespace
    root = kube.get("v1 ConfigMap", "kube-root-ca.crt")["data"]["ca.crt"]
    assert "\n".join(authority).strip() == root.strip()
    review = reviewed(kube, token)
    assert (review["authenticated"], review.get("error", "")) == (True, "")
    user = review["user"]
    assert user["username"] == f"system:serviceaccount:{kube.namespace}:it"
    groups = {"system:serviceaccounts", f"system:serviceaccounts:{kube.namespace}", "system:authenticated"}
    assert groups <= set(user["groups"])
    extra = {key.removeprefix("authentication.kubernetes.io/"): value for key, value in user["extra"].items()}
    assert extra.pop("credential-id")[0].startswith("JTI=")
    held = kube.get("Pod", "it")
    node = kube.get("Node", held["spec"]["nodeName"])["metadata"]
    assert extra == {"pod-name": ["it"], "pod-uid": [held["metadata"]["uid"]], "node-name": [node["name"]],
                     "node-uid": [node["uid"]]}  # fmt: skip
    # the token is bound to the pod
    kube.delete("Pod", "it", grace=0)
    kube.gone("Pod", "it")


@answers("[sig-auth] ServiceAccounts should mount projected service account token")
def test_a_projected_token(kube):
    source = {"serviceAccountToken": {"path": "token", "expirationSeconds": 43200, "audience": "https://example.com"}}
    volumes = [{"name": "t", "projected": {"defaultMode": 0o640, "sources": [source]}}]
    main = container("stat -L -c %a /t/token; cat /t/token", volumeMounts=[{"name": "t", "mountPath": "/t"}])
    mode, token = kube.run(pod("it", main, volumes=volumes)).split()
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    assert (mode, claims["aud"], claims["kubernetes.io"]["pod"]["name"]) == ("640", ["https://example.com"], "it")


@answers("[sig-auth] ServiceAccounts should allow opting out of API token automount")
def test_no_token(kube):
    for name, value in (("mount", True), ("nomount", False)):
        kube.create({"kind": "ServiceAccount", "metadata": meta(name), "automountServiceAccountToken": value})
    for account in ("default", "mount", "nomount"):
        for wish in (None, True, False):
            more = {} if wish is None else {"automountServiceAccountToken": wish}
            body = pod(f"{account}-{wish}".lower(), serviceAccountName=account, nodeSelector={"none": "none"}, **more)
            made = kube.create(body)
            mounts = [m["mountPath"] for m in made["spec"]["containers"][0].get("volumeMounts") or []]
            wanted = wish if wish is not None else account != "nomount"
            assert (MOUNTED in mounts) == wanted


@answers("[sig-auth] ServiceAccounts should guarantee kube-root-ca.crt exist in any namespace")
def test_the_authority_is_everywhere(kube):
    name = "kube-root-ca.crt"
    found = kube.get("v1 ConfigMap", name)
    kube.delete("v1 ConfigMap", name)
    kube.wait("v1 ConfigMap", name, lambda c: c and c["metadata"]["uid"] != found["metadata"]["uid"])
    # written over, whatever it is by now
    kube.update({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta(name), "data": {"ca.crt": ""}})
    kube.wait("v1 ConfigMap", name, lambda c: c and c["data"] == found["data"])


@answers(
    "[sig-auth] ServiceAccounts ServiceAccountIssuerDiscovery should support OIDC discovery of service account issuer"
)
def test_the_issuer_is_discovered(kube):
    kube.create({"kind": "ServiceAccount", "metadata": meta("it")})
    token = token_of(kube, "it", audiences=["oidc-discovery-test"])
    head, body, signature = token.split(".")

    def decode(text):
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))

    header, claims = json.loads(decode(head)), json.loads(decode(body))
    document = kube.call("get", "/.well-known/openid-configuration")
    assert (document["issuer"], claims["aud"]) == (claims["iss"], ["oidc-discovery-test"])
    (key,) = [k for k in kube.call("get", "/openid/v1/jwks")["keys"] if k["kid"] == header["kid"]]
    n, e = (int.from_bytes(decode(key[part])) for part in "ne")
    public = rsa.RSAPublicNumbers(e, n).public_key()
    public.verify(decode(signature), f"{head}.{body}".encode(), padding.PKCS1v15(), hashes.SHA256())


@answers("[sig-auth] SubjectReview should support SubjectReview API operations")
def test_reviews_of_access(kube):
    kube.create({"kind": "ServiceAccount", "metadata": meta("it")})
    user = f"system:serviceaccount:{kube.namespace}:it"
    asked = {"verb": "get", "resource": "configmaps", "namespace": kube.namespace}
    group, version = "authorization.k8s.io", "v1"
    local = {"metadata": {"namespace": kube.namespace}}

    def ask():
        spec = {"user": user, "resourceAttributes": asked}
        cluster_wide = kube.create({"kind": "SubjectAccessReview", "spec": spec})
        in_one = kube.create({"kind": "LocalSubjectAccessReview", **local, "spec": spec})
        own = kube.call(
            "post", f"/apis/{group}/{version}/selfsubjectaccessreviews",
            {"apiVersion": f"{group}/{version}", "kind": "SelfSubjectAccessReview", "spec": {"resourceAttributes": asked}},
            headers={"Impersonate-User": user},
        )  # fmt: skip
        return {review["status"]["allowed"] for review in (cluster_wide, in_one, own)}

    def look():
        return kube.call("get", kube.path("v1 ConfigMap", "kube-root-ca.crt"), headers={"Impersonate-User": user})

    assert ask() == {False}
    with pytest.raises(Refused) as refused:
        look()
    assert refused.value.status == 403
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}]
    kube.create({"kind": "Role", "metadata": meta("it"), "rules": rules})
    subjects = [{"kind": "ServiceAccount", "name": "it", "namespace": kube.namespace}]
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "it"}
    kube.create({"kind": "RoleBinding", "metadata": meta("it"), "subjects": subjects, "roleRef": reference})
    assert ask() == {True}
    assert look()["metadata"]["name"] == "kube-root-ca.crt"


def request_and_certificate():
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "e2e.example.com")])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    authority = pki.Authority.create("e2e")
    certificate, _ = authority.issue("e2e.example.com", dns=["e2e.example.com"], usages=pki.SERVER)
    pem = request.public_bytes(serialization.Encoding.PEM)
    return base64.b64encode(pem).decode(), base64.b64encode(certificate).decode()


@answers("[sig-auth] Certificates API [Privileged:ClusterAdmin] should support CSR API operations")
def test_certificate_requests(kube):
    kind, signer = "CertificateSigningRequest", f"example.com/{kube.namespace}"
    mine, (request, certificate) = f"spec.signerName={signer}", request_and_certificate()
    spec = {
        "request": request, "signerName": signer, "expirationSeconds": 3600,
        "usages": ["digital signature", "key encipherment", "server auth"],
    }  # fmt: skip
    since = kube.list(kind)["metadata"]["resourceVersion"]
    with kube.watch(kind, since=since, fieldSelector=mine) as events:
        names = [
            kube.create({"kind": kind, "metadata": {"generateName": "e2e-example-csr-"}, "spec": spec, "status": {}})[
                "metadata"
            ]["name"]
            for _ in range(3)
        ]
        assert [(event, obj["metadata"]["name"]) for event, obj in itertools.islice(events, 3)] == [
            ("ADDED", name) for name in names
        ]
        name = names[0]
        assert len(kube.items(kind, fieldSelector=mine)) == 3
        kube.patch(kind, name, {"metadata": {"annotations": {"patched": "true"}}})
        kube.change(kind, name, lambda found: found["metadata"]["annotations"].update(updated="true"))

        def told(kind_of):
            return {"type": kind_of, "status": "True", "reason": "E2E", "message": "Set from an e2e test"}

        for sub, content, second in (
            ("approval", {"conditions": [told("ApprovalPatch")]}, "ApprovalUpdate"),
            ("status", {"certificate": certificate}, "StatusUpdate"),
        ):
            body = {"metadata": {"annotations": {f"patched{sub}": "true"}}, "status": content}
            patched = kube.patch(kind, name, body, how=MERGE, subresource=sub)
            assert patched["metadata"]["annotations"][f"patched{sub}"] == "true"
            assert content.items() <= patched["status"].items() or condition(patched, "ApprovalPatch")
            path = kube.path(kind, name, subresource=sub)
            found = kube.call("get", path)
            assert (found["kind"], found["metadata"]["name"]) == (kind, name)
            found["status"]["conditions"].append(told(second))
            assert condition(kube.call("put", path, found), second)
        bad = base64.b64encode(b"-----BEGIN CERTIFICATE-----\nbad\n-----END CERTIFICATE-----\n").decode()
        with pytest.raises(Refused):
            kube.patch(kind, names[1], {"status": {"certificate": bad}}, how=MERGE, subresource="status")
        kube.delete(kind, name)
        seen = list(itertools.takewhile(lambda event: event[0] != "DELETED", events))
        assert {event for event, _ in seen} == {"MODIFIED"}
        assert any("updated" in obj["metadata"].get("annotations", {}) for _, obj in seen)
    kube.delete_all(kind, fieldSelector=mine)
    assert kube.items(kind, fieldSelector=mine) == []


@answers(
    "[sig-api-machinery] kube-apiserver serving certificate should include the in-cluster kubernetes service names in its serving certificate SANs"
)
def test_names_of_the_serving_certificate(kube):
    url = urllib.parse.urlparse(kube.client.configuration.host)
    certificate = x509.load_pem_x509_certificate(ssl.get_server_certificate((url.hostname, url.port)).encode())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(
        x509.DNSName
    )
    stem = "kubernetes.default.svc"
    assert {"kubernetes", "kubernetes.default", stem, f"{stem}.cluster.local"} <= set(names)
