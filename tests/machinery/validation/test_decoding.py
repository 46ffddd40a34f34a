import copy

import pytest

from kubeshim.machinery import errors, resources, schemas
from kubeshim.machinery.validation import decoding, go_times

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
        (SECRET, {"data": {"a": "abc"}}, "illegal base64 data at input byte 0"),
        (SECRET, {"data": {"a": "ab="}}, "illegal base64 data at input byte 3"),
        (SECRET, {"data": {"a": "ab=c"}}, "illegal base64 data at input byte 2"),
        (SECRET, {"data": {"a": "YWJj="}}, "illegal base64 data at input byte 4"),
        (SECRET, {"data": {"a": "YQ==x"}}, "illegal base64 data at input byte 4"),
        (SECRET, {"data": {"a": "YQ\n"}}, "illegal base64 data at input byte 1"),
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


LAYOUT = "2006-01-02T15:04:05Z07:00"


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("YWJj\nZGVm\n", "YWJjZGVm"),  # a block text of YAML, as the Secrets of many manuals have
        ("YQ=\r\n=", "YQ=="),
        ("YR==", "YQ=="),  # bits nobody asked for
        ("", ""),
    ],
)
def test_bytes(written, kept):
    assert decode(SECRET, {"data": {"a": written}})["data"]["a"] == kept


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", f'parsing time "" as "{LAYOUT}": cannot parse "" as "2006"'),
        ("soon", f'parsing time "soon" as "{LAYOUT}": cannot parse "soon" as "2006"'),
        ("2026-01-01", f'parsing time "2026-01-01" as "{LAYOUT}": cannot parse "" as "T"'),
        (
            "2026-01-01 00:00:00Z",
            f'parsing time "2026-01-01 00:00:00Z" as "{LAYOUT}": cannot parse " 00:00:00Z" as "T"',
        ),
        ("2026-01-01T00:00:00", f'parsing time "2026-01-01T00:00:00" as "{LAYOUT}": cannot parse "" as "Z07:00"'),
        ("2026-13-01T00:00:00Z", 'parsing time "2026-13-01T00:00:00Z": month out of range'),
        ("2026-02-30T00:00:00Z", 'parsing time "2026-02-30T00:00:00Z": day out of range'),
        ("2026-01-01T24:00:00Z", 'parsing time "2026-01-01T24:00:00Z": hour out of range'),
        ("2026-01-01T00:00:00Zx", 'parsing time "2026-01-01T00:00:00Zx": extra text: "x"'),
        ("2026-01-01T0:00:00.5+01:00", None),
    ],
)
def test_times(text, problem):
    if problem is None:
        assert go_times.parse(text).isoformat() == "2026-01-01T00:00:00.500000+01:00"
        return
    with pytest.raises(ValueError, match="parsing time") as caught:
        go_times.parse(text)
    assert str(caught.value) == problem


def test_micro_times_have_six_digits():
    with pytest.raises(ValueError, match="parsing time") as caught:
        go_times.parse("2026-01-01T00:00:00Z", micro=True)
    assert str(caught.value) == (
        'parsing time "2026-01-01T00:00:00Z" as "2006-01-02T15:04:05.000000Z07:00": cannot parse "Z" as ".000000"'
    )
    assert go_times.parse("2026-01-01T00:00:00.000001Z", micro=True).microsecond == 1


def test_amounts_of_resources_are_whole_thousandths():
    pod = decode(POD, container(resources={"limits": {"cpu": "100u", "memory": "1.5"}}))
    assert pod["spec"]["containers"][0]["resources"]["limits"] == {"cpu": "1m", "memory": "1500m"}
