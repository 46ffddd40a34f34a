"""What kubectl makes by command alone: create, run, expose, autoscale and set, each with and without a dry run."""

import pytest
import yaml

from tests.e2e import command
from tests.e2e.conftest import eventually

CREATED = {
    "clusterrole": (
        "clusterrole NAME --verb=get,list --resource=pods,deployments.apps", "clusterrole NAME",
        "{.rules[*].apiGroups[*]} {.rules[*].resources[*]} {.rules[0].verbs}", ' apps pods deployments ["get","list"]',
    ),
    "clusterrole of paths": (
        "clusterrole NAME --verb=get --non-resource-url=/logs/*", "clusterrole NAME", "{.rules[0].nonResourceURLs[*]}",
        "/logs/*",
    ),
    "clusterrole that aggregates": (
        "clusterrole NAME --aggregation-rule=a=b", "clusterrole NAME",
        "{.aggregationRule.clusterRoleSelectors[0].matchLabels.a}", "b",
    ),
    "clusterrolebinding": (
        "clusterrolebinding NAME --clusterrole=view --user=u --group=g --serviceaccount=n:s", "clusterrolebinding NAME",
        "{.roleRef.name} {.subjects[*].name}", "view u g s",
    ),
    "configmap": ("configmap NAME --from-literal=a=1", "configmap NAME", "{.data.a}", "1"),
    "cronjob": (
        "cronjob NAME --image=absent --schedule=0_0_1_1_* -- echo hi", "cronjob NAME",
        "{.spec.schedule} {.spec.jobTemplate.spec.template.spec.containers[0].command[*]}", "0 0 1 1 * echo hi",
    ),
    "deployment": (
        "deployment NAME --image=absent --replicas=0 --port=80", "deployment NAME",
        "{.spec.replicas} {.spec.template.spec.containers[0].ports[0].containerPort} {.spec.revisionHistoryLimit}",
        "0 80 10",
    ),
    "ingress": (
        "ingress NAME --class=absent --rule=shop.example/*=web:80", "ingress NAME",
        "{.spec.rules[0].host} {.spec.rules[0].http.paths[0].pathType} "
        "{.spec.rules[0].http.paths[0].backend.service.name}", "shop.example Prefix web",
    ),
    "job": ("job NAME --image=absent -- true", "job NAME", "{.spec.template.spec.restartPolicy}", "Never"),
    "namespace": ("namespace NAME-2", "namespace NAME-2", "{.status.phase}", "Active"),
    "poddisruptionbudget": (
        "poddisruptionbudget NAME --selector=a=b --min-available=50%", "pdb NAME", "{.spec.minAvailable}", "50%",
    ),
    "priorityclass": (
        "priorityclass NAME --value=7 --preemption-policy=Never", "pc NAME", "{.value} {.preemptionPolicy}", "7 Never",
    ),
    "quota": (
        "quota NAME --hard=pods=1M --scopes=BestEffort,NotTerminating", "quota NAME",
        "{.spec.hard.pods} {.spec.scopes[*]}", "1M BestEffort NotTerminating",
    ),
    "role": (
        "role NAME --verb=get --resource=replicasets.apps/scale --resource-name=one", "role NAME",
        "{.rules[0].resources[0]} {.rules[0].resourceNames[0]}", "replicasets/scale one",
    ),
    "rolebinding": ("rolebinding NAME --role=r --user=u", "rolebinding NAME", "{.roleRef.kind}", "Role"),
    "secret": ("secret generic NAME --from-literal=a=1 --type=mine", "secret NAME", "{.data.a} {.type}", "MQ== mine"),
    "secret of a registry": (
        "secret docker-registry NAME --docker-username=u --docker-password=p", "secret NAME", "{.type}",
        "kubernetes.io/dockerconfigjson",
    ),
    "service": ("service clusterip NAME --tcp=80:8080", "service NAME", "{.spec.ports[0].targetPort}", "8080"),
    "service without address": (
        "service clusterip NAME --clusterip=None", "service NAME", "{.spec.clusterIP} {.spec.clusterIPs}",
        'None ["None"]',
    ),
    "service of a name": (
        "service externalname NAME --external-name=shop.example", "service NAME", "{.spec.type} {.spec.externalName}",
        "ExternalName shop.example",
    ),
    "service at nodes": (
        "service nodeport NAME --tcp=80", "service NAME", "{.spec.type} {.spec.ports[0].port}", "NodePort 80",
    ),
    "service of a balancer": (
        "service loadbalancer NAME --tcp=80", "service NAME", "{.spec.allocateLoadBalancerNodePorts}", "true",
    ),
    "serviceaccount": ("serviceaccount NAME", "serviceaccount NAME", "{.metadata.name}", "NAME"),
}  # fmt: skip


