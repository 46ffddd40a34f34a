"""The queue's promises: once, never in two hands, nothing lost, and its delays."""

import threading

import pytest

from kubeshim import clock
from kubeshim.client import workqueue


def test_a_key_is_handed_out_once_however_often_added():
    queue = workqueue.RateLimitingQueue()
    for key in ("a", "b", "a"):
        queue.add(key)
    assert [queue.get(), queue.get()] == ["a", "b"]
    with pytest.raises(TimeoutError):
        queue.get(timeout=0)


def test_a_key_added_while_in_work_comes_again_after_done():
    queue = workqueue.RateLimitingQueue()
    queue.add("a")
    queue.get()
    queue.add("a")
    assert len(queue) == 0
    queue.done("a")
    assert queue.get(timeout=0) == "a"


def test_delays_double_until_forgotten_and_end_at_the_maximum():
    backoff = workqueue.ItemBackoff()
    assert [backoff.when("a") for _ in range(3)] == [0.005, 0.01, 0.02]
    backoff.forget("a")
    assert backoff.when("a") == 0.005
    for _ in range(2000):
        last = backoff.when("a")
    assert last == 1000


def test_bucket_lets_a_burst_through_and_then_a_rate():
    time = clock.FakeClock()
    bucket = workqueue.Bucket(10, 2, time.monotonic)
    assert [round(bucket.reserve(), 3) for _ in range(4)] == [0, 0, 0.1, 0.2]
    time.step(10)
    assert bucket.reserve() == 0


def test_of_two_delays_the_earlier_holds():
    time = clock.FakeClock()
    queue = workqueue.RateLimitingQueue(monotonic=time.monotonic)
    queue.add_after("a", 5)
    queue.add_after("a", 1)
    queue.add_after("a", 9)
    time.step(1)
    assert queue.get(timeout=0) == "a"
    queue.done("a")
    time.step(20)
    with pytest.raises(TimeoutError):
        queue.get(timeout=0)


def test_a_sleeping_worker_wakes_for_a_delayed_key():
    queue = workqueue.RateLimitingQueue()
    got = []
    worker = threading.Thread(target=lambda: got.append(queue.get()))
    worker.start()
    queue.add_after("a", 0.02)
    worker.join(60)
    assert got == ["a"]


def test_shut_down_hands_out_what_is_queued_then_says_so():
    queue = workqueue.RateLimitingQueue()
    queue.add("a")
    queue.shut_down()
    queue.add("b")
    assert queue.get() == "a"
    with pytest.raises(workqueue.ShutDown):
        queue.get()
