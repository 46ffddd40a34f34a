"""apply, prune, diff, edit, replace, patch, label: what kubectl changes, and who owns what afterwards."""

import subprocess

import pytest
import yaml

from tests.e2e import command

LAST_APPLIED = "{.metadata.annotations.kubectl\\.kubernetes\\.io/last-applied-configuration}"


def map_of(**data):
    return command.config_map("it", **data)


def test_apply_set_and_view_last_applied(kubectl):
    kubectl.create(map_of(a="1"))
    assert kubectl.path("configmap it", LAST_APPLIED) == ""
    kubectl.feed("apply set-last-applied", map_of(a="1"), options=("--create-annotation", "--dry-run=server"))
    assert kubectl.path("configmap it", LAST_APPLIED) == ""
    kubectl.feed("apply set-last-applied", map_of(a="1"), options=("--create-annotation",))
    assert '"a": "1"' in kubectl("apply", "view-last-applied", "configmap/it", "-o", "json")
    kubectl.feed("apply", map_of(b="2"))
    assert kubectl.get("configmap", "it")["data"] == {"b": "2"}
    assert "kubectl-client-side-apply" in kubectl.managers("configmap it")


def test_apply_clears_what_was_defaulted(kubectl):
    one = command.workload("Deployment", "it", 0)
    kubectl.feed("apply", one)
    assert kubectl.path("deployment it", "{.spec.strategy.type}") == "RollingUpdate"
    one["spec"]["strategy"] = {"type": "Recreate"}
    kubectl.feed("apply", one)
    assert kubectl.path("deployment it", "{.spec.strategy}") == '{"type":"Recreate"}'
    one["metadata"]["labels"] = {"app": None}
    kubectl.feed("apply", one)
    assert kubectl.path("deployment it", "{.metadata.labels}") == ""


def test_apply_by_force_where_a_field_must_not_change(kubectl):
    one = command.workload("Deployment", "it", 0)
    kubectl.feed("apply", one)
    other = command.workload("Deployment", "it", 0)
    other["spec"]["selector"]["matchLabels"] = other["spec"]["template"]["metadata"]["labels"] = {"app": "other"}
    said = kubectl.refusal("apply", "-f", "-", stdin=yaml.safe_dump(other))
    assert "spec.selector: Invalid value" in said and "field is immutable" in said
    kubectl.feed("apply", other, options=("--force",))
    assert kubectl.path("deployment it", "{.spec.selector.matchLabels.app}") == "other"
    stale = {**other, "metadata": {**other["metadata"], "resourceVersion": "1"}}
    assert "Error from server (Conflict)" in kubectl.refusal("apply", "-f", "-", stdin=yaml.safe_dump(stale))


def test_several_objects_of_which_one_is_bad(kubectl):
    documents = [command.config_map(name) for name in ("a", "B", "c")]
    said = kubectl.refusal("apply", "-f", "-", stdin=yaml.safe_dump_all(documents))
    assert 'The ConfigMap "B" is invalid' in said
    assert kubectl("get", "configmaps", "a", "c", "-o", "name").split() == ["configmap/a", "configmap/c"]
    bogus = {"apiVersion": "shop.example/v1", "kind": "Bogus", "metadata": {"name": "x"}}
    said = kubectl.refusal("apply", "-f", "-", stdin=yaml.safe_dump_all([command.config_map("d"), bogus]))
    assert 'no matches for kind "Bogus" in version "shop.example/v1"' in said
    kubectl("get", "configmap", "d")
    foreign = {**command.config_map("e"), "metadata": {"name": "e", "namespace": "elsewhere"}}
    said = kubectl.refusal("apply", "-f", "-", stdin=yaml.safe_dump(foreign))
    assert 'the namespace from the provided object "elsewhere" does not match the namespace' in said


def test_prune(kubectl):
    label = {"part": "of-it"}
    prune = ("--prune", "-l", "part=of-it", "--prune-allowlist=core/v1/ConfigMap", "--prune-allowlist=core/v1/Secret")
    kubectl.feed("apply", command.config_map("a", label), command.config_map("b", label), options=prune)
    said = kubectl.feed("apply", command.config_map("b", label), options=prune)
    assert "configmap/a pruned" in said
    assert "not found" in kubectl.refusal("get", "configmap", "a")
    said = kubectl.refusal("apply", "--prune", "-f", "-", stdin=yaml.safe_dump(map_of()))
    assert "all resources selected for prune without explicitly passing --all" in said


