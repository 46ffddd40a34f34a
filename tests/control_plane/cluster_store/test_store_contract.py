"""The one contract suite: every store behaves as ``store.Store`` says."""

import threading

import pytest

from kubeshim.control_plane.cluster_store import memory, sqlite, store


@pytest.fixture(params=["memory", "sqlite"])
def kept(request, tmp_path):
    made = memory.MemoryStore() if request.param == "memory" else sqlite.SQLiteStore(tmp_path / "state.db")
    yield made
    made.close()


def test_revisions_are_consecutive_and_records_carry_them(kept, write):
    first, second = write(kept, store.Create("/a", b"1"), store.Create("/b", b"2"))
    assert (first.mod_revision, second.mod_revision) == (1, 2)
    (changed,) = write(kept, store.Update("/a", b"3", 1))
    assert changed == store.Record("/a", b"3", 1, 3)
    assert kept.get("/a") == changed
    assert kept.get("/none") is None
    assert kept.revision() == 3


def test_an_operation_whose_precondition_fails_fails_alone(kept, write):
    outcomes = write(
        kept, store.Create("/a", b"1"), store.Create("/a", b"2"), store.Update("/x", b"", 7),
        store.Update("/a", b"3", 1), store.Update("/a", b"4", 1), store.Delete("/a", 1), store.Delete("/a", 2),
        store.Create("/a", b"5"),
    )  # fmt: skip
    kinds = [type(outcome) for outcome in outcomes]
    failed = store.PreconditionFailed
    expected = [store.Record, store.KeyExists, failed, store.Record, failed, failed, store.Record, store.Record]
    assert kinds == expected
    assert outcomes[1].current.value == b"1"
    assert outcomes[2].current is None
    assert outcomes[4].current.value == b"3"
    assert outcomes[6] == store.Record("/a", b"3", 1, 3)
    assert outcomes[7] == store.Record("/a", b"5", 4, 4)


def test_subscribers_hear_of_a_batch_before_its_writers_do(kept, write):
    heard = []
    start = kept.subscribe(heard.extend)
    assert start == 0
    seen_at_reply = []
    done = threading.Event()

    def reply(outcome):
        seen_at_reply.append(len(heard))
        done.set()

    kept.submit(store.Create("/a", b"1"), reply)
    assert done.wait(60)
    assert seen_at_reply == [1]
    write(kept, store.Delete("/a", 1))
    assert [(event.revision, event.record, event.previous and event.previous.value) for event in heard] == [
        (1, store.Record("/a", b"1", 1, 1), None),
        (2, None, b"1"),
    ]


def test_range_pages_in_key_order_at_one_revision(kept, write):
    write(kept, *(store.Create(f"/p/{name}", name.encode()) for name in "dbac"), store.Create("/q/z", b"z"))
    page = kept.range("/p/", limit=3)
    assert [record.key for record in page.records] == ["/p/a", "/p/b", "/p/c"]
    assert (page.revision, page.more, page.count) == (5, True, 4)
    write(kept, store.Update("/p/d", b"new", 1), store.Delete("/p/a", 3), store.Create("/p/e", b"e"))
    rest = kept.range("/p/", revision=page.revision, limit=3, after="/p/c")
    assert [(record.key, record.value) for record in rest.records] == [("/p/d", b"d")]
    assert (rest.more, rest.count) == (False, 1)
    now = kept.range("/p/")
    assert [(record.key, record.value) for record in now.records] == [
        ("/p/b", b"b"), ("/p/c", b"c"), ("/p/d", b"new"), ("/p/e", b"e"),
    ]  # fmt: skip
    with pytest.raises(store.FutureRevision):
        kept.range("/p/", revision=99)


def test_events_tell_every_change_after_a_revision(kept, write):
    write(kept, store.Create("/p/a", b"1"), store.Create("/q/a", b"x"))
    write(kept, store.Update("/p/a", b"2", 1), store.Delete("/p/a", 3))
    told = [
        (event.revision, event.record and event.record.value, event.previous and event.previous.value)
        for event in kept.events("/p/", after=0)
    ]
    assert told == [(1, b"1", None), (3, b"2", b"1"), (4, None, b"2")]
    assert [event.revision for event in kept.events("/p/", after=3)] == [4]


def test_compaction_keeps_what_is_asked_for_later_and_refuses_the_rest(kept, write):
    (record,) = write(kept, store.Create("/p/a", b"0"))
    for number in range(1, 700):
        (record,) = write(kept, store.Update("/p/a", str(number).encode(), record.mod_revision))
    write(kept, store.Create("/p/b", b"b"), store.Delete("/p/b", 701))
    kept.compact(600)
    assert kept.oldest() == 600
    assert [event.revision for event in kept.events("/p/", after=600)] == list(range(601, 703))
    assert kept.events("/p/", after=600)[0].previous.value == b"599"
    assert kept.range("/p/", revision=600).records[0].value == b"599"
    for call in (lambda: kept.events("/p/", after=599), lambda: kept.range("/p/", revision=599)):
        with pytest.raises(store.Compacted) as told:
            call()
        assert told.value.oldest == 600
    kept.compact(702)
    assert [record.key for record in kept.range("/p/").records] == ["/p/a"]
    with pytest.raises(store.FutureRevision):
        kept.compact(10_000)


def test_concurrent_compare_and_swap_has_one_winner_a_round(kept, write):
    (record,) = write(kept, store.Create("/a", b""))
    for _ in range(5):
        outcomes = write(kept, *(store.Update("/a", b"%d" % n, record.mod_revision) for n in range(8)))
        winners = [outcome for outcome in outcomes if isinstance(outcome, store.Record)]
        assert len(winners) == 1
        record = winners[0]


def test_a_closed_store_is_unavailable(kept):
    kept.ping()
    kept.close()
    with pytest.raises(store.Unavailable):
        kept.submit(store.Create("/a", b""), lambda outcome: None)
    with pytest.raises(store.Unavailable):
        kept.ping()
