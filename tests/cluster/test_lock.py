import threading

import pytest

from kubeshim.cluster import layout, lock


@pytest.fixture
def where(tmp_path, monkeypatch):
    monkeypatch.setattr(layout, "ROOT", tmp_path / "root")
    return layout.Layout.of("one")


def test_who_waited_for_the_end_of_a_cluster_holds_the_lock_of_the_next(where):
    """The end takes the lock's file away while others wait at it."""
    asked, inside, done = threading.Event(), threading.Event(), threading.Event()

    def wait():
        asked.set()
        return True

    def next_one():
        with lock.locked(where, wait):
            inside.set()
            assert done.wait(60)

    thread = threading.Thread(target=next_one)
    with lock.locked(where):
        thread.start()
        assert asked.wait(60)
        (layout.ROOT / ".one.lock").unlink()
        layout.ROOT.rmdir()
    assert inside.wait(60)
    try:
        with pytest.raises(lock.GivenUp), lock.locked(where, lambda: False):
            pass
    finally:
        done.set()
        thread.join()


def test_who_is_told_not_to_wait_any_longer_gives_up(where):
    with lock.locked(where), pytest.raises(lock.GivenUp), lock.locked(where, lambda: False):
        pass
