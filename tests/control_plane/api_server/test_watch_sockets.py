"""WATCH over WebSocket, with a client that is not ours."""

import json
import socket

import pytest
import websocket

PROTOBUF = "application/vnd.kubernetes.protobuf"


@pytest.fixture
def connect(running, configmaps):
    """Opens a watch of the namespace's config maps."""
    opened = []

    def open_(query="", path=configmaps, **options):
        url = f"ws://127.0.0.1:{running.port}{path}?watch=1{query}"
        opened.append(socket.create_connection(("127.0.0.1", running.port), 10))  # the client leaks its own if refused
        return websocket.create_connection(url, socket=opened[-1], **options)

    yield open_
    for one in opened:
        one.close()


def create(running, configmaps, name):
    assert running.ask("POST", configmaps, {"metadata": {"name": name}}).status == 201


def test_events_are_messages(running, configmaps, connect):
    create(running, configmaps, "a")
    create(running, configmaps, "b")
    watch = connect()
    create(running, configmaps, "c")
    running.ask("DELETE", f"{configmaps}/a")
    seen = [watch.recv_data() for _ in range(4)]
    assert {opcode for opcode, _ in seen} == {websocket.ABNF.OPCODE_TEXT}
    events = [json.loads(data) for _, data in seen]
    assert [(event["type"], event["object"]["metadata"]["name"]) for event in events] == [
        ("ADDED", "a"), ("ADDED", "b"), ("ADDED", "c"), ("DELETED", "a")
    ]  # fmt: skip
    assert seen[0][1].endswith(b"}\n")


def test_protobuf_is_binary(running, configmaps, connect):
    create(running, configmaps, "a")
    create(running, configmaps, "b")
    watch = connect(header=[f"Accept: {PROTOBUF}"])
    for name in (b"a", b"b"):
        opcode, data = watch.recv_data()
        assert opcode == websocket.ABNF.OPCODE_BINARY
        assert data.startswith(b"\x0a\x05ADDED\x12")
        assert b"k8s\x00" in data
        assert name in data


def test_the_end_is_said(running, connect):
    watch = connect("&timeoutSeconds=1")
    assert watch.recv_data()[0] == websocket.ABNF.OPCODE_CLOSE


def test_one_sub_protocol_is_agreed_to(connect):
    assert connect(subprotocols=["chat"]).getsubprotocol() == "chat"
    with pytest.raises(websocket.WebSocketException):
        connect(subprotocols=["chat", "other"])


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"suppress_origin": True}, 403),
        ({"header": ["Sec-WebSocket-Version: 8"]}, 400),
        ({"header": ["Accept: text/html"]}, 406),
    ],
)
def test_refusals(connect, options, status):
    with pytest.raises(websocket.WebSocketBadStatusException) as refused:
        connect(**options)
    assert refused.value.status_code == status


def test_who_leaves_is_forgotten(running, configmaps, connect):
    before = running.server.storage.watchers()
    watch = connect()
    create(running, configmaps, "a")
    assert watch.recv()
    assert running.server.storage.watchers() == before + 1
    watch.close()
    while running.server.storage.watchers() > before:
        assert running.ask("GET", configmaps).status == 200
