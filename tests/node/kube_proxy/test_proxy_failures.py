"""What the kernel refuses once is done later, and nothing of it is forgotten meanwhile."""

import pytest

from kubeshim.client import kinds
from kubeshim.node.kube_proxy import conntrack, proxy
from tests import fake_api

CONFIG = proxy.ProxyConfig(("172.31.77.2",), "10.199.0.0/16", ("10.198.0.0/16",), resync=3600.0, listen=False)
SERVICE = {
    "metadata": {"name": "dns", "namespace": "ns"},
    "spec": {"type": "ClusterIP", "clusterIP": "10.198.0.7", "ports": [{"port": 53, "protocol": "UDP"}]},
}


class Kernel:
    """Refuses what ``refused`` names, each once."""

    def __init__(self, refused):
        self.refused, self.forgotten = list(refused), []

    def _may(self, what):
        if what in self.refused:
            self.refused.remove(what)
            raise OSError(f"no {what} now")

    def replace(self, owner, frontends):
        pass

    def sync(self, *, whole):
        self._may("rules")
        return True

    def lingers(self):
        return False

    def stands(self):
        return True

    def close(self):
        pass

    def forget(self, wanted):
        self._may("flows")
        self.forgotten.append(set(wanted))
        return 0


@pytest.mark.parametrize("refused", [[], ["rules"], ["flows"], ["rules", "flows", "flows"]])
def test_flows_of_a_changed_service_are_looked_through_whatever_fails_first(refused, monkeypatch):
    kernel, api = Kernel(refused), fake_api.FakeApi()
    monkeypatch.setattr(proxy, "_backend", lambda *_: kernel)
    monkeypatch.setattr(conntrack, "forget", kernel.forget)
    client = api.client()
    client.create(kinds.SERVICES, SERVICE, "ns")
    running = proxy.Proxy(client, lambda function: function(), "n1", CONFIG)
    running.start()
    fake_api.eventually(lambda: kernel.forgotten)
    running.stop()
    client.close()
    api.stop()
    assert kernel.forgotten == [{("10.198.0.7", 53)}] and not kernel.refused
