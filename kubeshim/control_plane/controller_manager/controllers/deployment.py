"""Deployments: rollouts from one ReplicaSet to the next, scaling, pausing, history.

One turn: claim ReplicaSets; then, by what the deployment asks, only tell the status (it is being deleted), only
scale (it is paused, or its size changed), or take one step of the rollout. Steps are small: every change of a
ReplicaSet's status brings us back here, so nothing waits in a thread. No turn begins before the cache shows the
ReplicaSet we made last (``own_writes``): by a template that changed once more the next one would be made as if it were
not there, with its number and in its room.
"""

import dataclasses
import logging
from collections.abc import Sequence

from kubeshim.client import kinds
from kubeshim.control_plane.controller_manager import (
    adoption,
    conditions,
    controller,
    indexes,
    own_writes,
    pod_control,
    pods,
    revisions,
    rollout,
    rollout_status,
)
from kubeshim.machinery import errors, objects, selectors
from kubeshim.machinery.objects import Object

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class Sets:
    """A deployment's ReplicaSets. ``old`` are all but ``new``, those without pods included."""

    new: Object | None
    old: tuple[Object, ...]

    @property
    def all(self) -> list[Object]:
        return [*self.old, self.new] if self.new is not None else list(self.old)

    def with_changed(self, changed: Object) -> "Sets":
        """With one of the sets as it is after a write."""
        if self.new is not None and objects.uid(self.new) == objects.uid(changed):
            return Sets(changed, self.old)
        return Sets(self.new, tuple(changed if objects.uid(one) == objects.uid(changed) else one for one in self.old))


