"""The kubelet's pool: whatever blocks, what is handed in runs."""

import threading

from kubeshim.node.kubelet import threads


def test_no_work_waits_behind_another():
    pool = threads.Pool("test")
    for _ in range(200):  # threads that are just taking work do not count as free
        together = threading.Barrier(5)
        for _ in range(4):
            pool.submit(together.wait)
        together.wait(60)
    pool.close()


def test_beyond_the_most_threads_work_waits_for_one():
    pool, free, done = threads.Pool("test", maximum=2), threading.Event(), threading.Semaphore(0)
    for _ in range(2):
        pool.submit(free.wait)
    for _ in range(3):
        pool.submit(done.release)
    assert not done.acquire(blocking=False)
    free.set()
    for _ in range(3):
        assert done.acquire(timeout=60)
    pool.close()


def test_a_failure_does_not_end_the_thread():
    pool, done = threads.Pool("test", maximum=1), threading.Event()
    pool.submit(lambda: 1 / 0)
    pool.submit(done.set)
    assert done.wait(60)
    pool.close()
