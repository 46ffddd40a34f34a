"""Binding, eviction, tokens, ephemeral containers, resize."""

import base64
import json

import pytest


def test_a_pod_is_bound_once(secure, shop):
    path = shop("bind", bound=False)
    target = {"metadata": {"name": "bind", "annotations": {"a": "b"}}, "target": {"kind": "Node", "name": "n1"}}
    answer = secure.ask("POST", f"{path}/binding", target, who="scheduler")
    assert (answer.status, answer.body["status"]) == (201, "Success")
    pod = secure.ask("GET", path).body
    assert pod["spec"]["nodeName"] == "n1"
    assert pod["metadata"]["annotations"]["a"] == "b"
    condition = next(one for one in pod["status"]["conditions"] if one["type"] == "PodScheduled")
    assert condition.pop("lastTransitionTime")
    assert condition == {"type": "PodScheduled", "status": "True", "lastProbeTime": None}
    again = secure.ask("POST", f"{path}/binding", target, who="scheduler")
    assert (again.status, again.body["message"]) == (
        409,
        'Operation cannot be fulfilled on pods/binding "bind": pod bind is already assigned to node "n1"',
    )


def test_binding_holds_to_its_preconditions(secure, shop):
    path = shop("held", bound=False)
    for field, word in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
        found = secure.ask("GET", path).body["metadata"][field]
        body = {"metadata": {"name": "held", field: "1"}, "target": {"name": "n1"}}
        answer = secure.ask("POST", f"{path}/binding", body)
        assert (answer.status, answer.body["message"]) == (
            409,
            'Operation cannot be fulfilled on pods "held": StorageError: invalid object, Code: 4, Key: '
            "/registry/pods/shop/held, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: "
            f"{word} in precondition: 1, {word} in object meta: {found}",
        )


def test_binding_needs_a_target_and_a_pod(secure, shop):
    path = shop("unbound", bound=False)
    answer = secure.ask("POST", f"{path}/binding", {"metadata": {"name": "unbound"}, "target": {"name": ""}})
    assert "target.name: Required value" in answer.body["message"]
    missing = {"metadata": {"name": "nobody"}, "target": {"name": "n1"}}
    assert secure.ask("POST", "/api/v1/namespaces/shop/pods/nobody/binding", missing).status == 404


def budget(secure, name, allowed, **status):
    body = {"metadata": {"name": name}, "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": name}}}}
    made = secure.ask("POST", "/apis/policy/v1/namespaces/shop/poddisruptionbudgets", body).body
    made["status"] = {
        "observedGeneration": made["metadata"].get("generation", 0), "disruptionsAllowed": allowed,
        "currentHealthy": 2, "desiredHealthy": 2, "expectedPods": 2, **status,
    }  # fmt: skip
    path = f"/apis/policy/v1/namespaces/shop/poddisruptionbudgets/{name}"
    assert secure.ask("PUT", f"{path}/status", made).status == 200
    return path


def evict(secure, path, name, **options):
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": "shop"}}
    return secure.ask("POST", f"{path}/eviction", {**body, **options})


def make_ready(secure, path):
    status = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    secure.ask("PATCH", f"{path}/status", status, content_type="application/merge-patch+json")


def test_an_eviction_takes_from_the_budget(secure, shop):
    path = shop("guarded")
    make_ready(secure, path)
    where = budget(secure, "guarded", 1)
    assert evict(secure, path, "guarded").status == 201
    status = secure.ask("GET", where).body["status"]
    assert status["disruptionsAllowed"] == 0
    assert "guarded" in status["disruptedPods"]


def test_an_eviction_may_be_of_the_version_old_clients_send(secure, shop):
    path = shop("old")
    refused = evict(secure, path, "old", apiVersion="policy/v1beta2")
    assert (refused.status, "no kind" in refused.body["message"]) == (400, True)
    assert evict(secure, path, "old", apiVersion="policy/v1beta1").status == 201


def test_an_eviction_may_be_dry(secure, shop):
    path = shop("idle")
    assert evict(secure, path, "idle", deleteOptions={"dryRun": ["Some"]}).status == 201
    assert secure.ask("GET", path).status == 200
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "idle"}}
    body["deleteOptions"] = {"dryRun": ["Some"]}
    refused = secure.ask("POST", f"{path}/eviction?dryRun=All", body)
    text = "Non-matching dry-run options in request and content: [All] and [Some]"
    assert (refused.status, refused.body["message"]) == (500, text)


