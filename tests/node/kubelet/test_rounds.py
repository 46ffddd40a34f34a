"""Two things at once in one kubelet: pods that come together, a pod that changes while its round is under way, a node
that changes while its network is made, what cannot be had at the moment it is wanted."""

import contextlib
import dataclasses
import os
import threading
import types

import kubelet_kit as kit_module
import pytest

from kubeshim.client import informer
from kubeshim.machinery import errors
from kubeshim.node.container_runtime import fake, runtime
from kubeshim.node.kubelet import handlers, kubelet, network, pod_resize, pod_sync, shutdown_manager, termination
from tests import fake_api


@pytest.fixture
def kit(tmp_path):
    made = kit_module.make(tmp_path, system_reserved={"cpu": f"{(os.cpu_count() or 1) - 1}"})
    yield made
    made.close()


def pod(kit, name, amount, **fields):
    container = {"resources": {"requests": {"cpu": amount}}, **fields}
    return kit.create(kit_module.pod(name, kit.settings.node_name, container))


def resized(amount):
    def change(found):
        [container] = found["spec"]["containers"]
        metadata = {**found["metadata"], "generation": found["metadata"]["generation"] + 1}
        containers = [{**container, "resources": {"requests": {"cpu": amount}}}]
        return {**found, "metadata": metadata, "spec": {**found["spec"], "containers": containers}}

    return change


def shown(status):
    """What the status says of the one container's resources."""
    return status["containerStatuses"][0]["resources"]["requests"]["cpu"]


def statuses(kit, name):
    """All that the API had, in order."""
    states = [each for _, _, _, each in kit.api.history if each["metadata"]["name"] == name]
    return [each["status"] for each in states if "status" in each]


def conditions(status):
    return {entry["type"] for entry in status["conditions"]}


def test_of_two_pods_that_come_together_one_is_refused_where_there_is_room_for_one(kit, monkeypatch):
    both = threading.Barrier(2)

    def meet():
        try:
            both.wait(0.5)
        except threading.BrokenBarrierError:
            return True  # nobody comes while this one is judged
        return True

    monkeypatch.setattr(pod_sync.machine, "has_apparmor", meet)
    kit.start()
    for name in ("a", "b"):
        pod(kit, name, "600m")
    phases = {kit.wait(name, lambda found: found["status"]["phase"] in ("Running", "Failed"))["status"]["phase"]
              for name in ("a", "b")}  # fmt: skip
    assert phases == {"Running", "Failed"}


def test_a_status_tells_of_no_change_that_its_round_did_not_see(kit, monkeypatch):
    grant, held = pod_resize.grant, threading.Event()

    def then_it_changes(shared, work, others):
        answer = grant(shared, work, others)
        if held.is_set():
            held.clear()
            kit.update("a", resized("500m"))
            fake_api.eventually(lambda: work.newest["metadata"]["generation"] == 2)
        return answer

    monkeypatch.setattr(pod_resize, "grant", then_it_changes)
    made = kit.start()
    uid = pod(kit, "a", "300m")["metadata"]["uid"]
    kit.wait("a", kit_module.ready)
    held.set()
    made._poke(uid)
    kit.wait("a", lambda found: shown(found["status"]) == "500m")
    seen = [shown(status) for status in statuses(kit, "a") if status.get("observedGeneration") == 2]
    assert set(seen) == {"500m"}


def test_a_resize_is_told_once_it_is_in_force(kit):
    made = kit.start()
    uid = pod(kit, "a", "300m")["metadata"]["uid"]
    kit.wait("a", kit_module.ready)
    told, update = [], kit.engine.update_resources

    def update_resources(identity, resources):
        told.append(shown(made._parts.statuses.latest(uid)))
        update(identity, resources)

    kit.engine.update_resources = update_resources
    kit.update("a", resized("500m"))
    kit.wait("a", lambda found: shown(found["status"]) == "500m")
    assert told == ["300m"]


