import pytest

from kubeshim.node.kubelet import environment, expansion, field_paths

NODE = field_paths.NodeFacts("node-1", ["172.30.0.2"], ["10.244.0.2"], {"cpu": "2", "memory": "1Gi"})
POD = {
    "metadata": {
        "name": "p", "namespace": "n", "uid": "u", "labels": {"a": "1", "b": 'x"y'}, "annotations": {"k/l": "v"},
    },
    "spec": {
        "serviceAccountName": "sa",
        "containers": [{"name": "c", "resources": {"limits": {"cpu": "1500m"}, "requests": {"memory": "100Mi"}}}],
    },
}  # fmt: skip
OBJECTS = {
    ("ConfigMap", "cm"): {"kind": "ConfigMap", "data": {"a": "1", "b": "2"}},
    ("Secret", "s"): {"kind": "Secret", "data": {"p": "c2VjcmV0"}},
}
SERVICE = {
    "metadata": {"name": "my-db", "namespace": "n"},
    "spec": {"clusterIP": "10.96.0.7", "ports": [{"name": "sql", "port": 5432, "protocol": "TCP"}]},
}


def variables(env=(), env_from=(), pod=POD, services=()):
    container = {"name": "c", "env": list(env), "envFrom": list(env_from)}
    sources = environment.Sources(lambda kind, name: OBJECTS.get((kind, name)), services, NODE)
    return environment.variables(pod, container, sources)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("$(A)", "1"), ("x$(A)y$(B)", "x1y2"), ("$$(A)", "$(A)"), ("$(NO)", "$(NO)"), ("$A", "$A"), ("$$", "$"),
        ("$(A", "$(A"), ("$()", "$()"), ("$$$(A)", "$1"),
    ],
)  # fmt: skip
def test_expansion(text, result):
    assert expansion.expand(text, {"A": "1", "B": "2"}) == result


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "p"), ("metadata.labels['a']", "1"), ("metadata.annotations['k/l']", "v"),
        ("metadata.labels['none']", ""), ("metadata.labels", 'a="1"\nb="x\\"y"'), ("spec.nodeName", "node-1"),
        ("spec.serviceAccountName", "sa"), ("status.podIP", "10.244.0.2"), ("status.hostIPs", "172.30.0.2"),
    ],
)  # fmt: skip
def test_fields(path, value):
    assert field_paths.field(POD, path, NODE) == value


@pytest.mark.parametrize(
    ("resource", "divisor", "value"),
    [
        ("limits.cpu", "", "2"), ("limits.cpu", "1m", "1500"), ("requests.memory", "1Mi", "100"),
        ("limits.memory", "", str(1 << 30)), ("requests.cpu", "", "0"),
    ],
)  # fmt: skip
def test_resource_fields_default_to_what_the_node_has(resource, divisor, value):
    assert field_paths.resource(POD, "c", {"resource": resource, "divisor": divisor}, NODE.allocatable) == value


def test_later_sources_win_and_references_see_what_stands_before():
    env = [
        {"name": "a", "value": "own"}, {"name": "B", "value": "$(a)-$(p_b)-$(LATER)"}, {"name": "LATER", "value": "x"},
        {"name": "S", "valueFrom": {"secretKeyRef": {"name": "s", "key": "p"}}},
        {"name": "O", "valueFrom": {"configMapKeyRef": {"name": "none", "key": "k", "optional": True}}},
    ]  # fmt: skip
    env_from = [{"configMapRef": {"name": "cm"}}, {"prefix": "p_", "configMapRef": {"name": "cm"}}]
    found = variables(env, env_from)
    assert found == {
        "a": "own", "b": "2", "p_a": "1", "p_b": "2", "B": "own-2-$(LATER)", "LATER": "x", "S": "secret",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"configMapKeyRef": {"name": "x", "key": "k"}}, 'configmap "x" not found'),
        ({"secretKeyRef": {"name": "s", "key": "k"}}, "couldn't find key k in Secret n/s"),
        ({"fieldRef": {"fieldPath": "spec.x"}}, "unsupported fieldPath: spec.x"),
    ],
)
def test_what_is_missing_stops_the_container(source, message):
    with pytest.raises(environment.ConfigProblem, match=message.replace("(", "\\(")):
        variables([{"name": "A", "valueFrom": source}])


def test_service_variables():
    found = variables(services=[SERVICE])
    assert found["MY_DB_SERVICE_HOST"] == "10.96.0.7" and found["MY_DB_SERVICE_PORT_SQL"] == "5432"
    assert found["MY_DB_PORT"] == found["MY_DB_PORT_5432_TCP"] == "tcp://10.96.0.7:5432"
    assert variables(services=[SERVICE], pod={**POD, "spec": {**POD["spec"], "enableServiceLinks": False}}) == {}