def test_an_exhausted_budget_refuses(secure, shop):
    path = shop("tight")
    make_ready(secure, path)
    budget(secure, "tight", 0)
    answer = evict(secure, path, "tight")
    assert answer.status == 429
    assert answer.body["message"] == "Cannot evict pod as it would violate the pod's disruption budget."
    assert answer.body["details"]["causes"] == [
        {
            "reason": "DisruptionBudget",
            "message": "The disruption budget tight needs 2 healthy pods and has 2 currently",
        }
    ]
    assert secure.ask("GET", path).status == 200


NO = "The disruption budget {} does not allow evicting pods currently"


@pytest.mark.parametrize(
    ("name", "allowed", "status", "code", "cause"),
    [
("waiting", 1, {"disruptedPods": {f"p{i}": "2026-01-01T00:00:00Z" for i in range(2001)}}, 403,
         f"{NO}: too many pending evictions not confirmed by PDB controller"),
        ("unsynced", 0, {"conditions": [
            {"type": "DisruptionAllowed", "status": "False", "reason": "SyncFailed", "message": "no scale",
             "lastTransitionTime": "2026-01-01T00:00:00Z"}]}, 429, f"{NO} because it failed sync: no scale"),
        ("spare", 0, {"currentHealthy": 3}, 429, NO),
    ],
)  # fmt: skip
def test_why_a_budget_refuses(secure, shop, name, allowed, status, code, cause):
    path = shop(name)
    make_ready(secure, path)
    budget(secure, name, 0)
    where = f"/apis/policy/v1/namespaces/shop/poddisruptionbudgets/{name}"
    changed = secure.ask("GET", where).body
    changed["status"] |= {"disruptionsAllowed": allowed, **status}
    assert secure.ask("PUT", f"{where}/status", changed).status == 200
    answer = evict(secure, path, name)
    assert answer.status == code
    assert answer.body["details"]["causes"] == [{"reason": "DisruptionBudget", "message": cause.format(name)}]


@pytest.mark.parametrize("phase", ["Pending", "Succeeded"])
def test_pods_that_do_not_run_need_no_budget(secure, shop, phase):
    name = f"idle-{phase.lower()}"
    path = shop(name, phase=phase)
    budget(secure, name, 0)
    assert evict(secure, path, name).status == 201


def test_a_dry_run_evicts_nobody(secure, shop):
    path = shop("dry")
    assert evict(secure, path, "dry", deleteOptions={"dryRun": ["All"]}).status == 201
    assert secure.ask("GET", path).status == 200


@pytest.mark.parametrize("phase", ["Running", "Pending"])
def test_an_evicted_pod_says_why_it_ends(secure, shop, phase):
    name = f"held-{phase.lower()}"
    path = shop(name, phase=phase)
    secure.ask(
        "PATCH", path, {"metadata": {"finalizers": ["a.example/b"]}}, content_type="application/merge-patch+json"
    )
    assert evict(secure, path, name).status == 201
    pod = secure.ask("GET", path).body
    assert "deletionTimestamp" in pod["metadata"]
    [condition] = [one for one in pod["status"]["conditions"] if one["type"] == "DisruptionTarget"]
    assert condition.pop("lastTransitionTime")
    assert condition.pop("observedGeneration")
    assert condition == {
        "type": "DisruptionTarget", "status": "True", "lastProbeTime": None,
        "reason": "EvictionByEvictionAPI", "message": "Eviction API: evicting",
    }  # fmt: skip
    secure.ask("PATCH", path, {"metadata": {"finalizers": None}}, content_type="application/merge-patch+json")


def test_an_eviction_of_another_pod_changes_nothing(secure, shop):
    path = shop("other")
    answer = evict(secure, path, "other", deleteOptions={"preconditions": {"uid": "not-it"}})
    assert answer.status == 409
    assert "the UID in the precondition (not-it) does not match the UID in record" in answer.body["message"]
    conditions = secure.ask("GET", path).body["status"].get("conditions", [])
    assert "DisruptionTarget" not in [one["type"] for one in conditions]


