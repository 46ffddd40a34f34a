"""Admission webhooks and policies. The webhook is the test image's, in a pod (``pod_servers``)."""

import contextlib
import json
import os

import pytest

from tests.conformance import pod_servers
from tests.conformance.kube import (
    IDLE,
    JSON_PATCH,
    STRATEGIC,
    Refused,
    condition,
    container,
    is_ready,
    meta,
    pod,
    template,
)
from tests.conformance.names import answers, case
from tests.conformance.test_custom_resources import CRD, definition, established, instance, paths

HOOKS = "[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] "
KINDS = ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration")
DISALLOWED = {"webhook-e2e-test": "webhook-disallow"}


@pytest.fixture(scope="module")
def backend(everywhere, testhost):
    """The official suite's webhook behind a Service, in a namespace of its own."""
    space = f"webhook-{os.getpid()}"
    everywhere.create({"kind": "Namespace", "metadata": meta(space)})
    everywhere.wait("ServiceAccount", "default", bool, namespace=space)
    yield pod_servers.start(everywhere.within(space), testhost, "e2e-test-webhook", "webhook")
    everywhere.delete("Namespace", space)


@pytest.fixture
def hook(kube, everywhere, backend):
    """Registers a webhook for the test's namespace; all go in the end."""
    space = kube.namespace
    everywhere.patch("Namespace", space, {"metadata": {"labels": {space: "true"}}})
    with contextlib.ExitStack() as later:

        def register(path, resource, *, mutating=False, name="hook", operations=("CREATE",), group="", version="v1",
                     trusted=True, **spec):  # fmt: skip
            kind = KINDS[mutating]
            client = {**backend, "service": {**backend["service"], "path": path}}
            if not trusted:
                del client["caBundle"]
            rule = {
                "operations": list(operations), "apiGroups": [group], "apiVersions": [version],
                "resources": [resource] if isinstance(resource, str) else resource,
            }  # fmt: skip
            webhook = {
                "name": f"{name}.k8s.io", "clientConfig": client, "rules": [rule], "sideEffects": "None",
                "admissionReviewVersions": ["v1", "v1beta1"], "namespaceSelector": {"matchLabels": {space: "true"}},
                "timeoutSeconds": 30, **spec,
            }  # fmt: skip
            full = f"{space}-{name}"
            made = {"kind": kind, "metadata": meta(full, labels={"of": space}), "webhooks": [webhook]}
            everywhere.create(made)
            later.callback(lambda: everywhere.find(kind, full) and everywhere.delete(kind, full))
            return full

        yield register


def config(name="it", **data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta(name), "data": data}


def refused(said, call, *arguments, **options):
    """The message of the refusal, which says that."""
    with pytest.raises(Refused) as answer:
        call(*arguments, **options)
    message = json.loads(answer.value.body)["message"]
    assert said in message
    return message


@answers(HOOKS + "should include webhook resources in discovery documents")
def test_discovery(everywhere):
    groups = {group["name"]: group for group in everywhere.call("get", "/apis")["groups"]}
    assert "v1" in [v["version"] for v in groups["admissionregistration.k8s.io"]["versions"]]
    assert everywhere.call("get", "/apis/admissionregistration.k8s.io")["preferredVersion"]["version"] == "v1"
    listing = everywhere.call("get", "/apis/admissionregistration.k8s.io/v1")
    wanted = {"mutatingwebhookconfigurations", "validatingwebhookconfigurations"}
    assert wanted <= {resource["name"] for resource in listing["resources"]}


@answers(HOOKS + "should be able to deny pod and configmap creation")
def test_denials(kube, everywhere, make_namespace, hook):
    space = {kube.namespace: "true"}
    chosen = {
        "matchLabels": space,
        "matchExpressions": [{"key": "skip-webhook-admission", "operator": "NotIn", "values": ["yes"]}],
    }
    hook("/pods", "pods", name="pods", timeoutSeconds=10)
    hook("/configmaps", "configmaps", name="maps", operations=("CREATE", "UPDATE", "DELETE"), namespaceSelector=chosen)
    hook("/configmaps", "configmaps", name="fail-open", trusted=False, failurePolicy="Ignore")

    def marked(name, mark):
        return pod(name, container(IDLE, name=mark), labels={"webhook-e2e-test": mark})

    said = refused("unwanted container name", kube.create, marked("disallowed-pod", "webhook-disallow"))
    assert "the pod contains unwanted label" in said
    said = refused("webhook", kube.create, marked("hanging-pod", "wait-forever"))
    assert "deadline" in said
    assert kube.find("Pod", "hanging-pod") is None
    unwanted = "the configmap contains unwanted key and value"
    refused(unwanted, kube.create, config("disallowed-configmap", **DISALLOWED))
    kube.create(config("allowed-configmap", admit="this"))
    refused(unwanted, kube.change, "v1 ConfigMap", "allowed-configmap", lambda c: c["data"].update(DISALLOWED))
    refused(unwanted, kube.patch, "v1 ConfigMap", "allowed-configmap", {"data": DISALLOWED}, how=STRATEGIC)
    other = make_namespace({"skip-webhook-admission": "yes", **space})
    assert other.create(config("disallowed-configmap", **DISALLOWED))


