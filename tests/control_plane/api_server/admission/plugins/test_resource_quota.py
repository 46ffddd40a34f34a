import contextlib

import pytest

from kubeshim import clock
from kubeshim.control_plane.api_server.admission.plugins import resource_quota
from kubeshim.machinery import errors
from tests.control_plane.api_server.admission import admission_kit as kit


def quota(hard, used=None, **spec):
    used = dict.fromkeys(hard, "0") | (used or {})
    return kit.named("q", spec=spec, status={"hard": hard, "used": used})


class Writer:
    """Keeps what was written; the first ``conflicts`` writes fail."""

    def __init__(self, conflicts=0):
        self.conflicts, self.written = conflicts, []

    def update(self, gvr, obj, *, subresource=""):
        assert subresource == "status"
        if self.conflicts:
            self.conflicts -= 1
            raise errors.conflict("", "resourcequotas", "q", errors.MODIFIED)
        self.written.append(obj["status"]["used"])


def charge(kind, obj, *quotas, conflicts=0, **options):
    """What the quotas' ``used`` became."""
    writer = Writer(conflicts)
    plugin = resource_quota.ResourceQuota(writer, lambda name: contextlib.nullcontext(), clock.SYSTEM)
    plugin.validate(kit.attributes(kind, obj, **options), kit.Objects(resourcequotas=quotas))
    return writer.written


POD = kit.pod(kit.container(requests={"cpu": "500m", "memory": "1Gi"}, limits={"cpu": "1"}))
SERVICE = kit.named("s", spec={"type": "LoadBalancer", "ports": [{"port": 1}, {"port": 2}]})


def claim(storage):
    requests = {"resources": {"requests": {"storage": storage}}}
    return kit.named("c", spec={"storageClassName": "fast", **requests})


@pytest.mark.parametrize(
    ("kind", "obj", "hard", "used"),
    [
        (
            "pods", POD, {"pods": "2", "requests.cpu": "1", "limits.cpu": "2", "memory": "2Gi", "configmaps": "1"},
            {"pods": "1", "requests.cpu": "500m", "limits.cpu": "1", "memory": "1Gi", "configmaps": "0"},
        ),
        ("services", SERVICE, {"services.nodeports": "2", "services.loadbalancers": "1"},
         {"services.nodeports": "2", "services.loadbalancers": "1"}),
        ("configmaps", kit.named("c"), {"configmaps": "1", "count/configmaps": "1"},
         {"configmaps": "1", "count/configmaps": "1"}),
        ("deployments.apps", kit.named("d"), {"count/deployments.apps": "1"}, {"count/deployments.apps": "1"}),
        ("persistentvolumeclaims", claim("1Gi"),
         {"requests.storage": "1Gi", "fast.storageclass.storage.k8s.io/persistentvolumeclaims": "1"},
         {"requests.storage": "1Gi", "fast.storageclass.storage.k8s.io/persistentvolumeclaims": "1"}),
    ],
)  # fmt: skip
def test_what_is_made_is_charged(kind, obj, hard, used):
    assert charge(kind, obj, quota(hard)) == [used]


@pytest.mark.parametrize(
    ("kind", "obj", "given", "why"),
    [
        (
            "pods", POD, quota({"pods": "1", "requests.cpu": "1"}, {"requests.cpu": "600m"}),
            "exceeded quota: q, requested: requests.cpu=500m, used: requests.cpu=600m, limited: requests.cpu=1",
        ),
        (
            "pods", POD, quota({"pods": "1", "cpu": "100m"}, {"pods": "1"}),
            "exceeded quota: q, requested: cpu=500m,pods=1, used: cpu=0,pods=1, limited: cpu=100m,pods=1",
        ),
        (
            "pods", kit.pod(kit.container("a"), kit.container("b", limits={"cpu": "1"})),
            quota({"limits.cpu": "1", "limits.memory": "1"}),
            "failed quota: q: must specify limits.cpu for: a; limits.memory for: a,b",
        ),
        (
            "secrets", kit.named("p"), kit.named("q", spec={}, status={"hard": {"secrets": "1"}}),
            "status unknown for quota: q, resources: secrets",
        ),
    ],
)  # fmt: skip
def test_refusals(kind, obj, given, why):
    with pytest.raises(errors.Forbidden) as caught:
        charge(kind, obj, given)
    assert caught.value.message == f'{kind} "p" is forbidden: {why}'


@pytest.mark.parametrize(
    ("pod", "spec", "charged"),
    [
        (kit.pod(), {"scopes": ["BestEffort"]}, True),
        (POD, {"scopes": ["BestEffort"]}, False),
        (POD, {"scopes": ["NotBestEffort", "NotTerminating"]}, True),
        (kit.pod(activeDeadlineSeconds=5), {"scopes": ["Terminating"]}, True),
        (
            kit.pod(priorityClassName="high"),
            {"scopeSelector": {"matchExpressions": [
                {"scopeName": "PriorityClass", "operator": "In", "values": ["high"]}]}},
            True,
        ),
        (
            kit.pod(),
            {"scopeSelector": {"matchExpressions": [
                {"scopeName": "PriorityClass", "operator": "NotIn", "values": ["high"]}]}},
            True,
        ),
    ],
)  # fmt: skip
def test_scopes(pod, spec, charged):
    assert bool(charge("pods", pod, quota({"pods": "1"}, **spec))) == charged


def test_an_update_is_charged_by_what_it_adds():
    given = quota({"requests.storage": "5Gi"}, {"requests.storage": "1Gi"})
    assert charge("persistentvolumeclaims", claim("3Gi"), given, old=claim("1Gi")) == [{"requests.storage": "3Gi"}]
    assert charge("persistentvolumeclaims", claim("1Gi"), given, old=claim("3Gi")) == []


def test_a_quota_changed_meanwhile_is_looked_at_again():
    assert charge("secrets", kit.named("p"), quota({"secrets": "1"}), conflicts=2) == [{"secrets": "1"}]
    with pytest.raises(errors.Conflict):
        charge("secrets", kit.named("p"), quota({"secrets": "1"}), conflicts=9)


def test_of_two_quotas_the_one_that_is_charged_already_is_not_charged_again():
    """The second was changed by somebody else in that moment; there is room for one in each."""
    quotas = {name: quota({"secrets": "1"}) for name in ("a", "b")}
    for name, one in quotas.items():
        one["metadata"] |= {"name": name, "uid": name}

    class Writer:
        conflicts = 1

        def update(self, gvr, obj, *, subresource=""):
            name = obj["metadata"]["name"]
            if name == "b" and self.conflicts:
                self.conflicts -= 1
                raise errors.conflict("", "resourcequotas", "b", errors.MODIFIED)
            quotas[name]["status"] = obj["status"]

    plugin = resource_quota.ResourceQuota(Writer(), lambda name: contextlib.nullcontext(), clock.SYSTEM)
    reader = kit.Objects(resourcequotas=tuple(quotas.values()))
    plugin.validate(kit.attributes("secrets", kit.named("p")), reader)
    assert [one["status"]["used"] for one in quotas.values()] == [{"secrets": "1"}] * 2


def test_dry_runs_and_events_are_not_charged():
    assert charge("secrets", kit.named("p"), quota({"secrets": "1"}), dry_run=True) == []
    assert charge("events", kit.named("p"), quota({"count/events": "0"})) == []
