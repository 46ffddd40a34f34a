"""The chain in its server."""

import concurrent.futures

POD = {"spec": {"containers": [{"name": "c", "image": "i"}]}}


def test_pods_are_completed(running, namespace):
    path = f"/api/v1/namespaces/{namespace}"
    assert running.ask("POST", f"{path}/serviceaccounts", {"metadata": {"name": "default"}}).status == 201
    answer = running.ask("POST", f"{path}/pods", {"metadata": {"name": "p"}, **POD})
    assert answer.status == 201, answer.body
    spec = answer.body["spec"]
    assert spec["serviceAccountName"] == "default"
    assert (spec["priority"], spec["preemptionPolicy"]) == (0, "PreemptLowerPriority")
    assert [toleration["tolerationSeconds"] for toleration in spec["tolerations"]] == [300, 300]
    assert len(spec["volumes"][0]["projected"]["sources"]) == 3


def test_two_at_once_do_not_both_get_the_last_one(running, namespace):
    path = f"/api/v1/namespaces/{namespace}"
    quota = {"metadata": {"name": "q"}, "spec": {"hard": {"configmaps": "3"}}}
    made = running.ask("POST", f"{path}/resourcequotas", quota).body
    made["status"] = {"hard": {"configmaps": "3"}, "used": {"configmaps": "0"}}
    assert running.ask("PUT", f"{path}/resourcequotas/q/status", made).status == 200
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        bodies = [{"metadata": {"name": f"c{number}"}} for number in range(8)]
        answers = list(pool.map(lambda body: running.ask("POST", f"{path}/configmaps", body), bodies))
    assert sorted(answer.status for answer in answers) == [201] * 3 + [403] * 5
    refusal = next(answer.body["message"] for answer in answers if answer.status == 403)
    assert refusal.endswith("exceeded quota: q, requested: configmaps=1, used: configmaps=3, limited: configmaps=3")
    now = running.ask("GET", f"{path}/resourcequotas/q").body
    assert now["status"]["used"] == {"configmaps": "3"}


def test_warnings_reach_the_client(running, namespace):
    label = {"metadata": {"labels": {"pod-security.kubernetes.io/warn": "baseline"}}}
    path = f"/api/v1/namespaces/{namespace}"
    assert running.ask("PATCH", path, label, "application/merge-patch+json").status == 200
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {**POD["spec"], "hostNetwork": True}}
    wanted = {"metadata": {"name": "d"}, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template}}
    answer = running.ask("POST", f"/apis/apps/v1/namespaces/{namespace}/deployments", wanted)
    assert answer.status == 201, answer.body
    assert (
        'would violate PodSecurity \\"baseline:latest\\": host namespaces (hostNetwork=true)'
        in answer.headers["Warning"]
    )
