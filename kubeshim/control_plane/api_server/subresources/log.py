"""pods/log: a container's log as the kubelet has it, streamed; over a WebSocket for browsers.

The stream is cut at ``limitBytes`` here as well as there, so that no kubelet can make it longer.
"""

import base64
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any
from urllib import parse

from kubeshim.control_plane.api_server import request, request_info
from kubeshim.control_plane.api_server.authentication import authenticators
from kubeshim.control_plane.api_server.subresources import kubelets, outgoing, pipes, pods
from kubeshim.control_plane.api_server.verbs import options as parameters
from kubeshim.machinery import errors, objects
from kubeshim.machinery.validation import go_times
from kubeshim.wire import websocket

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers

_BINARY, _BASE64 = "binary.k8s.io", "base64.binary.k8s.io"
_FLAGS = ("follow", "previous", "timestamps")
_NUMBERS = {"sinceSeconds": 1, "tailLines": 0, "limitBytes": 1}
"""Options that are numbers, and the least each may be."""


class Log:
    def handle(self, asked: request.Request, server: "servers.Server") -> request.Response:
        query = options(asked)
        pod = pods.get(server, asked)
        container = pods.container(pod, asked.param("container"))
        node = objects.dig(pod, "spec", "nodeName", default="")
        if not node:
            return request.Response(204, [], b"")
        exchange, host = kubelets.connect(server, str(node))
        target = f"/containerLogs/{pods.path(pod)}/{parse.quote(container)}"
        if query:
            target += f"?{parse.urlencode(query)}"
        try:
            exchange.send("GET", target, [("Host", host), ("Connection", "close")])
            exchange.read_head()
        except OSError as problem:
            exchange.close()
            raise errors.InternalError(f'Get "https://{host}{target}": {problem}', reason="") from problem
        if exchange.status != 200:
            raise _refusal(exchange)
        limit = int(asked.param("limitBytes") or 0)
        if websocket.is_upgrade(asked.headers):
            return _over_websocket(asked, exchange, limit)
        pipes.close_when_gone(asked, exchange)
        return request.Response(200, [("Content-Type", "text/plain")], _quietly(_limited(exchange.body(), limit)))


def options(asked: request.Request) -> list[tuple[str, str]]:
    """The kubelet's query from the client's. Raises 422 for options that make no sense."""
    problems: list[errors.FieldError] = []
    query: list[tuple[str, str]] = []
    for name in _FLAGS:
        if name in asked.query and request_info.is_true(asked.param(name)):
            query.append((name, "true"))
    for name, least in _NUMBERS.items():
        try:
            value = parameters.integer(asked, name)
        except errors.BadRequest as error:
            raise errors.BadRequest(f"converting (url.Values) to (v1.PodLogOptions): {error.message}") from None
        if value is None:
            continue
        if value < least:
            bound = "must be greater than 0" if least else "must be greater than or equal to 0"
            problems.append(errors.FieldError(name, "FieldValueInvalid", f"Invalid value: {value}: {bound}"))
        query.append((name, str(value)))
    if asked.param("sinceTime"):
        _check_time(asked.param("sinceTime"))
        query.append(("sinceTime", asked.param("sinceTime")))
    if asked.param("sinceSeconds") and asked.param("sinceTime"):
        text = "at most one of `sinceTime` or `sinceSeconds` may be specified"
        problems.append(errors.FieldError("", "FieldValueForbidden", f"Forbidden: {text}"))
    stream = asked.param("stream")
    if stream and stream != "All":
        problems += _stream_problems(asked, stream)
        query.append(("stream", stream))
    if problems:
        raise errors.invalid("", "PodLogOptions", asked.info.name, problems)
    return query


def _stream_problems(asked: request.Request, stream: str) -> list[errors.FieldError]:
    if stream not in ("Stdout", "Stderr"):
        text = f'Unsupported value: "{stream}": supported values: "All", "Stderr", "Stdout"'
        return [errors.FieldError("stream", "FieldValueNotSupported", text)]
    if asked.param("tailLines"):
        text = "`tailLines` and specific `stream` are mutually exclusive for now"
        return [errors.FieldError("", "FieldValueForbidden", f"Forbidden: {text}")]
    return []


def _check_time(text: str) -> None:
    try:
        go_times.parse(text)
    except ValueError as error:
        raise errors.BadRequest(f"converting (url.Values) to (v1.PodLogOptions): {error}") from None


def _refusal(exchange: outgoing.Exchange) -> errors.APIStatusError:
    """What the kubelet said instead of a log, as the API error it becomes."""
    text = b"".join(exchange.body()).decode(errors="replace").strip()
    status = exchange.status
    if status == 400:
        return errors.BadRequest(text)
    if status == 404:
        return errors.NotFound(f"the server could not find the requested resource, {text}")
    if status == 503:
        return errors.ServiceUnavailable(text)
    return errors.InternalError(text, reason="InternalError", code=status if status >= 400 else 500)


def _limited(body: Iterable[bytes], limit: int) -> Iterator[bytes]:
    left = limit or -1
    for part in body:
        if limit:
            part = part[:left]
            left -= len(part)
        if part:
            yield part
        if limit and not left:
            return


def _quietly(body: Iterator[bytes]) -> Iterator[bytes]:
    """The status line is sent: all that is left to say about a lost kubelet is the end of the stream."""
    try:
        yield from body
    except OSError:
        return
    finally:
        close: Callable[[], None] | None = getattr(body, "close", None)
        if close is not None:
            close()


def _over_websocket(asked: request.Request, exchange: outgoing.Exchange, limit: int) -> request.Response:
    """One message a piece, in text where the client wants base64 (a browser's), else in binary."""
    headers = {**asked.headers}
    headers["sec-websocket-protocol"] = authenticators.without_token(headers.get("sec-websocket-protocol", ""))
    try:
        protocol, answer = websocket.accept(headers, ("", _BINARY, _BASE64))
    except websocket.HandshakeError as problem:
        exchange.close()
        raise errors.BadRequest(str(problem), code=problem.status) from problem
    head = "HTTP/1.1 101 Switching Protocols\r\n" + "".join(f"{name}: {value}\r\n" for name, value in answer) + "\r\n"

    def take(client: Any, buffered: bytes) -> None:
        import gevent

        watcher = gevent.spawn(_until_closed, client, exchange)
        try:
            client.sendall(head.encode())
            for part in _quietly(_limited(exchange.body(), limit)):
                opcode = websocket.TEXT if protocol == _BASE64 else websocket.BINARY
                client.sendall(websocket.encode(opcode, base64.b64encode(part) if protocol == _BASE64 else part))
            client.sendall(websocket.encode_close())
        except OSError:
            pass  # the client is gone
        finally:
            watcher.kill()
            exchange.close()
            client.close()

    return request.Response(101, takeover=take)


def _until_closed(client: Any, exchange: outgoing.Exchange) -> None:
    """Reads what the client sends (nothing of interest) to notice when it leaves."""
    parser = websocket.Parser()
    try:
        while data := client.recv(4096):
            for message in parser.feed(data):
                if message.opcode == websocket.PING:
                    client.sendall(websocket.encode(websocket.PONG, message.data))
                elif message.opcode == websocket.CLOSE:
                    return
    except (OSError, websocket.ProtocolError):
        return
    finally:
        exchange.close()


LOG = Log()
