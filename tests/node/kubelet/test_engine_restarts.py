"""The engine goes away and comes back, as Docker without live-restore does: with nothing running."""

import functools
import os
import threading

import kubelet_kit as kit_module
import pytest

from kubeshim.node.container_runtime import fake, runtime
from kubeshim.node.kubelet import labels


class Restarting:
    """A runtime that can be stopped: its calls fail, its events end, and all it ran is dead afterwards."""

    def __init__(self, inner):
        self._inner = inner
        self._away = threading.Event()

    def stop(self):
        self._away.set()
        for container in self._inner.containers({}):
            self._inner.finish(container.id, 137)
        for sandbox in self._inner.sandboxes({}):
            self._inner.stop_sandbox(sandbox.id)

    def start(self):
        self._away.clear()

    def __getattr__(self, name):
        found = getattr(self._inner, name)
        if not callable(found) or name in ("close", "finish"):
            return found

        @functools.wraps(found)
        def call(*arguments, **options):
            if self._away.is_set():
                raise runtime.Unavailable("Cannot connect to the Docker daemon")
            return found(*arguments, **options)

        return call

    def events(self, wanted, stop):
        if self._away.is_set():
            raise runtime.Unavailable("Cannot connect to the Docker daemon")
        yield from self._inner.events(wanted, lambda: stop() or self._away.is_set())
        if self._away.is_set():
            raise runtime.Unavailable("the stream of events ended")


@pytest.fixture
def kit(tmp_path):
    engine = Restarting(fake.Fake(images=[kit_module.IMAGE], registry=[]))
    made = kit_module.make(tmp_path, engine=engine, status_update_frequency=0.2)
    yield made
    made.close()


def node_is_ready(kit, status):
    def holds():
        node = kit.api.find(("v1", "nodes"), "", kit.settings.node_name)
        return {entry["type"]: entry for entry in node["status"]["conditions"]}["Ready"]["status"] == status

    with kit.api.lock:
        assert kit.api.lock.wait_for(holds, 60)


def test_pods_restart_by_policy_after_the_engine_was_away(kit):
    kit.start()
    for name, policy in (("always", "Always"), ("never", "Never")):
        kit.create(kit_module.pod(name, kit.settings.node_name, restartPolicy=policy))
        kit.wait(name, kit_module.ready)
    descriptors = []
    for count in (1, 2, 3):
        kit.engine.stop()
        node_is_ready(kit, "False")
        kit.engine.start()
        node_is_ready(kit, "True")

        def restarted(pod, count=count):
            return kit_module.ready(pod) and pod["status"]["containerStatuses"][0]["restartCount"] == count

        kit.wait("always", restarted, 20)
        assert len(kit.engine.sandboxes({labels.POD_NAME: "always"})) == 1
        descriptors.append(len(os.listdir("/proc/self/fd")))
    found = kit.wait("never", lambda pod: pod["status"]["phase"] == "Failed")
    assert found["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 137
    assert max(descriptors[1:]) <= descriptors[0] + 2