@pytest.mark.parametrize(("arguments", "what", "path", "expected"), CREATED.values(), ids=CREATED)
def test_create(kubectl, arguments, what, path, expected):
    # what has no namespace gets the test's own name
    arguments = [word.replace("NAME", kubectl.namespace).replace("_", " ") for word in arguments.split()]
    what = what.replace("NAME", kubectl.namespace)
    options = 0 if "--" not in arguments else arguments.index("--")
    for mode in ("client", "server"):
        dry = [*arguments[:options], f"--dry-run={mode}", *arguments[options:]] if options else [
            *arguments, f"--dry-run={mode}"
        ]  # fmt: skip
        assert f"created ({'server ' if mode == 'server' else ''}dry run)" in kubectl("create", *dry)
    assert "not found" in kubectl.refusal("get", *what.split())
    kubectl("create", *arguments)
    assert kubectl.path(what, path).strip() == expected.replace("NAME", kubectl.namespace).strip()
    # an account has no field that could be owned
    assert kubectl.managers(what)[:1] == ["kubectl-create"] or what.startswith("serviceaccount")
    assert "already exists" in kubectl.refusal("create", *arguments)
    kubectl("delete", *what.split(), "--wait=false")


def test_create_a_job_out_of_a_cronjob(kubectl):
    kubectl("create", "cronjob", "source", "--image=absent", "--schedule=0 0 1 1 *", "--", "echo", "one", "two")
    kubectl("create", "job", "now", "--from=cronjob/source")
    assert kubectl.path("job now", "{.spec.template.spec.containers[0].command[*]}") == "echo one two"
    assert kubectl.path("job now", "{.metadata.annotations.cronjob\\.kubernetes\\.io/instantiate}") == "manual"
    assert kubectl.path("job now", "{.metadata.ownerReferences[0].kind}") == "CronJob"


def test_create_is_told_what_is_wrong(kubectl):
    absent = "the server doesn't have a resource type"
    assert f'{absent} "nothing"' in kubectl.refusal("create", "role", "x", "--verb=get", "--resource=nothing")
    assert f'{absent} "rs" in group "absent"' in kubectl.refusal(
        "create", "role", "x", "--verb=get", "--resource=rs.absent/scale"
    )
    text = kubectl.refusal("create", "configmap", "NOT-A-NAME")
    assert 'ConfigMap "NOT-A-NAME" is invalid: metadata.name: Invalid value: "NOT-A-NAME": a lowercase RFC' in text
    wrong = kubectl.refusal("create", "quota", "x", "--hard=pods=1", "--scopes=Foo")
    assert 'spec.scopes: Invalid value: ["Foo"]' in wrong and "unsupported scope" in wrong


def test_create_raw_takes_only_what_belongs_there(kubectl, tmp_path):
    file = tmp_path / "pod.yaml"
    file.write_text(yaml.safe_dump(command.pod("x")))
    said = kubectl.refusal("create", "--raw", "/api/v1/namespaces", "-f", str(file))
    assert "the object provided is unrecognized (must be of type Namespace)" in said


def test_a_day_that_never_comes_is_told(kubectl):
    kubectl("create", "cronjob", "never", "--image=absent", "--schedule=59 23 31 2 *")
    events = ("events", "--for=CronJob/never")
    eventually(lambda: "InvalidSchedule" in kubectl(*events))
    assert "Warning" in kubectl(*events, "--types=Warning")
    assert "InvalidSchedule" not in kubectl.run(*events, "--types=Normal").stdout


def test_run(kubectl):
    text = kubectl(
        "run", "it", "--image=absent", "--port=80", "--expose", "--env=A=b", "--labels=app=it",
        '--overrides={"spec":{"nodeSelector":{"no":"node"}}}',
    )  # fmt: skip
    assert "service/it created" in text and "pod/it created" in text
    assert kubectl.path("pod it", "{.spec.containers[0].env[0].value} {.spec.nodeSelector.no}") == "b node"
    assert kubectl.path("service it", "{.spec.selector.app} {.spec.ports[0].port}") == "it 80"
    assert kubectl.managers("pod it")[0] == "kubectl-run"


