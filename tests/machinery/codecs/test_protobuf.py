"""Bodies recorded from kubectl 1.37, and every message there and back."""

import pytest

from kubeshim.machinery import resources
from kubeshim.machinery.codecs import (
    descriptors,
    frames,
    json,
    protobuf,
    protobuf_reader,
    protobuf_special,
    protobuf_writer,
)

RECORDED = {
    # create configmap a --from-literal=x=1 --from-literal=y=
    "6b3873000a0f0a0276311209436f6e6669674d617012220a110a016112001a0022002a0032003800420012060a017812013112050a017912001a"
    "002200": {
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"x": "1", "y": ""},
    },
    # create deployment web --image=nginx --replicas=0 --port=80
    "6b3873000a150a07617070732f7631120a4465706c6f796d656e7412b8010a1f0a0377656212001a0022002a003200380042005a0a0a03617070"
    "12037765621286010800120c0a0a0a0361707012037765621a6c0a1c0a0012001a0022002a003200380042005a0a0a036170701203776562124c"
    "122e0a056e67696e7812056e67696e782a00320a0a001000185022002a0042006a007200800100880100900100a201001a00320042004a005200"
    "5800600068008201008a01009a0100c2010022020a00280038001a0c0800100018002000280038001a002200": {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "labels": {"app": "web"}},
        "spec": {
            "replicas": 0, "selector": {"matchLabels": {"app": "web"}}, "strategy": {},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {
                    "containers": [
                        {"name": "nginx", "image": "nginx", "ports": [{"containerPort": 80}], "resources": {}}
                    ]
                },
            },
        },
        "status": {},
    },
    # create token default --duration=1h --audience=x
    "6b3873000a280a1861757468656e7469636174696f6e2e6b38732e696f2f7631120c546f6b656e5265717565737412200a100a0012001a002200"
    "2a0032003800420012060a017820901c1a040a0012001a002200": {
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "metadata": {},
        "spec": {"audiences": ["x"], "expirationSeconds": 3600}, "status": {"token": ""},
    },
    # create service clusterip s --tcp=80:http
    "6b3873000a0d0a02763112075365727669636512660a1b0a017312001a0022002a003200380042005a080a0361707012017312430a1e0a073830"
    "2d6874747012035443501850220a080110001a0468747470280012080a036170701201731a002209436c757374657249503a0042005200560060"
    "0068001a020a001a002200": None,
    # create quota q --hard=cpu=1,pods=2
    "6b3873000a130a027631120d5265736f7572636551756f746112300a110a017112001a0022002a0032003800420012190a0a0a0363707512030a"
    "01310a0b0a04706f647312030a01321a001a002200": {
        "apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"},
        "spec": {"hard": {"cpu": "1", "pods": "2"}}, "status": {},
    },
    # create priorityclass pc --value=0
    "6b3873000a250a147363686564756c696e672e6b38732e696f2f7631120d5072696f72697479436c61737312300a120a02706312001a0022002a"
    "003200380042001000180022002a14507265656d70744c6f7765725072696f726974791a002200": {
        "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "pc"}, "value": 0,
        "preemptionPolicy": "PreemptLowerPriority",
    },
}  # fmt: skip


@pytest.mark.parametrize(("recorded", "expected"), [(k, v) for k, v in RECORDED.items() if v], ids=lambda v: "")
def test_what_kubectl_sends(recorded, expected):
    assert protobuf.decode(bytes.fromhex(recorded)) == expected
    assert protobuf.decode(protobuf.encode(expected)) == expected


def sample(name, depth):
    """A value of a message with every field set and nothing zero, down to ``depth``."""
    if name.endswith(".IntOrString"):
        return "50%"
    if name.endswith(".Quantity"):
        return "100m"
    if name.endswith("meta.v1.Time"):
        return "2026-01-31T12:00:00Z"
    if name.endswith("meta.v1.MicroTime"):
        return "2026-01-31T12:00:00.000001Z"
    if name.endswith(("RawExtension", "v1beta1.JSON", "v1.JSON")):
        return {"any": ["thing", 1, True]}
    if name.endswith("FieldsV1"):
        return {"f:spec": {}}
    if name.endswith(("ExtraValue", "AttestationValue", "Verbs", "OrStringArray")):
        return ["x", "y"]
    if name.endswith("OrArray"):
        return [{"type": "object"}]
    if name.endswith("OrBool"):
        return False
    return sample_fields(name, depth)


def sample_fields(name, depth):
    result = {}
    for field in descriptors.messages()[name].fields:
        if field.presence == "inline":
            result.update(sample_fields(field.type, depth))
            continue
        kind = field.type.partition(",")[2] or field.type
        if kind in descriptors.SCALARS or kind in protobuf_special.TABLE or depth:
            value = scalar(kind, depth)
            wrapped = {"repeated": [value, value], "map": {"k": value, "l": value}}
            result[field.name] = wrapped.get(field.label, value)
    return result