@answers(HOOKS + "should be able to deny attaching pod")
def test_attaching(kube, cluster, hook):
    hook("/pods/attach", "pods/attach", operations=("CONNECT",))
    kube.start(pod("to-be-attached-pod", container(IDLE, name="container1")))
    done = cluster.kubectl(
        "-n", kube.namespace, "attach", "to-be-attached-pod", "-i", "-c=container1", check=False, stdin=""
    )  # fmt: skip
    assert done.returncode == 1
    assert "attaching to pod 'to-be-attached-pod' is not allowed" in done.stderr


@pytest.fixture
def define(kube, everywhere):
    """Creates a definition and waits until it serves."""
    with contextlib.ExitStack() as later:

        def make(**options):
            crd = everywhere.create(definition(f"{kube.namespace}.example.com", **options))
            name = crd["metadata"]["name"]
            later.callback(lambda: everywhere.find(CRD, name) and everywhere.delete(CRD, name))
            return everywhere.wait(CRD, name, established)

        yield make


@answers(HOOKS + "should be able to deny custom resource creation, update and deletion")
def test_custom_resources_are_denied(kube, define, hook):
    crd = define()
    where = paths(crd, kube.namespace)
    group = crd["spec"]["group"]
    hook("/custom-resource", "foos", group=group, operations=("CREATE", "UPDATE", "DELETE"))
    unwanted = "the custom resource contains unwanted data"
    refused(unwanted, kube.call, "post", where, instance(crd, "bad", data=DISALLOWED))
    made = kube.call("post", where, instance(crd, "it", data={"webhook-e2e-test": "webhook-nondeletable"}))
    refused(unwanted, kube.call, "put", f"{where}/it", {**made, "data": DISALLOWED})
    kept = "the custom resource cannot be deleted because it contains unwanted key and value"
    refused(kept, kube.call, "delete", f"{where}/it")
    kube.call("put", f"{where}/it", {**made, "data": {"webhook-e2e-test": "webhook-allow"}})
    kube.call("delete", f"{where}/it")


@answers(HOOKS + "should unconditionally reject operations on fail closed webhook")
def test_nobody_vouches_for_it(kube, everywhere, hook, make_namespace):
    other = make_namespace()
    expression = {"key": "fail-closed-webhook", "operator": "In", "values": [kube.namespace]}
    hook("/configmaps", "configmaps", trusted=False, failurePolicy="Fail",
         namespaceSelector={"matchExpressions": [expression]})  # fmt: skip
    everywhere.patch("Namespace", other.namespace, {"metadata": {"labels": {"fail-closed-webhook": kube.namespace}}})
    with pytest.raises(Refused) as answer:
        other.create(config())
    status = json.loads(answer.value.body)
    assert (answer.value.status, status["code"], status["reason"]) == (500, 500, "InternalError")
    assert "x509: certificate signed by unknown authority" in status["message"]


@answers(HOOKS + "should mutate configmap")
def test_config_maps_are_changed(kube, hook):
    hook("/mutating-configmaps", "configmaps", mutating=True, name="a-first")
    hook("/mutating-configmaps", "configmaps", mutating=True, name="b-second")
    made = kube.create(config(**{"mutation-start": "yes"}))
    assert made["data"] == {"mutation-start": "yes", "mutation-stage-1": "yes", "mutation-stage-2": "yes"}


@answers(HOOKS + "should mutate pod and apply defaults after mutation")
def test_pods_are_changed(kube, hook):
    hook("/mutating-pods", "pods", mutating=True)
    [added] = kube.create(pod("webhook-to-be-mutated"))["spec"]["initContainers"]
    assert added["name"] == "webhook-added-init-container"
    assert added["terminationMessagePolicy"] == "File"