def test_a_resize_that_needs_a_restart_is_under_way_until_then(kit):
    made, told = kit.start(), []
    statuses = made._parts.statuses
    tell = statuses.set
    statuses.set = lambda pod, status: (told.append(status), tell(pod, status))
    pod(kit, "a", "300m", resizePolicy=[{"resourceName": "cpu", "restartPolicy": "RestartContainer"}])
    kit.wait("a", kit_module.ready)
    kit.update("a", resized("500m"))
    found = kit.wait("a", lambda found: found["status"]["containerStatuses"][0]["restartCount"] == 1
                     and "PodResizeInProgress" not in conditions(found["status"]))  # fmt: skip
    assert shown(found["status"]) == "500m"
    before = [status for status in told if status.get("containerStatuses") and shown(status) == "500m"
              and status["containerStatuses"][0]["restartCount"] == 0]  # fmt: skip
    assert before and all("PodResizeInProgress" in conditions(status) for status in before)


def test_a_resize_that_an_earlier_kubelet_granted_is_under_way_until_the_container_has_it(kit, monkeypatch):
    monkeypatch.setattr(pod_sync.Syncer, "_kill", lambda *_: raise_it(RuntimeError("it dies before it gets to that")))
    kit.start()
    pod(kit, "a", "300m", resizePolicy=[{"resourceName": "cpu", "restartPolicy": "RestartContainer"}])
    kit.wait("a", kit_module.ready)
    kit.update("a", resized("500m"))
    kit.wait("a", lambda found: shown(found["status"]) == "500m")
    kit.stop()
    monkeypatch.undo()
    # as if that had been told by one who knew no condition for it
    kit.update("a", lambda found: {**found, "status": {**found["status"], "conditions": [
        entry for entry in found["status"]["conditions"] if entry["type"] != "PodResizeInProgress"]}})  # fmt: skip
    seen, original = [], pod_resize.carry_out

    def carry_out(shared, work, found, **options):
        kills = original(shared, work, found, **options)
        seen.append((bool(kills), work.resizing))
        return kills

    monkeypatch.setattr(pod_resize, "carry_out", carry_out)
    kit.start()
    kit.wait("a", lambda found: found["status"]["containerStatuses"][0]["restartCount"] == 1
             and "PodResizeInProgress" not in conditions(found["status"]) and kit_module.ready(found))  # fmt: skip
    assert (True, True) in seen and (True, False) not in seen


def test_a_shutdown_ends_a_pod_that_was_being_let_in_as_it_began(kit, monkeypatch):
    kit.settings = dataclasses.replace(kit.settings, shutdown_grace_period=30.0)
    made = kit.start()

    def meanwhile():
        made.shut_down()
        with contextlib.suppress(AssertionError):  # it waits until this one is judged
            fake_api.eventually(lambda: "endTime" in shutdown_manager.state(kit.settings.data_dir), 0.5)
        return True

    monkeypatch.setattr(pod_sync.machine, "has_apparmor", meanwhile)
    pod(kit, "a", "300m")
    found = kit.wait("a", lambda found: found["status"]["phase"] == "Failed")
    assert found["status"]["reason"] == "Terminated"


def test_no_container_starts_before_services_are_known(kit, monkeypatch):
    known, wait = threading.Event(), informer.Informer.wait_for_sync
    kit.api.hooks.append(lambda handler, method, path: path.endswith("/services") and not known.wait(60))
    monkeypatch.setattr(
        informer.Informer, "wait_for_sync", lambda self, timeout=None: timeout is None and wait(self, timeout)
    )
    service = {"metadata": {"name": "db"}, "spec": {"clusterIP": "10.96.0.7", "ports": [{"port": 80}]}}
    kit.api.create(("v1", "services"), "default", service)
    made = kit.start()
    pod(kit, "a", "300m")
    assert "services have not yet been read at least once" in kit.wait_event("a", "Failed")
    known.set()
    made._services.wait_for_sync()
    made._workers.poke_all()
    kit.wait("a", kit_module.ready)
    assert ("DB_SERVICE_HOST", "10.96.0.7") in kit.engine.specs[kit.container("a").id].env


