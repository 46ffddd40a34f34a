"""Ports of loopback that are named before anybody listens there.

What the kernel gives to who asks for any port is soon given to the next: to another test's server, or to the near end
of somebody's connection. So these are below its range, and each process takes them from another place.
"""

import contextlib
import itertools
import os
import socket

_PLACES, _EACH = 60, 300
_CANDIDATES = itertools.count(10_000 + os.getpid() % _PLACES * _EACH)


def free():
    """A port that nobody listens on, nor will by chance."""
    while True:
        port = next(_CANDIDATES)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


@contextlib.contextmanager
def closed():
    """A port that refuses connections as long as it is asked."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]