@pytest.mark.parametrize("kind", ["Deployment", "ReplicaSet"])
def test_expose(kubectl, kind):
    kubectl.create(command.workload(kind, "it", 0))
    overrides = '{"metadata":{"annotations":{"zone":"work"}}}'
    kubectl("expose", kind.lower(), "it", "--port=1000", "--target-port=80", f"--overrides={overrides}")
    assert kubectl.path("service it", "{.metadata.annotations.zone} {.spec.selector.app}") == "work it"
    assert kubectl.managers("service it")[0] == "kubectl-expose"
    kubectl("expose", "service", "it", "--name=second")
    assert kubectl.path("service second", "{.spec.ports[0].port}") == "1000"
    long = "n" * 64
    assert "metadata.name: Invalid value" in kubectl.refusal("expose", "service", "it", f"--name={long}")
    node = kubectl.get("nodes")["items"][0]["metadata"]["name"]
    assert "cannot expose" in kubectl.refusal("expose", "node", node)


def test_autoscale(kubectl):
    kubectl.create(command.workload("Deployment", "it", 0))
    kubectl("autoscale", "deployment", "it", "--min=2", "--max=3", "--dry-run=server")
    kubectl("autoscale", "deployment", "it", "--min=2", "--max=3")
    numbers = "{.spec.minReplicas} {.spec.maxReplicas} {.spec.metrics[0].resource.target.averageUtilization}"
    assert kubectl.path("hpa it", numbers) == "2 3 80"
    assert kubectl.path("horizontalpodautoscalers.v1.autoscaling it", "{.spec.targetCPUUtilizationPercentage}") == "80"
    assert kubectl.managers("hpa it")[0] == "kubectl-autoscale"
    assert "Deployment/it" in kubectl("get", "hpa", "it")
    assert 'required flag(s) "max" not set' in kubectl.refusal("autoscale", "deployment", "it")


SET = {
    "image": ("image deployment/it main=new:2", "{.spec.template.spec.containers[0].image}", "new:2"),
    "image of all": ("image deployment/it *=new:3", "{.spec.template.spec.containers[0].image}", "new:3"),
    "env": ("env deployment/it A=b C=d", "{.spec.template.spec.containers[0].env[*].name}", "A C"),
    "env out of a configmap": (
        "env deployment/it --from=configmap/settings --keys=key", "{.spec.template.spec.containers[0].env[0]}",
        '{"name":"KEY","valueFrom":{"configMapKeyRef":{"key":"key","name":"settings"}}}',
    ),
    "resources": (
        "resources deployment/it --limits=cpu=200m,memory=64Mi --requests=cpu=100m",
        "{.spec.template.spec.containers[0].resources.limits.cpu}", "200m",
    ),
    "serviceaccount": ("serviceaccount deployment/it robot", "{.spec.template.spec.serviceAccountName}", "robot"),
}  # fmt: skip


@pytest.mark.parametrize(("arguments", "path", "expected"), SET.values(), ids=SET)
def test_set(kubectl, arguments, path, expected):
    kubectl.create(command.workload("Deployment", "it", 0), command.config_map("settings", key="value"))
    before = kubectl.path("deployment it", path)
    kubectl("set", *arguments.split(), "--dry-run=server")
    assert kubectl.path("deployment it", path) == before != expected
    kubectl("set", *arguments.split())
    assert kubectl.path("deployment it", path) == expected
    assert kubectl.path("deployment it", "{.metadata.generation}") == "2"
    assert "kubectl-set" in kubectl.managers("deployment it")


def test_set_selector_and_subject(kubectl):
    kubectl("create", "service", "clusterip", "it", "--tcp=80")
    version = kubectl.path("service it", "{.metadata.resourceVersion}")
    kubectl("set", "selector", "service", "it", "role=primary", f"--resource-version={version}")
    assert kubectl.path("service it", "{.spec.selector}") == '{"role":"primary"}'
    assert "Conflict" in kubectl.refusal("set", "selector", "service", "it", "a=b", "--resource-version=1")
    kubectl("create", "rolebinding", "it", "--clusterrole=view", "--user=one")
    kubectl("set", "subject", "rolebinding", "it", "--user=two", "--serviceaccount=ns:robot")
    assert kubectl.path("rolebinding it", "{.subjects[*].name}") == "one two robot"
