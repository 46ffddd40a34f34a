"""Who owns fields in one version of a type loses them by writes in another."""

import json

MERGE, APPLY = "application/merge-patch+json", "application/apply-patch+yaml"
TARGET = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "w"}
COMMON = ["f:maxReplicas", "f:minReplicas", "f:scaleTargetRef"]


def scaler(percent):
    target = {"type": "Utilization", "averageUtilization": percent}
    return {"metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]}


def owners(answer):
    entries = answer.body["metadata"]["managedFields"]
    return {(one["manager"], one["apiVersion"]): sorted(one["fieldsV1"].get("f:spec", {})) for one in entries}


def test_built_in(running, namespace):
    def path(number, manager, name=""):
        place = f"/apis/autoscaling/{number}/namespaces/{namespace}"
        return f"{place}/horizontalpodautoscalers{name}?fieldManager={manager}"

    spec = {"maxReplicas": 3, "targetCPUUtilizationPercentage": 50, "scaleTargetRef": TARGET}
    made = running.ask("POST", path("v1", "a"), {"metadata": {"name": "h"}, "spec": spec})
    first = ("a", "autoscaling/v1")
    assert owners(made) == {first: [*COMMON, "f:targetCPUUtilizationPercentage"]}
    config = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "h"}}
    config["spec"] = {"maxReplicas": 3, "scaleTargetRef": TARGET, **scaler(70)}
    refused = running.ask("PATCH", path("v2", "b", "/h"), json.dumps(config), APPLY)
    where = 'conflict with "a" using autoscaling/v1: .spec.targetCPUUtilizationPercentage'
    assert (refused.status, refused.body["message"]) == (409, f"Apply failed with 1 conflict: {where}")
    config["spec"] |= scaler(50)
    shared = running.ask("PATCH", path("v2", "b", "/h"), json.dumps(config), APPLY)
    assert owners(shared)[first] == [*COMMON, "f:targetCPUUtilizationPercentage"]
    merged = running.ask("PATCH", path("v2", "c", "/h"), {"spec": scaler(60)}, MERGE)
    assert owners(merged) == {
        first: COMMON,
        ("b", "autoscaling/v2"): ["f:maxReplicas", "f:scaleTargetRef"],
        ("c", "autoscaling/v2"): ["f:metrics"],
    }
