"""Kubernetes' streaming protocols for exec, attach and port-forward: names, negotiation, channels, statuses. No I/O.

Two transports carry the same streams. Over WebSocket each binary message begins with a channel's number (in the
base64 variants: a digit, then base64 text). Over SPDY each stream says what it is in its ``streamType`` header.
The versions differ in what they can say:

    v1 (``channel.k8s.io``)  stdin stdout stderr error; the error is plain text, empty on success
    v2                       the same; streams may be closed one by one
    v3                       and terminal sizes
    v4                       and the error is a ``Status``, with the exit code
    v5 (WebSocket only)      and channel 255 closes another channel: stdin can end
"""

import base64
import binascii
import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

from kubeshim.machinery import errors
from kubeshim.wire import websocket

STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
CHANNELS = {STDIN: "stdin", STDOUT: "stdout", STDERR: "stderr", ERROR: "error", RESIZE: "resize"}

EXEC_WEBSOCKET = (
    "v5.channel.k8s.io", "v4.channel.k8s.io", "v4.base64.channel.k8s.io", "channel.k8s.io", "base64.channel.k8s.io", "",
)  # fmt: skip
EXEC_SPDY = ("v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io", "channel.k8s.io")
PORT_FORWARD_SPDY = ("portforward.k8s.io",)
PORT_FORWARD_TUNNEL = "SPDY/3.1+portforward.k8s.io"
PORT_FORWARD_WEBSOCKET = (
    PORT_FORWARD_TUNNEL, "v4.channel.k8s.io", "v4.base64.channel.k8s.io", "channel.k8s.io", "base64.channel.k8s.io", "",
)  # fmt: skip
PLAIN_WEBSOCKET = ("binary.k8s.io", "base64.binary.k8s.io", "")
"""A stream of output without channels: logs."""

SPDY_UPGRADE = "SPDY/3.1"


class UpgradeError(Exception):
    """The request cannot be upgraded; ``status`` and ``headers`` make the HTTP answer."""

    def __init__(self, status: int, message: str, headers: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.headers = list(headers)


@dataclasses.dataclass(frozen=True, slots=True)
class Upgrade:
    """What was agreed: ``transport`` is ``websocket`` or ``spdy``; ``answer`` the whole 101 response."""

    transport: str
    protocol: str
    answer: bytes

    @property
    def version(self) -> int:
        """1 to 5."""
        head = self.protocol.split(".", 1)[0]
        return int(head[1:]) if head in ("v2", "v3", "v4", "v5") else 1

    @property
    def is_base64(self) -> bool:
        return "base64" in self.protocol


def negotiate(headers: Mapping[str, str], *, websockets: Sequence[str], spdy: Sequence[str]) -> Upgrade:
    """Judges an upgrade request with lower-cased header names. Raises ``UpgradeError``."""
    if websocket.is_upgrade(headers):
        try:
            protocol, answer = websocket.accept(headers, websockets)
        except websocket.HandshakeError as error:
            raise UpgradeError(error.status, str(error)) from error
        return Upgrade("websocket", protocol, switching(answer))
    connection, upgrade = headers.get("connection", ""), headers.get("upgrade", "")
    if "upgrade" not in connection.lower() or SPDY_UPGRADE.lower() not in upgrade.lower():
        raise UpgradeError(400, f"unable to upgrade: missing upgrade headers in request: {_shown(headers)}")
    offers = [text.strip() for text in headers.get("x-stream-protocol-version", "").split(",") if text.strip()]
    answer = [("Connection", "Upgrade"), ("Upgrade", SPDY_UPGRADE)]
    if not offers:
        return Upgrade("spdy", "", switching(answer))
    chosen = next((offer for offer in offers if offer in spdy), None)
    if chosen is None:
        raise UpgradeError(
            403,
            f"unable to upgrade: unable to negotiate protocol: client supports {offers}, server accepts {list(spdy)}",
            [("X-Accepted-Stream-Protocol-Versions", accepted) for accepted in spdy],
        )
    return Upgrade("spdy", chosen, switching([*answer, ("X-Stream-Protocol-Version", chosen)]))


def switching(headers: Sequence[tuple[str, str]]) -> bytes:
    """The 101 response."""
    lines = ["HTTP/1.1 101 Switching Protocols", *(f"{name}: {value}" for name, value in headers)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def encode_channel(channel: int, data: bytes, *, is_base64: bool) -> tuple[int, bytes]:
    """``(opcode, message)``."""
    if is_base64:
        return websocket.TEXT, str(channel).encode() + base64.b64encode(data)
    return websocket.BINARY, bytes([channel]) + data


def decode_channel(message: websocket.Message, *, is_base64: bool) -> tuple[int, bytes]:
    """``(channel, data)``. Raises ``ValueError`` where the message is not of that form."""
    if not message.data:
        raise ValueError("empty message")
    if not is_base64:
        return message.data[0], message.data[1:]
    try:
        return message.data[0] - ord("0"), base64.b64decode(message.data[1:], validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from error


def parse_size(text: bytes) -> tuple[int, int] | None:
    """``(width, height)`` of ``{"Width":80,"Height":24}``; None where it says neither."""
    try:
        size = json.loads(text)
        return int(size["Width"]), int(size["Height"])
    except (ValueError, KeyError, TypeError):
        return None


def success() -> dict[str, Any]:
    return {"metadata": {}, "status": "Success"}


def exited(code: int, command: Sequence[str]) -> dict[str, Any]:
    """The ``Status`` of a command that ended: clients take the exit code from its cause."""
    if code == 0:
        return success()
    shown = " ".join(command)
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: error executing command [{shown}], exit code {code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


def failed(message: str) -> dict[str, Any]:
    """The ``Status`` of a command that could not be run, or whose streams broke."""
    status = errors.InternalError(f"Internal error occurred: {message}").status()
    status["details"] = {"causes": [{"message": message}]}
    return {key: status[key] for key in ("metadata", "status", "message", "reason", "details", "code")}


def status_text(status: Mapping[str, Any], version: int) -> bytes:
    """What goes over the error stream."""
    if version >= 4:
        return json.dumps(status, separators=(",", ":")).encode()
    return b"" if status["status"] == "Success" else str(status["message"]).encode()


def _shown(headers: Mapping[str, str]) -> str:
    return ", ".join(f"{name}: {headers[name]}" for name in ("connection", "upgrade") if name in headers) or "none"