@answers(HOOKS + "should not be able to mutate or prevent deletion of webhook configuration objects")
def test_configurations_are_out_of_reach(kube, everywhere, hook):
    both = [f"{kind.lower()}s" for kind in KINDS]
    reach = {"group": "admissionregistration.k8s.io", "version": "*", "failurePolicy": "Fail", "namespaceSelector": {},
             "objectSelector": {"matchLabels": {"of": kube.namespace}}}  # fmt: skip
    hook("/always-deny", both, name="deny", operations=("DELETE",), **reach)
    hook("/add-label", both, mutating=True, name="label", **reach)
    for mutating, kind in enumerate(KINDS):
        name = hook("", "invalid", mutating=mutating, name="dummy", trusted=False, failurePolicy="Ignore")
        assert "added-label" not in everywhere.get(kind, name)["metadata"]["labels"]
        everywhere.delete(kind, name)


@pytest.mark.parametrize(
    ("schema", "stages"),
    [
        case(None, 2, of=HOOKS + "should mutate custom resource"),
        case(
            {
                "type": "object",
                "properties": {
                    "data": {
                        "type": "object",
                        "properties": {name: {"type": "string"} for name in ("mutation-start", "mutation-stage-1")},
                    }
                },
            },
            1,
            of=HOOKS + "should mutate custom resource with pruning",
        ),
    ],
)
def test_custom_resources_are_changed(kube, define, hook, schema, stages):
    crd = define(**({"schema": schema} if schema else {}))
    for name in ("a-first", "b-second"):
        hook("/mutating-custom-resource", "foos", mutating=True, name=name, group=crd["spec"]["group"])
    body = instance(crd, "it", data={"mutation-start": "yes"})
    made = kube.call("post", paths(crd, kube.namespace), body)["data"]
    assert made == {"mutation-start": "yes", **{f"mutation-stage-{n}": "yes" for n in range(1, stages + 1)}}


@answers(HOOKS + "should mutate custom resource with different stored version")
def test_a_custom_resource_stored_in_another_version(kube, everywhere, define, hook):
    crd = define(versions=("v1", "v2"))
    where = paths(crd, kube.namespace)
    for name, operations in (("stage-1", ("CREATE", "UPDATE")), ("stage-2", ("CREATE",))):
        hook("/mutating-custom-resource", "foos", mutating=True, name=name, group=crd["spec"]["group"], version="*",
             operations=operations)  # fmt: skip
    kube.call("post", where, instance(crd, "it", data={"mutation-start": "yes"}))
    first, second = crd["spec"]["versions"]
    swap = {"spec": {"versions": [{**first, "storage": False}, {**second, "storage": True}]}}
    everywhere.patch(CRD, crd["metadata"]["name"], swap, how=STRATEGIC)
    patch = [{"op": "add", "path": "/dummy", "value": "test"}]
    newer = f"{paths(crd, kube.namespace, 'v2')}/it"
    changed = kube.call("patch", newer, patch, headers={"Content-Type": JSON_PATCH})
    assert changed["data"] == {"mutation-start": "yes", "mutation-stage-1": "yes", "mutation-stage-2": "yes"}
    assert (changed["dummy"], changed["apiVersion"].rpartition("/")[2]) == ("test", "v2")


@answers(HOOKS + "should deny crd creation")
def test_definitions_are_denied(kube, everywhere, hook):
    hook(
        "/crd", "customresourcedefinitions", group="apiextensions.k8s.io", version="*",
        objectSelector={"matchLabels": {kube.namespace: "true"}},
    )  # fmt: skip
    labels = {"webhook-e2e-test": "webhook-disallow", kube.namespace: "true"}
    crd = definition(f"{kube.namespace}.example.com", labels=labels)
    refused("the crd contains unwanted label", everywhere.create, crd)


@answers(HOOKS + "should honor timeout")
def test_timeouts(kube, everywhere, hook):
    def slow(name, **spec):
        return hook("/always-allow-delay-5s", "configmaps", name=name, **spec)

    full = slow("short", timeoutSeconds=1)
    said = refused("context deadline exceeded", kube.create, config("one"))
    assert "/always-allow-delay-5s?timeout=1s" in said
    everywhere.delete(KINDS[0], full)
    full = slow("ignored", timeoutSeconds=1, failurePolicy="Ignore")
    kube.create(config("two"))
    everywhere.delete(KINDS[0], full)
    full = slow("long", timeoutSeconds=30)
    kube.create(config("three"))
    everywhere.delete(KINDS[0], full)
    full = slow("default", timeoutSeconds=None)
    assert everywhere.get(KINDS[0], full)["webhooks"][0]["timeoutSeconds"] == 10
    kube.create(config("four"))


