"""Who leads, and who takes over when."""

import threading

from kubeshim import clock
from kubeshim.client import kinds, leader_election
from tests import fake_api


def candidate(api, identity, time=clock.SYSTEM):
    elector = leader_election.LeaderElector(api.client(), "lock", identity, 3.0, 2.5, 0.05, time_source=time)
    stop, leading = threading.Event(), threading.Event()
    thread = threading.Thread(target=elector.run, args=(leading.set, stop))
    thread.start()
    return stop, leading, thread


def await_two(api, method):
    """Waits for two requests, of which the second has begun after this was called: to renew (PUT) or to look (GET)."""

    def number():
        return sum(one == method for one, _ in list(api.requests))

    before = number()
    fake_api.eventually(lambda: number() >= before + 2)


def lease(api):
    return api.client().get(kinds.LEASES, "lock", "kube-system")["spec"]


def test_one_leads_and_hands_over_when_it_stops(api):
    stop_a, leads_a, thread_a = candidate(api, "a")
    assert leads_a.wait(60)
    time = clock.FakeClock()
    stop_b, leads_b, thread_b = candidate(api, "b", time)
    for _ in range(4):  # longer than the lease: renewing keeps it
        await_two(api, "PUT")
        await_two(api, "GET")
        time.step(1.2)
    await_two(api, "GET")
    assert not leads_b.is_set()
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
    time = clock.FakeClock()
    stop, leads, thread = candidate(api, "new", time)
    await_two(api, "GET")
    time.step(2.9)
    await_two(api, "GET")
    assert not leads.is_set()
    time.step(0.2)
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


def test_a_lease_that_somebody_deletes_is_made_anew_by_who_leads(api):
    stop, leads, thread = candidate(api, "a")
    assert leads.wait(60)
    client = api.client()
    client.delete(kinds.LEASES, "lock", "kube-system")
    fake_api.eventually(lambda: client.list(kinds.LEASES, "kube-system")["items"])
    assert lease(api)["holderIdentity"] == "a" and thread.is_alive()
    stop.set()
    thread.join(60)
