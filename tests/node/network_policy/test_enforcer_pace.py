"""How the enforcer spares the machine, and whom it must not keep waiting."""

import itertools
import types

from kubeshim.node.network_policy import enforcer
from tests import fake_api


class Kernel:
    def run(self, text):
        pass

    def listing(self, command):
        return [{"table": {"name": enforcer.rules.table(4).split()[1]}}]

    def close(self):
        pass


def test_a_pod_that_waits_ends_the_rest_after_a_long_round(monkeypatch):
    api = fake_api.FakeApi()
    monkeypatch.setattr(enforcer.nftables, "available", lambda: True)
    monkeypatch.setattr(enforcer.nftables, "open_in", lambda run: Kernel())
    # each look at the clock finds it an hour later
    clock = types.SimpleNamespace(monotonic=itertools.count(0, 3600).__next__)
    monkeypatch.setattr(enforcer, "time", clock)
    client = api.client()
    policy = {"metadata": {"name": "p"}, "spec": {"podSelector": {}, "policyTypes": ["Ingress"]}}
    api.create(("networking.k8s.io/v1", "networkpolicies"), "default", policy)
    made = enforcer.Enforcer(client, lambda function: function(), "n")
    made.start()
    fake_api.eventually(lambda: made._counters["syncs"])
    pod = api.create(("v1", "pods"), "default", {"metadata": {"name": "a"}, "spec": {"nodeName": "n"}})
    made.admit(pod["metadata"]["uid"], ["10.199.3.2"])
    made.stop()
    client.close()
    api.stop()
