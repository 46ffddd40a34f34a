"""auth and certificate: who may what, who one is, and becoming somebody by a signed certificate."""

import base64
import json
import subprocess

import pytest
import yaml

from tests.e2e import command


def test_whoami(kubectl):
    said = json.loads(kubectl("auth", "whoami", "-o", "json"))
    assert said["kind"] == "SelfSubjectReview"
    assert "system:masters" in said["status"]["userInfo"]["groups"] or said["status"]["userInfo"]["username"]
    said = kubectl("auth", "whoami", "--as=jane", "--as-group=writers", "--as-uid=7", "--as-user-extra=scope=x")
    assert "jane" in said and "writers" in said and "scope" in said
    assert "without impersonating a user" in kubectl.refusal("get", "pods", "--as-group=writers")


ALLOWED = {
    "get pods": True, "list configmaps": True, "watch deployments.apps": True, "get pods --subresource=log": True,
    "get secrets": False, "create pods": False, "delete nodes": False, "get /healthz": True, "get /metrics": False,
}  # fmt: skip


@pytest.mark.parametrize(("question", "answer"), ALLOWED.items(), ids=ALLOWED)
def test_can_i(kubectl, question, answer):
    kubectl("create", "rolebinding", "jane", "--clusterrole=view", "--user=jane")
    done = kubectl.run("auth", "can-i", *question.split(), "--as=jane", "--as-group=system:authenticated")
    assert (done.stdout.strip(), done.returncode) == (("yes", 0) if answer else ("no", 1)), done.stderr


def test_can_i_list(kubectl):
    kubectl("create", "role", "reader", "--verb=get,list", "--resource=secrets", "--resource-name=one")
    kubectl("create", "rolebinding", "jane", "--role=reader", "--user=jane")
    lines = kubectl("auth", "can-i", "--list", "--as=jane").splitlines()
    assert lines[0].split() == ["Resources", "Non-Resource", "URLs", "Resource", "Names", "Verbs"]
    assert any(line.split() == ["secrets", "[]", "[one]", "[get", "list]"] for line in lines)


def test_reconcile(kubectl):
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "it", "namespace": kubectl.namespace},
        "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}],
    }
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "it", "namespace": kubectl.namespace},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "it"},
        "subjects": [{"kind": "User", "name": "jane", "apiGroup": "rbac.authorization.k8s.io"}],
    }
    kubectl.feed("auth reconcile", role, binding, options=("--dry-run=client",))
    assert "not found" in kubectl.refusal("get", "role", "it")
    kubectl.feed("auth reconcile", role, binding)
    role["rules"][0]["verbs"] = ["list"]
    kubectl.feed("auth reconcile", role)
    assert kubectl.path("role it", "{.rules[*].verbs}") == '["get"] ["list"]'
    kubectl.feed("auth reconcile", role, options=("--remove-extra-permissions",))
    assert kubectl.path("role it", "{.rules[*].verbs}") == '["list"]'
    assert kubectl("auth", "can-i", "list", "pods", "--as=jane").strip() == "yes"


def csr(tmp_path, subject):
    """A key and a request for it, by openssl."""
    key, request = tmp_path / "key.pem", tmp_path / "request.pem"
    line = [
        "openssl",
        "req",
        "-new",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        key,
        "-out",
        request,
        "-subj",
        subject,
    ]
    subprocess.run(line, check=True, capture_output=True)
    return key, base64.b64encode(request.read_bytes()).decode()


def signing_request(name, request, signer, usages):
    return {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"name": name},
        "spec": {"request": request, "signerName": signer, "usages": usages},
    }


def test_approve_and_deny(kubectl, tmp_path):
    _, request = csr(tmp_path, "/CN=somebody")
    for verb, condition in (("approve", "Approved"), ("deny", "Denied")):
        name = f"{kubectl.namespace}-{verb}"
        one = signing_request(name, request, "shop.example/signer", ["digital signature", "client auth"])
        kubectl.create(one)
        assert kubectl.path(f"csr {name}", "{.status.conditions}") == ""
        kubectl("certificate", verb, name)
        assert kubectl.path(f"csr {name}", "{.status.conditions[*].type}") == condition
        assert condition in kubectl("get", "csr", name)
        assert "somebody" in kubectl("describe", "csr", name)
        kubectl("delete", "csr", name)


