"""How many pods each ReplicaSet of a deployment shall have next.

Pure arithmetic over plain objects; ``controllers/deployment`` carries it out. During a rolling update never
more than ``replicas + maxSurge`` pods exist and never fewer than ``replicas - maxUnavailable`` are available.
Percentages round up for the surge and down for the unavailable; if both come to 0, one may be unavailable.
"""

import dataclasses
import math
from collections.abc import Sequence

from kubeshim.control_plane.controller_manager import revisions
from kubeshim.machinery import objects
from kubeshim.machinery.objects import Object


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    surge: int
    unavailable: int


def replicas(obj: Object) -> int:
    """``spec.replicas``, 1 where it is not set."""
    number = obj["spec"].get("replicas")
    return 1 if number is None else int(number)


def is_rolling(deployment: Object) -> bool:
    return str(objects.dig(deployment, "spec", "strategy", "type", default="RollingUpdate")) == "RollingUpdate"


def limits(deployment: Object) -> Limits:
    total = replicas(deployment)
    if not is_rolling(deployment) or total == 0:
        return Limits(0, 0)
    parameters = objects.dig(deployment, "spec", "strategy", "rollingUpdate", default={})
    surge = scaled(parameters.get("maxSurge", "25%"), total, up=True)
    unavailable = scaled(parameters.get("maxUnavailable", "25%"), total, up=False)
    if surge == 0 and unavailable == 0:
        unavailable = 1
    return Limits(surge, min(unavailable, total))


def scaled(value: int | str, total: int, *, up: bool) -> int:
    """An int, or a percentage of ``total``."""
    if isinstance(value, str):
        share = int(value.removesuffix("%")) * total / 100
        return math.ceil(share) if up else math.floor(share)
    return int(value)


def total(sets: Sequence[Object]) -> int:
    return sum(replicas(one) for one in sets)


def status_total(sets: Sequence[Object], field: str) -> int:
    return sum(int(objects.dig(one, "status", field, default=0)) for one in sets)


def size_of_new(deployment: Object, owned: Sequence[Object], new: Object | None) -> int:
    """The new set's size next: as many as the surge lets it grow (Recreate: all)."""
    if not is_rolling(deployment):
        return replicas(deployment)
    present = replicas(new) if new is not None else 0
    room = replicas(deployment) + limits(deployment).surge - total(owned)
    if room <= 0:
        return present
    return present + min(room, replicas(deployment) - present)


def next_size_of_new(deployment: Object, owned: Sequence[Object], new: Object) -> int:
    """In a rolling update: shrinks at once to what is wanted, grows as the surge allows."""
    wanted = replicas(deployment)
    return wanted if replicas(new) >= wanted else size_of_new(deployment, owned, new)


def shrink_old(deployment: Object, owned: Sequence[Object], old: Sequence[Object], new: Object) -> dict[str, int]:
    """New sizes, by name, of the old sets that may shrink now.

    First goes what is not available anyway, oldest set first, as far as the new set's own unavailable pods
    leave room; then available pods, as long as enough stay.
    """
    if total(old) == 0:
        return {}
    bound = limits(deployment)
    least = replicas(deployment) - bound.unavailable
    new_unavailable = replicas(new) - int(objects.dig(new, "status", "availableReplicas", default=0))
    may_go = total(owned) - least - new_unavailable
    if may_go <= 0:
        return {}
    sizes = {objects.name(one): replicas(one) for one in old}
    freed = 0
    for one in sorted(old, key=revisions.created):
        name, available = objects.name(one), int(objects.dig(one, "status", "availableReplicas", default=0))
        sick = min(may_go - freed, sizes[name] - available)
        if sizes[name] and sick > 0 and freed < may_go:
            sizes[name] -= sick
            freed += sick
    may_go = status_total(owned, "availableReplicas") - least
    for one in sorted(old, key=revisions.created):
        if may_go <= 0:
            break
        name = objects.name(one)
        take = min(sizes[name], may_go)
        sizes[name] -= take
        may_go -= take
    return {objects.name(one): sizes[objects.name(one)] for one in old if sizes[objects.name(one)] != replicas(one)}


