"""A watch ends when the right to it is taken away, or who held the right is gone."""

import contextlib
import http.client
import json

import pytest

RBAC = "/apis/rbac.authorization.k8s.io/v1/namespaces/revoked"
PATH = "/api/v1/namespaces/revoked/configmaps"
RULE = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "watch"]}


@pytest.fixture
def account(secure):
    """A service account that may watch; its token."""
    secure.ask("POST", "/api/v1/namespaces", {"metadata": {"name": "revoked"}})
    accounts = "/api/v1/namespaces/revoked/serviceaccounts"
    secure.ask("POST", accounts, {"metadata": {"name": "w"}})
    secure.ask("POST", f"{RBAC}/roles", {"metadata": {"name": "w"}, "rules": [RULE]})
    binding = {
        "metadata": {"name": "w"}, "subjects": [{"kind": "ServiceAccount", "name": "w", "namespace": "revoked"}],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "w"},
    }  # fmt: skip
    assert secure.ask("POST", f"{RBAC}/rolebindings", binding).status == 201
    yield secure.ask("POST", f"{accounts}/w/token", {"spec": {}}).body["status"]["token"]
    for path in (f"{RBAC}/rolebindings/w", f"{RBAC}/roles/w", f"{accounts}/w"):
        secure.ask("DELETE", path)


@contextlib.contextmanager
def watch(secure, token):
    who = "" if token else "admin"
    connection = http.client.HTTPSConnection("127.0.0.1", secure.port, timeout=60, context=secure.context(who))
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    connection.request("GET", f"{PATH}?watch=1&timeoutSeconds=300&allowWatchBookmarks=true", headers=headers)
    with contextlib.closing(connection), connection.getresponse() as answer:
        yield answer


def until_the_end(stream):
    return [json.loads(line)["type"] for line in stream]


def refusal(secure, token):
    with watch(secure, token) as answer:
        return answer.status


@pytest.mark.parametrize("taken", ["rolebindings", "roles"])
def test_rights_that_are_revoked(secure, account, taken):
    with watch(secure, account) as mine, watch(secure, "") as other:
        assert json.loads(mine.readline())["type"] == json.loads(other.readline())["type"] == "BOOKMARK"
        assert secure.ask("DELETE", f"{RBAC}/{taken}/w").status == 200
        assert until_the_end(mine) == []
        assert refusal(secure, account) == 403
        secure.ask("POST", PATH, {"metadata": {"name": "seen"}})
        assert json.loads(other.readline())["type"] == "ADDED"
        secure.ask("DELETE", f"{PATH}/seen")


def test_rights_that_change_and_stay(secure, account):
    with watch(secure, account) as mine:
        assert json.loads(mine.readline())["type"] == "BOOKMARK"
        secure.ask("PUT", f"{RBAC}/roles/w", {"metadata": {"name": "w"}, "rules": [{**RULE, "verbs": ["watch"]}]})
        secure.ask("POST", PATH, {"metadata": {"name": "kept"}})
        assert json.loads(mine.readline())["type"] == "ADDED"
        secure.ask("DELETE", f"{PATH}/kept")


def test_accounts_that_are_gone(secure, account):
    with watch(secure, account) as mine:
        assert json.loads(mine.readline())["type"] == "BOOKMARK"
        secure.ask("DELETE", "/api/v1/namespaces/revoked/serviceaccounts/w")
        secure.ask("POST", f"{RBAC}/roles", {"metadata": {"name": "other"}, "rules": []})  # it looks again at once
        assert until_the_end(mine) == []
        assert refusal(secure, account) == 401
        secure.ask("DELETE", f"{RBAC}/roles/other")
