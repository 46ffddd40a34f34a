"""How kubectl shows things: forms of output, order, pages, explanations, and what the server says it has."""

import json
import pathlib

import pytest

from tests.e2e import command
from tests.e2e.conftest import eventually

FORMS = {
    "name": ("-o name", "configmap/one\nconfigmap/two"),
    "jsonpath": ("-o jsonpath={.items[*].data.n}", "1 2"),
    "jsonpath of a condition": ('-o jsonpath={.items[?(@.data.n=="2")].metadata.name}', "two"),
    "columns": ("--no-headers -o custom-columns=N:.metadata.name,D:.data.n", "one   1\ntwo   2"),
    "template": ("-o go-template={{range.items}}{{.metadata.name}}:{{end}}", "one:two:"),
    "template alone": ("--template={{.kind}}", "List"),
    "nothing there": ("-o jsonpath={.items[*].missing}", ""),
}


@pytest.mark.parametrize(("options", "expected"), FORMS.values(), ids=FORMS)
def test_forms(kubectl, options, expected):
    kubectl.create(command.config_map("one", {"mine": "1"}, n="1"), command.config_map("two", {"mine": "2"}, n="2"))
    assert kubectl("get", "configmaps", "-l", "mine", *options.split()).strip() == expected
    assert "No resources found" not in kubectl.run("get", "pods", *options.split()).stderr


def test_columns_of_labels_and_wide(kubectl):
    kubectl.create(command.pod("it", {"app": "it"}))
    header, row = kubectl("get", "pods", "-o", "wide", "-L", "app", "--show-labels").splitlines()
    assert "NOMINATED NODE" in header and row.split()[-2:] == ["it", "app=it"]
    assert kubectl("get", "pod", "it", "-o", "yaml").startswith("apiVersion: v1\nkind: Pod\n")
    assert json.loads(kubectl("get", "pod/it", "-o", "json"))["metadata"]["name"] == "it"
    assert "managedFields" not in kubectl("get", "pod", "it", "-o", "yaml")
    assert "managedFields" in kubectl("get", "pod", "it", "-o", "yaml", "--show-managed-fields")
    assert "No resources found" in kubectl.run("get", "deployments").stderr
    assert 'pods "absent" not found' in kubectl.refusal("get", "pod", "absent", "-o", "json")
    assert "missing is not found" in kubectl.refusal(
        "get", "pod", "it", "--allow-missing-template-keys=false", "-o", "jsonpath={.missing}"
    )
    assert "the server could not find the requested resource" in kubectl.refusal(
        "get", "pod", "it", "--subresource=scale"
    )


def test_what_the_client_prints_itself_is_the_same(kubectl):
    """Columns of the server's tables against those kubectl would print from the whole object."""
    kubectl.create(command.pod("it"), command.workload("Deployment", "it", 0), command.workload("DaemonSet", "it"))
    for kind in ("namespaces", "clusterroles", "configmaps"):

        def names(*more, kind=kind):
            return [line.split()[0] for line in kubectl("get", kind, *more).splitlines()]

        # namespaces of other tests go between one look and the next
        eventually(lambda names=names: names() == names("--server-print=false"))


SORTED = {
    "name": ("{.metadata.name}", "a b c"),
    "label": ("{.metadata.labels.order}", "c b a"),
    "any field": ("{.spec.containers[0].image}", "b a c"),
    "a quantity": ("{.spec.containers[0].resources.requests.memory}", "c a b"),
}


@pytest.mark.parametrize(("path", "expected"), SORTED.values(), ids=SORTED)
def test_sort_by(kubectl, path, expected):
    for name, order, image, memory in (("a", "3", "2", "300Mi"), ("b", "2", "1", "1Gi"), ("c", "1", "3", "200Mi")):
        one = command.pod(name, {"order": order})
        one["spec"]["containers"][0] |= {"image": image, "resources": {"requests": {"memory": memory}}}
        kubectl.create(one)
    for more in ((), ("--server-print=false",)):
        rows = kubectl("get", "pods", "--no-headers", f"--sort-by={path}", *more).splitlines()
        assert " ".join(row.split()[0] for row in rows) == expected


def test_chunks(kubectl):
    done = kubectl.run("get", "clusterroles", "--chunk-size=10", "-v=6", "--no-headers")
    assert "clusterroles?limit=10" in done.stderr and "clusterroles?continue=" in done.stderr
    whole = kubectl("get", "clusterroles", "--chunk-size=0", "--no-headers")
    assert [line.split()[0] for line in done.stdout.splitlines()] == [line.split()[0] for line in whole.splitlines()]


