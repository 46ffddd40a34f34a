"""HorizontalPodAutoscalers: once a sync period, the size of what they point at follows its metrics.

The scale subresource is all that is known of the target. Every metric proposes a number of replicas and the highest
holds; metrics that fail are passed over on the way up, and on the way down stop it. What was recommended and done
before (``limits.History``) lives in memory, as upstream's does: after a restart the windows start anew.

A target at zero is left alone, unless we brought it there: that is what the condition ``ScaledToZero`` tells.
"""

import copy
import dataclasses
import datetime
import logging
import threading
from collections.abc import Iterable
from typing import Any, Literal

from kubeshim import clock
from kubeshim.client import kinds
from kubeshim.control_plane.controller_manager import conditions, controller, indexes, inventory, scale_targets
from kubeshim.control_plane.controller_manager.autoscaling import (
    evaluation,
    limits,
    metrics_apis,
    replicas,
    usage,
)
from kubeshim.machinery import errors, objects, quantity, selectors
from kubeshim.machinery.objects import Object
from kubeshim.machinery.resources import GroupVersionResource

_log = logging.getLogger(__name__)

_ATTEMPTS = 5

_Status = Literal["True", "False"]
_Problem = (errors.APIStatusError, OSError, scale_targets.NotUnderstood)


class CannotCompute(Exception):
    """No number of replicas can be told; the condition that says why is set already."""


@dataclasses.dataclass(slots=True)
class Scaling:
    """One look at an autoscaler: its new state, and what it scales."""

    hpa: Object
    """A copy whose ``status`` we write into."""
    key: str
    now: datetime.datetime
    gvr: GroupVersionResource | None = None
    scale: Object = dataclasses.field(default_factory=dict)
    measured: list[Object] | None = None
    """``currentMetrics``."""

    @property
    def current(self) -> int:
        return int(objects.dig(self.scale, "spec", "replicas", default=0))

    @property
    def least(self) -> int:
        given = self.hpa["spec"].get("minReplicas")
        return 1 if given is None else int(given)

    def condition(self, kind: str, value: _Status, reason: str, message: str) -> None:
        """Sets it where it stands."""
        status = self.hpa["status"]
        new: Object = {"type": kind, "status": value, "reason": reason, "message": message}
        if generation := objects.dig(self.hpa, "metadata", "generation", default=0):
            new["observedGeneration"] = generation
        old = conditions.find(status.get("conditions"), kind)
        if old is not None and old.get("status") == value:
            new["lastTransitionTime"] = old.get("lastTransitionTime")
        else:
            new["lastTransitionTime"] = clock.rfc3339(self.now)
        present = list(status.get("conditions") or ())
        status["conditions"] = [new if one is old else one for one in present] if old is not None else [*present, new]

    def tell(self, desired: int, rescaled: bool) -> None:
        status = self.hpa["status"]
        status.update(currentReplicas=self.current, desiredReplicas=desired, currentMetrics=self.measured)
        if generation := objects.dig(self.hpa, "metadata", "generation", default=0):
            status["observedGeneration"] = generation
        if rescaled:
            status["lastScaleTime"] = clock.rfc3339(self.now)


