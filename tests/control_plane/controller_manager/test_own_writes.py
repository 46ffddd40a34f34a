"""Which turn waits for the cache, and who is called when it has caught up."""

from kubeshim import clock
from kubeshim.control_plane.controller_manager import own_writes


def slice_of(version, name="s"):
    return {"metadata": {"name": name, "resourceVersion": str(version)}}


def writes():
    time = clock.FakeClock()
    return own_writes.Writes(time), time


def test_a_turn_waits_as_long_as_the_cache_is_only_behind():
    known, time = writes()
    known.wrote("k", slice_of(5), lambda: None)
    time.step(own_writes.PATIENCE / 2)
    assert known.behind("k")
    time.step(own_writes.PATIENCE)
    assert not known.behind("k")


def test_who_was_put_off_is_called_by_our_own_write():
    known, _ = writes()
    known.wrote("k", slice_of(5), lambda: slice_of(4))
    assert known.behind("k")
    assert not known.shown("k", slice_of(5))  # a reason for a turn
    assert not known.behind("k")


def test_our_own_write_is_no_reason_for_a_turn_where_nobody_waits():
    known, _ = writes()
    known.wrote("k", slice_of(5), lambda: slice_of(4))
    assert known.shown("k", slice_of(5))
    assert not known.behind("k")


def test_an_event_that_comes_before_the_write_is_noted_is_not_waited_for():
    known, _ = writes()
    assert not known.shown("k", slice_of(5))
    known.wrote("k", slice_of(5), lambda: slice_of(5))
    assert not known.behind("k")


def test_a_deletion_is_waited_for_until_the_slice_is_gone():
    known, _ = writes()
    known.deleting("k", slice_of(5))
    assert known.behind("k")
    known.gone("k", slice_of(6))
    assert not known.behind("k")
