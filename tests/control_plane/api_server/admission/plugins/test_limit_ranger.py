import pytest

from kubeshim.control_plane.api_server.admission.plugins import limit_ranger
from kubeshim.machinery import errors
from tests.control_plane.api_server.admission import admission_kit as kit


def ask(kind, obj, *limits, old=None, sub=""):
    reader = kit.Objects(limitranges=[kit.named("l", spec={"limits": list(limits)})])
    asked = kit.attributes(kind, obj, old, sub=sub)
    plugin = limit_ranger.LimitRanger()
    plugin.admit(asked, reader)
    plugin.validate(asked, reader)
    return obj


def test_what_containers_do_not_say_is_filled_in():
    pod = kit.pod(kit.container(limits={"cpu": "2"}), initContainers=[kit.container("i")])
    limit = {"type": "Container", "default": {"cpu": "1", "memory": "1Gi"}, "defaultRequest": {"cpu": "100m"}}
    ask("pods", pod, limit)
    assert pod["spec"]["containers"][0]["resources"] == {
        "limits": {"cpu": "2", "memory": "1Gi"}, "requests": {"cpu": "100m"},
    }  # fmt: skip
    assert pod["metadata"]["annotations"] == {
        "kubernetes.io/limit-ranger": "LimitRanger plugin set: cpu request for container c; memory limit for "
        "container c; cpu request for init container i; cpu, memory limit for init container i"
    }


def of(kind="Container", **bounds):
    return {"type": kind, **bounds}


@pytest.mark.parametrize(
    ("pod", "limit", "why"),
    [
        (kit.pod(), of(min={"cpu": "1"}), "minimum cpu usage per Container is 1.  No request is specified"),
        (
            kit.pod(kit.container(requests={"cpu": "500m"})), of(min={"cpu": "1"}),
            "minimum cpu usage per Container is 1, but request is 500m",
        ),
        (
            kit.pod(kit.container(requests={"cpu": "1"}, limits={"cpu": "0.5"})), of(min={"cpu": "1"}),
            "minimum cpu usage per Container is 1, but limit is 500m",
        ),
        (kit.pod(), of(max={"memory": "1Gi"}), "maximum memory usage per Container is 1Gi.  No limit is specified"),
        (
            kit.pod(kit.container(limits={"memory": "2Gi"})), of(max={"memory": "1Gi"}),
            "maximum memory usage per Container is 1Gi, but limit is 2Gi",
        ),
        (
            kit.pod(kit.container(limits={"cpu": "1"}, requests={"cpu": "2"})), of(max={"cpu": "1"}),
            "maximum cpu usage per Container is 1, but request is 2",
        ),
        (
            kit.pod(kit.container(limits={"cpu": "1"}, requests={"cpu": "300m"})),
            of(maxLimitRequestRatio={"cpu": "3"}),
            "cpu max limit to request ratio per Container is 3, but provided ratio is 3.333333",
        ),
        (
            kit.pod(kit.container(limits={"cpu": "1"})), of(maxLimitRequestRatio={"cpu": "3"}),
            "cpu max limit to request ratio per Container is 3, but no request is specified or request is 0",
        ),
        (
            kit.pod(*(kit.container(name, limits={"cpu": "1"}) for name in "ab")), of("Pod", max={"cpu": "1500m"}),
            "maximum cpu usage per Pod is 1500m, but limit is 2",
        ),
        (
            kit.pod(kit.container(limits={"cpu": "3"})), of(max={"cpu": "2", "memory": "1"}),
            "[maximum cpu usage per Container is 2, but limit is 3, maximum memory usage per Container is 1.  "
            "No limit is specified]",
        ),
    ],
)  # fmt: skip
def test_pods_out_of_bounds(pod, limit, why):
    with pytest.raises(errors.Forbidden) as caught:
        ask("pods", pod, limit)
    assert caught.value.message == f'pods "p" is forbidden: {why}'


def claim(storage):
    return kit.named("c", spec={"resources": {"requests": {"storage": storage}}})


@pytest.mark.parametrize(
    ("storage", "why"),
    [
        ("1Mi", "minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 1Mi"),
        ("3Gi", "maximum storage usage per PersistentVolumeClaim is 2Gi, but request is 3Gi"),
    ],
)
def test_claims_out_of_bounds(storage, why):
    limit = of("PersistentVolumeClaim", min={"storage": "1Gi"}, max={"storage": "2Gi"})
    with pytest.raises(errors.Forbidden, match=why):
        ask("persistentvolumeclaims", claim(storage), limit)
    ask("persistentvolumeclaims", claim("1Gi"), limit)
    ask("persistentvolumeclaims", claim(storage), limit, old=claim(storage))


def test_a_resize_is_judged_by_what_it_changes():
    limit = of(max={"cpu": "1"})
    large = kit.pod(kit.container("a", limits={"cpu": "2"}), kit.container("b", limits={"cpu": "500m"}))
    less = kit.pod(kit.container("a", limits={"cpu": "2"}), kit.container("b", limits={"cpu": "600m"}))
    more = kit.pod(kit.container("a", limits={"cpu": "3"}), kit.container("b", limits={"cpu": "500m"}))
    ask("pods", less, limit, old=large, sub="resize")
    with pytest.raises(errors.Forbidden):
        ask("pods", more, limit, old=large, sub="resize")