@pytest.mark.parametrize("parent", ["secret", "custom"])
def test_sets_of_applied_objects(kubectl, monkeypatch, parent):
    monkeypatch.setenv("KUBECTL_APPLYSET", "true")
    name = "mine"
    if parent == "custom":
        labels = {"applyset.kubernetes.io/is-parent-type": "true"}
        kubectl.feed("apply", command.definition("sets", "Set", labels=labels))
        kubectl("wait", "--for=condition=Established", "crd/sets.shop.example", "--timeout=180s")
        name = "sets.shop.example/mine"
        given = {"apiVersion": "shop.example/v1", "kind": "Set"}
        group_kinds = {
            "applyset.kubernetes.io/tooling": "kubectl/v1.37",
            "applyset.kubernetes.io/contains-group-kinds": "",
        }
        kubectl.create({**given, "metadata": {"name": "mine", "annotations": group_kinds, "labels": {
            "applyset.kubernetes.io/id": applyset_id("mine", kubectl.namespace, "Set", "shop.example"),
        }}})  # fmt: skip
    options = ("--server-side", "--prune", f"--applyset={name}")
    kubectl.feed("apply", command.config_map("a"), command.config_map("b"), options=options)
    said = kubectl.feed("apply", command.config_map("b"), options=options)
    assert "configmap/a pruned" in said and "configmap/b serverside-applied" in said
    what = "secret mine" if parent == "secret" else "sets mine"
    kinds = kubectl.path(what, "{.metadata.annotations.applyset\\.kubernetes\\.io/contains-group-kinds}")
    assert kinds == "ConfigMap"
    if parent == "custom":
        kubectl("delete", "crd", "sets.shop.example")


def applyset_id(name, namespace, kind, group):
    """``applyset-BASE64URL(SHA256(NAME.NAMESPACE.KIND.GROUP))-v1``."""
    import base64
    import hashlib

    digest = hashlib.sha256(f"{name}.{namespace}.{kind}.{group}".encode()).digest()
    return f"applyset-{base64.urlsafe_b64encode(digest).decode().rstrip('=')}-v1"


def test_from_client_side_to_server_side_and_back(kubectl):
    kubectl.feed("apply", map_of(key="value", legacy="unused"))
    foreign = ("--server-side", "--field-manager=somebody")
    assert "conflict" in kubectl.refusal("apply", *foreign, "-f", "-", stdin=yaml.safe_dump(map_of(key="new")))
    kubectl.feed("apply", map_of(key="value", legacy="unused"), options=("--server-side",))
    kubectl.feed("apply", map_of(key="value"), options=("--server-side",))
    assert kubectl.get("configmap", "it")["data"] == {"key": "value"}
    assert '"legacy"' not in kubectl("apply", "view-last-applied", "configmap/it", "-o", "json")
    kubectl.feed("apply", map_of(key="other"))
    assert kubectl.get("configmap", "it")["data"] == {"key": "other"}
    kubectl.feed("apply", map_of(key="mine"), options=(*foreign, "--force-conflicts"))
    assert "somebody" in kubectl.managers("configmap it")


@pytest.mark.parametrize("mode", [(), ("--server-side",)], ids=["client", "server"])
def test_diff(kubectl, mode):
    def diff(one, *more):
        done = kubectl.run("diff", "-f", "-", *mode, *more, stdin=yaml.safe_dump(one))
        return done.returncode, done.stdout

    label = {"part": "of-it"}
    assert diff(map_of(a="1"))[0] == 1
    assert "not found" in kubectl.refusal("get", "configmap", "it")
    kubectl.feed("apply", command.config_map("it", label, a="1"), options=mode)
    version = kubectl.path("configmap it", "{.metadata.resourceVersion}")
    assert diff(command.config_map("it", label, a="1")) == (0, "")
    code, shown = diff(command.config_map("it", label, a="2"))
    assert code == 1 and '-  a: "1"' in shown and '+  a: "2"' in shown
    assert diff({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "NO"}, "spec": {}})[0] > 1
    assert kubectl.path("configmap it", "{.metadata.resourceVersion}") == version
    if not mode:
        kubectl.feed("apply", command.config_map("old", label), options=mode)
        prune = ("--prune", "-l", "part=of-it", "--prune-allowlist=core/v1/ConfigMap")
        assert "name: old" in diff(command.config_map("it", label, a="1"), *prune)[1]


