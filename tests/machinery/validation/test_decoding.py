import copy

import pytest

from kubeshim.machinery import errors, resources, schemas
from kubeshim.machinery.validation import decoding

DEPLOYMENT = resources.GroupVersionKind("apps", "v1", "Deployment")
POD = resources.GroupVersionKind("", "v1", "Pod")
SECRET = resources.GroupVersionKind("", "v1", "Secret")


def decode(gvk, obj):
    schema = schemas.definitions().schema(gvk)
    assert schema is not None
    obj = copy.deepcopy(obj)
    decoding.decode(obj, schema, gvk)
    return obj


def container(**fields):
    return {"spec": {"containers": [{"name": "a", **fields}]}}


@pytest.mark.parametrize(
    ("gvk", "obj", "message"),
    [
        (
            DEPLOYMENT,
            {"spec": {"replicas": "three"}},
            "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            DEPLOYMENT,
            {"spec": {"template": container(env=[{"name": "A", "value": 1}])}},
            "json: cannot unmarshal number into Go struct field EnvVar.spec.template.spec.containers.env.value "
            "of type string",
        ),
        (
            POD,
            {"metadata": {"labels": {"a": True}}},
            "json: cannot unmarshal bool into Go struct field ObjectMeta.metadata.labels of type string",
        ),
        (
            POD,
            {"spec": {"containers": {}}},
            "json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container",
        ),
        (
            POD,
            container(ports=[{"containerPort": 1.5}]),
            "json: cannot unmarshal number 1.5 into Go struct field ContainerPort.spec.containers.ports.containerPort "
            "of type int32",
        ),
        (
            POD,
            {"spec": {"restartPolicy": 1}},
            "json: cannot unmarshal number into Go struct field PodSpec.spec.restartPolicy of type v1.RestartPolicy",
        ),
        (POD, {"spec": []}, "json: cannot unmarshal array into Go struct field Pod.spec of type v1.PodSpec"),
        (
            POD,
            container(resources={"limits": {"cpu": "lots"}}),
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
        ),
        (SECRET, {"data": {"a": "not base64"}}, "illegal base64 data at input byte 3"),
    ],
)
def test_refused(gvk, obj, message):
    with pytest.raises(errors.BadRequest) as caught:
        decode(gvk, obj)
    assert caught.value.message == f'{gvk.kind} in version "v1" cannot be handled as a {gvk.kind}: {message}'


def test_canonical_form():
    pod = decode(
        POD,
        {
            "metadata": {"name": "a", "creationTimestamp": None, "deletionTimestamp": "2026-01-01T01:00:00+01:00"},
            "spec": {
                "nodeName": None,
                "containers": [{"name": "a", "resources": {"limits": {"cpu": 0.5, "memory": "1024Mi"}}}],
            },
            "unknown": None,
        },
    )
    assert pod == {
        "metadata": {"name": "a", "deletionTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"containers": [{"name": "a", "resources": {"limits": {"cpu": "500m", "memory": "1Gi"}}}]},
        "unknown": None,
    }
