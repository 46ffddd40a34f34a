"""HorizontalPodAutoscalers: what metrics ask for, how far one goes, and the controller against a server in memory."""

import datetime

import pytest

from kubeshim import clock
from kubeshim.client import kinds
from kubeshim.control_plane.controller_manager import config, manager
from kubeshim.control_plane.controller_manager.autoscaling import evaluation, limits, metrics_apis, replicas, usage
from tests import fake_api

NOW = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)
LONG_AGO = clock.rfc3339(NOW - datetime.timedelta(hours=1))


def ago(seconds):
    return NOW - datetime.timedelta(seconds=seconds)


def pod(number, request="1000m", ready=True, phase="Running", started=LONG_AGO, changed=LONG_AGO, **metadata):
    requests = {"cpu": request} if request else {}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"p{number}", "namespace": "default", "labels": {"app": "web"}, **metadata},
        "spec": {"containers": [{"name": "c", "resources": {"requests": requests}}]},
        "status": {
            "phase": phase,
            "startTime": started,
            "conditions": [{"type": "Ready", "status": "True" if ready else "False", "lastTransitionTime": changed}],
        },
    }


def setting(pods, current=None, tolerance=0.1, up=None):
    tolerances = replicas.Tolerances(tolerance, tolerance if up is None else up)
    return replicas.Setting(pods, len(pods) if current is None else current, tolerances, usage.Patience(300, 30), NOW)


def measured(*values, taken=NOW):
    return {
        f"p{number}": usage.Measurement(value, taken, 60) for number, value in enumerate(values) if value is not None
    }


UNREADY = {"ready": False, "changed": LONG_AGO}
HOT = {"started": clock.rfc3339(ago(60)), "changed": clock.rfc3339(ago(30))}


@pytest.mark.parametrize(
    ("pods", "values", "target", "wanted"),
    [
        ([{}, {}, {}], [300, 500, 700], 30, (5, 50, 500)),
        ([{}] * 5, [100, 300, 500, 250, 250], 50, (3, 28, 280)),
        ([{"request": "900m"}, {"request": "1000m"}, {"request": "1100m"}], [1010, 1030, 1020], 100, (3, 102, 1020)),
        ([UNREADY, {}, {}], [300, 500, 700], 30, (4, 60, 600)),  # the unready one is taken to use nothing
        ([HOT, {}, {}], [300, 500, 700], 30, (4, 60, 600)),  # and so is one that has only just started
        ([{"phase": "Pending"}, {}, {}], [None, 500, 700], 30, (4, 60, 600)),
        ([{}, UNREADY, UNREADY], [400, 500, 700], 40, (3, 40, 400)),
        ([{}, {}, {"phase": "Failed"}], [500, 700, 900], 50, (3, 60, 600)),  # ceil(1.2 * 2): the failed one is none
        ([{"deletionTimestamp": LONG_AGO}, {}, {}], [100, 900, 900], 30, (6, 90, 900)),
        ([{}, {}], [1000, None], 100, (2, 100, 1000)),
        ([{}, {}, {}], [100, 100, None], 50, (3, 10, 100)),  # on the way down a missing one uses all it asked for
        ([{}, {}, {}, {}], [100, 100, 100, None], 50, (3, 10, 100)),
        ([{}, {}, {}, {}], [100, 100, 100, None], 200, (2, 10, 100)),  # or the target, where that is more
        ([{"request": "500m"}] * 4, [4000, 9500, 3000, 7000, 3200, 2000], 100, (47, 1175, 5875)),
        ([{"ready": False, "started": LONG_AGO, "changed": clock.rfc3339(ago(60))}], [900], 30, (3, 90, 900)),
    ],
)
def test_utilization(pods, values, target, wanted):
    made = setting([pod(number, **given) for number, given in enumerate(pods)])
    found = replicas.for_utilization(made, measured(*values), "cpu", "", target)
    assert (found.replicas, found.share, found.amount) == wanted