KUSTOMIZATION = {
    "namePrefix": "test-",
    "labels": [{"pairs": {"app": "it"}, "includeSelectors": True}],
    "resources": ["service.yaml"],
    "configMapGenerator": [{"name": "map", "literals": ["a=1"]}],
}
SERVICE = {
    "apiVersion": "v1", "kind": "Service", "metadata": {"name": "service"},
    "spec": {"selector": {"x": "y"}, "ports": [{"port": 80}]},
}  # fmt: skip


def test_kustomize(kubectl, tmp_path):
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(KUSTOMIZATION))
    (tmp_path / "service.yaml").write_text(yaml.safe_dump(SERVICE))
    there = str(tmp_path)
    kubectl("apply", "-k", there)
    assert kubectl.path("service test-service", "{.spec.selector}") == '{"app":"it","x":"y"}'
    assert len(kubectl("get", "-k", there, "-o", "name").split()) == 2
    assert kubectl("diff", "-k", there) == ""
    kubectl("delete", "-k", there)
    assert kubectl.run("get", "-k", there, "--ignore-not-found").stdout == ""


PATCHES = {
    "strategic": ("strategic", '{"spec":{"template":{"spec":{"containers":[{"name":"main","image":"new"}]}}}}', "new"),
    "strategic in YAML": (
        "strategic", "spec:\n  template:\n    spec:\n      containers:\n      - {name: main, image: new}\n", "new",
    ),
    "merge": ("merge", '{"spec":{"template":{"spec":{"containers":[{"name":"main","image":"new"}]}}}}', "new"),
    "json": ("json", '[{"op":"replace","path":"/spec/template/spec/containers/0/image","value":"new"}]', "new"),
}  # fmt: skip


@pytest.mark.parametrize(("form", "patch", "image"), PATCHES.values(), ids=PATCHES)
def test_patch(kubectl, form, patch, image):
    kubectl.create(command.workload("Deployment", "it", 0))
    path = "{.spec.template.spec.containers[0].image}"
    kubectl("patch", "deployment", "it", f"--type={form}", "-p", patch, "--dry-run=server")
    assert kubectl.path("deployment it", path) == "absent:1"
    kubectl("patch", "deployment", "it", f"--type={form}", "-p", patch)
    assert kubectl.path("deployment it", path) == image
    assert "kubectl-patch" in kubectl.managers("deployment it")
    if form != "json":
        assert "(no change)" in kubectl("patch", "deployment", "it", f"--type={form}", "-p", patch)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("-p", '{"metadata":{"labels":"text"}}'), "cannot restore map from string"),
        (("-p", '{"spec":{"replicas":"three"}}'), "unrecognized type: int32"),
        (("--type=merge", "-p", '{"spec":{"replicas":"three"}}'), "json: cannot unmarshal string into Go struct field"),
        (
            ("--type=json", "-p", '[{"op":"test","path":"/spec/replicas","value":7}]'),
            "The request is invalid",
        ),
        (("-p", '{"metadata":{"resourceVersion":"1"}}'), "please apply your changes to the latest version"),
        (("-p", '{"spec":{"nonsense":1}}'), 'unknown field "spec.nonsense"'),
        (
            ("--subresource=scale", "--type=merge", "-p", '{"spec":{"replicas":-1}}'),
            "must be greater than or equal to 0",
        ),
    ],
)
def test_patch_is_refused(kubectl, options, text):
    kubectl.create(command.workload("Deployment", "it", 0))
    done = kubectl.run("patch", "deployment", "it", *options)
    assert text in done.stderr, done