def claims(token):
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


def request_token(secure, **spec):
    path = "/api/v1/namespaces/shop/serviceaccounts/default/token"
    return secure.ask("POST", path, {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec})


def test_a_token_is_bound_to_its_pod_and_dies_with_it(secure, shop):
    path = shop("bearer")
    pod = secure.ask("GET", path).body
    reference = {"apiVersion": "v1", "kind": "Pod", "name": "bearer", "uid": pod["metadata"]["uid"]}
    answer = request_token(secure, boundObjectRef=reference, expirationSeconds=3607)
    assert answer.status == 201, answer.body
    token = answer.body["status"]["token"]
    bound = claims(token)
    assert bound["kubernetes.io"]["pod"]["name"] == "bearer"
    assert bound["kubernetes.io"]["node"]["name"] == "n1"
    assert bound["exp"] - bound["iat"] == 365 * 86400
    assert bound["kubernetes.io"]["warnafter"] - bound["iat"] == 3607
    headers = {"Authorization": f"Bearer {token}"}
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    who = secure.ask("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", body, who="", headers=headers)
    assert who.body["status"]["userInfo"]["username"] == "system:serviceaccount:shop:default"
    assert secure.ask("DELETE", f"{path}?gracePeriodSeconds=0").status == 200
    assert secure.ask("GET", "/api", who="", headers=headers).status == 401