def test_describe_reads_its_events_in_chunks(kubectl):
    kubectl.create(command.pod("it"))
    done = kubectl.run("describe", "pod", "it", "--chunk-size=1", "-v=6")
    assert "events?" in done.stderr and "limit=1" in done.stderr and "Events:" in done.stdout
    assert "Events:" not in kubectl("describe", "pod", "it", "--show-events=false")


def test_raw(kubectl, tmp_path):
    path = f"/api/v1/namespaces/{kubectl.namespace}/configmaps"
    file = tmp_path / "map.json"
    file.write_text(json.dumps(command.config_map("it", a="1")))
    kubectl("create", "--raw", path, "-f", str(file))
    file.write_text(json.dumps(command.config_map("it", a="2")))
    assert '"uid"' in kubectl("replace", "--raw", f"{path}/it", "-f", str(file))
    assert json.loads(kubectl("get", "--raw", f"{path}/it"))["data"] == {"a": "2"}
    kubectl("delete", "--raw", f"{path}/it")
    assert 'configmaps "it" not found' in kubectl.refusal("get", "--raw", f"{path}/it")
    assert kubectl("get", "--raw", "/readyz?verbose").rstrip().endswith("readyz check passed")


def test_every_kind_is_explained(kubectl):
    """Each listed type by itself, and its metadata; the answers are the published schema's."""
    for line in kubectl("api-resources", "--no-headers").splitlines():
        words = line.split()
        api, kind = words[-3], words[-1]
        text = kubectl("explain", words[0], f"--api-version={api}")
        assert f"KIND:       {kind}" in text and f"VERSION:    {api.rpartition('/')[2]}" in text, text


@pytest.mark.parametrize(
    ("what", "texts"),
    [
        ("pod.spec.containers.resources", ("FIELD: resources <ResourceRequirements>", "limits")),
        ("deployment.spec.strategy.type", ("FIELD: type <string>", "ENUM:", "Recreate")),
        ("crd.spec.versions", ("FIELD: versions <[]CustomResourceDefinitionVersion>",)),
        ("po.status.message", ("FIELD: message <string>",)),
    ],
)
def test_explain_a_field(kubectl, what, texts):
    said = kubectl("explain", what)
    assert all(text in said for text in texts), said
    assert "FIELDS:" in kubectl("explain", what.split(".")[0], "--recursive")


RESOURCES = pathlib.Path(__file__).with_name("api_resources.txt")


def test_api_resources(cluster):
    """Names, short names, versions, scopes and kinds of the served release, those of our own cluster aside."""
    listed = cluster.out("api-resources", "--no-headers", "--sort-by=name").splitlines()
    ours = {" ".join(line.split()) for line in listed}
    known = set(RESOURCES.read_text().splitlines())
    assert known <= ours, known - ours
    others = {line for line in ours - known if "metrics.k8s.io" not in line and ".example" not in line}
    assert not others


def test_api_versions(cluster):
    versions = set(cluster.out("api-versions").splitlines())
    known = {line.split()[-3] for line in RESOURCES.read_text().splitlines()} | {"autoscaling/v1"}
    assert {one for one in versions - known if "metrics.k8s.io" not in one and ".example" not in one} == set()
    assert known <= versions


def test_categories_and_verbs(kubectl):
    names = kubectl("api-resources", "--categories=all", "-o", "name").split()
    assert sorted(names) == sorted([
        "pods", "replicationcontrollers", "services", "daemonsets.apps", "deployments.apps", "replicasets.apps",
        "statefulsets.apps", "horizontalpodautoscalers.autoscaling", "cronjobs.batch", "jobs.batch",
    ])  # fmt: skip
    assert "bindings" in kubectl("api-resources", "--verbs=create", "-o", "name").split()
    assert "bindings" not in kubectl("api-resources", "--verbs=list", "-o", "name").split()
    cluster_wide = kubectl("api-resources", "--namespaced=false", "--api-group=rbac.authorization.k8s.io", "-o", "name")
    assert [name.split(".")[0] for name in cluster_wide.split()] == ["clusterrolebindings", "clusterroles"]
    assert "the server doesn't have a resource type" in kubectl.refusal("get", "unknownresourcetype")


@pytest.mark.parametrize(
    ("kind", "warning"),
    [
        ("endpoints", "Warning: v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"),
        ("componentstatuses", "Warning: v1 ComponentStatus is deprecated in v1.19+"),
    ],
)
def test_users_of_what_is_deprecated_are_warned(kubectl, kind, warning):
    assert warning in kubectl.run("get", kind).stderr
    assert "1 warning received" in kubectl.refusal("get", kind, "--warnings-as-errors")


def test_completion_asks_the_server(kubectl):
    kubectl.create(command.config_map("one"), command.config_map("two"))
    assert "one" in kubectl.cluster.out("__complete", "-n", kubectl.namespace, "get", "configmaps", "o").split()
    assert "bash completion" in kubectl("completion", "bash")