class HorizontalPodAutoscalerController(controller.Controller):
    name = "horizontal-pod-autoscaler"
    component = "horizontal-pod-autoscaler"
    workers = 5

    def register(self) -> None:
        self._period = self.context.options.horizontal_pod_autoscaler_sync_period
        self._targets = scale_targets.Targets(self.client, self.clock)
        self._apis = metrics_apis.MetricsAPIs(self.client, self._targets)
        self._guard = threading.Lock()
        self._histories: dict[str, limits.History] = {}
        self._selectors: dict[str, selectors.LabelSelector] = {}
        self._written: dict[str, int] = {}
        """Resource version of the status last written: what an older one says of zero and the last scaling is wrong."""
        self._pods = indexes.by_namespace(self.informer(kinds.PODS))
        self._autoscalers = self.watch(kinds.HORIZONTAL_POD_AUTOSCALERS)
        self._autoscalers.add_handler(deleted=lambda gone: self._forget(objects.key(gone)))

    def _forget(self, key: str) -> None:
        """At once: one of the same name may be there before the next look, and has no past."""
        with self._guard:
            self._histories.pop(key, None)
            self._selectors.pop(key, None)
            self._written.pop(key, None)

    def figures(self) -> Iterable[str]:
        return inventory.autoscalers(self._autoscalers.list())

    def enqueue(self, obj: Object) -> None:
        """A period later, as upstream does: of what came meanwhile one look takes care."""
        self.queue.add_after(objects.key(obj), self._period)

    def sync(self, key: str) -> float | None:
        hpa = self._autoscalers.get(key)
        if hpa is None:
            self._forget(key)
            return None
        if int(objects.resource_version(hpa)) < self._written.get(key, 0):
            return self._period
        look = Scaling({**hpa, "status": copy.deepcopy(hpa.get("status") or {})}, key, self.clock.now())
        with self._guard:
            self._selectors.setdefault(key, selectors.NOTHING)
        try:
            self._reconcile(look)
        except (CannotCompute, *_Problem) as error:
            _log.info("autoscaler %s: %s", key, error)
        if _differs(hpa.get("status") or {}, look.hpa["status"]):
            self._write(look.hpa)
        return self._period

    def _write(self, hpa: Object) -> None:
        """Whoever changed the rest of it meanwhile: what was done must be told, or nobody knows whose zero it is."""
        try:
            for _ in range(_ATTEMPTS):
                try:
                    written = self.client.update(kinds.HORIZONTAL_POD_AUTOSCALERS, hpa, subresource="status")
                    self._written[objects.key(hpa)] = int(objects.resource_version(written))
                    return
                except errors.Conflict as error:
                    conflict = error
                    gvr, name, namespace = kinds.HORIZONTAL_POD_AUTOSCALERS, objects.name(hpa), objects.namespace(hpa)
                    fresh = self.client.get(gvr, name, namespace)
                    if objects.uid(fresh) != objects.uid(hpa):
                        return
                    hpa = {**fresh, "status": hpa["status"]}
            raise conflict
        except errors.NotFound:
            _log.debug("autoscaler %s is gone", objects.key(hpa))
        except (errors.APIStatusError, OSError) as error:
            self.recorder.event(hpa, "Warning", "FailedUpdateStatus", str(error))

    def _reconcile(self, look: Scaling) -> None:
        self._find_target(look)
        history = self._history(look)
        spec = look.hpa["spec"]
        was_zeroed = conditions.is_true(look.hpa["status"], "ScaledToZero")
        reason = ""
        if look.current == 0 and not (was_zeroed and (look.least != 0 or _measures_from_outside(spec))):
            text = "scaling is disabled since the replica count of the target is zero"
            look.condition("ScalingActive", "False", "ScalingDisabled", text)
            look.tell(0, rescaled=False)
            return
        if look.current > spec["maxReplicas"]:
            desired, reason = int(spec["maxReplicas"]), "Current number of replicas above Spec.MaxReplicas"
        elif 0 < look.current < look.least:
            desired, reason = look.least, "Current number of replicas below Spec.MinReplicas"
        else:
            desired, reason = self._by_metrics(look, history)
        if desired == look.current:
            look.tell(desired, rescaled=False)
            return
        self._rescale(look, desired, reason)
        history.scaled(look.current, desired, look.now)
        self._note_zero(look, desired)
        look.tell(desired, rescaled=True)

    def _find_target(self, look: Scaling) -> None:
        reference = look.hpa["spec"]["scaleTargetRef"]
        try:
            group = scale_targets.group_of(str(reference.get("apiVersion") or ""))
            types = self._targets.types(group, reference["kind"])
            look.gvr, look.scale = self._targets.scale(types, objects.namespace(look.hpa), reference["name"])
        except _Problem as error:
            self.recorder.event(look.hpa, "Warning", "FailedGetScale", str(error))
            text = f"the HPA controller was unable to get the target's current scale: {error}"
            look.condition("AbleToScale", "False", "FailedGetScale", text)
            raise
        text = "the HPA controller was able to get the target's current scale"
        look.condition("AbleToScale", "True", "SucceededGetScale", text)

    def _history(self, look: Scaling) -> limits.History:
        with self._guard:
            if look.key not in self._histories:
                # what was there before us counts as recommended
                self._histories[look.key] = limits.History([(look.current, look.now)])
            return self._histories[look.key]

    def _by_metrics(self, look: Scaling, history: limits.History) -> tuple[int, str]:
        """The number of replicas within all limits, and why it is not the present one."""
        spec = look.hpa["spec"]
        try:
            wanted, name = self._highest(look)
        except CannotCompute as error:
            look.tell(int(look.hpa["status"].get("desiredReplicas") or 0), rescaled=False)
            self.recorder.event(look.hpa, "Warning", "FailedComputeMetricsReplicas", str(error))
            raise
        reason = ""  # of a change that earlier recommendations alone bring about, none is told
        if wanted != look.current:
            reason = f"{name} above target" if wanted > look.current else "All metrics below target"
        bounds = limits.Bounds(look.current, look.least, int(spec["maxReplicas"]))
        window = self.context.options.horizontal_pod_autoscaler_downscale_stabilization
        if spec.get("behavior") is None:
            found = limits.plain(history, bounds, wanted, look.now, window)
        else:
            found = limits.with_behavior(history, bounds, spec["behavior"], wanted, look.now, window)
        look.condition("AbleToScale", "True", found.stable_reason, found.stable_message)
        limited: _Status = "True" if found.limited else "False"
        look.condition("ScalingLimited", limited, found.limit_reason, found.limit_message)
        if look.current == 0 and look.least > found.replicas:
            return look.least, reason
        return found.replicas, reason

    def _highest(self, look: Scaling) -> tuple[int, str]:
        """The highest proposal and its metric's name; statuses of all metrics go into ``look``."""
        asked = self._question(look)
        metrics = look.hpa["spec"].get("metrics") or ()
        look.measured, failures = [], []
        best: evaluation.Outcome | None = None
        for metric in metrics:
            try:
                outcome = evaluation.evaluate(asked, metric)
            except evaluation.Failed as failure:
                self.recorder.event(look.hpa, "Warning", failure.reason, failure.why)
                failures.append(failure)
                look.measured.append({"type": ""})
                continue
            look.measured.append(outcome.status)
            if best is None or best.replicas == 0 or outcome.replicas > best.replicas:
                best = outcome
        if failures:
            text = f"invalid metrics ({len(failures)} invalid out of {len(metrics)}), first error is: {failures[0]}"
            if best is None or best.replicas < look.current:
                why = f"the HPA was unable to compute the replica count: {failures[0].why}"
                look.condition("ScalingActive", "False", failures[0].reason, why)
                raise CannotCompute(text)
            _log.info("autoscaler %s: %s", look.key, text)
        name = best.name if best is not None else ""
        text = f"the HPA was able to successfully calculate a replica count from {name}"
        look.condition("ScalingActive", "True", "ValidMetricFound", text)
        return (best.replicas, name) if best is not None else (0, "")

    def _question(self, look: Scaling) -> evaluation.Question:
        options, namespace = self.context.options, objects.namespace(look.hpa)
        text, chosen = self._chosen_pods(look)
        setting = replicas.Setting(
            chosen,
            look.current,
            _tolerances(look.hpa["spec"], options.horizontal_pod_autoscaler_tolerance),
            usage.Patience(
                options.horizontal_pod_autoscaler_cpu_initialization_period,
                options.horizontal_pod_autoscaler_initial_readiness_delay,
            ),
            look.now,
        )
        running = int(objects.dig(look.scale, "status", "replicas", default=0))
        return evaluation.Question(self._apis, setting, namespace, text, running)

    def _chosen_pods(self, look: Scaling) -> tuple[str, list[Object]]:
        """The scale's selector and the pods it selects, which no other autoscaler may scale as well."""
        text = str(objects.dig(look.scale, "status", "selector", default=""))
        if not text:
            self.recorder.event(look.hpa, "Warning", "SelectorRequired", "selector is required")
            why = "the HPA target's scale is missing a selector"
            look.condition("ScalingActive", "False", "InvalidSelector", why)
            raise CannotCompute("selector is required")
        try:
            selector = selectors.parse_labels(text)
        except selectors.SelectorError as error:
            why = f"couldn't convert selector into a corresponding internal selector object: {error}"
            raise self._refused(look, "InvalidSelector", why) from error
        with self._guard:
            self._selectors[look.key] = selector
            neighbours = {
                key: other
                for key, other in self._selectors.items()
                if objects.split_key(key)[0] == objects.namespace(look.hpa)
            }
        in_namespace = self._pods.by_index("namespace", objects.namespace(look.hpa))
        chosen = [pod for pod in in_namespace if selector.matches(objects.labels(pod))]
        scaling = _scaling(neighbours.items(), chosen)
        if len(scaling) > 1:
            why = f"pods by selector {text} are controlled by multiple HPAs: [{' '.join(scaling)}]"
            raise self._refused(look, "AmbiguousSelector", why)
        return str(selector), chosen

    def _refused(self, look: Scaling, reason: str, why: str) -> CannotCompute:
        self.recorder.event(look.hpa, "Warning", reason, why)
        look.condition("ScalingActive", "False", reason, why)
        return CannotCompute(why)

    def _rescale(self, look: Scaling, desired: int, reason: str) -> None:
        assert look.gvr is not None, "the target was found"
        scale = {**look.scale, "spec": {**look.scale.get("spec", {}), "replicas": desired}}
        try:
            self.client.update(look.gvr, scale, subresource="scale")
        except (errors.APIStatusError, OSError) as error:
            text = f"New size: {desired}; reason: {reason}; error: {error}"
            self.recorder.event(look.hpa, "Warning", "FailedRescale", text)
            why = f"the HPA controller was unable to update the target scale: {error}"
            look.condition("AbleToScale", "False", "FailedUpdateScale", why)
            look.tell(int(look.hpa["status"].get("desiredReplicas") or 0), rescaled=False)
            raise
        text = f"the HPA controller was able to update the target scale to {desired}"
        look.condition("AbleToScale", "True", "SucceededRescale", text)
        self.recorder.event(look.hpa, "Normal", "SuccessfulRescale", f"New size: {desired}; reason: {reason}")

    @staticmethod
    def _note_zero(look: Scaling, desired: int) -> None:
        if desired == 0 and look.least == 0 and _measures_from_outside(look.hpa["spec"]):
            text = "the HPA controller scaled the workload to zero"
            look.condition("ScaledToZero", "True", "ScaledToZero", text)
        else:
            text = "the HPA controller did not scale the workload to zero"
            look.condition("ScaledToZero", "False", "NotScaledToZero", text)


def _measures_from_outside(spec: Object) -> bool:
    """Whether a metric can be had while there are no pods."""
    return any(metric.get("type") in ("Object", "External") for metric in spec.get("metrics") or ())


def _tolerances(spec: Object, default: float) -> replicas.Tolerances:
    def of(direction: str) -> float:
        given = objects.dig(spec, "behavior", direction, "tolerance")
        return default if given is None else quantity.parse(given).nano / 10**9

    return replicas.Tolerances(of("scaleDown"), of("scaleUp"))


def _scaling(known: Iterable[tuple[str, selectors.LabelSelector]], chosen: Iterable[Object]) -> list[str]:
    """The keys of those whose selectors match any of the pods."""
    labels = [objects.labels(pod) for pod in chosen]
    return sorted(key for key, selector in known if any(selector.matches(one) for one in labels))


def _differs(old: Object, new: Object) -> bool:
    """Whether they say different things: nothing, zero and empty are the same."""

    def said(status: Object) -> dict[str, Any]:
        return {field: value for field, value in status.items() if value}

    return said(old) != said(new)