@pytest.mark.parametrize(
    ("pods", "values", "why"),
    [
        ([], [], "no pods returned by selector while calculating replica count"),
        ([UNREADY], [100], "did not receive metrics for targeted pods (pods might be unready)"),
        ([{"request": ""}], [100], "missing request for cpu in container c of Pod p0"),
        ([{}, {}], [None, None, 7], "no metrics returned matched known pods"),
    ],
)
def test_utilization_that_cannot_be_told(pods, values, why):
    made = setting([pod(number, **given) for number, given in enumerate(pods)])
    with pytest.raises(usage.Unknown) as caught:
        replicas.for_utilization(made, measured(*values), "cpu", "", 50)
    assert str(caught.value) == why


@pytest.mark.parametrize(
    ("count", "values", "target", "wanted"),
    [
        (3, [20000, 10000, 30000], 15000, (4, 20000)),
        (3, [12000, 12000, 12000], 20000, (2, 12000)),
        (3, [20000, 10000, 30000], 20000, (3, 20000)),
        (3, [12000, 12000, None], 20000, (3, 12000)),
        (3, [60000, 60000, None], 20000, (6, 60000)),
    ],
)
def test_average(count, values, target, wanted):
    found = replicas.for_average(setting([pod(number) for number in range(count)]), measured(*values), "", target)
    assert (found.replicas, found.amount) == wanted


def test_requests_of_sidecars_of_one_container_and_of_whole_pods():
    one = pod(0, request="100m")
    one["spec"]["initContainers"] = [
        {"name": "s", "restartPolicy": "Always", "resources": {"requests": {"cpu": "50m"}}},
        {"name": "i"},
    ]
    assert usage.requests([one], "cpu") == {"p0": 150}
    assert usage.requests([one], "cpu", "s") == {"p0": 50}
    one["spec"]["resources"] = {"requests": {"cpu": "1"}}
    assert usage.requests([one], "cpu") == {"p0": 1000}


def test_values():
    three = setting([pod(0), pod(1), pod(2, ready=False)])
    assert replicas.for_value(three, 20000, 10000).replicas == 4  # two are ready
    assert replicas.for_value(three, 10500, 10000).replicas == 3
    assert replicas.for_value(setting([], 0), 25000, 10000).replicas == 3
    assert replicas.for_value(setting([pod(0)], tolerance=0.1, up=0.5), 14000, 10000).replicas == 1
    assert replicas.for_value_per_pod(three, 3, 8600, 2000) == replicas.Proposal(5, 2867)
    assert replicas.for_value_per_pod(three, 3, 6300, 2000) == replicas.Proposal(3, 2100)
    assert replicas.for_value_per_pod(setting([], 0), 0, 4100, 2000).replicas == 3


def decided(found):
    return found.replicas, found.stable_reason, found.limit_reason, found.limited


@pytest.mark.parametrize(
    ("current", "least", "most", "desired", "earlier", "wanted"),
    [
        (3, 1, 10, 5, [], (5, "ReadyForNewScale", "DesiredWithinRange", False)),
        (3, 1, 10, 7, [], (6, "ReadyForNewScale", "ScaleUpLimit", True)),
        (1, 1, 10, 9, [], (4, "ReadyForNewScale", "ScaleUpLimit", True)),
        (3, 1, 5, 6, [], (5, "ReadyForNewScale", "TooManyReplicas", True)),
        (3, 2, 5, 0, [], (2, "ReadyForNewScale", "TooFewReplicas", True)),
        (6, 1, 9, 2, [(5, 299), (8, 301)], (5, "ScaleDownStabilized", "DesiredWithinRange", False)),
    ],
)
def test_limits_without_behavior(current, least, most, desired, earlier, wanted):
    history = limits.History([(number, ago(seconds)) for number, seconds in earlier])
    found = limits.plain(history, limits.Bounds(current, least, most), desired, NOW, 300)
    assert decided(found) == wanted
    assert history.recommendations[-1] == (desired, NOW)


READY, SLOW_UP, SLOW_DOWN = "ReadyForNewScale", "ScaleUpStabilized", "ScaleDownStabilized"
WITHIN, FAST_UP, FAST_DOWN = "DesiredWithinRange", "ScaleUpLimit", "ScaleDownLimit"


