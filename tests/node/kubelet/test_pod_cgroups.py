"""A pod's cgroup goes before the pod does, whoever removed its sandbox and however long somebody is still in it."""

import functools

import kubelet_kit as kit_module

from kubeshim.node.container_runtime import cgroups


def run(kit):
    """The UID of a pod that runs and whose deletion is asked for."""
    kit.start()
    uid = kit.create(kit_module.pod("a", kit.settings.node_name))["metadata"]["uid"]
    kit.wait("a", kit_module.ready)
    assert any(name.endswith(f"/pod{uid}") for name in kit.engine.cgroups)
    return uid


def test_it_is_taken_away_where_an_earlier_process_removed_the_sandbox_alone(kit):
    """It was killed in between, and the API had the pod when the next one looked for what belongs to none."""
    uid = run(kit)
    for sandbox in kit.engine.sandboxes({}):
        kit.engine.stop_sandbox(sandbox.id)
    kit.delete("a")
    kit.wait("a", lambda pod: pod is None)
    assert not any(uid in name for name in kit.engine.cgroups)


def test_the_pod_stays_until_nobody_is_in_it(kit):
    uid, asked = run(kit), []
    remove = kit.engine.remove_cgroup

    def busy(parent):
        if uid not in parent or parent not in kit.engine.cgroups:
            return True
        asked.append(kit.api.collections["v1", "pods"].get(("default", "a")) is not None)
        return len(asked) > 2 and remove(parent)

    kit.engine.remove_cgroup = busy
    kit.delete("a")
    kit.wait("a", lambda pod: pod is None)
    assert asked == [True] * 3
    assert not any(uid in name for name in kit.engine.cgroups)


def test_a_cgroup_is_gone_once_it_is_from_every_hierarchy(tmp_path):
    for hierarchy in ("cpu", "memory"):
        (tmp_path / hierarchy / "kubeshim" / "podu").mkdir(parents=True)
    inside = tmp_path / "memory" / "kubeshim" / "podu" / "container"
    inside.mkdir()
    remove = functools.partial(cgroups.remove, "/kubeshim/podu", "cgroupfs", 1, str(tmp_path))
    assert not remove(ancestors=True)
    assert not (tmp_path / "cpu" / "kubeshim").exists() and inside.exists()
    inside.rmdir()
    (tmp_path / "memory" / "kubeshim" / "another").mkdir()
    assert remove(ancestors=True), "an ancestor that others use is no matter"
    assert remove() and not inside.parent.exists()
