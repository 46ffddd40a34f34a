"""A controller manager and a scheduler in one process: neither goes on without the other."""

import threading

import pytest

from kubeshim.cli import controller_manager


def waits(stop, outcome=True):
    def run():
        assert stop.wait(60)
        return outcome

    return run


def fails():
    raise OSError("the address is taken")


def test_the_end_of_the_scheduler_ends_the_manager():
    stop = threading.Event()
    assert controller_manager._run_both(waits(stop), lambda: False, stop) == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_scheduler_that_fails_ends_the_manager_and_the_process_fails():
    stop = threading.Event()
    assert controller_manager._run_both(waits(stop), fails, stop) == 1


def test_a_manager_that_fails_ends_the_scheduler():
    stop = threading.Event()
    with pytest.raises(OSError, match="the address is taken"):
        controller_manager._run_both(fails, waits(stop), stop)
    assert stop.is_set()


def test_both_end_well_when_they_are_told_to():
    stop = threading.Event()
    stop.set()
    assert controller_manager._run_both(waits(stop), waits(stop), stop) == 0
