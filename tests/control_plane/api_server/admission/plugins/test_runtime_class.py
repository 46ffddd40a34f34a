import pytest

from kubeshim.control_plane.api_server.admission.plugins import runtime_class
from kubeshim.machinery import errors
from tests.control_plane.api_server.admission import admission_kit as kit

EXISTS = {"key": "k", "operator": "Exists"}
EQUAL = {"key": "k", "operator": "Equal", "value": "v", "effect": "NoSchedule"}
SANDBOXED = {
    "metadata": {"name": "sandboxed"},
    "handler": "h",
    "overhead": {"podFixed": {"cpu": "250m"}},
    "scheduling": {"nodeSelector": {"a": "b"}, "tolerations": [EXISTS]},
}
PLAIN = {"metadata": {"name": "plain"}, "handler": "h"}


def admit(**spec):
    pod = kit.pod(**spec)
    asked, reader = kit.attributes("pods", pod), kit.Objects(runtimeclasses=[SANDBOXED, PLAIN])
    plugin = runtime_class.RuntimeClass()
    plugin.admit(asked, reader)
    plugin.validate(asked, reader)
    return pod["spec"]


def test_overhead_and_placement():
    spec = admit(runtimeClassName="sandboxed", nodeSelector={"c": "d"}, tolerations=[EQUAL])
    assert spec["overhead"] == {"cpu": "250m"}
    assert spec["nodeSelector"] == {"a": "b", "c": "d"}
    assert spec["tolerations"] == [EXISTS]
    assert admit(runtimeClassName="sandboxed", overhead={"cpu": "0.25"})["overhead"] == {"cpu": "250m"}
    assert "overhead" not in admit(runtimeClassName="plain")


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({"runtimeClassName": "x"}, 'pod rejected: RuntimeClass "x" not found'),
        (
            {"runtimeClassName": "sandboxed", "overhead": {"cpu": "1"}},
            "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead",
        ),
        (
            {"overhead": {"cpu": "1"}},
            "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead",
        ),
        (
            {"runtimeClassName": "sandboxed", "nodeSelector": {"a": "c"}},
            "conflict: runtimeClass.scheduling.nodeSelector[a] = b; pod.spec.nodeSelector[a] = c",
        ),
    ],
)
def test_refusals(spec, why):
    with pytest.raises(errors.Forbidden) as caught:
        admit(**spec)
    assert caught.value.message == f'pods "p" is forbidden: {why}'