@pytest.mark.parametrize("usages", [["client auth"], ["digital signature", "key encipherment", "client auth"]])
def test_a_signed_certificate_is_somebody(kubectl, tmp_path, usages):
    key, request = csr(tmp_path, "/CN=jane/O=writers")
    name = kubectl.namespace
    kubectl.create(signing_request(name, request, "kubernetes.io/kube-apiserver-client", usages))
    kubectl("certificate", "approve", name)
    kubectl("wait", f"csr/{name}", "--for=jsonpath={.status.certificate}", "--timeout=180s")
    certificate = tmp_path / "jane.pem"
    certificate.write_bytes(base64.b64decode(kubectl.path(f"csr {name}", "{.status.certificate}")))
    config = json.loads(kubectl("config", "view", "--raw", "-o", "json"))
    config["users"] = [{"name": user["name"], "user": {}} for user in config["users"]]
    (tmp_path / "nobody").write_text(yaml.safe_dump(config))
    jane = (f"--kubeconfig={tmp_path}/nobody", f"--client-certificate={certificate}", f"--client-key={key}")
    said = json.loads(kubectl("auth", "whoami", "-o", "json", *jane))["status"]["userInfo"]
    assert said["username"] == "jane" and "writers" in said["groups"]
    assert 'User "jane" cannot list resource "pods"' in kubectl.refusal("get", "pods", *jane)
    kubectl("delete", "csr", name)


def test_the_one_who_asks_is_noted(kubectl, tmp_path):
    _, request = csr(tmp_path, "/CN=x")
    name = kubectl.namespace
    kubectl("create", "clusterrole", name, "--verb=create", "--resource=certificatesigningrequests")
    kubectl("create", "clusterrolebinding", name, f"--clusterrole={name}", "--user=jane")
    one = signing_request(name, request, "shop.example/signer", ["client auth"])
    kubectl.feed("create", one, options=("--as=jane", "--as-group=b", "--as-group=a", "--as-group=,,,chameleon"))
    assert kubectl.path(f"csr {name}", "{.spec.username}") == "jane"
    assert kubectl.path(f"csr {name}", "{.spec.groups}") == '["b","a",",,,chameleon","system:authenticated"]'
    kubectl("delete", f"csr/{name}", f"clusterrole/{name}", f"clusterrolebinding/{name}")


def test_reviews(kubectl):
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": "jane",
            "resourceAttributes": {"verb": "get", "resource": "pods", "namespace": kubectl.namespace},
        },
    }
    options = ("-o", "jsonpath={.status.allowed}")
    assert kubectl.feed("create", review, options=options) == "false"
    kubectl("create", "rolebinding", "jane", "--clusterrole=view", "--user=jane")
    assert kubectl.feed("create", review, options=options) == "true"
    token = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": "nonsense"}}
    assert "invalid bearer token" in kubectl.feed("create", token, options=("-o", "jsonpath={.status.error}"))


def test_proxy_shows_all_paths(kubectl, cluster, fetch):
    process = cluster.popen("proxy", "--port=0", "--api-prefix=/custom", stdout=subprocess.PIPE, text=True)
    try:
        base = f"http://127.0.0.1:{process.stdout.readline().rpartition(':')[2].strip()}/custom"
        assert fetch(f"{base}/healthz") == "ok"
        assert json.loads(fetch(f"{base}/api/v1/namespaces"))["kind"] == "NamespaceList"
        assert "apiserver_request" in fetch(f"{base}/metrics")
    finally:
        process.terminate()
        process.communicate(timeout=180)


def test_a_short_name_of_a_built_in_wins(kubectl):
    one = command.definition("examples", "Example")
    one["spec"]["names"]["shortNames"] = ["pod"]
    kubectl.create(one)
    kubectl("wait", "--for=condition=Established", "crd/examples.shop.example", "--timeout=180s")
    kubectl.create({"apiVersion": "shop.example/v1", "kind": "Example", "metadata": {"name": "it"}})
    assert kubectl("get", "examples", "-o", "name") == "example.shop.example/it\n"
    assert kubectl("get", "pod", "-o", "name") == ""
    kubectl("delete", "crd", "examples.shop.example")
