"""Questions about permissions and identity, and the roles a cluster starts with."""

import pytest

AUTHORIZATION = "/apis/authorization.k8s.io/v1"
RBAC = "/apis/rbac.authorization.k8s.io/v1"


def test_access_reviews(secure):
    about = {"verb": "create", "resource": "pods", "namespace": "shop"}
    body = {"spec": {"user": "system:kube-scheduler", "resourceAttributes": {**about, "subresource": "binding"}}}
    answer = secure.ask("POST", f"{AUTHORIZATION}/subjectaccessreviews", body)
    assert answer.status == 201
    assert answer.body["status"]["allowed"] is True
    assert answer.body["status"]["reason"].startswith('RBAC: allowed by ClusterRoleBinding "system:kube-scheduler"')
    body = {"spec": {"user": "eve", "resourceAttributes": about}}
    local = secure.ask("POST", f"{AUTHORIZATION}/namespaces/shop/localsubjectaccessreviews", body)
    assert local.body["status"] == {"allowed": False}
    elsewhere = secure.ask("POST", f"{AUTHORIZATION}/namespaces/other/localsubjectaccessreviews", body)
    assert (elsewhere.status, elsewhere.body["message"]) == (
        422,
        '.authorization.k8s.io "" is invalid: spec.resourceAttributes.namespace: Invalid value: "shop": '
        "must match metadata.namespace",
    )
    own = secure.ask(
        "POST", f"{AUTHORIZATION}/selfsubjectaccessreviews", {"spec": {"resourceAttributes": about}}, who="scheduler"
    )
    assert own.body["status"]["allowed"] is False
    assert secure.ask("POST", f"{AUTHORIZATION}/subjectaccessreviews", {"spec": {}}).status == 422


def review(secure, spec, metadata=None, kind="subjectaccessreviews"):
    return secure.ask("POST", f"{AUTHORIZATION}/{kind}", {"spec": spec, "metadata": metadata or {}})


def test_reviews_have_managers(secure):
    made = review(secure, {"resourceAttributes": {"verb": "get"}}, kind="selfsubjectaccessreviews").body
    (entry,) = made["metadata"]["managedFields"]
    assert entry["fieldsV1"] == {"f:spec": {"f:resourceAttributes": {".": {}, "f:verb": {}}}}
    assert (entry["manager"], entry["apiVersion"]) == ("test", "authorization.k8s.io/v1")


REFUSED = [
    ({"user": "u"}, "spec.resourceAttributes: Invalid value: null: exactly one of nonResourceAttributes or "
     "resourceAttributes must be specified"),
    ({"resourceAttributes": {}}, 'spec.user: Invalid value: "": at least one of user or group must be specified'),
    ({"user": "u", "resourceAttributes": {"fieldSelector": {"rawSelector": "foo", "requirements": [
        {"key": "k", "operator": "Unknown"}]}}},
     'spec.resourceAttributes.fieldSelector.rawSelector: Invalid value: "foo": may not specified at the same time as '
     "requirements"),
    ({"user": "u", "resourceAttributes": {"labelSelector": {}}},
     "spec.resourceAttributes.labelSelector.requirements: Required value: when spec.resourceAttributes.labelSelector "
     "is specified, requirements or rawSelector is required"),
    ({"user": "u", "resourceAttributes": {"fieldSelector": {"requirements": [{"key": "k", "operator": "In"}]}}},
     "spec.resourceAttributes.fieldSelector.requirements[0].values: Required value: must be specified when `operator` "
     "is 'In' or 'NotIn'"),
    ({"user": "u", "resourceAttributes": {"labelSelector": {"requirements": [
        {"key": "k", "operator": "Exists", "values": ["v"]}]}}},
     "spec.resourceAttributes.labelSelector.requirements[0].values: Forbidden: may not be specified when `operator` is "
     "'Exists' or 'DoesNotExist'"),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "why"), REFUSED)
def test_questions_that_are_none(secure, spec, why):
    answer = review(secure, spec)
    assert (answer.status, answer.body["message"]) == (422, f'.authorization.k8s.io "" is invalid: {why}')


def test_reviews_have_no_names(secure):
    answer = review(secure, {"user": "u", "resourceAttributes": {}}, {"name": "a"})
    assert answer.status == 422
    assert answer.body["message"].endswith("must be empty")


@pytest.mark.parametrize(
    ("attributes", "text"),
    [
        ({"fieldSelector": {"rawSelector": "key in value"}, "labelSelector": {"rawSelector": "&"}},
         "spec.resourceAttributes.fieldSelector ignored due to parse error; "
         "spec.resourceAttributes.labelSelector ignored due to parse error"),
        ({"fieldSelector": {"requirements": [
            {"key": "a", "operator": "In", "values": ["b"]}, {"key": "a", "operator": "Later"}]}},
         "spec.resourceAttributes.fieldSelector partially ignored due to parse error"),
        ({"fieldSelector": {"rawSelector": "a=b"}, "labelSelector": {"rawSelector": "a in (b)"}}, None),
    ],
)  # fmt: skip
def test_selectors_that_cannot_be_used(secure, attributes, text):
    status = review(secure, {"user": "u", "resourceAttributes": attributes}).body["status"]
    assert status.get("evaluationError") == text