def test_label_and_annotate(kubectl):
    kubectl.create(map_of(a="1"))
    for verb, field in (("label", "labels"), ("annotate", "annotations")):
        kubectl(verb, "configmap", "it", "a=1", "empty=", "--dry-run=server")
        assert kubectl.path("configmap it", f"{{.metadata.{field}.a}}") == ""
        kubectl(verb, "configmap", "it", "a=1", "empty=")
        assert kubectl.path("configmap it", f"{{.metadata.{field}.a}}") == "1"
        assert "--overwrite is false" in kubectl.refusal(verb, "configmap", "it", "a=2")
        kubectl(verb, "configmap", "it", "a=2", "--overwrite")
        assert "unlabeled" in kubectl(verb, "configmap", "it", "a-") or verb == "annotate"
        assert kubectl.path("configmap it", f"{{.metadata.{field}.a}}") == ""
        assert f"kubectl-{verb}" in kubectl.managers("configmap it")
    assert "invalid label value" in kubectl.refusal("label", "configmap", "it", "a=not valid")


def edit(kubectl, script, *arguments):
    """``kubectl edit`` with a sed script for an editor."""
    environment = {**kubectl.cluster.environment, "KUBE_EDITOR": f"sed -i {script}"}
    command_line = [kubectl.cluster.kubectl_path, "-n", kubectl.namespace, *arguments]
    return subprocess.run(
        command_line,
        env=environment,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def test_edit(kubectl):
    kubectl.create(map_of(a="old"))
    shown = edit(kubectl, "s/old/new/", "edit", "configmap", "it", "--output-patch")
    assert "Patch:" in shown.stdout and kubectl.get("configmap", "it")["data"] == {"a": "new"}
    assert "kubectl-edit" in kubectl.managers("configmap it")
    assert "Edit cancelled" in edit(kubectl, "s/nothing/x/", "edit", "configmap", "it").stderr
    refused = edit(kubectl, "s/^data:/dota:/", "edit", "configmap", "it")
    assert refused.returncode and "no valid changes were saved" in refused.stderr


def test_replace(kubectl):
    kubectl.create(command.pod("it"))
    # what the scheduler writes would make what was read before an older version
    kubectl("wait", "pod/it", "--for=condition=PodScheduled=False", "--timeout=180s")
    read = kubectl("get", "pod", "it", "-o", "json")
    kubectl("replace", "-f", "-", "--dry-run=server", stdin=read.replace('"absent"', '"new"'))
    assert kubectl.path("pod it", "{.spec.containers[0].image}") == "absent"
    kubectl("replace", "-f", "-", stdin=read.replace('"absent"', '"new"'))
    assert kubectl.path("pod it", "{.spec.containers[0].image}") == "new"
    renamed = kubectl("get", "pod", "it", "-o", "json").replace('"name": "main"', '"name": "other"')
    assert "pod updates may not change fields other than" in kubectl.refusal("replace", "-f", "-", stdin=renamed)
    uid = kubectl.path("pod it", "{.metadata.uid}")
    kubectl("replace", "--force", "-f", "-", stdin=renamed)
    assert kubectl.path("pod it", "{.spec.containers[0].name}") == "other"
    assert kubectl.path("pod it", "{.metadata.uid}") != uid
    assert "kubectl-replace" in kubectl.managers("pod it")


def test_delete(kubectl):
    kubectl.create(*(command.config_map(name, {"mine": "yes"}) for name in "abc"), command.pod("it"))
    assert 'configmap "a" deleted' in kubectl("delete", "configmap", "a", "--dry-run=server")
    kubectl("get", "configmap", "a")
    kubectl("delete", "configmap", "a")
    assert "resource(s) were provided, but no name was specified" in kubectl.refusal("delete", "configmaps")
    kubectl("delete", "configmaps", "-l", "mine")
    assert kubectl("get", "configmaps", "-l", "mine", "-o", "name") == ""
    kubectl("delete", "pod", "it", "--grace-period=0", "--force")
    assert 'pods "it" not found' in kubectl.refusal("delete", "pod", "it")
    kubectl("delete", "pod", "it", "--ignore-not-found")
    warned = kubectl.run("delete", "clusterrole", "absent", "-n", "other")
    assert "not found" in warned.stderr
