"""Admission webhooks and policies. The webhook is a server of the test's own (``own_servers``)."""

import base64
import contextlib
import http.server
import json

import pytest

from tests.conformance import own_servers
from tests.conformance.kube import IDLE, JSON_PATCH, MERGE, Refused, condition, container, is_ready, meta, pod, template
from tests.conformance.names import answers, case
from tests.conformance.test_custom_resources import CRD, definition, established, instance, paths

HOOKS = "[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] "
KINDS = ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration")
ALL = ["*"]


class Webhook(http.server.BaseHTTPRequestHandler):
    """``/always-deny``, ``/always-allow-delay-5s`` and those that look at what they are shown."""

    def log_message(self, *arguments):
        pass

    def do_POST(self):
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        request = review["request"]
        path = self.path.partition("?")[0]
        answer = {"uid": request["uid"], **ANSWERS[path](request, self.server)}
        body = json.dumps({"kind": "AdmissionReview", "apiVersion": review["apiVersion"], "response": answer}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(OSError):  # whoever asked may not have waited
            self.wfile.write(body)


def allow(*patch):
    if not patch:
        return {"allowed": True}
    text = base64.b64encode(json.dumps(patch).encode()).decode()
    return {"allowed": True, "patchType": "JSONPatch", "patch": text}


def deny(message):
    return {"allowed": False, "status": {"message": message}}


def add_stage(request, server):
    """Each stage waits for the one before it to have been seen."""
    data = request["object"].get("data") or {}
    if data.get("mutation-start") == "yes" and "mutation-stage-1" not in data:
        return allow({"op": "add", "path": "/data/mutation-stage-1", "value": "yes"})
    if data.get("mutation-stage-1") == "yes":
        return allow({"op": "add", "path": "/data/mutation-stage-2", "value": "yes"})
    return allow()


def mutate_pod(request, server):
    added = [{"name": "webhook-added-init-container", "image": "webhook-added-image", "resources": {}}]
    return allow({"op": "add", "path": "/spec/initContainers", "value": added})


def judge_data(request, server):
    for obj in (request["object"], request["oldObject"]):
        if ((obj or {}).get("data") or {}).get("webhook-e2e-test") == "webhook-disallow":
            return deny("the configmap contains unwanted key and value")
    return allow()


def slowly(request, server):
    server.go_on.wait(5)
    return allow()


ANSWERS = {
    "/always-deny": lambda request, server: deny("this webhook denies all requests"),
    "/always-allow-delay-5s": slowly,
    "/add-label": lambda request, server: allow(
        {"op": "add", "path": "/metadata/labels/added-label", "value": "yes"}
        if request["object"]["metadata"].get("labels")
        else {"op": "add", "path": "/metadata/labels", "value": {"added-label": "yes"}}
    ),
    "/configmaps": judge_data,
    "/custom-resource": judge_data,
    "/mutating-configmaps": add_stage,
    "/mutating-custom-resource": add_stage,
    "/mutating-pods": mutate_pod,
    "/pods": lambda request, server: (
        deny("the pod contains unwanted container name")
        if any(c["name"] == "webhook-disallow" for c in request["object"]["spec"]["containers"])
        else allow()
    ),
    "/pods/attach": lambda request, server: (
        deny("attaching to pod 'to-be-attached-pod' is not allowed")
        if request["name"] == "to-be-attached-pod"
        else allow()
    ),
    "/crd": lambda request, server: (
        deny("the crd contains unwanted label")
        if (request["object"]["metadata"].get("labels") or {}).get("webhook-e2e-test") == "webhook-disallow"
        else allow()
    ),
}


@pytest.fixture(scope="module")
def backend(everywhere, tmp_path_factory):
    with own_servers.serving(everywhere, Webhook, tmp_path_factory.mktemp("webhook")) as listening:
        yield listening


@pytest.fixture
def hook(kube, everywhere, backend):
    """Registers a webhook for the test's namespace, under its own Service; all go in the end."""
    space = kube.namespace
    own_servers.publish(kube, backend, "hooks", 8443)
    everywhere.patch("Namespace", space, {"metadata": {"labels": {space: "true"}}})
    bundle = base64.b64encode(backend.authority.certificate_pem).decode()
    with contextlib.ExitStack() as later:

        def register(path, resource, *, mutating=False, name="hook", operations=("CREATE",), group="", version="v1",
                     trusted=True, **spec):  # fmt: skip
            kind = KINDS[mutating]
            client = {"service": {"namespace": space, "name": "hooks", "port": 8443, "path": path}}
            if trusted:
                client["caBundle"] = bundle
            rule = {
                "operations": list(operations), "apiGroups": [group], "apiVersions": [version], "resources": [resource],
            }  # fmt: skip
            webhook = {
                "name": f"{name}.k8s.io", "clientConfig": client, "rules": [rule], "sideEffects": "None",
                "admissionReviewVersions": ["v1", "v1beta1"], "namespaceSelector": {"matchLabels": {space: "true"}},
                **spec,
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
    with pytest.raises(Refused) as answer:
        call(*arguments, **options)
    assert said in str(answer.value.body)


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
    hook("/pods", "pods", name="pods")
    hook("/configmaps", "configmaps", name="maps", operations=("CREATE", "UPDATE", "DELETE"))
    refused("unwanted container name", kube.create, pod("disallowed", container(IDLE, name="webhook-disallow")))
    bad = {"webhook-e2e-test": "webhook-disallow"}
    refused("unwanted key and value", kube.create, config(**bad))
    kube.create(config("good", a="b"))
    refused("unwanted key and value", kube.change, "v1 ConfigMap", "good", lambda c: c.update(data=bad))
    refused("unwanted key and value", kube.patch, "v1 ConfigMap", "good", {"data": bad})
    other = make_namespace()
    assert other.create(config(**bad))


@answers(HOOKS + "should be able to deny attaching pod")
def test_attaching(kube, cluster, hook):
    hook("/pods/attach", "pods/attach", operations=("CONNECT",))
    kube.start(pod("to-be-attached-pod"))
    done = cluster.kubectl(
        "-n", kube.namespace, "attach", "to-be-attached-pod", "-i", "-c=main", check=False, stdin=""
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
    bad = {"webhook-e2e-test": "webhook-disallow"}
    refused("unwanted key and value", kube.call, "post", where, instance(crd, "bad", data=bad))
    kube.call("post", where, instance(crd, "good", data={"a": "b"}))
    patch = {"data": bad}
    refused(
        "unwanted key and value", kube.call, "patch", f"{where}/good", patch, headers={"Content-Type": MERGE}
    )  # fmt: skip
    kube.call("delete", f"{where}/good")


@answers(HOOKS + "should unconditionally reject operations on fail closed webhook")
def test_nobody_vouches_for_it(kube, hook):
    hook("/configmaps", "configmaps", trusted=False, failurePolicy="Fail")
    with pytest.raises(Refused) as answer:
        kube.create(config())
    assert answer.value.status == 500
    assert '"reason":"InternalError"' in str(answer.value.body)


@answers(HOOKS + "should mutate configmap")
def test_config_maps_are_changed(kube, hook):
    hook("/mutating-configmaps", "configmaps", mutating=True, name="a-first")
    hook("/mutating-configmaps", "configmaps", mutating=True, name="b-second")
    made = kube.create(config(**{"mutation-start": "yes"}))
    assert made["data"] == {"mutation-start": "yes", "mutation-stage-1": "yes", "mutation-stage-2": "yes"}


@answers(HOOKS + "should mutate pod and apply defaults after mutation")
def test_pods_are_changed(kube, hook):
    hook("/mutating-pods", "pods", mutating=True)
    [added] = kube.create(pod("changed"))["spec"]["initContainers"]
    assert added["name"] == "webhook-added-init-container"
    assert added["terminationMessagePolicy"] == "File"


@answers(HOOKS + "should not be able to mutate or prevent deletion of webhook configuration objects")
def test_configurations_are_out_of_reach(kube, everywhere, hook):
    for kind, mutating in zip(KINDS, (False, True), strict=True):
        plural = f"{kind.lower()}s"
        hook(
            "/add-label" if mutating else "/always-deny", plural, mutating=mutating, name=f"{plural[:10]}-guard",
            group="admissionregistration.k8s.io", operations=("CREATE", "UPDATE", "DELETE"), namespaceSelector={},
        )  # fmt: skip
    for kind in KINDS:
        name = f"{kube.namespace}-dummy"
        made = everywhere.create({"kind": kind, "metadata": meta(name)})
        assert "added-label" not in made["metadata"].get("labels", {})
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
    for name in ("a-first", "b-second"):
        hook(
            "/mutating-custom-resource", "foos", mutating=True, name=name, group=crd["spec"]["group"], version="*",
            operations=("CREATE", "UPDATE"),
        )  # fmt: skip
    kube.call("post", where, instance(crd, "it", data={"a": "b"}))
    place = "/spec/versions"
    swap = [
        {"op": "replace", "path": f"{place}/0/storage", "value": False},
        {"op": "replace", "path": f"{place}/1/storage", "value": True},
    ]
    everywhere.patch(CRD, crd["metadata"]["name"], swap, how=JSON_PATCH)
    patch = {"data": {"mutation-start": "yes"}}
    changed = kube.call("patch", f"{where}/it", patch, headers={"Content-Type": MERGE})
    wanted = {"a": "b", "mutation-start": "yes", "mutation-stage-1": "yes", "mutation-stage-2": "yes"}
    assert changed["data"] == wanted
    newer = kube.call("get", f"{paths(crd, kube.namespace, 'v2')}/it")
    assert newer["data"] == wanted
    assert newer["apiVersion"].endswith("/v2")


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
    refused("context deadline exceeded", kube.create, config("one"))
    everywhere.delete(KINDS[0], full)
    full = slow("ignored", timeoutSeconds=1, failurePolicy="Ignore")
    kube.create(config("two"))
    everywhere.delete(KINDS[0], full)
    slow("default")
    made = [w["timeoutSeconds"] for c in everywhere.items(KINDS[0], labelSelector=f"of={kube.namespace}")
            for w in c["webhooks"]]  # fmt: skip
    assert made == [10]
    kube.create(config("three"))


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
    "spec",
    [
        case(
            {"validations": [
                {"expression": "object.spec.replicas > 1", "messageExpression":
                 "'wants replicas > 1, got ' + string(object.spec.replicas)"},
                {"expression": "namespaceObject.metadata.name == object.metadata.namespace",
                 "message": "Internal error! Other namespace should not be allowed."},
            ]},
            of="[sig-api-machinery] ValidatingAdmissionPolicy [Privileged:ClusterAdmin] should validate against a Deployment",
        ),
        case(
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
def test_validating_policy(kube, policy, spec):
    policy("ValidatingAdmissionPolicy", **spec)
    assert kube.create(deployment("replicated", 2))
    with pytest.raises(Refused) as answer:
        kube.create(deployment("single", 1))
    status = json.loads(answer.value.body)
    assert (status["code"], status["reason"]) == (422, "Invalid")
    assert "wants replicas > 1, got 1" in status["message"]


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