def rules(*policies, window=0, select="Max"):
    made = [{"type": kind, "value": value, "periodSeconds": seconds} for kind, value, seconds in policies]
    return {"policies": made, "selectPolicy": select, "stabilizationWindowSeconds": window}


UP, DOWN = rules(("Pods", 4, 15), ("Percent", 100, 15)), rules(("Percent", 100, 15), window=300)


@pytest.mark.parametrize(
    ("up", "down", "current", "desired", "history", "wanted"),
    [
        (UP, DOWN, 3, 20, {}, (7, READY, FAST_UP, True)),
        (UP, DOWN, 10, 50, {}, (20, READY, FAST_UP, True)),
        (UP, DOWN, 60, 500, {}, (100, READY, "TooManyReplicas", True)),
        (rules(("Pods", 4, 15), ("Percent", 100, 15), select="Min"), DOWN, 10, 50, {}, (14, READY, FAST_UP, True)),
        (rules(("Pods", 4, 15), select="Disabled"), DOWN, 10, 50, {}, (10, READY, FAST_UP, True)),
        (rules(("Percent", 10, 15)), DOWN, 1, 50, {}, (2, READY, FAST_UP, True)),
        (rules(("Pods", 4, 60)), DOWN, 10, 50, {"ups": [(3, 30)]}, (11, READY, FAST_UP, True)),
        (rules(("Pods", 4, 60)), DOWN, 10, 50, {"ups": [(9, 30)]}, (10, READY, FAST_UP, True)),
        (rules(("Pods", 4, 60)), DOWN, 10, 50, {"ups": [(3, 61)]}, (14, READY, FAST_UP, True)),
        (rules(("Pods", 9, 15), window=60), DOWN, 3, 9, {"recommendations": [(4, 59)]}, (4, SLOW_UP, WITHIN, False)),
        (UP, DOWN, 9, 3, {"recommendations": [(7, 299)]}, (7, SLOW_DOWN, WITHIN, False)),
        (UP, rules(("Pods", 2, 60)), 9, 3, {}, (7, READY, FAST_DOWN, True)),
        (UP, rules(("Pods", 2, 60), ("Percent", 50, 60)), 9, 1, {}, (4, READY, FAST_DOWN, True)),
        (UP, rules(("Pods", 2, 60), ("Percent", 50, 60), select="Min"), 9, 1, {}, (7, READY, FAST_DOWN, True)),
        (UP, rules(("Pods", 2, 60)), 9, 3, {"downs": [(1, 30)]}, (8, READY, FAST_DOWN, True)),
        (UP, rules(("Percent", 100, 60)), 9, 1, {}, (2, READY, "TooFewReplicas", True)),
    ],
)  # fmt: skip
def test_limits_with_behavior(up, down, current, desired, history, wanted):
    past = {field: [(number, ago(seconds)) for number, seconds in entries] for field, entries in history.items()}
    bounds = limits.Bounds(current, 2 if current > 2 else 1, 100)
    found = limits.with_behavior(limits.History(**past), bounds, {"scaleUp": up, "scaleDown": down}, desired, NOW, 300)
    assert decided(found) == wanted


def test_scale_down_waits_for_the_cluster_wide_window_where_the_rules_say_none():
    history = limits.History([(7, ago(90))])
    behavior = {"scaleUp": UP, "scaleDown": {**DOWN, "stabilizationWindowSeconds": None}}
    assert limits.with_behavior(history, limits.Bounds(9, 1, 10), behavior, 3, NOW, 100).replicas == 7
    assert limits.with_behavior(history, limits.Bounds(9, 1, 10), behavior, 3, NOW, 80).replicas == 3


def test_measurements_of_pods_and_containers():
    def item(name, **containers):
        made = [{"name": one, "usage": amounts} for one, amounts in containers.items()]
        head = {"metadata": {"name": name, "namespace": "default"}, "timestamp": LONG_AGO, "window": "1m0.5s"}
        return {**head, "containers": made}

    items = [item("a", c={"cpu": "100m"}, s={"cpu": "1"}), item("b", c={"cpu": "5m"}, s={}), item("e")]
    found = metrics_apis.of_pods(items, "cpu")
    assert {name: one.value for name, one in found.items()} == {"a": 1100}
    assert found["a"].window == 60.5
    assert {n: one.value for n, one in metrics_apis.of_container(items[:2], "cpu", "c").items()} == {"a": 100, "b": 5}
    with pytest.raises(usage.Unknown, match="container c not present in metrics for pod default/e"):
        metrics_apis.of_container(items, "cpu", "c")


