"""Networking, storage, RBAC, admission, flow control and the remaining groups."""

from typing import Any

from kubeshim.machinery import objects
from kubeshim.machinery.defaults import values

_RBAC = "rbac.authorization.k8s.io"


def network_policy(obj: objects.Object) -> None:
    spec = values.child(obj, "spec")
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]
    for direction in ("ingress", "egress"):
        for rule in values.children(spec, direction):
            for port in values.children(rule, "ports"):
                values.fill_text(port, "protocol", "TCP")


def ingress_class(obj: objects.Object) -> None:
    parameters = objects.dig(obj, "spec", "parameters")
    if parameters is not None:
        values.fill(parameters, "scope", "Cluster")


def endpoint_slice(obj: objects.Object) -> None:
    for port in values.children(obj, "ports"):
        values.fill(port, "name", "")
        values.fill(port, "protocol", "TCP")


def role_binding(obj: objects.Object) -> None:
    values.fill_text(values.child(obj, "roleRef"), "apiGroup", _RBAC)
    for subject in values.children(obj, "subjects"):
        if subject.get("kind") in ("User", "Group"):
            values.fill_text(subject, "apiGroup", _RBAC)


def storage_class(obj: objects.Object) -> None:
    values.fill(obj, "reclaimPolicy", "Delete")
    values.fill(obj, "volumeBindingMode", "Immediate")


def csi_driver(obj: objects.Object) -> None:
    spec = values.child(obj, "spec")
    for field, value in (
        ("attachRequired", True), ("podInfoOnMount", False), ("storageCapacity", False),
        ("fsGroupPolicy", "ReadWriteOnceWithFSType"), ("requiresRepublish", False), ("seLinuxMount", False),
    ):  # fmt: skip
        values.fill(spec, field, value)
    if not spec.get("volumeLifecycleModes"):
        spec["volumeLifecycleModes"] = ["Persistent"]


def priority_class(obj: objects.Object) -> None:
    values.fill(obj, "preemptionPolicy", "PreemptLowerPriority")


def validating_webhooks(obj: objects.Object) -> None:
    for hook in values.children(obj, "webhooks"):
        _webhook(hook)


def mutating_webhooks(obj: objects.Object) -> None:
    for hook in values.children(obj, "webhooks"):
        _webhook(hook)
        values.fill(hook, "reinvocationPolicy", "Never")


def _webhook(hook: objects.Object) -> None:
    values.fill(hook, "failurePolicy", "Fail")
    values.fill(hook, "matchPolicy", "Equivalent")
    values.fill(hook, "namespaceSelector", {})
    values.fill(hook, "objectSelector", {})
    values.fill(hook, "timeoutSeconds", 10)
    _service_port(hook.get("clientConfig"))
    for rule in values.children(hook, "rules"):
        values.fill(rule, "scope", "*")


def _service_port(config: Any) -> None:
    if isinstance(config, dict) and config.get("service") is not None:
        values.fill(config["service"], "port", 443)


def admission_policy(obj: objects.Object) -> None:
    spec = values.child(obj, "spec")
    values.fill(spec, "failurePolicy", "Fail")
    _match_resources(spec.get("matchConstraints"))


def admission_policy_binding(obj: objects.Object) -> None:
    _match_resources(values.child(obj, "spec").get("matchResources"))


def _match_resources(match: Any) -> None:
    if not isinstance(match, dict):
        return
    values.fill(match, "matchPolicy", "Equivalent")
    values.fill(match, "namespaceSelector", {})
    values.fill(match, "objectSelector", {})
    for field in ("resourceRules", "excludeResourceRules"):
        for rule in values.children(match, field):
            values.fill(rule, "scope", "*")


def api_service(obj: objects.Object) -> None:
    _service_port(obj.get("spec"))


def custom_resource_definition(obj: objects.Object) -> None:
    spec = values.child(obj, "spec")
    names = values.child(spec, "names")
    if names.get("kind"):
        values.fill_text(names, "singular", str(names["kind"]).lower())
        values.fill_text(names, "listKind", f"{names['kind']}List")
    conversion = values.child(spec, "conversion")
    values.fill_text(conversion, "strategy", "None")
    _service_port(objects.dig(conversion, "webhook", "clientConfig"))


def flow_schema(obj: objects.Object) -> None:
    spec = values.child(obj, "spec")
    if not spec.get("matchingPrecedence"):
        spec["matchingPrecedence"] = 1000


def priority_level(obj: objects.Object) -> None:
    spec = values.child(obj, "spec")
    if spec.get("type") == "Exempt":
        exempt = values.child(spec, "exempt")
        values.fill(exempt, "nominalConcurrencyShares", 0)
        values.fill(exempt, "lendablePercent", 0)
    limited = spec.get("limited")
    if not isinstance(limited, dict):
        return
    values.fill(limited, "nominalConcurrencyShares", 30)
    values.fill(limited, "lendablePercent", 0)
    queuing = objects.dig(limited, "limitResponse", "queuing")
    if isinstance(queuing, dict):
        for field, value in (("queues", 64), ("handSize", 8), ("queueLengthLimit", 50)):
            if not queuing.get(field):
                queuing[field] = value


def resource_claim(obj: objects.Object) -> None:
    _device_requests(values.child(obj, "spec"))


def resource_claim_template(obj: objects.Object) -> None:
    _device_requests(values.child(values.child(obj, "spec"), "spec"))


def _device_requests(spec: objects.Object) -> None:
    for request in values.children(spec.get("devices") or {}, "requests"):
        for exact in (request.get("exactly"), *values.children(request, "firstAvailable")):
            if isinstance(exact, dict):
                values.fill_text(exact, "allocationMode", "ExactCount")
                if exact["allocationMode"] == "ExactCount" and not exact.get("count"):
                    exact["count"] = 1
                for toleration in values.children(exact, "tolerations"):
                    values.fill_text(toleration, "operator", "Equal")


def pod_certificate_request(obj: objects.Object) -> None:
    values.fill(values.child(obj, "spec"), "maxExpirationSeconds", 86400)