def proportional(deployment: Object, active: Sequence[Object]) -> dict[str, int]:
    """Sizes, by name, when the deployment was scaled while several sets have pods: each gets its share.

    Larger sets first, then newer (when growing) or older (when shrinking); what rounding leaves goes to the first.
    """
    allowed = replicas(deployment) + limits(deployment).surge if replicas(deployment) > 0 else 0
    to_add = allowed - total(active)
    ordered = sorted(active, key=revisions.created, reverse=to_add > 0)
    ordered.sort(key=replicas, reverse=True)
    sizes = {objects.name(one): replicas(one) for one in active}
    added = 0
    for one in ordered:
        if to_add != 0:
            share = _share(one, deployment, allowed, to_add, added)
            sizes[objects.name(one)] = max(0, replicas(one) + share)
            added += share
    if ordered and to_add != added:
        first = objects.name(ordered[0])
        sizes[first] = max(0, sizes[first] + to_add - added)
    return sizes


def _share(one: Object, deployment: Object, allowed: int, to_add: int, added: int) -> int:
    left = to_add - added
    if replicas(one) == 0 or to_add == 0 or left == 0:
        return 0
    if replicas(deployment) == 0:
        fraction = -replicas(one)
    else:
        before = revisions.maximum_of(one) or int(objects.dig(deployment, "status", "replicas", default=0)) or allowed
        fraction = _round(replicas(one) * allowed / before) - replicas(one)
    return min(fraction, left) if to_add > 0 else max(fraction, left)


def _round(number: float) -> int:
    """Halves away from zero."""
    return int(math.floor(abs(number) + 0.5) * (1 if number >= 0 else -1))


def is_saturated(deployment: Object, new: Object | None) -> bool:
    """Whether the new set has all pods of the deployment, available, and was told so."""
    if new is None:
        return False
    wanted = replicas(deployment)
    return (
        replicas(new) == wanted
        and revisions.desired_of(new) == wanted
        and int(objects.dig(new, "status", "availableReplicas", default=0)) == wanted
    )


def is_complete(deployment: Object, status: Object) -> bool:
    """Whether the rollout is over: all pods are new and available, and none are left of the old."""
    wanted = replicas(deployment)
    return bool(
        status.get("updatedReplicas", 0) == wanted
        and status.get("replicas", 0) == wanted
        and status.get("availableReplicas", 0) == wanted
        and status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
    )


def is_progressing(deployment: Object, status: Object) -> bool:
    """Whether ``status`` is further on than what the deployment has."""
    old = deployment.get("status") or {}

    def of_old(one: Object) -> int:
        return int(one.get("replicas") or 0) - int(one.get("updatedReplicas") or 0)

    return (
        int(status.get("updatedReplicas") or 0) > int(old.get("updatedReplicas") or 0)
        or of_old(status) < of_old(old)
        or int(status.get("readyReplicas") or 0) > int(old.get("readyReplicas") or 0)
        or int(status.get("availableReplicas") or 0) > int(old.get("availableReplicas") or 0)
    )


def to_clean_up(deployment: Object, old: Sequence[Object]) -> list[Object]:
    """Old sets beyond ``revisionHistoryLimit``, lowest revisions first; only those with nothing left in them."""
    limit = deployment["spec"].get("revisionHistoryLimit")
    if limit is None or limit >= 2**31 - 1:
        return []
    alive = [one for one in old if not objects.is_deleting(one)]
    surplus = len(alive) - int(limit)
    chosen = sorted(alive, key=lambda one: (revisions.revision(one), revisions.created(one)))[: max(0, surplus)]
    return [
        one
        for one in chosen
        if not int(objects.dig(one, "status", "replicas", default=0))
        and not replicas(one)
        and one["metadata"].get("generation", 0) <= objects.dig(one, "status", "observedGeneration", default=0)
    ]