@pytest.mark.parametrize(
    "mutating",
    [
        case(False, of=HOOKS + "patching/updating a validating webhook should work"),
        case(True, of=HOOKS + "patching/updating a mutating webhook should work"),
    ],
)
def test_changes_of_a_configuration(kube, everywhere, hook, mutating):
    kind, path = KINDS[mutating], "/mutating-configmaps" if mutating else "/configmaps"
    full = hook(path, "configmaps", mutating=mutating)
    data = {"mutation-start": "yes"} if mutating else {"webhook-e2e-test": "webhook-disallow"}

    def acts(name):
        """Whether the webhook was asked about a ConfigMap of that name."""
        if mutating:
            return "mutation-stage-1" in kube.create(config(name, **data))["data"]
        try:
            kube.create(config(name, **data))
        except Refused:
            return True
        return False

    def operations(found, value):
        found["webhooks"][0]["rules"][0]["operations"] = value

    assert acts("first")
    everywhere.change(kind, full, lambda found: operations(found, ["UPDATE"]))
    assert not acts("second")
    patch = [{"op": "replace", "path": "/webhooks/0/rules/0/operations", "value": ["CREATE"]}]
    everywhere.patch(kind, full, patch, how=JSON_PATCH)
    assert acts("third")


@pytest.mark.parametrize(
    "mutating",
    [
        case(False, of=HOOKS + "listing validating webhooks should work"),
        case(True, of=HOOKS + "listing mutating webhooks should work"),
    ],
)
def test_collections_of_configurations(kube, everywhere, hook, mutating):
    kind, chosen = KINDS[mutating], f"of={kube.namespace}"
    path = "/mutating-configmaps" if mutating else "/configmaps"
    for index in range(10):
        hook(path, "configmaps", mutating=mutating, name=f"listed-{index}")
    assert len(everywhere.items(kind, labelSelector=chosen)) == 10
    data = {"mutation-start": "yes"} if mutating else {"webhook-e2e-test": "webhook-disallow"}
    if mutating:
        assert "mutation-stage-1" in kube.create(config("before", **data))["data"]
    else:
        refused("unwanted key and value", kube.create, config("before", **data))
    everywhere.delete_all(kind, labelSelector=chosen)
    assert everywhere.items(kind, labelSelector=chosen) == []
    assert kube.create(config("after", **data))["data"] == data


EXPRESSION = "object.metadata.name == 'never'"


@pytest.mark.parametrize(
    "mutating",
    [
        case(
            False,
            of=HOOKS + "should be able to create and update validating webhook configurations with match conditions",
        ),
        case(
            True, of=HOOKS + "should be able to create and update mutating webhook configurations with match conditions"
        ),
    ],
)
def test_match_conditions(kube, everywhere, hook, mutating):
    kind = KINDS[mutating]
    conditions = [{"name": "expression-1", "expression": "object.metadata.namespace == 'production'"}]
    full = hook("/always-deny", "configmaps", mutating=mutating, matchConditions=conditions)
    assert everywhere.get(kind, full)["webhooks"][0]["matchConditions"] == conditions
    conditions = [*conditions, {"name": "expression-2", "expression": EXPRESSION}]
    everywhere.change(kind, full, lambda found: found["webhooks"][0].update(matchConditions=conditions))
    assert everywhere.get(kind, full)["webhooks"][0]["matchConditions"] == conditions
    kube.create(config())


@pytest.mark.parametrize(
    "mutating",
    [
        case(False, of=HOOKS + "should reject validating webhook configurations with invalid match conditions"),
        case(True, of=HOOKS + "should reject mutating webhook configurations with invalid match conditions"),
    ],
)
def test_match_conditions_that_do_not_compile(hook, mutating):
    bad = [{"name": "invalid-expression-1", "expression": "... [] bad expression"}]
    refused("compilation failed", hook, "/always-deny", "configmaps", mutating=mutating, matchConditions=bad)


@answers(HOOKS + "should mutate everything except 'skip-me' configmaps")
def test_one_is_left_out(kube, hook):
    conditions = [{"name": "skip-me", "expression": "object.metadata.name != 'skip-me'"}]
    hook("/mutating-configmaps", "configmaps", mutating=True, matchConditions=conditions)
    data = {"mutation-start": "yes"}
    assert kube.create(config("skip-me", **data))["data"] == data
    assert kube.create(config("other", **data))["data"] == {**data, "mutation-stage-1": "yes"}


