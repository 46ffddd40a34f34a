"""The kubelet's HTTPS API on port 10250: what the API server asks of a node.

Logs, exec, attach and port-forward of the node's pods, their list, health, metrics. Every request is authenticated
(client certificate or bearer token; nobody is anonymous here) and authorized before anything else is looked at.
Upgrades take the connection away from the HTTP server and keep the request's thread until they end.

    wire.http_server → Flask → _admit → a view → server_logs | server_streams | server_stats
"""

import collections
import html
import logging
import os
import pathlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import flask

from kubeshim.client import rest
from kubeshim.machinery import errors, objects
from kubeshim.machinery.objects import Object
from kubeshim.node.container_runtime import runtime as runtimes
from kubeshim.node.kubelet import node_status, server_auth, server_logs, server_stats, server_streams
from kubeshim.wire import exposition, http_server, process_metrics, remotecommand, slis, transport

log = logging.getLogger(__name__)

Authenticate = Callable[[Mapping[str, Any]], server_auth.User | None]
Authorize = Callable[[server_auth.User, str, str], bool]
"""``(user, verb, subresource of this node)``."""

CHECKS = ("ping", "log", "syncloop")
_RUN_TIMEOUT = 120.0
_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


class PodSource(Protocol):
    """What the server asks of the kubelet."""

    def pods(self) -> list[Object]:
        """The pods bound to this node."""

    def running_pods(self) -> list[Object]:
        """The pods whose sandbox runs."""

    def container_id(self, namespace: str, pod: str, container: str, previous: bool = False) -> str:
        """The runtime's id. Raises ``LookupError`` with the text for the client."""

    def sandbox_pid(self, namespace: str, pod: str) -> int | None:
        """A process in the pod's network namespace, None where the pod does not run."""


class KubeletServer:
    """Serves on ``sockets`` (listening already) from ``start`` to ``stop``."""

    def __init__(
        self,
        *,
        pods: PodSource,
        runtime: runtimes.Runtime,
        sockets: Sequence[socket.socket],
        tls: ssl.SSLContext | None,
        authenticate: Authenticate,
        authorize: Authorize,
        node_name: str = "",
        configuration: Mapping[str, Any] | None = None,
        healthy: Callable[[], bool] = lambda: True,
        metrics: Callable[[], str] = lambda: "",
        probe_metrics: Callable[[], str] = lambda: "",
        log_directory: str = "/var/log",
    ) -> None:
        told = metrics, probe_metrics
        self._views = _Views(pods, runtime, node_name, configuration or {}, healthy, told, log_directory)
        self._authenticate = authenticate
        self._authorize = authorize
        self.application = self._application()
        self._server = http_server.Server(self._call, sockets, tls=tls, transport=transport.THREADS)

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        """Ends every connection, streams included; their containers go on."""
        self._views.stopping.set()
        self._server.stop(grace=1.0)

    def _call(self, environ: dict[str, Any], start_response: Any) -> Any:
        # werkzeug routes a WebSocket upgrade to rules of its own kind only; ours take both transports, and read the
        # headers from ``wire.headers``.
        environ.pop("HTTP_UPGRADE", None)
        return self.application.wsgi_app(environ, start_response)

    def _application(self) -> flask.Flask:
        app = flask.Flask("kubelet", static_folder=None)
        app.url_map.strict_slashes = False
        app.url_map.merge_slashes = False
        app.before_request(self._admit)
        for rule, view, methods in self._views.table():
            app.add_url_rule(rule, rule, view, methods=methods)
        app.register_error_handler(404, lambda _: _text("404 page not found\n", 404))
        app.register_error_handler(405, lambda _: _text("405: Method Not Allowed", 405))
        return app

    def _admit(self) -> flask.Response | None:
        """Runs before every view; an answer from here ends the request."""
        path, verb = flask.request.path, server_auth.verb(flask.request.method)
        try:
            user = self._authenticate(flask.request.environ)
            if user is None:
                return _text("Unauthorized", 401)
            names = server_auth.subresources(path)
            if any(self._authorize(user, verb, name) for name in names):
                return None
        except (rest.Unreachable, errors.APIStatusError) as error:
            log.warning("authorization of %s %s could not be asked for: %s", flask.request.method, path, error)
            return _text("Authorization error: the API server cannot be asked", 500)
        listed = " ".join(names)
        return _text(f"Forbidden (user={user.name}, verb={verb}, resource=nodes, subresource(s)=[{listed}])\n", 403)