def test_a_network_that_failed_is_made_for_the_node_as_it_is_by_then(kit, monkeypatch):
    monkeypatch.setattr(kubelet, "_NETWORK_RETRY", 0.01)
    seen, made = [], []

    def set_up(pod_cidr, pod_cidr6=""):
        changed = "z" in seen
        seen.append(made[0]._node["metadata"]["labels"].get("zone"))
        if not changed:
            raise OSError("not now")

    monkeypatch.setattr(kit.network, "set_up", set_up)
    client = kit.api.client()
    made.append(kubelet.Kubelet(kit.settings, client, kit.engine, kit.network, kit.events, pod_cidr="10.244.3.0/24"))
    kit.running.append((made[0], client))
    made[0].start()
    node = fake_api.eventually(lambda: kit.api.collections["v1", "nodes"].get(("", kit.settings.node_name)))
    labels = {**node["metadata"]["labels"], "zone": "z"}
    kit.api.put(("v1", "nodes"), "MODIFIED", {**node, "metadata": {**node["metadata"], "labels": labels}})
    assert made[0].wait_until_ready(60)
    assert seen[-2:] == ["z", "z"]


def test_a_nodes_status_that_could_not_be_written_is_written_soon(kit):
    kit.settings = dataclasses.replace(kit.settings, status_update_frequency=3600.0)
    made = kit.start()
    refused = []

    def refuse(handler, method, path):
        if method != "PATCH" or not path.endswith(f"{kit.settings.node_name}/status") or refused:
            return False
        refused.append(path)
        handler.refuse(errors.InternalError("not now"))
        return True

    kit.api.hooks.append(refuse)
    # told past the kubelet's own field, which it clears when it begins to follow the engine
    health = made._registration._health
    made._registration._health = lambda: dataclasses.replace(health(), runtime_problem="gone")
    made._registration.wake()
    fake_api.eventually(lambda: "gone" in str(kit.api.find(("v1", "nodes"), "", kit.settings.node_name)["status"]))
    assert refused


def test_a_node_is_ready_though_its_engine_stumbles_over_an_image(kit):
    made, name, stumbled, images = kit.start(), kit.settings.node_name, [], kit.engine.images
    fake_api.eventually(lambda: kit_module.ready(kit.api.find(("v1", "nodes"), "", name)))

    def stumble():
        stumbled.append(1)
        raise runtime.RuntimeFailure("no such image")

    kit.engine.images = stumble
    assert made._registration._facts().health.runtime_problem == "" and stumbled
    assert made._registration._facts().images == images()


def test_addresses_that_cannot_be_read_are_not_taken_for_none(monkeypatch):
    node = network.NodeNetwork(None, "172.30.0.2", "10.244.0.0/16", "10.96.0.0/16", "172.30.0.1")
    for problem, expected in ((FileNotFoundError(), []), (OSError(105, "No buffer space available"), None)):
        monkeypatch.setattr(node, "run_in_pod", lambda pid, work, problem=problem: raise_it(problem))
        if expected is None:
            with pytest.raises(OSError, match="buffer"):
                node.pod_addresses(1)
        else:
            assert node.pod_addresses(1) == expected


def test_whatever_keeps_a_container_from_being_stopped_is_a_failure():
    engine = types.SimpleNamespace(stop_container=lambda identity, grace: raise_it(ValueError("half an answer")))
    shared = types.SimpleNamespace(engine=engine, recorder=kit_module.Events())
    container = types.SimpleNamespace(id="1", name="web", labels={})
    found = kit_module.pod("a", "n")
    with pytest.raises(ValueError, match="half an answer"):
        termination.stop_all(shared, [termination.Order(container, None, "", 1.0)], lambda: found, lambda: 1.0, "")


def test_a_class_of_pods_has_its_weight_while_somebody_is_in_it(kit):
    """Its cgroup goes with the last pod, which may be at the moment before the next one is in."""
    limit, seen = kit.engine.limit_cgroup, {}

    def limit_cgroup(parent, resources):
        seen.setdefault(parent, len(kit.engine.sandboxes({})))
        limit(parent, resources)

    kit.engine.limit_cgroup = limit_cgroup
    kit.start()
    pod(kit, "a", "300m")
    kit.wait("a", kit_module.ready)
    assert [there for parent, there in seen.items() if parent.endswith("/burstable")] == [1]


