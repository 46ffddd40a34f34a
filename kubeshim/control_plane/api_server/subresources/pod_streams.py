"""exec, attach and port-forward: the client's upgrade goes to the kubelet as it is, and then every byte both ways.

The server does not look into the streams: WebSocket and SPDY, with whatever sub-protocols, are between client and
kubelet. It decides who may, finds the pod's node, and translates the options into the kubelet's query.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib import parse

from kubeshim.control_plane.api_server import request, request_info
from kubeshim.control_plane.api_server.admission import plugin
from kubeshim.control_plane.api_server.authentication import authenticators
from kubeshim.control_plane.api_server.authorization import attributes as questions
from kubeshim.control_plane.api_server.subresources import kubelets, outgoing, pipes, pods
from kubeshim.machinery import errors, objects

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers

_PASSED_ON = ("upgrade", "x-stream-protocol-version", "sec-websocket-key", "sec-websocket-version",
              "sec-websocket-extensions", "user-agent", "origin")  # fmt: skip


class Stream:
    """One of the three; ``target`` gives the kubelet's path and query for a pod."""

    def __init__(self, target: Callable[[objects.Object, request.Request], str], kind: str) -> None:
        self._target = target
        self._kind = kind

    def handle(self, asked: request.Request, server: "servers.Server") -> request.Response:
        ensure_may_create(asked, server)
        admit_connect(asked, server, {"apiVersion": "v1", "kind": self._kind, **_options(asked)})
        pod = pods.get(server, asked)
        target = self._target(pod, asked)
        if not is_upgrade(asked):
            raise errors.BadRequest("Upgrade request required")
        return upgrade(asked, server, pods.node_of(pod), target)


def ensure_may_create(asked: request.Request, server: "servers.Server") -> None:
    """A WebSocket client can only GET; to open a stream into a pod it must nevertheless be allowed to create one."""
    if asked.info.verb == "create" or asked.user is None:
        return
    question = questions.of(asked, asked.user)._replace(verb="create")
    decision = server.authorizer.authorize(question)
    if not decision.allowed:
        raise questions.forbidden(question, decision.reason)


def admit_connect(asked: request.Request, server: "servers.Server", options: objects.Object) -> None:
    """Runs admission for a CONNECT."""
    assert asked.resource is not None and asked.user is not None
    attributes = plugin.Attributes(
        asked.user, "CONNECT", asked.resource, asked.info.subresource, asked.info.namespace,
        asked.info.name, options, None, {}, False, asked.warnings,
    )  # fmt: skip
    server.admission.mutate(attributes)
    server.admission.validate(attributes)


def is_upgrade(asked: request.Request) -> bool:
    return bool(asked.header("upgrade")) and "upgrade" in asked.header("connection").lower()


def upgrade(asked: request.Request, server: "servers.Server", node: str, target: str) -> request.Response:
    """Sends the upgrade on; a kubelet that refuses is quoted."""
    exchange, host = kubelets.connect(server, node)
    headers = [("Host", host), ("Connection", "Upgrade"), *upgrade_headers(asked)]
    if asked.method == "POST":
        headers.append(("Content-Length", "0"))
    try:
        exchange.send(asked.method, target, headers)
        exchange.read_head()
    except OSError as problem:
        exchange.close()
        raise errors.InternalError(f"error sending request: {problem}", reason="") from problem
    if exchange.status != 101:
        return relay(exchange)
    return request.Response(101, takeover=pipes.takeover(exchange))


def upgrade_headers(asked: request.Request) -> list[tuple[str, str]]:
    """What of the client's headers belongs to the upgrade. Credentials stay here."""
    kept = [
        (name, value)
        for name, value in asked.environ.get("wire.header_list") or asked.headers.items()
        if name in _PASSED_ON
    ]
    protocols = authenticators.without_token(asked.header("sec-websocket-protocol"))
    return [*kept, *([("Sec-WebSocket-Protocol", protocols)] if protocols else [])]


def relay(exchange: outgoing.Exchange) -> request.Response:
    """A kubelet's answer that is no upgrade, as it is."""
    body = b"".join(exchange.body())
    kind = exchange.header("content-type") or "text/plain; charset=utf-8"
    return request.Response(exchange.status, [("Content-Type", kind)], body)


def _flag(asked: request.Request, name: str) -> bool:
    return name in asked.query and request_info.is_true(asked.param(name))


def _options(asked: request.Request) -> objects.Object:
    options: objects.Object = {
        name: True for name in ("stdin", "stdout", "stderr", "tty") if _flag(asked, name)
    }  # fmt: skip
    if asked.param("container"):
        options["container"] = asked.param("container")
    for name in ("command", "ports"):
        if asked.query.get(name):
            values = asked.query[name]
            options[name] = [int(value) for value in values if value.isdecimal()] if name == "ports" else list(values)
    return options


def _container_target(kind: str) -> Callable[[objects.Object, request.Request], str]:
    def target(pod: objects.Object, asked: request.Request) -> str:
        container = pods.container(pod, asked.param("container"))
        pods.node_of(pod)
        query: list[tuple[str, str]] = [
            (word, "1")
            for option, word in (("stdin", "input"), ("stdout", "output"), ("stderr", "error"), ("tty", "tty"))
            if _flag(asked, option)
        ]
        if kind == "exec":
            query += [("command", word) for word in asked.query.get("command", [])]
            if not asked.query.get("command"):
                raise errors.BadRequest("you must specify at least 1 command")
        if not any(word in ("input", "output", "error") for word, _ in query):
            raise errors.BadRequest("you must specify at least 1 of stdin, stdout, stderr")
        return f"/{kind}/{pods.path(pod)}/{parse.quote(container)}?{parse.urlencode(query)}"

    return target


def _port_target(pod: objects.Object, asked: request.Request) -> str:
    ports = [("port", value) for name in ("ports", "port") for value in asked.query.get(name, [])]
    return f"/portForward/{pods.path(pod)}" + (f"?{parse.urlencode(ports)}" if ports else "")


EXEC = Stream(_container_target("exec"), "PodExecOptions")
ATTACH = Stream(_container_target("attach"), "PodAttachOptions")
PORT_FORWARD = Stream(_port_target, "PodPortForwardOptions")