@pytest.mark.parametrize(
    ("spec", "status", "text"),
    [
        ({"expirationSeconds": 10}, 422, "may not specify a duration less than 10 minutes"),
        ({"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "nobody"}}, 404, 'pods "nobody" not found'),
        ({"boundObjectRef": {"kind": "Service", "apiVersion": "v1", "name": "x"}}, 400, "cannot bind token to object"),
    ],
)
def test_tokens_that_are_not_given(secure, shop, spec, status, text):
    answer = request_token(secure, **spec)
    assert answer.status == status
    assert text in answer.body["message"]


def test_a_token_request_is_for_one_account(secure, shop):
    path = "/api/v1/namespaces/shop/serviceaccounts/default"
    uid = secure.ask("GET", path).body["metadata"]["uid"]
    made = secure.ask("POST", f"{path}/token", {"metadata": {"uid": uid}, "spec": {"expirationSeconds": 700}}).body
    metadata = made["metadata"]
    assert (metadata["name"], metadata["namespace"], metadata["uid"]) == ("default", "shop", uid)
    (entry,) = metadata["managedFields"]
    assert entry["subresource"] == "token"
    assert entry["fieldsV1"] == {"f:spec": {"f:expirationSeconds": {}}}
    other = secure.ask("POST", f"{path}/token", {"metadata": {"uid": "x"}, "spec": {}})
    assert (other.status, other.body["message"]) == (
        409,
        'Operation cannot be fulfilled on TokenRequest.authentication.k8s.io "default": the UID in the token request '
        f"(x) does not match the UID of the service account ({uid})",
    )
    named = secure.ask("POST", f"{path}/token", {"metadata": {"name": "b"}, "spec": {}})
    assert (named.status, named.body["message"]) == (
        422,
        'TokenRequest.authentication.k8s.io "default" is invalid: metadata.name: Invalid value: "b": must match the '
        "service account name if specified",
    )


def test_ephemeral_containers_are_only_added(secure, shop):
    path = shop("debugged")
    patch = {"spec": {"ephemeralContainers": [{"name": "dbg", "image": "busybox", "targetContainerName": "main"}]}}
    kind = "application/strategic-merge-patch+json"
    answer = secure.ask("PATCH", f"{path}/ephemeralcontainers", patch, content_type=kind)
    assert answer.status == 200, answer.body
    assert answer.body["spec"]["ephemeralContainers"][0]["name"] == "dbg"
    pod = secure.ask("GET", f"{path}/ephemeralcontainers").body
    pod["spec"]["ephemeralContainers"] = []
    pod["spec"]["containers"][0]["image"] = "other"
    refused = secure.ask("PUT", f"{path}/ephemeralcontainers", pod)
    assert refused.status == 422
    assert "may not be removed" in refused.body["message"]


def test_resize_changes_amounts_and_nothing_else(secure, shop):
    resources = {"requests": {"cpu": "100m"}, "limits": {"cpu": "200m"}}
    path = shop("sized", phase="", resources=resources)
    pod = secure.ask("GET", path).body
    pod["spec"]["containers"][0]["resources"]["requests"]["cpu"] = "150m"
    pod["spec"]["containers"][0]["image"] = "other"
    answer = secure.ask("PUT", f"{path}/resize", pod)
    assert answer.status == 200, answer.body
    container = answer.body["spec"]["containers"][0]
    assert (container["resources"]["requests"]["cpu"], container["image"]) == ("150m", "i")
    patch = {"spec": {"containers": [{"name": "main", "resources": {"limits": None}}]}}
    kind = "application/strategic-merge-patch+json"
    wrong = secure.ask("PATCH", f"{path}/resize", patch, content_type=kind)
    assert wrong.status == 422
    assert "resource limits cannot be removed" in wrong.body["message"]


def test_a_resize_takes_containers_one_by_one(secure, shop):
    path = shop("parts", phase="", resources={"requests": {"cpu": "100m"}})
    pod = secure.ask("GET", path).body
    pod["spec"]["containers"].append({"name": "new", "image": "i"})
    more = secure.ask("PUT", f"{path}/resize", pod)
    assert "spec.containers: Forbidden: containers may not be added or removed on resize" in more.body["message"]
    pod["spec"]["containers"] = [{"name": "main", "image": "i"}]
    bare = secure.ask("PUT", f"{path}/resize", pod)
    assert (
        "spec.containers[0].resources.requests: Forbidden: resource requests cannot be removed" in bare.body["message"]
    )


@pytest.mark.parametrize(
    ("part", "spec", "owned"),
    [
        ("ephemeralcontainers", {"ephemeralContainers": [{"name": "e", "image": "i"}]}, {"f:ephemeralContainers"}),
        ("resize", {}, {"f:containers"}),
    ],
)
def test_apply_at_a_part_writes_and_owns_that_part_alone(secure, shop, part, spec, owned):
    path = shop(f"applied-{part}", resources={"requests": {"cpu": "100m"}})
    container = {"name": "main", "image": "other", "resources": {"requests": {"cpu": "150m"}}}
    name = path.rpartition("/")[2]
    applied = {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"a": "b"}},
        "spec": {"containers": [container], **spec},
    }  # fmt: skip
    answer = secure.ask(
        "PATCH", f"{path}/{part}?fieldManager=m&force=true", applied, content_type="application/apply-patch+yaml"
    )
    assert answer.status == 200, answer.body
    assert answer.body["spec"]["containers"][0]["image"] == "i"
    assert "a" not in answer.body["metadata"].get("labels", {})
    [entry] = [one for one in answer.body["metadata"]["managedFields"] if one.get("subresource") == part]
    assert set(entry["fieldsV1"]) == {"f:spec"}
    assert set(entry["fieldsV1"]["f:spec"]) == owned


def test_a_resize_owns_amounts_of_init_containers_too(secure, shop):
    path = "/api/v1/namespaces/shop/pods/helped"
    amounts = {"resources": {"requests": {"cpu": "100m"}}}
    helper = {"name": "h", "image": "i", "restartPolicy": "Always", **amounts}
    spec = {"initContainers": [helper], "containers": [{"name": "main", "image": "i", **amounts}]}
    body = {"metadata": {"name": "helped"}, "spec": spec}
    assert secure.ask("POST", path.rpartition("/")[0], body).status == 201
    patch = {"spec": {"initContainers": [{"name": "h", "resources": {"requests": {"cpu": "150m"}}}]}}
    kind = "application/strategic-merge-patch+json"
    answer = secure.ask("PATCH", f"{path}/resize?fieldManager=m", patch, content_type=kind)
    assert answer.status == 200, answer.body
    [entry] = [one for one in answer.body["metadata"]["managedFields"] if one.get("subresource") == "resize"]
    changed = {'k:{"name":"h"}': {"f:resources": {"f:requests": {"f:cpu": {}}}}}
    assert entry["fieldsV1"] == {"f:spec": {"f:initContainers": changed}}