@pytest.mark.root
def test_a_container_starts_again_though_a_volume_cannot_be_brought_up_to_date(kit):
    kit.start()
    kit.put("Secret", "s", data={"k": "dg=="})
    volumes = [{"name": "v", "secret": {"secretName": "s"}}]
    container = {"volumeMounts": [{"name": "v", "mountPath": "/s"}]}
    kit.create(kit_module.pod("a", kit.settings.node_name, container, volumes=volumes))
    kit.wait("a", kit_module.ready)
    kit.api.put(("v1", "secrets"), "DELETED", kit.api.find(("v1", "secrets"), "default", "s"))
    kit.wait_event("a", "FailedMount")
    kit.engine.finish(kit.container("a").id, 1)
    kit.wait("a", lambda found: kit_module.ready(found) and found["status"]["containerStatuses"][0]["restartCount"])
    kit.delete("a", grace=0)
    kit.wait("a", lambda gone: gone is None)


def test_a_later_kubelet_keeps_a_pod_ended_too(kit):
    kit.engine._rules.insert(0, fake.Rule(exit_after=0.01))
    kit.start()
    kit.create(kit_module.pod("a", kit.settings.node_name, restartPolicy="Never"))
    kit.wait("a", lambda found: found["status"]["phase"] == "Succeeded")
    kit.stop()
    made = kit.start()
    uid = kit.pod("a")["metadata"]["uid"]
    fake_api.eventually(lambda: made._has_ended(uid) and made._parts.statuses.latest(uid))
    kit.update("a", lambda found: {**found, "status": {**found["status"], "phase": "Running"}})
    kit.wait("a", lambda found: found["status"]["phase"] == "Succeeded")


def hooked(**hooks):
    return {"lifecycle": hooks}


@pytest.mark.parametrize("hook", [{"sleep": {"seconds": 3600}}, {"exec": {"command": ["hangs"]}}])
def test_a_pod_whose_first_hook_hangs_can_be_deleted(kit, hook, monkeypatch):
    begun, over = threading.Event(), threading.Event()
    monkeypatch.setattr(kit.engine, "exec_sync", lambda *_: (int(not over.wait(60)), b""))
    monkeypatch.setattr(handlers.Hooks, "run", noting(begun, handlers.Hooks.run))
    kit.start()
    kit.create(kit_module.pod("a", kit.settings.node_name, hooked(postStart=hook)))
    assert begun.wait(60)
    kit.delete("a", grace=0)
    kit.wait("a", lambda gone: gone is None)
    over.set()


def noting(begun, run):
    def call(self, hook, target, timeout):
        begun.set()
        run(self, hook, target, timeout)

    return call


def test_who_hurries_a_pod_does_not_wait_for_its_last_hook(kit, monkeypatch):
    monkeypatch.setattr(termination, "_SHORTEST", 0.01)
    begun = threading.Event()
    monkeypatch.setattr(handlers.Hooks, "run", noting(begun, handlers.Hooks.run))
    kit.start()
    hook = hooked(preStop={"sleep": {"seconds": 3600}})
    kit.create(kit_module.pod("a", kit.settings.node_name, hook, terminationGracePeriodSeconds=7200))
    kit.wait("a", kit_module.ready)
    kit.delete("a", grace=7200)
    assert begun.wait(60)
    kit.delete("a", grace=0)
    kit.wait("a", lambda gone: gone is None)


def test_an_engine_that_is_away_does_not_make_a_last_message_empty(kit, monkeypatch):
    kit.engine._rules.insert(0, fake.Rule(exit_after=0.01, exit_code=1, output=[b"why\n"]))
    logs, away = kit.engine.logs, []

    def unavailable(identity, options):
        if not away:
            away.append(identity)
            raise runtime.Unavailable("the engine did not answer")
        return logs(identity, options)

    monkeypatch.setattr(kit.engine, "logs", unavailable)
    made = kit.start()
    container = {"terminationMessagePolicy": "FallbackToLogsOnError"}
    uid = kit.create(kit_module.pod("a", kit.settings.node_name, container, restartPolicy="Never"))["metadata"]["uid"]
    fake_api.eventually(lambda: away)
    made._poke(uid)
    found = kit.wait("a", lambda found: found["status"]["phase"] == "Failed")
    assert found["status"]["containerStatuses"][0]["state"]["terminated"]["message"] == "why\n"


def raise_it(problem):
    raise problem
