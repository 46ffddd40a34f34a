"""What a new cluster finds free on the machine."""

import socket

from kubeshim.cluster import host


def test_ports_of_others_are_left_alone():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        free = sock.getsockname()[1]
    assert host.free_port(free) == free
    assert host.free_port(free, {free}) != free
    with socket.create_server(("0.0.0.0", free)):
        assert host.free_port(free) != free