# ---- policies


@pytest.fixture
def policy(kube, everywhere):
    """Writes a policy for the test's namespace, bound; both go in the end."""
    space = kube.namespace
    everywhere.patch("Namespace", space, {"metadata": {"labels": {space: "true"}}})
    with contextlib.ExitStack() as later:

        def write(kind, **spec):
            rule = {
                "operations": ["CREATE", "UPDATE"], "apiGroups": ["apps"], "apiVersions": ["v1"],
                "resources": ["deployments"],
            }  # fmt: skip
            match = {"resourceRules": [rule], "namespaceSelector": {"matchLabels": {space: "true"}}}
            body = {"failurePolicy": "Fail", "matchConstraints": match, **spec}
            bound = {"policyName": space, **({"validationActions": ["Deny"]} if kind[0] == "V" else {})}
            for each, content in ((kind, body), (f"{kind}Binding", bound)):
                everywhere.create({"kind": each, "metadata": meta(space), "spec": content})
                later.callback(everywhere.delete, each, space)

        yield write


def deployment(name, replicas, annotations=None):
    return {
        "kind": "Deployment",
        "metadata": meta(name, annotations=annotations or {}),
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": template({"app": name}, container(IDLE)),
        },
    }


@pytest.mark.parametrize(
    ("said", "spec"),
    [
        case(
            # the expression for the message adds a number to a text, as the official one does: it cannot be told
            "failed expression: object.spec.replicas > 1",
            {"validations": [
                {"expression": "object.spec.replicas > 1", "messageExpression":
                 "'wants replicas > 1, got ' + object.spec.replicas"},
                {"expression": "namespaceObject.metadata.name == object.metadata.namespace",
                 "message": "Internal error! Other namespace should not be allowed."},
            ]},
            of="[sig-api-machinery] ValidatingAdmissionPolicy [Privileged:ClusterAdmin] should validate against a Deployment",
        ),
        case(
            "wants replicas > 1, got 1",
            {
                "variables": [
                    {"name": "replicas", "expression": "object.spec.replicas"},
                    {"name": "oddReplicas", "expression": "variables.replicas % 2 == 1"},
                ],
                "validations": [
                    {"expression": "variables.replicas > 1", "messageExpression":
                     "'wants replicas > 1, got ' + string(variables.replicas)"},
                    {"expression": "variables.oddReplicas || variables.replicas == 2"},
                ],
            },
            of="[sig-api-machinery] ValidatingAdmissionPolicy [Privileged:ClusterAdmin] should allow expressions to refer variables.",
        ),
    ],
)  # fmt: skip
def test_validating_policy(kube, policy, said, spec):
    policy("ValidatingAdmissionPolicy", **spec)
    assert kube.create(deployment("replicated", 2))
    with pytest.raises(Refused) as answer:
        kube.create(deployment("single", 1))
    status = json.loads(answer.value.body)
    assert (status["code"], status["reason"]) == (422, "Invalid")
    assert said in status["message"]


@pytest.mark.parametrize(
    ("expression", "seen"),
    [
        case(
            "Object{spec: Object.spec{replicas: 2}}", lambda d: d["spec"]["replicas"] == 2,
            of="[sig-api-machinery] MutatingAdmissionPolicy [Privileged:ClusterAdmin] should mutate a Deployment",
        ),
        case(
            'Object{metadata: Object.metadata{annotations: {"my-foo-annotation": "myAnnotationValue"}}}',
            lambda d: d["metadata"]["annotations"] == {"my-foo-annotation": "myAnnotationValue", "mine": "kept"},
            of="[sig-api-machinery] MutatingAdmissionPolicy [Privileged:ClusterAdmin] should mutate a Deployment with annotations",
        ),
    ],
)  # fmt: skip
def test_mutating_policy(kube, policy, expression, seen):
    mutation = {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}
    policy("MutatingAdmissionPolicy", mutations=[mutation], reinvocationPolicy="Never")
    made = kube.create(deployment("changed", 1, {"mine": "kept"}))
    assert seen(made)
    kube.wait_all("Pod", lambda found: len(found) == made["spec"]["replicas"] and all(map(is_ready, found)))
    assert condition(kube.wait("Deployment", "changed", lambda d: condition(d, "Available")), "Available")
