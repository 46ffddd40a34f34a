"""When watchers are woken: at once, in turn, and at their deadlines."""

import time

import gevent
import pytest

from kubeshim.control_plane.api_server import wakes

FAR = 3600.0
HOUR = int(3600 / wakes.WAKE_SECONDS)
"""So many watchers that nobody is woken twice in an hour."""


class Sleeping:
    """A greenlet that sleeps and notes each time it is awake."""

    def __init__(self, deadline=FAR):
        self.sleeper = wakes.Sleeper()
        self.times = 0
        self.greenlet = gevent.spawn(self._run, time.monotonic() + deadline)
        gevent.sleep(0)

    def _run(self, deadline):
        while True:
            self.sleeper.sleep(deadline)
            self.times += 1
            if time.monotonic() >= deadline:
                return


@pytest.fixture
def sleeping():
    made = []

    def make(**options):
        made.append(Sleeping(**options))
        return made[-1]

    yield make
    for one in made:
        one.greenlet.kill()
        one.sleeper.close()


def turns():
    for _ in range(3):
        gevent.sleep(0)


def test_who_was_quiet_is_woken_at_once(sleeping):
    pace = wakes.Pace(lambda: HOUR)
    some = [sleeping() for _ in range(3)]
    for one in some:
        pace.wake(one.sleeper)
    turns()
    assert [one.times for one in some] == [1, 1, 1]


def test_the_same_one_waits_for_the_others_turn(sleeping):
    pace = wakes.Pace(lambda: HOUR)
    one, other = sleeping(), sleeping()
    pace.wake(one.sleeper)
    turns()
    pace.wake(one.sleeper)
    pace.wake(other.sleeper)
    turns()
    assert (one.times, other.times) == (1, 1)


def test_it_is_woken_in_the_end(sleeping):
    pace = wakes.Pace(lambda: int(0.01 / wakes.WAKE_SECONDS))
    some = [sleeping() for _ in range(3)]
    for _ in range(2):
        for one in some:
            pace.wake(one.sleeper)
        turns()
    with gevent.Timeout(10):
        while [one.times for one in some] != [2, 2, 2]:
            gevent.sleep(0.001)


def test_a_wake_before_the_sleep_is_not_lost():
    sleeper = wakes.Sleeper()
    sleeper.wake()
    sleeper.sleep(time.monotonic() + FAR)
    sleeper.close()


def test_a_deadline(sleeping):
    one = sleeping(deadline=0.01)
    one.greenlet.join(60)
    assert (one.times, one.greenlet.ready()) == (1, True)


def test_who_was_killed_is_not_woken(sleeping):
    pace = wakes.Pace(lambda: 0)
    one = sleeping()
    pace.wake(one.sleeper)
    one.greenlet.kill()
    turns()
    assert one.times <= 1
    one.sleeper.wake()