class DeploymentController(controller.Controller):
    name = "deployment"
    workers = 5

    def register(self) -> None:
        self._deployments = indexes.by_namespace(self.watch(kinds.DEPLOYMENTS))
        self._deployments.add_handler(deleted=lambda gone: self._writes.forget(objects.uid(gone)))
        self._sets = indexes.by_claim(self.informer(kinds.REPLICA_SETS))
        self._pods = indexes.by_controller(self.informer(kinds.PODS))
        self._writes = own_writes.Writes(self.clock)
        self._sets.add_handler(added=self._set_changed, updated=self._set_updated, deleted=self._set_deleted)
        self._pods.add_handler(deleted=self._pod_deleted)

    def _set_updated(self, old: Object, new: Object) -> None:
        before, now = objects.controller_of(old), objects.controller_of(new)
        if before != now and before is not None:
            self._enqueue_owner(old)
        self._set_changed(new)

    def _set_deleted(self, replica_set: Object) -> None:
        if (owner := objects.controller_of(replica_set)) is not None:
            self._writes.gone(owner["uid"], replica_set)
        self._set_changed(replica_set)

    def _set_changed(self, replica_set: Object) -> None:
        if (owner := objects.controller_of(replica_set)) is not None:
            self._writes.shown(owner["uid"], replica_set)
            self._enqueue_owner(replica_set)
            return
        for deployment in self._deployments.by_index("namespace", objects.namespace(replica_set)):
            if _selector(deployment).matches(objects.labels(replica_set)):
                self.enqueue(deployment)

    def _enqueue_owner(self, replica_set: Object) -> Object | None:
        reference = objects.controller_of(replica_set)
        if reference is None or reference["kind"] != "Deployment":
            return None
        deployment = self._deployments.get(f"{objects.namespace(replica_set)}/{reference['name']}")
        if deployment is None or objects.uid(deployment) != reference["uid"]:
            return None
        self.enqueue(deployment)
        return deployment

    def _pod_deleted(self, pod: Object) -> None:
        """Recreate waits until the last old pod is gone, which no ReplicaSet's status tells."""
        reference = objects.controller_of(pod)
        if reference is not None and reference["kind"] == "ReplicaSet":
            owner = self._sets.get(f"{objects.namespace(pod)}/{reference['name']}")
            if owner is not None:
                self._enqueue_owner(owner)

    def sync(self, key: str) -> float | None:
        deployment = self._deployments.get(key)
        if deployment is None:
            return None
        if self._writes.behind(objects.uid(deployment)):
            raise errors.Conflict("the cache has not shown the ReplicaSet we made yet")
        selector = _selector(deployment)
        if selector.empty:
            text = "This deployment is selecting all pods. A non-empty selector is required."
            self.recorder.event(deployment, "Warning", "SelectingAll", text)
            return None
        claimer = adoption.Claimer(self.client, kinds.REPLICA_SETS, deployment, kinds.DEPLOYMENTS, selector)
        owned = claimer.claim(indexes.claimable(self._sets, deployment))
        if objects.is_deleting(deployment):
            return self._tell(deployment, _split(deployment, owned), progress=False)
        deployment = self._note_pause(deployment)
        if deployment["spec"].get("paused"):
            return self._scale_only(deployment, owned)
        if any(rollout.replicas(one) and revisions.desired_of(one) != rollout.replicas(deployment) for one in owned):
            return self._scale_only(deployment, owned)
        if rollout.is_rolling(deployment):
            return self._roll(deployment, owned)
        return self._recreate(deployment, owned)

    # the three ways a turn can go

    def _scale_only(self, deployment: Object, owned: Sequence[Object]) -> float | None:
        deployment, sets = self._find_sets(deployment, owned, create=False)
        sets = self._scale(deployment, sets)
        if deployment["spec"].get("paused"):
            self._clean_up(deployment, sets)
        return self._tell(deployment, sets, progress=False)

    def _roll(self, deployment: Object, owned: Sequence[Object]) -> float | None:
        deployment, sets = self._find_sets(deployment, owned, create=True)
        assert sets.new is not None
        size = rollout.next_size_of_new(deployment, sets.all, sets.new)
        if size != rollout.replicas(sets.new):
            return self._tell(deployment, sets.with_changed(self._resize(deployment, sets.new, size)))
        shrunk = rollout.shrink_old(deployment, sets.all, sets.old, sets.new)
        if shrunk:
            for one in sets.old:
                if objects.name(one) in shrunk:
                    sets = sets.with_changed(self._resize(deployment, one, shrunk[objects.name(one)]))
            return self._tell(deployment, sets)
        if rollout.is_complete(deployment, deployment.get("status") or {}):
            self._clean_up(deployment, sets)
        return self._tell(deployment, sets)

    def _recreate(self, deployment: Object, owned: Sequence[Object]) -> float | None:
        deployment, sets = self._find_sets(deployment, owned, create=False)
        shrinking = [one for one in sets.old if rollout.replicas(one)]
        for one in shrinking:
            sets = sets.with_changed(self._resize(deployment, one, 0))
        if shrinking or self._old_pods_remain(sets):
            return self._tell(deployment, sets)
        deployment, sets = self._find_sets(deployment, owned, create=True)
        assert sets.new is not None
        if rollout.replicas(sets.new) != rollout.replicas(deployment):
            sets = sets.with_changed(self._resize(deployment, sets.new, rollout.replicas(deployment)))
        if rollout.is_complete(deployment, deployment.get("status") or {}):
            self._clean_up(deployment, sets)
        return self._tell(deployment, sets)

    def _old_pods_remain(self, sets: Sets) -> bool:
        """Also where their own controllers have not heard yet that there shall be none, and may be making some."""
        return any(map(_may_grow, sets.old)) or any(
            not pods.is_finished(pod) for one in sets.old for pod in self._pods.by_index("controller", objects.uid(one))
        )

    # steps

    def _find_sets(self, deployment: Object, owned: Sequence[Object], *, create: bool) -> tuple[Object, Sets]:
        """Finds the new set and brings its annotations up to date; makes it if asked to."""
        sets = _split(deployment, owned)
        number = max((revisions.revision(one) for one in sets.old), default=0) + 1
        new = sets.new
        if new is None and not create:
            return deployment, sets
        if new is None:
            deployment, new = self._create_set(deployment, sets, number)
        else:
            new = self._refresh(deployment, new, number)
            current = conditions.find((deployment.get("status") or {}).get("conditions"), "Progressing")
            if create and rollout_status.has_deadline(deployment) and current is None:
                text = f'Found new replica set "{objects.name(new)}"'
                deployment = self._note(deployment, "True", "FoundNewReplicaSet", text)
        deployment = self._note_revision(deployment, revisions.revision(new))
        return deployment, Sets(new, sets.old)

    def _refresh(self, deployment: Object, new: Object, number: int) -> Object:
        annotations = revisions.annotations_of_new(deployment, objects.annotations(new), number)
        minimum = int(deployment["spec"].get("minReadySeconds") or 0)
        if annotations == objects.annotations(new) and minimum == int(new["spec"].get("minReadySeconds") or 0):
            return new
        spec = {**new["spec"], "minReadySeconds": minimum}
        metadata = {**new["metadata"], "annotations": annotations}
        return self.client.update(kinds.REPLICA_SETS, {**new, "metadata": metadata, "spec": spec})

    def _create_set(self, deployment: Object, sets: Sets, number: int) -> tuple[Object, Object]:
        collisions = objects.dig(deployment, "status", "collisionCount")
        hash_text = revisions.template_hash(deployment["spec"]["template"], collisions)
        size = rollout.size_of_new(deployment, sets.old, None)
        most = rollout.replicas(deployment) + rollout.limits(deployment).surge
        annotations = revisions.annotations_of_new(deployment, {}, number)
        annotations = revisions.with_sizes(annotations, rollout.replicas(deployment), most)
        wanted = revisions.build(deployment, hash_text, size, annotations)
        existed = False
        try:
            made = self.client.create(kinds.REPLICA_SETS, wanted)
        except errors.AlreadyExists:
            made, existed = self._resolve_collision(deployment, wanted), True
        except errors.APIStatusError as error:
            if not pod_control.namespace_is_going(error):
                text = f'Failed to create new replica set "{objects.name(wanted)}": {error}'
                if rollout_status.has_deadline(deployment):
                    self._note(deployment, "False", "ReplicaSetCreateError", text)
                self.recorder.event(deployment, "Warning", "ReplicaSetCreateError", text)
            raise
        self._writes.wrote(objects.uid(deployment), made, lambda: self._sets.get(objects.key(made)))
        if not existed and size > 0:
            text = f"Scaled up replica set {objects.name(made)} from 0 to {size}"
            self.recorder.event(deployment, "Normal", "ScalingReplicaSet", text)
        if not existed and rollout_status.has_deadline(deployment):
            text = f'Created new replica set "{objects.name(made)}"'
            deployment = self._note(deployment, "True", "NewReplicaSetCreated", text)
        return deployment, made

    def _resolve_collision(self, deployment: Object, wanted: Object) -> Object:
        """The set of that name if it is really ours (the cache was behind); else counts a collision and retries."""
        there = self.client.get(kinds.REPLICA_SETS, objects.name(wanted), objects.namespace(wanted))
        ours = (objects.controller_of(there) or {}).get("uid") == objects.uid(deployment)
        if ours and revisions.equal_templates(there["spec"]["template"], deployment["spec"]["template"]):
            return there
        status = dict(deployment.get("status") or {})
        status["collisionCount"] = int(status.get("collisionCount") or 0) + 1
        self.client.update(kinds.DEPLOYMENTS, {**deployment, "status": status}, subresource="status")
        raise errors.Conflict(f"hash collision for {objects.name(wanted)}")

    def _scale(self, deployment: Object, sets: Sets) -> Sets:
        active = [one for one in sets.all if rollout.replicas(one)]
        if len(active) <= 1:
            single = active[0] if active else _latest(sets)
            if single is None:
                return sets
            return self._scaled(deployment, sets, single, rollout.replicas(deployment))
        if rollout.is_saturated(deployment, sets.new):
            for one in sets.old:
                if rollout.replicas(one):
                    sets = self._scaled(deployment, sets, one, 0)
            return sets
        if rollout.is_rolling(deployment):
            sizes = rollout.proportional(deployment, active)
            for one in active:
                sets = self._scaled(deployment, sets, one, sizes[objects.name(one)])
        return sets

    def _scaled(self, deployment: Object, sets: Sets, one: Object, size: int) -> Sets:
        return sets.with_changed(self._resize(deployment, one, size))

    def _resize(self, deployment: Object, one: Object, size: int) -> Object:
        """Writes size and the sizes' annotations if they differ, and tells of the scaling."""
        before = rollout.replicas(one)
        wanted = rollout.replicas(deployment)
        annotations = revisions.with_sizes(objects.annotations(one), wanted, wanted + rollout.limits(deployment).surge)
        if before == size and annotations == objects.annotations(one):
            return one
        changed = {
            **one,
            "metadata": {**one["metadata"], "annotations": annotations},
            "spec": {**one["spec"], "replicas": size},
        }
        written = self.client.update(kinds.REPLICA_SETS, changed)
        if before != size:
            direction = "up" if size > before else "down"
            text = f"Scaled {direction} replica set {objects.name(one)} from {before} to {size}"
            self.recorder.event(deployment, "Normal", "ScalingReplicaSet", text)
        return written

    def _clean_up(self, deployment: Object, sets: Sets) -> None:
        for one in rollout.to_clean_up(deployment, sets.old):
            try:
                self.client.delete(kinds.REPLICA_SETS, objects.name(one), objects.namespace(one))
            except errors.NotFound:
                _log.debug("%s is gone already", objects.key(one))

    # what is written into the deployment itself

    def _note_pause(self, deployment: Object) -> Object:
        if not rollout_status.has_deadline(deployment):
            return deployment
        current = conditions.find((deployment.get("status") or {}).get("conditions"), "Progressing")
        if current is not None and current.get("reason") == "ProgressDeadlineExceeded":
            return deployment
        was_paused = current is not None and current.get("reason") == "DeploymentPaused"
        if deployment["spec"].get("paused") and not was_paused:
            return self._note(deployment, "Unknown", "DeploymentPaused", "Deployment is paused")
        if not deployment["spec"].get("paused") and was_paused:
            return self._note(deployment, "Unknown", "DeploymentResumed", "Deployment is resumed")
        return deployment

    def _note(self, deployment: Object, value: str, reason: str, message: str) -> Object:
        """Writes ``Progressing`` at once, where it must be seen even if the turn ends early."""
        status = dict(deployment.get("status") or {})
        rollout_status.put(status, "Progressing", value, reason, message, self.clock.now())
        if status == (deployment.get("status") or {}):
            return deployment
        return self.client.update(kinds.DEPLOYMENTS, {**deployment, "status": status}, subresource="status")

    def _note_revision(self, deployment: Object, number: int) -> Object:
        if objects.annotations(deployment).get(revisions.REVISION) == str(number):
            return deployment
        annotations = {**objects.annotations(deployment), revisions.REVISION: str(number)}
        changed = {**deployment, "metadata": {**deployment["metadata"], "annotations": annotations}}
        # At the door of the status: at the other one annotations count as a new generation.
        return self.client.update(kinds.DEPLOYMENTS, changed, subresource="status")

    def _tell(self, deployment: Object, sets: Sets, *, progress: bool = True) -> float | None:
        """Writes the status; returns when to look for a missed deadline."""
        now = self.clock.now()
        status = rollout_status.counts(deployment, sets.all, sets.new, now)
        if progress:
            rollout_status.progress(deployment, status, sets.all, sets.new, now)
        if status != (deployment.get("status") or {}):
            self.client.update(kinds.DEPLOYMENTS, {**deployment, "status": status}, subresource="status")
        return rollout_status.look_again_in(deployment, status, now) if progress else None


def _selector(deployment: Object) -> selectors.LabelSelector:
    return selectors.from_label_selector(deployment["spec"].get("selector"))


def _split(deployment: Object, owned: Sequence[Object]) -> Sets:
    new = revisions.new_replica_set(deployment, owned)
    return Sets(new, tuple(one for one in sorted(owned, key=revisions.created) if one is not new))


def _may_grow(replica_set: Object) -> bool:
    status = replica_set.get("status") or {}
    seen = int(status.get("observedGeneration") or 0)
    return bool(status.get("replicas")) or seen < int(replica_set["metadata"].get("generation") or 0)


def _latest(sets: Sets) -> Object | None:
    if sets.new is not None:
        return sets.new
    return sets.old[-1] if sets.old else None
