"""StatefulSets: numbered pods with storage of their own, one at a time and in order.

Each turn goes through the ordinals from below, makes or replaces the first pod that is missing or has ended, and
stops at the first that is not yet ready (unless Parallel). Only when all is well are surplus pods deleted, from
above, and then pods of an old template, from above down to the partition. ``sets`` has the rules.
"""

import logging
from collections.abc import Sequence

from kubeshim.client import kinds
from kubeshim.control_plane.controller_manager import (
    adoption,
    controller,
    history,
    indexes,
    pod_control,
    pods,
    sets,
)
from kubeshim.machinery import errors, objects, selectors
from kubeshim.machinery.objects import Object

_log = logging.getLogger(__name__)


class StatefulSetController(controller.Controller):
    name = "statefulset"

    def register(self) -> None:
        self._history = history.History(self.client)
        self._sets = indexes.by_namespace(self.watch(kinds.STATEFUL_SETS))
        self._revisions = indexes.by_claim(self.informer(kinds.CONTROLLER_REVISIONS))
        self._revisions.add_handler(deleted=self._revision_deleted)
        self._claims = self.informer(kinds.PERSISTENT_VOLUME_CLAIMS)
        self._pods = indexes.by_claim(self.informer(kinds.PODS))
        self._pods.add_handler(added=self._pod_changed, updated=self._pod_updated, deleted=self._pod_changed)

    def _pod_updated(self, old: Object, new: Object) -> None:
        if objects.controller_of(old) != objects.controller_of(new):
            self._pod_changed(old)
        self._pod_changed(new)

    def _pod_changed(self, pod: Object) -> None:
        reference = objects.controller_of(pod)
        if reference is not None:
            owner = self._sets.get(f"{objects.namespace(pod)}/{reference['name']}")
            if reference["kind"] == "StatefulSet" and owner is not None and objects.uid(owner) == reference["uid"]:
                self.enqueue(owner)
            return
        for one in self._sets.by_index("namespace", objects.namespace(pod)):
            if sets.is_member(one, pod) and _selector(one).matches(objects.labels(pod)):
                self.enqueue(one)

    def _revision_deleted(self, revision: Object) -> None:
        """It may have been a namesake's, whose template, and so whose revision's name, was the same."""
        reference = objects.controller_of(revision)
        if reference is not None and reference["kind"] == "StatefulSet":
            self.queue.add(f"{objects.namespace(revision)}/{reference['name']}")

    def sync(self, key: str) -> float | None:
        stateful_set = self._sets.get(key)
        if stateful_set is None:
            return None
        selector = _selector(stateful_set)
        revision_claimer = adoption.Claimer(
            self.client, kinds.CONTROLLER_REVISIONS, stateful_set, kinds.STATEFUL_SETS, selector
        )
        found = revision_claimer.claim(indexes.claimable(self._revisions, stateful_set))
        self._wait_for_revisions(stateful_set, found)
        candidates = [
            pod
            for pod in indexes.claimable(self._pods, stateful_set)
            if sets.is_member(stateful_set, pod) or objects.controller_of(pod)
        ]
        claimer = adoption.Claimer(self.client, kinds.PODS, stateful_set, kinds.STATEFUL_SETS, selector)
        mine = [pod for pod in claimer.claim(candidates) if sets.is_member(stateful_set, pod)]
        update, every, collisions = self._history.current(stateful_set, found)
        current_name = objects.dig(stateful_set, "status", "currentRevision", default="")
        current = next((one for one in every if objects.name(one) == current_name), update)
        failure: Exception | None = None
        changed = mine
        if not objects.is_deleting(stateful_set):
            try:
                changed = self._step(stateful_set, mine, current, update)
            except (errors.APIStatusError, OSError) as error:
                failure = error
        now = self.clock.now()
        status = sets.status(stateful_set, changed, current, update, collisions, now)
        if status != (stateful_set.get("status") or {}):
            self.client.update(kinds.STATEFUL_SETS, {**stateful_set, "status": status}, subresource="status")
        used = {sets.revision_of(pod) for pod in mine} | {objects.name(current), objects.name(update)}
        limit = stateful_set["spec"].get("revisionHistoryLimit")
        self._history.truncate(every, used, 10 if limit is None else int(limit))
        if failure is not None:
            raise failure
        minimum = int(stateful_set["spec"].get("minReadySeconds") or 0)
        waits = [wait for pod in mine if (wait := pods.available_in(pod, minimum, now))]
        return min(waits) + 0.1 if waits else None

    def _step(self, stateful_set: Object, mine: Sequence[Object], current: Object, update: Object) -> list[Object]:
        """Does what may be done now; returns the pods as they are then."""
        by_number = {sets.ordinal(pod): pod for pod in mine}
        parallel, wanted = sets.is_parallel(stateful_set), sets.wanted(stateful_set)
        for number, pod in by_number.items():
            self._own_claims(stateful_set, number, pod)
        for number in wanted:
            there = by_number.get(number)
            if there is not None and pods.is_active(there):
                by_number[number] = there = self._identify(stateful_set, number, there)
            if there is None:
                self._wait_for_claims(stateful_set, number)
                revision = sets.template_for(stateful_set, number, current, update)
                by_number[number] = self._create(stateful_set, number, revision)
            elif pods.is_finished(there):
                self._replace(stateful_set, there)
            elif self._is_well(stateful_set, there):
                continue
            if not parallel:
                return list(by_number.values())
        surplus = sorted((number for number in by_number if number not in wanted), reverse=True)
        for number in surplus:
            pod = by_number[number]
            if not objects.is_deleting(pod):
                if not parallel and any(
                    not self._is_well(stateful_set, by_number[lower]) for lower in by_number if lower < number
                ):
                    break
                self._delete(stateful_set, pod)
            if not parallel:
                return list(by_number.values())
        if not surplus or parallel:
            self._roll(stateful_set, by_number, update)
        return list(by_number.values())

    def _identify(self, stateful_set: Object, number: int, pod: Object) -> Object:
        """Gives a pod that was adopted its labels, and one that cannot start for want of a claim that claim."""
        if pods.phase(pod) == "Pending":
            self._provide_claims(stateful_set, number)
        lacking = sets.missing_labels(pod)
        if not lacking:
            return pod
        name = f"Pod {objects.name(pod)} in StatefulSet {objects.name(stateful_set)}"
        labels = {**objects.labels(pod), **lacking}
        try:
            changed = self.client.update(kinds.PODS, {**pod, "metadata": {**pod["metadata"], "labels": labels}})
        except errors.NotFound:
            return pod
        except errors.Conflict:
            raise  # the cache is behind
        except errors.APIStatusError as error:
            text = f"update {name} failed error: {error}"
            self.recorder.event(stateful_set, "Warning", "FailedUpdate", text)
            raise
        self.recorder.event(stateful_set, "Normal", "SuccessfulUpdate", f"update {name} successful")
        return changed

    def _replace(self, stateful_set: Object, pod: Object) -> None:
        """A pod that ended is deleted; the next turn makes it anew."""
        if objects.is_deleting(pod):
            return
        subject = f"StatefulSet {objects.key(stateful_set)} is recreating"
        if pods.phase(pod) == "Failed":
            text = f"{subject} failed Pod {objects.name(pod)}"
            self.recorder.event(stateful_set, "Warning", "RecreatingFailedPod", text)
        else:
            text = f"{subject} terminated Pod {objects.name(pod)}"
            self.recorder.event(stateful_set, "Normal", "RecreatingTerminatedPod", text)
        self._delete(stateful_set, pod)

    def _own_claims(self, stateful_set: Object, number: int, pod: Object) -> None:
        """Makes the claims of a pod go, or stay, as the retention policy says."""
        for template in stateful_set["spec"].get("volumeClaimTemplates") or ():
            name = sets.claim_name(stateful_set, template, number)
            claim = self._claims.get(f"{objects.namespace(stateful_set)}/{name}")
            if claim is None:
                continue
            owners = sets.claim_owners(stateful_set, pod, claim, number)
            if owners != (claim["metadata"].get("ownerReferences") or []):
                changed = {**claim, "metadata": {**claim["metadata"], "ownerReferences": owners}}
                self.client.update(kinds.PERSISTENT_VOLUME_CLAIMS, changed)

    def _roll(self, stateful_set: Object, by_number: dict[int, Object], update: Object) -> None:
        """Replaces pods of an old template from above, as many at a time as may be unavailable."""
        if not sets.is_rolling(stateful_set):
            return
        lowest = sets.first(stateful_set) + sets.partition(stateful_set)
        most = sets.max_unavailable(stateful_set)
        unavailable = sum(
            not self._is_well(stateful_set, by_number[number])
            for number in sets.wanted(stateful_set)
            if number in by_number
        )
        for number in sorted(by_number, reverse=True):
            pod = by_number[number]
            if number < lowest:
                return
            if sets.revision_of(pod) != objects.name(update) and not objects.is_deleting(pod):
                well = self._is_well(stateful_set, pod)
                if well and unavailable >= most:
                    return
                self._delete(stateful_set, pod)
                unavailable += well
                if unavailable >= most:
                    return
            elif not self._is_well(stateful_set, pod) and unavailable >= most:
                return

    def _is_well(self, stateful_set: Object, pod: Object) -> bool:
        minimum = int(stateful_set["spec"].get("minReadySeconds") or 0)
        return not objects.is_deleting(pod) and pods.is_available(pod, minimum, self.clock.now())

    def _create(self, stateful_set: Object, number: int, revision: Object) -> Object:
        self._provide_claims(stateful_set, number)
        wanted = sets.build(stateful_set, number, revision)
        name = objects.name(stateful_set)
        try:
            made = self.client.create(kinds.PODS, wanted)
        except errors.AlreadyExists:
            raise  # the cache is behind, or somebody else's pod has the name: look again later
        except (errors.APIStatusError, OSError) as error:
            text = f"create Pod {objects.name(wanted)} in StatefulSet {name} failed error: {error}"
            if not pod_control.namespace_is_going(error):
                self.recorder.event(stateful_set, "Warning", "FailedCreate", text)
            raise
        text = f"create Pod {objects.name(wanted)} in StatefulSet {name} successful"
        self.recorder.event(stateful_set, "Normal", "SuccessfulCreate", text)
        return made

    def _wait_for_revisions(self, stateful_set: Object, found: Sequence[Object]) -> None:
        """Raises ``Conflict`` as long as the cache lacks a revision that the status names: two watches are not in step.

        Without it a template that changed meanwhile would be taken for the one that all pods have.
        """
        status = stateful_set.get("status") or {}
        named = {str(status.get(field) or "") for field in ("currentRevision", "updateRevision")}
        for name in named - {""} - {objects.name(one) for one in found}:
            try:
                live = self.client.get(kinds.CONTROLLER_REVISIONS, name, objects.namespace(stateful_set))
            except errors.NotFound:
                continue
            if (objects.controller_of(live) or {}).get("uid") == objects.uid(stateful_set):
                raise errors.Conflict(f"the cache has not shown the revision {name} yet")

    def _wait_for_claims(self, stateful_set: Object, number: int) -> None:
        """Raises ``Conflict`` as long as a claim is there that goes with the number's former pod."""
        for wanted in sets.claims(stateful_set, number):
            claim = self._claims.get(objects.key(wanted))
            if claim is not None and sets.is_stale(stateful_set, claim, number):
                raise errors.Conflict(f"claim {objects.key(claim)} still belongs to the former pod")

    def _provide_claims(self, stateful_set: Object, number: int) -> None:
        for claim in sets.claims(stateful_set, number):
            owners = sets.claim_owners(stateful_set, None, claim, number)
            if owners:
                claim["metadata"]["ownerReferences"] = owners
            self._create_claim(stateful_set, claim, number)

    def _create_claim(self, stateful_set: Object, claim: Object, number: int) -> None:
        if self._claims.get(objects.key(claim)) is not None:
            return
        pod, name = f"{objects.name(stateful_set)}-{number}", objects.name(stateful_set)
        subject = f"create Claim {objects.name(claim)} Pod {pod} in StatefulSet {name}"
        try:
            self.client.create(kinds.PERSISTENT_VOLUME_CLAIMS, claim)
        except errors.AlreadyExists:
            return
        except errors.APIStatusError as error:
            self.recorder.event(stateful_set, "Warning", "FailedCreate", f"{subject} failed error: {error}")
            raise
        self.recorder.event(stateful_set, "Normal", "SuccessfulCreate", f"{subject} success")

    def _delete(self, stateful_set: Object, pod: Object) -> None:
        name = objects.name(stateful_set)
        options = {"preconditions": {"uid": objects.uid(pod)}}
        try:
            self.client.delete(kinds.PODS, objects.name(pod), objects.namespace(pod), options=options)
        except errors.NotFound:
            return
        except errors.Conflict:
            raise  # another pod has the name by now
        except errors.APIStatusError as error:
            text = f"delete Pod {objects.name(pod)} in StatefulSet {name} failed error: {error}"
            self.recorder.event(stateful_set, "Warning", "FailedDelete", text)
            raise
        text = f"delete Pod {objects.name(pod)} in StatefulSet {name} successful"
        self.recorder.event(stateful_set, "Normal", "SuccessfulDelete", text)


def _selector(stateful_set: Object) -> selectors.LabelSelector:
    return selectors.from_label_selector(stateful_set["spec"].get("selector"))
