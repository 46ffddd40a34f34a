"""Who leads, and who takes over when."""

import threading

from kubeshim.client import kinds, leader_election
from tests import fake_api


def candidate(api, identity):
    elector = leader_election.LeaderElector(api.client(), "lock", identity, 3.0, 2.5, 0.05)
    stop, leading = threading.Event(), threading.Event()
    thread = threading.Thread(target=elector.run, args=(leading.set, stop))
    thread.start()
    return stop, leading, thread


def lease(api):
    return api.client().get(kinds.LEASES, "lock", "kube-system")["spec"]


def test_one_leads_and_hands_over_when_it_stops(api):
    stop_a, leads_a, thread_a = candidate(api, "a")
    assert leads_a.wait(60)
    stop_b, leads_b, thread_b = candidate(api, "b")
    assert not leads_b.wait(3.3)  # longer than the lease: renewing keeps it
    stop_a.set()
    assert leads_b.wait(60)
    assert lease(api)["holderIdentity"] == "b"
    stop_b.set()
    for thread in (thread_a, thread_b):
        thread.join(60)
    assert lease(api)["holderIdentity"] == ""


def test_a_dead_leader_is_replaced_and_the_same_identity_goes_on_at_once(api):
    spec = {"holderIdentity": "dead", "leaseDurationSeconds": 15, "leaseTransitions": 3}
    api.create(
        ("coordination.k8s.io/v1", "leases"),
        "kube-system",
        {"metadata": {"name": "lock"}, "kind": "Lease", "spec": spec},
    )
    stop, leads, thread = candidate(api, "new")
    assert not leads.wait(0.3)
    assert leads.wait(60)
    assert lease(api)["leaseTransitions"] == 4
    stop.set()
    thread.join(60)


def test_a_leader_that_lost_its_lease_returns(api):
    stop, leads, thread = candidate(api, "a")
    assert leads.wait(60)
    client = api.client()
    fake_api.eventually(
        lambda: client.patch(kinds.LEASES, "lock", {"spec": {"holderIdentity": "thief"}}, "kube-system")
    )
    thread.join(60)
    assert not thread.is_alive() and not stop.is_set()
