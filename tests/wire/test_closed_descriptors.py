"""A descriptor's number may be another's as soon as it is closed: nobody waits on it or writes to it after that."""

import os
import select
import socket
import threading

import pytest

from kubeshim.wire import duplex, transport


def test_waking_a_listener_that_is_closed_does_nothing():
    threads = transport.ThreadTransport()
    with socket.create_server(("127.0.0.1", 0)) as given:
        listener = threads.listen(given)
        assert threads.accept(listener, lambda: True) is None
        threads.wake(listener)
        threads.close(listener)
        threads.wake(listener)


def test_ending_a_watch_that_has_told_writes_nowhere():
    ours, theirs = socket.socketpair()
    told, done = threading.Event(), threading.Event()

    def gone():
        told.set()
        done.wait(60)

    with ours:
        stop = transport.ThreadTransport().when_gone(ours, gone, lambda data: None)
        theirs.close()
        assert told.wait(60)
        others = [os.eventfd(0, os.EFD_NONBLOCK) for _ in range(8)]  # one of them has the watch's old number
        try:
            stop()
            for other in others:
                with pytest.raises(BlockingIOError):
                    os.eventfd_read(other)
        finally:
            done.set()
            for other in others:
                os.close(other)


def test_a_closed_link_keeps_its_number_until_nobody_waits_on_it(monkeypatch):
    ours, theirs = socket.socketpair()
    about_to_wait, go_on = threading.Event(), threading.Event()
    genuine = select.poll

    class Slow:
        def __init__(self):
            self._poll = genuine()
            self.register = self._poll.register

        def poll(self, timeout):
            about_to_wait.set()
            go_on.wait(60)
            return self._poll.poll(timeout)

    monkeypatch.setattr(duplex.select, "poll", Slow)
    link = duplex.Duplex(ours)
    received = []
    reader = threading.Thread(target=lambda: received.append(link.recv()))
    with theirs:
        reader.start()
        assert about_to_wait.wait(60)
        link.close()
        assert ours.fileno() >= 0
        go_on.set()
        reader.join(60)
        assert received == [b""]
        assert ours.fileno() == -1