AUTOSCALER = {
    "apiVersion": "autoscaling/v2",
    "kind": "HorizontalPodAutoscaler",
    "metadata": {"name": "web"},
    "spec": {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
        "minReplicas": 1,
        "maxReplicas": 10,
        "metrics": [
            {
                "type": "Resource",
                "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}},
            }
        ],
    },
}
EXTERNAL = {
    "metric": {"name": "queue", "selector": {"matchLabels": {"q": "a"}}},
    "target": {"type": "Value", "value": "10"},
}
_TYPE = {"resource": "deployments", "responseKind": {"kind": "Deployment"}, "scope": "Namespaced", "verbs": ["get"]}


class World:
    """A cluster with one scalable object, its pods, and metrics APIs that answer what the test says."""

    def __init__(self, api, client, time_source):
        self.api, self.client, self.clock = api, client, time_source
        self.answers = {}
        api.hooks.append(self._metrics)
        apps = {"metadata": {"name": "apps"}, "versions": [{"version": "v1", "resources": [_TYPE]}]}
        api.discovery["/api"] = {"kind": "APIGroupDiscoveryList", "items": []}
        api.discovery["/apis"] = {"kind": "APIGroupDiscoveryList", "items": [apps]}

    def _metrics(self, handler, method, path):
        if ".metrics.k8s.io" not in path and "/metrics.k8s.io" not in path:
            return False
        items = next((made for part, made in self.answers.items() if part in path), None)
        handler.send(404 if items is None else 200, items if isinstance(items, dict) else {"items": items or []})
        return True

    def target(self, size, selector="app=web"):
        made = {
            "apiVersion": "autoscaling/v1",
            "kind": "Scale",
            "metadata": {"name": "web"},
            "spec": {"replicas": size},
        }
        self.client.create(kinds.DEPLOYMENTS, {**made, "status": {"replicas": size, "selector": selector}}, "default")
        for number in range(size):
            self.client.create(kinds.PODS, pod(number), "default")

    def cpu(self, *values):
        head = {"timestamp": clock.rfc3339(NOW), "window": "30s"}
        self.answers["/metrics.k8s.io"] = [
            {"metadata": {"name": f"p{number}"}, **head, "containers": [{"name": "c", "usage": {"cpu": f"{value}m"}}]}
            for number, value in enumerate(values)
        ]

    def size(self):
        return self.client.get(kinds.DEPLOYMENTS, "web", "default")["spec"]["replicas"]

    def status_when(self, *said):
        """The status once its conditions say ``TypeStatusReason`` for all of ``said``."""

        def look():
            found = self.client.get(kinds.HORIZONTAL_POD_AUTOSCALERS, "web", "default").get("status") or {}
            told = [f"{one['type']} {one['status']} {one['reason']}" for one in found.get("conditions") or ()]
            return found if set(said) <= set(told) else None

        return fake_api.eventually(look)

    def events(self):
        return {(one["reason"], one["message"]) for one in self.client.list(kinds.EVENTS, "default")["items"]}


@pytest.fixture
def world():
    server = fake_api.FakeApi()
    client = server.client()
    time_source = clock.FakeClock(NOW)
    options = config.Options(horizontal_pod_autoscaler_sync_period=0.02)
    chosen = config.Config(client.config, options, controllers=("horizontal-pod-autoscaler",))
    started = manager.Manager(server.client(), chosen, time_source)
    made = World(server, client, time_source)
    started.start()
    yield made
    started.stop()
    client.close()
    server.stop()


