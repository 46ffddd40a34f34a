"""SCTP as far as a machine without it can speak: a first packet is sent by hand, and seen to arrive.

Rules look at a packet's addresses, protocol and ports, and connection tracking at its form; neither asks whether
anybody has SCTP sockets.
"""

import socket
import struct

PROTOCOL = 132
_INIT = 1


def _table():
    found = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        found.append(value)
    return found


_CRC = _table()


def crc32c(data):
    value = 0xFFFFFFFF
    for byte in data:
        value = value >> 8 ^ _CRC[(value ^ byte) & 0xFF]
    return value ^ 0xFFFFFFFF


def init(source, destination):
    """An INIT chunk from one port to another, with the sum that tracking checks."""
    chunk = struct.pack("!BBHIIHHI", _INIT, 0, 20, 0x12345678, 65535, 1, 1, 1)
    head = struct.pack("!HHI", source, destination, 0)
    packet = head + b"\0\0\0\0" + chunk
    return head + struct.pack("<I", crc32c(packet)) + chunk


def raw(family):
    """Of the calling thread's namespace: sends packets and sees those that arrive."""
    return socket.socket(family, socket.SOCK_RAW, PROTOCOL)


def ports(packet, family):
    """Source and destination of what a raw socket received."""
    at = (packet[0] & 15) * 4 if family == socket.AF_INET else 0
    return struct.unpack_from("!HH", packet, at)
