"""What a deployment does next."""

import pytest

from kubeshim.control_plane.controller_manager import revisions, rollout


def deployment(replicas, surge="25%", unavailable="25%", **spec):
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}
    return {"metadata": {"name": "d"}, "spec": {"replicas": replicas, "strategy": strategy, **spec}}


def replica_set(name, replicas, available=None, maximum=None, created="1", revision="1"):
    annotations = {revisions.REVISION: revision}
    if maximum is not None:
        annotations[revisions.MAXIMUM] = str(maximum)
    return {
        "metadata": {"name": name, "uid": name, "creationTimestamp": created, "annotations": annotations},
        "spec": {"replicas": replicas},
        "status": {"availableReplicas": replicas if available is None else available},
    }


@pytest.mark.parametrize(
    ("replicas", "surge", "unavailable", "limits"),
    [
        (4, "25%", "25%", (1, 1)),
        (3, "25%", "25%", (1, 0)),
        (10, 0, "25%", (0, 2)),
        (1, 0, "25%", (0, 1)),
        (5, "100%", 9, (5, 5)),
        (0, "25%", "25%", (0, 0)),
    ],
)
def test_limits(replicas, surge, unavailable, limits):
    found = rollout.limits(deployment(replicas, surge, unavailable))
    assert (found.surge, found.unavailable) == limits


@pytest.mark.parametrize(("old", "new", "size"), [(3, 0, 1), (3, 1, 1), (2, 1, 2), (0, 3, 3), (0, 5, 3), (0, 0, 3)])
def test_the_new_set_grows_as_the_surge_allows_and_shrinks_at_once(old, new, size):
    sets = [replica_set("old", old), replica_set("new", new)]
    assert rollout.next_size_of_new(deployment(3), sets, sets[1]) == size


@pytest.mark.parametrize(
    ("old", "old_available", "new", "new_available", "left"),
    [
        (3, 3, 1, 0, None),  # the new pod must be available first
        (3, 3, 1, 1, 2),
        (3, 1, 1, 1, 2),  # a sick pod goes, a healthy one is still needed
        (3, 0, 0, 0, None),
    ],
)
def test_old_sets_shrink_as_far_as_enough_stay_available(old, old_available, new, new_available, left):
    sets = [replica_set("old", old, old_available), replica_set("new", new, new_available)]
    assert rollout.shrink_old(deployment(3), sets, sets[:1], sets[1]) == ({} if left is None else {"old": left})


def test_scaling_in_the_middle_of_a_rollout_shares_by_size():
    sets = [replica_set("old", 8, maximum=13, created="1"), replica_set("new", 5, maximum=13, created="2")]
    assert rollout.proportional(deployment(20, surge=3), sets) == {"old": 14, "new": 9}
    assert sum(rollout.proportional(deployment(5, surge=3), sets).values()) == 8
    assert rollout.proportional(deployment(0), sets) == {"old": 0, "new": 0}


def test_history_is_cut_from_the_lowest_revision_and_only_where_nothing_is_left():
    def empty(name, revision, replicas=0):
        one = replica_set(name, replicas, revision=revision)
        return {**one, "status": {"replicas": replicas, "observedGeneration": 1}}

    old = [empty("c", "3"), empty("a", "1"), empty("b", "2", replicas=1)]
    assert [one["metadata"]["name"] for one in rollout.to_clean_up(deployment(1, revisionHistoryLimit=1), old)] == ["a"]
    assert rollout.to_clean_up(deployment(1), old) == []


def template(image="a", **metadata):
    return {"metadata": {"labels": {"app": "x"}, **metadata}, "spec": {"containers": [{"name": "c", "image": image}]}}


def test_hash_is_stable_safe_and_changes_with_template_and_collisions():
    found = revisions.template_hash(template())
    assert found == revisions.template_hash(template(creationTimestamp=None)) and len(found) == 10
    assert set(found) <= set("bcdfghjklmnpqrstvwxz2456789")
    assert len({found, revisions.template_hash(template("b")), revisions.template_hash(template(), 1)}) == 3


def test_templates_equal_but_for_the_hash_label():
    labelled = template(labels={"app": "x", revisions.HASH_LABEL: "h"})
    assert revisions.equal_templates(labelled, template())
    assert not revisions.equal_templates(template("b"), template())


def test_revisions_move_on_and_keep_their_history():
    owner = {"metadata": {"annotations": {"note": "n", "kubectl.kubernetes.io/last-applied-configuration": "{}"}}}
    first = revisions.annotations_of_new(owner, {}, 1)
    assert first == {"note": "n", revisions.REVISION: "1"}
    again = revisions.annotations_of_new(owner, first, 3)
    assert again == {"note": "n", revisions.REVISION: "3", revisions.REVISION_HISTORY: "1"}