def test_a_target_follows_its_metrics(world):
    world.target(2)
    world.cpu(900, 900)
    world.client.create(kinds.HORIZONTAL_POD_AUTOSCALERS, AUTOSCALER, "default")
    found = world.status_when("AbleToScale True SucceededRescale", "ScaledToZero False NotScaledToZero")
    assert world.size() == found["desiredReplicas"] == 4
    fake_api.eventually(
        lambda: (
            ("SuccessfulRescale", "New size: 4; reason: cpu resource utilization (percentage of request) above target")
            in world.events()
        )
    )
    world.cpu(10, 10)
    found = world.status_when("AbleToScale True ScaleDownStabilized", "ScalingActive True ValidMetricFound")
    current = {"averageValue": "10m", "averageUtilization": 1}
    assert found["currentMetrics"] == [{"type": "Resource", "resource": {"name": "cpu", "current": current}}]
    assert found["lastScaleTime"] == clock.rfc3339(NOW)
    world.clock.step(301)
    fake_api.eventually(lambda: world.size() == 1)


EVENTS_AGAIN = 8000
"""Seconds after which an object that had too many events may have many more."""


def test_what_cannot_be_told_is_told_in_conditions_and_events(world):
    world.client.create(kinds.HORIZONTAL_POD_AUTOSCALERS, AUTOSCALER, "default")
    found = world.status_when("AbleToScale False FailedGetScale")
    text = "the HPA controller was unable to get the target's current scale: "
    assert found["conditions"][0]["message"].startswith(text)
    world.answers["/metrics.k8s.io"] = []
    world.target(2)
    world.clock.step(EVENTS_AGAIN)
    found = world.status_when("AbleToScale True SucceededGetScale", "ScalingActive False FailedGetResourceMetric")
    why = "failed to get cpu utilization: unable to get metrics for resource cpu: "
    why += "no metrics returned from resource metrics API"
    assert found["conditions"][1]["message"] == f"the HPA was unable to compute the replica count: {why}"
    assert found["currentReplicas"] == 2 and found["currentMetrics"] == [{"type": ""}]
    summary = f"invalid metrics (1 invalid out of 1), first error is: failed to get cpu resource metric value: {why}"
    fake_api.eventually(
        lambda: {("FailedGetResourceMetric", why), ("FailedComputeMetricsReplicas", summary)} <= world.events()
    )
    del world.answers["/metrics.k8s.io"]
    world.clock.step(EVENTS_AGAIN)
    absent = "the server could not find the requested resource (get pods.metrics.k8s.io)"
    fake_api.eventually(lambda: any(message.endswith(absent) for _, message in world.events()))


def test_two_autoscalers_of_the_same_pods_do_nothing(world):
    world.target(2)
    world.cpu(900, 900)
    other = {**AUTOSCALER, "metadata": {"name": "other"}}
    for one in (AUTOSCALER, other):
        one = {**one, "spec": {**one["spec"], "maxReplicas": 2}}
        world.client.create(kinds.HORIZONTAL_POD_AUTOSCALERS, one, "default")
    found = world.status_when("ScalingActive False AmbiguousSelector")
    text = "pods by selector app=web are controlled by multiple HPAs: [default/other default/web]"
    assert found["conditions"][1]["message"] == text


def test_to_zero_and_back(world):
    world.target(2)
    world.answers["external.metrics.k8s.io"] = [{"value": "0"}]
    spec = {**AUTOSCALER["spec"], "minReplicas": 0, "metrics": [{"type": "External", "external": EXTERNAL}]}
    spec["behavior"] = {"scaleUp": UP, "scaleDown": {**DOWN, "stabilizationWindowSeconds": 0}}
    world.client.create(kinds.HORIZONTAL_POD_AUTOSCALERS, {**AUTOSCALER, "spec": spec}, "default")
    world.status_when("ScaledToZero True ScaledToZero")
    assert world.size() == 0
    world.answers["external.metrics.k8s.io"] = [{"value": "12"}, {"value": "13500m"}]
    world.status_when("ScaledToZero False NotScaledToZero")
    assert world.size() == 3
    world.client.patch(kinds.DEPLOYMENTS, "web", {"spec": {"replicas": 0}}, "default")
    world.status_when("ScalingActive False ScalingDisabled")  # somebody else's zero is left alone
    assert world.size() == 0