class _Views:
    """A method an endpoint."""

    def __init__(
        self,
        pods: PodSource,
        runtime: runtimes.Runtime,
        node_name: str,
        configuration: Mapping[str, Any],
        healthy: Callable[[], bool],
        metrics: tuple[Callable[[], str], Callable[[], str]],
        log_directory: str,
    ) -> None:
        self._pods = pods
        self._runtime = runtime
        self._configuration = configuration
        self._healthy = healthy
        self._slis = slis.Slis()
        self._metrics, self._probe_metrics = metrics
        self._log_directory = pathlib.Path(log_directory)
        self._stats = server_stats.Collector(
            node_name, pods.pods, pods.container_id, runtime.stats, pods.sandbox_pid, self._image_directory
        )
        self._node_name = node_name
        self.stopping = threading.Event()

    def table(self) -> list[tuple[str, Callable[..., Any], list[str]]]:
        """``(rule, view, methods)`` of everything served."""
        get, both = ["GET"], ["GET", "POST"]
        pod, with_uid = "/<namespace>/<pod>/<container>", "/<namespace>/<pod>/<uid>/<container>"
        return [
            ("/healthz", self.healthz, get),
            ("/healthz/<check>", self.healthz, get),
            ("/pods", self.list_pods, get),
            ("/pods/", self.list_pods, get),
            ("/runningpods", self.list_running_pods, get),
            ("/runningpods/", self.list_running_pods, get),
            (f"/containerLogs{pod}", self.container_logs, get),
            (f"/exec{pod}", self.exec, both),
            (f"/exec{with_uid}", self.exec, both),
            (f"/attach{pod}", self.attach, both),
            (f"/attach{with_uid}", self.attach, both),
            ("/portForward/<namespace>/<pod>", self.port_forward, both),
            ("/portForward/<namespace>/<pod>/<uid>", self.port_forward, both),
            (f"/run{pod}", self.run, ["POST"]),
            (f"/run{with_uid}", self.run, ["POST"]),
            ("/metrics", self.metrics, get),
            ("/metrics/slis", self.sli_metrics, get),
            ("/metrics/resource", self.resource_metrics, get),
            ("/metrics/cadvisor", self.cadvisor_metrics, get),
            ("/metrics/probes", self.probe_metrics, get),
            ("/stats/summary", self.summary, ["GET", "POST"]),
            ("/configz", self.configz, get),
            ("/logs/", self.node_logs, get),
            ("/logs/<path:path>", self.node_logs, get),
        ]

    def healthz(self, check: str = "") -> flask.Response:
        if check and check not in CHECKS:
            return _text("404 page not found\n", 404)
        good = True
        for name in (check,) if check else CHECKS:
            fine = name != "syncloop" or self._healthy()
            self._slis.observe(name, "healthz", fine)
            good = good and fine
        return _text("ok", 200) if good else _text("internal server error: sync loop is not healthy", 500)

    def sli_metrics(self) -> flask.Response:
        return flask.Response(self._slis.text(), content_type=exposition.CONTENT_TYPE)

    def list_pods(self) -> flask.Response:
        return _json({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": self._pods.pods()})

    def list_running_pods(self) -> flask.Response:
        return _json({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": self._pods.running_pods()})

    def container_logs(self, namespace: str, pod: str, container: str) -> flask.Response:
        try:
            wanted = server_logs.parse(flask.request.args.to_dict())
        except server_logs.BadOptions as error:
            return _text(str(error), error.status)
        found = self._find(namespace, pod)
        if found is None:
            return _text(f'pod "{pod}" does not exist', 404)
        if container not in _containers(found):
            return _text(f'container "{container}" not found in pod "{pod}"', 404)
        try:
            identity = self._pods.container_id(namespace, pod, container, wanted.previous)
        except LookupError as error:
            return _text(_said(error), 400)
        except runtimes.RuntimeFailure as error:
            return _text(f"unable to retrieve container logs for {container}: {error}", 500)
        try:
            # The log itself is looked at when the first line is asked for, too late for an HTTP status.
            self._runtime.container(identity)
        except runtimes.RuntimeFailure as error:
            return _text(f"unable to retrieve container logs for {identity}: {error}", 400)
        gone = threading.Event()
        if wanted.follow:
            flask.request.environ["wire.connection"].on_gone(gone.set)
        lines = self._runtime.logs(identity, wanted.options(lambda: gone.is_set() or self.stopping.is_set()))
        return flask.Response(server_logs.limited(lines, wanted.limit), content_type="text/plain; charset=utf-8")

    def exec(self, namespace: str, pod: str, container: str, uid: str = "") -> flask.Response:
        command = flask.request.args.getlist("command")

        def start(identity: str, options: server_streams.Options) -> runtimes.Session:
            return self._runtime.exec(
                identity, command, stdin=options.stdin, stdout=options.stdout, stderr=options.stderr, tty=options.tty
            )

        return self._stream(namespace, pod, container, uid, start, command)

    def attach(self, namespace: str, pod: str, container: str, uid: str = "") -> flask.Response:
        def start(identity: str, options: server_streams.Options) -> runtimes.Session:
            return self._runtime.attach(
                identity, stdin=options.stdin, stdout=options.stdout, stderr=options.stderr, tty=options.tty
            )

        return self._stream(namespace, pod, container, uid, start, None)

    def port_forward(self, namespace: str, pod: str, uid: str = "") -> flask.Response:
        found = self._find(namespace, pod, uid)
        if found is None:
            return _text("pod does not exist", 404)
        pid = self._pods.sandbox_pid(namespace, pod)
        if pid is None:
            return _text(f'pod "{pod}" is not running', 500)
        texts = [part for value in flask.request.args.getlist("port") for part in value.split(",") if part]
        if any(not text.isdecimal() or not 0 < int(text) < 65536 for text in texts):
            return _text(f"unable to parse ports {texts}", 400)
        try:
            server_streams.forward(
                flask.request.environ, [int(text) for text in texts], pid, f"{pod}_{namespace}", objects.uid(found)
            )
        except remotecommand.UpgradeError as error:
            return _refused(error)
        return flask.Response()

    def run(self, namespace: str, pod: str, container: str, uid: str = "") -> flask.Response:
        """The oldest form of exec: both outputs as the body."""
        if self._find(namespace, pod, uid) is None:
            return _text("pod does not exist", 404)
        try:
            identity = self._pods.container_id(namespace, pod, container)
            command = flask.request.args.get("cmd", "").split(" ")
            code, output = self._runtime.exec_sync(identity, command, _RUN_TIMEOUT)
        except LookupError:
            return _text(f'container not found ("{container}")', 500)
        except (runtimes.RuntimeFailure, TimeoutError) as error:
            return _text(str(error), 500)
        if code:
            return _text(f"command '{' '.join(command)}' exited with {code}: {output.decode(errors='replace')}", 500)
        return flask.Response(output, content_type="text/plain; charset=utf-8")

    def metrics(self) -> flask.Response:
        states = collections.Counter(state for pod in self._pods.pods() for state in _states(pod))
        counted = [((state,), states[state]) for state in sorted(states)]
        known = {"node": self._node_name}
        text = exposition.text(
            exposition.gauge("kubelet_node_name", "The node's name. The count is always 1.", 1, known),
            exposition.gauge(
                "kubelet_running_pods", "Number of pods that have a running pod sandbox", len(self._pods.running_pods())
            ),
            exposition.family(
                "kubelet_running_containers", "gauge", "Number of containers currently running", ("container_state",),
                counted,
            ),
            process_metrics.build({"gitVersion": node_status.VERSION, "major": "1", "minor": "37"}),
            process_metrics.lines(),
        )  # fmt: skip
        return flask.Response(text + self._metrics(), content_type=_PROMETHEUS)

    def resource_metrics(self) -> flask.Response:
        return flask.Response(self._stats.resource_metrics(), content_type=_PROMETHEUS)

    def cadvisor_metrics(self) -> flask.Response:
        return flask.Response(self._stats.cadvisor_metrics(), content_type=_PROMETHEUS)

    def _image_directory(self) -> str:
        root = self._runtime.info().root_dir
        return root if os.path.isdir(root) else "/"

    def probe_metrics(self) -> flask.Response:
        return flask.Response(self._probe_metrics(), content_type=_PROMETHEUS)

    def summary(self) -> flask.Response:
        return _json(self._stats.summary())

    def configz(self) -> flask.Response:
        return _json({"kubeletconfig": dict(self._configuration)})

    def node_logs(self, path: str = "") -> flask.Response:
        """Files beneath the machine's log directory, directories as a list of links."""
        root = self._log_directory.resolve()
        parts = path.split("/")
        if any(part in ("..", ".") or "\0" in part for part in parts):
            return _text("invalid URL path\n", 400)
        wanted = (root / path).resolve()
        if not wanted.is_relative_to(root) or not os.access(wanted, os.R_OK):
            return _text("404 page not found\n", 404)
        if wanted.is_dir():
            names = sorted(entry.name + ("/" if entry.is_dir() else "") for entry in wanted.iterdir())
            links = "".join(f'<a href="{html.escape(name)}">{html.escape(name)}</a>\n' for name in names)
            return flask.Response(f"<pre>\n{links}</pre>\n", content_type="text/html; charset=utf-8")
        if not wanted.is_file():
            return _text("404 page not found\n", 404)
        return flask.Response(_file(wanted), content_type="text/plain; charset=utf-8")

    def _stream(
        self,
        namespace: str,
        pod: str,
        container: str,
        uid: str,
        start: Callable[[str, server_streams.Options], runtimes.Session],
        command: list[str] | None,
    ) -> flask.Response:
        try:
            options = server_streams.parse_options(flask.request.args)
        except ValueError as error:
            return _text(str(error), 400)
        if self._find(namespace, pod, uid) is None:
            return _text("pod does not exist", 404)
        try:
            identity = self._pods.container_id(namespace, pod, container)
        except LookupError:
            return _text(f'container not found ("{container}")', 500)
        try:
            server_streams.run(flask.request.environ, options, lambda: start(identity, options), command)
        except remotecommand.UpgradeError as error:
            return _refused(error)
        return flask.Response()

    def _find(self, namespace: str, name: str, uid: str = "") -> Object | None:
        for pod in self._pods.pods():
            if objects.name(pod) == name and objects.namespace(pod) == namespace and uid in ("", objects.uid(pod)):
                return pod
        return None


def _containers(pod: Object) -> set[str]:
    """Names of all containers of a pod, of whatever kind."""
    spec = pod.get("spec") or {}
    kinds = ("initContainers", "containers", "ephemeralContainers")
    return {entry["name"] for kind in kinds for entry in spec.get(kind) or ()}


def _file(path: pathlib.Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(1 << 16):
            yield piece


def _said(error: LookupError) -> str:
    """The text a LookupError was made with (``str`` of a KeyError would quote it)."""
    return str(error.args[0]) if error.args else "container not found"


def _refused(error: remotecommand.UpgradeError) -> flask.Response:
    response = _text(str(error), error.status)
    for name, value in error.headers:
        response.headers.add(name, value)
    return response


def _text(text: str, status: int) -> flask.Response:
    return flask.Response(text, status, content_type="text/plain; charset=utf-8")


def _json(body: Any) -> flask.Response:
    import orjson

    return flask.Response(orjson.dumps(body), content_type="application/json")


def _states(pod: Object) -> Iterator[str]:
    """``exited`` or ``running`` of each container that is there."""
    status = pod.get("status") or {}
    for kind in ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"):
        for each in status.get(kind) or ():
            state = each.get("state") or {}
            if "running" in state:
                yield "running"
            elif "terminated" in state:
                yield "exited"