def scalar(kind, depth):
    known = {"string": "text", "bytes": "aGk=", "bool": True, "double": 0.5}
    if kind in known:
        return known[kind]
    return 2_000_000_000 if kind in descriptors.SCALARS else sample(kind, depth - 1 if depth else 0)


@pytest.mark.parametrize("package", sorted({name.rpartition(".")[0] for name in descriptors.messages()}))
def test_every_message_there_and_back(package):
    for name in descriptors.messages():
        if name.rpartition(".")[0] == package:
            value = sample(name, 3)
            assert protobuf_reader.read(name, protobuf_writer.write(name, value)) == value, name


def test_zero_values_come_out_as_go_writes_them():
    written = protobuf_writer.write(
        "k8s.io.api.core.v1.Probe",
        {"periodSeconds": 0, "terminationGracePeriodSeconds": 0, "httpGet": {"port": 0, "path": ""}},
    )
    assert protobuf_reader.read("k8s.io.api.core.v1.Probe", written) == {
        "terminationGracePeriodSeconds": 0, "httpGet": {},
    }  # fmt: skip
    condition = {"type": "Ready", "status": "", "lastProbeTime": None, "reason": ""}
    written = protobuf_writer.write("k8s.io.api.core.v1.PodCondition", condition)
    assert protobuf_reader.read("k8s.io.api.core.v1.PodCondition", written) == {"type": "Ready", "status": ""}


def test_negative_numbers_and_old_times():
    written = protobuf_writer.write("k8s.io.api.core.v1.PodSpec", {"priority": -5})
    assert protobuf_reader.read("k8s.io.api.core.v1.PodSpec", written) == {"priority": -5}
    name = "k8s.io.apimachinery.pkg.apis.meta.v1.Time"
    assert (
        protobuf_reader.read(name, protobuf_writer.write(name, "1931-05-01T00:00:00+02:00")) == "1931-04-30T22:00:00Z"
    )


@pytest.mark.parametrize("cut", range(5, 60, 7))
def test_truncated_bodies_are_refused(cut):
    body = bytes.fromhex(next(iter(RECORDED)))
    with pytest.raises(json.Malformed):
        protobuf.decode(body[:cut])


def test_what_is_no_protobuf():
    with pytest.raises(json.Malformed, match=r"expected prefix \[107 56 115 0\]"):
        protobuf.decode(b"{}")
    with pytest.raises(json.Malformed, match="empty data"):
        protobuf.decode(b"")


def test_only_built_in_groups_have_messages():
    kind = resources.GroupVersionKind
    assert protobuf.has_form(kind("apps", "v1", "Deployment"))
    assert protobuf.has_form(kind("apps", "v1", "DeleteOptions"))
    assert protobuf.has_form(kind("apiregistration.k8s.io", "v1", "APIService"))
    assert not protobuf.has_form(kind("apps.example.com", "v1", "Deployment"))
    assert not protobuf.has_form(kind("example.com", "v1", "Status"))


def test_lists_join_their_items():
    item = {"metadata": {"name": "a"}, "data": {"x": "1"}}
    gvk = resources.GroupVersionKind("", "v1", "ConfigMap")
    head = {"apiVersion": "v1", "kind": "ConfigMapList", "metadata": {"resourceVersion": "7"}}
    body = protobuf.encode_list(head, [protobuf.encode_item(item, gvk)] * 2, gvk._replace(kind="ConfigMapList"))
    assert protobuf.decode(body) == {**head, "items": [item, item]}


def test_watch_frames():
    obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}
    frame = frames.protobuf_frame("ADDED", protobuf.encode(obj))
    assert int.from_bytes(frame[:4], "big") == len(frame) - 4
    assert b"ADDED" in frame
    assert protobuf.decode(frame[frame.index(protobuf.PREFIX) :]) == obj
    assert frames.json_frame("ADDED", b'{"a":1}\n') == b'{"type":"ADDED","object":{"a":1}}\n'


def test_a_message_said_twice_adds_up():
    name = "k8s.io.api.core.v1.Pod"
    first = {"spec": {"nodeName": "a", "containers": [{"name": "x"}], "priority": 1}}
    second = {"spec": {"nodeName": "b", "containers": [{"name": "y"}]}}
    both = protobuf_writer.write(name, first) + protobuf_writer.write(name, second)
    expected = {"nodeName": "b", "containers": [{"name": "x"}, {"name": "y"}], "priority": 1}
    assert protobuf_reader.read(name, both) == {"spec": expected}