@pytest.mark.parametrize(
    ("metric", "answers", "replicas_", "status"),
    [
        (
            {
                "type": "Pods",
                "pods": {"metric": {"name": "rps"}, "target": {"type": "AverageValue", "averageValue": "10"}},
            },
            {"v1beta2/namespaces/default/pods/*/rps": ("p0", "p1")},
            4,
            {"pods": {"metric": {"name": "rps"}, "current": {"averageValue": "20"}}, "type": "Pods"},
        ),
        (
            {
                "type": "Object",
                "object": {
                    "describedObject": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "front"},
                    "metric": {"name": "hits"},
                    "target": {"type": "Value", "value": "10"},
                },
            },
            {"v1beta2/namespaces/default/deployments.apps/front/hits": ("front",)},
            4,
            {
                "object": {
                    "describedObject": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "front"},
                    "metric": {"name": "hits"},
                    "current": {"value": "20"},
                },
                "type": "Object",
            },
        ),
    ],
)
def test_custom_metrics(world, metric, answers, replicas_, status):
    world.target(2)
    for path, names in answers.items():
        head = {"timestamp": clock.rfc3339(NOW), "value": "20"}
        world.answers[path] = [{"describedObject": {"name": name}, **head} for name in names]
    world.answers["custom.metrics.k8s.io"] = {"versions": [{"version": "v1beta1"}, {"version": "v1beta2"}]}
    autoscaler = {**AUTOSCALER, "spec": {**AUTOSCALER["spec"], "metrics": [metric]}}
    world.client.create(kinds.HORIZONTAL_POD_AUTOSCALERS, autoscaler, "default")
    fake_api.eventually(lambda: world.size() == replicas_)
    assert world.status_when("AbleToScale True SucceededRescale")["currentMetrics"] == [status]


def question(apis):
    return evaluation.Question(apis, setting([pod(0)]), "default", "app=web", 1)


class NoMetrics:
    """All metrics APIs, each at a loss."""

    def __getattr__(self, name):
        def ask(*_):
            raise usage.Unknown("why")

        return ask


@pytest.mark.parametrize(
    ("metric", "reason", "why", "summary"),
    [
        (
            {
                "type": "ContainerResource",
                "containerResource": {"name": "cpu", "container": "c", "target": {"averageValue": "1"}},
            },
            "FailedGetContainerResourceMetric",
            "failed to get cpu usage: unable to get metrics for resource cpu: why",
            "failed to get c container metric value: "
            "failed to get cpu usage: unable to get metrics for resource cpu: why",
        ),
        (
            {"type": "Pods", "pods": {"metric": {"name": "rps"}, "target": {"averageValue": "1"}}},
            "FailedGetPodsMetric",
            "unable to get metric rps: why",
            "failed to get pods metric value: unable to get metric rps: why",
        ),
        (
            {
                "type": "Object",
                "object": {
                    "describedObject": {"kind": "Service", "name": "s"},
                    "metric": {"name": "hits"},
                    "target": {"type": "Value", "value": "1"},
                },
            },
            "FailedGetObjectMetric",
            "unable to get metric hits: Service on default s/why",
            "failed to get object metric value: unable to get metric hits: Service on default s/why",
        ),
        (
            {"type": "External", "external": EXTERNAL},
            "FailedGetExternalMetric",
            "unable to get external metric default/queue/&LabelSelector{MatchLabels:map[string]string{q: a,},"
            "MatchExpressions:[]LabelSelectorRequirement{},}: why",
            "failed to get queue external metric value: failed to get external metric queue: "
            "unable to get external metric default/queue/&LabelSelector{MatchLabels:map[string]string{q: a,},"
            "MatchExpressions:[]LabelSelectorRequirement{},}: why",
        ),
    ],
)  # fmt: skip
def test_failures_are_told_in_upstreams_words(metric, reason, why, summary):
    with pytest.raises(evaluation.Failed) as caught:
        evaluation.evaluate(question(NoMetrics()), metric)
    assert (caught.value.reason, caught.value.why, str(caught.value)) == (reason, why, summary)