def test_rules_review(secure):
    body = {"spec": {"namespace": "default"}}
    answer = secure.ask("POST", f"{AUTHORIZATION}/selfsubjectrulesreviews", body, who="kube-proxy")
    rules = answer.body["status"]["resourceRules"]
    assert {"verbs": ["list", "watch"], "apiGroups": [""], "resources": ["endpoints", "services"]} in rules
    assert answer.body["status"]["incomplete"] is False


def test_token_review_of_junk(secure):
    answer = secure.ask("POST", "/apis/authentication.k8s.io/v1/tokenreviews", {"spec": {"token": "junk"}})
    assert answer.body["status"] == {"user": {}, "error": "invalid bearer token"}


def test_who_may_not_is_told_before_what_is_invalid(secure):
    """Of a node and of who grants roles; a revision that is not the present one comes later, too."""
    node = {"Impersonate-User": "system:node:strict", "Impersonate-Group": "system:nodes"}
    secure.ask("POST", "/api/v1/nodes", {"metadata": {"name": "strict"}})
    label = {"node-restriction.kubernetes.io/x": "***"}
    for method, path, body, why in (
        ("PATCH", "", {"metadata": {"labels": label}}, "is not allowed to modify labels: node-restriction.k"),
        ("PATCH", "", {"metadata": {"labels": label, "resourceVersion": "1"}}, "is not allowed to modify labels"),
        ("PATCH", "/status", {"spec": {"taints": [{"key": "a"}]}}, "is not allowed to modify taints"),
    ):
        kind = "application/merge-patch+json"
        found = secure.ask(method, f"/api/v1/nodes/strict{path}", body, content_type=kind, headers=node)
        assert (found.status, why in found.body["message"]) == (403, True), found.body
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    rules = [{"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles"], "verbs": ["create"]}]
    secure.ask("POST", f"{rbac}/clusterroles", {"metadata": {"name": "writer"}, "rules": rules})
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "writer"}
    eve = {"kind": "User", "name": "eve", "apiGroup": "rbac.authorization.k8s.io"}
    secure.ask(
        "POST", f"{rbac}/clusterrolebindings", {"metadata": {"name": "w"}, "roleRef": reference, "subjects": [eve]}
    )
    bad = {"metadata": {"name": "r"}, "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}, {}]}
    path = f"{rbac}/namespaces/default/roles"
    assert secure.ask("POST", path, bad, headers={"Impersonate-User": "eve"}).status == 403
    assert secure.ask("POST", path, bad).status == 422


def test_impersonation(secure):
    headers = {"Impersonate-User": "bob", "Impersonate-Group": "dev"}
    answer = secure.ask("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {}, headers=headers)
    assert answer.body["status"]["userInfo"] == {"username": "bob", "groups": ["dev", "system:authenticated"]}
    refused = secure.ask("GET", "/api", who="scheduler", headers=headers)
    assert refused.status == 403
    assert 'cannot impersonate-on:user-info:get path "/api"' in refused.body["message"]


def test_roles_cannot_be_used_to_rise(secure):
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "riser"}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:aggregate-to-admin"}
    binding = {"metadata": {"name": "riser"}, "roleRef": reference, "subjects": [subject]}
    assert secure.ask("POST", f"{RBAC}/namespaces/default/rolebindings", binding).status == 201
    headers = {"Impersonate-User": "riser"}
    rule = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}
    role = {"metadata": {"name": "more"}, "rules": [rule]}
    answer = secure.ask("POST", f"{RBAC}/namespaces/default/roles", role, headers=headers)
    assert answer.status == 403
    assert "is attempting to grant RBAC permissions not currently held" in answer.body["message"]


def test_anonymous_sees_health_and_version_only(secure):
    for path in ("/healthz", "/livez", "/readyz", "/version"):
        assert secure.ask("GET", path, who="").status == 200
    for path in ("/api", "/metrics", "/openapi/v2", "/api/v1/namespaces", "/openid/v1/jwks", "/statusz"):
        assert secure.ask("GET", path, who="").status == 403


def test_keys_are_told_with_and_without_a_slash(secure):
    for path in ("/openid/v1/jwks", "/.well-known/openid-configuration"):
        assert secure.ask("GET", f"{path}/").body == secure.ask("GET", path).body


def test_what_a_cluster_starts_with(secure):
    assert secure.ask("GET", f"{RBAC}/clusterroles/cluster-admin").status == 200
    service = secure.ask("GET", "/api/v1/namespaces/default/services/kubernetes").body
    assert service["spec"]["clusterIP"] == "10.96.0.1"
    data = secure.ask("GET", "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication").body[
        "data"
    ]
    assert data["requestheader-allowed-names"] == '["front-proxy-client"]'
    assert secure.ask("GET", "/apis/scheduling.k8s.io/v1/priorityclasses/system-node-critical").status == 200
