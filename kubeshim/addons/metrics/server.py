"""The metrics API over HTTPS, for the API server alone.

Only who shows a certificate of the front proxy's authority gets through the TLS handshake, and that is the API server:
it has authenticated and authorized the user before, so nothing is left to judge here.
"""

import logging
import socket
import ssl
from collections.abc import Callable, Iterable, Sequence
from typing import Any
from urllib import parse

import orjson

from kubeshim.addons.metrics import answers, cluster, openapi, scraper
from kubeshim.client import rest
from kubeshim.machinery import errors, objects, selectors
from kubeshim.machinery.objects import Object
from kubeshim.wire import http_server, transport

_log = logging.getLogger(__name__)
_DOCUMENTS: dict[str, Any] = {
    "/apis": answers.GROUP_LIST,
    f"/apis/{answers.GROUP}": answers.API_GROUP,
    f"/apis/{answers.API_VERSION}": answers.RESOURCE_LIST,
    "/openapi/v3": openapi.INDEX,
    f"/openapi/v3/apis/{answers.API_VERSION}": openapi.DOCUMENT,
}
_STATUS = {200: "200 OK", 400: "400 Bad Request", 404: "404 Not Found", 405: "405 Method Not Allowed",
           500: "500 Internal Server Error", 503: "503 Service Unavailable"}  # fmt: skip


def tls_context(certificate: str, key: str, front_proxy_authority: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(front_proxy_authority)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


class MetricsServer:
    """Serves on ``sockets`` (listening already) from ``start`` to ``stop``."""

    def __init__(
        self, view: cluster.Cluster, sockets: Sequence[socket.socket], tls: ssl.SSLContext | None,
        figures: scraper.Scraper | None = None,
    ) -> None:  # fmt: skip
        self._api = _API(view, figures or scraper.Scraper(view))
        self._server = http_server.Server(self._call, sockets, tls=tls, transport=transport.THREADS)

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        self._server.stop(grace=1.0)

    def _call(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"].rstrip("/") or "/"
        query = parse.parse_qs(environ.get("QUERY_STRING", ""))
        accept = environ.get("HTTP_ACCEPT", "")
        try:
            if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
                raise errors.MethodNotAllowed("the server does not allow this method on the requested resource")
            document = self._api.get(path, query, as_table=_wants_table(accept))
            code = 200
        except errors.APIStatusError as refusal:
            document, code = refusal.status(), refusal.code
        except rest.Unreachable as problem:
            refused = errors.ServiceUnavailable(f"the API server cannot be asked: {problem}")
            document, code = refused.status(), refused.code
        body = orjson.dumps(document) + b"\n"
        headers = [("Content-Type", "application/json"), ("Cache-Control", "no-cache, private")]
        start_response(_STATUS.get(code) or f"{code} Error", [*headers, ("Content-Length", str(len(body)))])
        return [b"" if environ["REQUEST_METHOD"] == "HEAD" else body]


def _wants_table(accept: str) -> bool:
    """Whether the first form we have among those accepted is a table."""
    for offer in accept.split(","):
        parts = [part.strip() for part in offer.split(";")]
        if parts[0] not in ("application/json", "*/*", "application/*"):
            continue
        form = [part for part in parts[1:] if part.startswith("as=")]
        if not form:
            return False
        if form == ["as=Table"] and "v=v1" in parts:
            return True
    return False


class _API:
    """What is at which path."""

    def __init__(self, view: cluster.Cluster, figures: scraper.Scraper) -> None:
        self._view = view
        self._figures = figures

    def get(self, path: str, query: dict[str, list[str]], *, as_table: bool) -> Object:
        """Raises ``APIStatusError`` and ``rest.Unreachable``."""
        if path in _DOCUMENTS:
            document: Object = _DOCUMENTS[path]
            return document
        prefix = f"/apis/{answers.API_VERSION}/"
        if not path.startswith(prefix):
            raise errors.NotFound("the server could not find the requested resource")
        if query.get("watch", ["false"])[0].lower() not in ("false", "0"):
            raise errors.MethodNotAllowed("the server does not allow this method on the requested resource")
        match path.removeprefix(prefix).split("/"):
            case ["nodes"]:
                return self._form("nodes", self._nodes(*_selectors(query)), as_table)
            case ["nodes", name]:
                return self._one("nodes", name, self._nodes("", _named(name)), as_table)
            case ["pods"]:
                return self._form("pods", self._pods("", *_selectors(query)), as_table)
            case ["namespaces", namespace, "pods"]:
                return self._form("pods", self._pods(namespace, *_selectors(query)), as_table)
            case ["namespaces", namespace, "pods", name]:
                found = self._pods(namespace, "", _named(name))
                return self._one("pods", f"{namespace}/{name}", found, as_table)
        raise errors.NotFound("the server could not find the requested resource")

    def _form(self, plural: str, items: list[Object], as_table: bool) -> Object:
        return answers.table(plural, items) if as_table else answers.listing(plural, items)

    def _one(self, plural: str, name: str, items: list[Object], as_table: bool) -> Object:
        if not items:
            raise errors.not_found(answers.GROUP, plural, name)
        return answers.table(plural, items) if as_table else answers.single(plural, items[0])

    def _nodes(self, labels: str, fields: str) -> list[Object]:
        """What has no figures yet is left out, as upstream leaves it."""
        wanted = self._view.node_objects(labels, fields)
        usage = self._figures.usage()
        if any(objects.name(node) not in usage for node in wanted):
            usage = self._figures.usage(scraper.IMPATIENT)
        found = []
        for node in wanted:
            known = usage.get(objects.name(node))
            if known is not None and known.node is not None:
                found.append(answers.node_metrics(node, known.node))
        return found

    def _pods(self, namespace: str, labels: str, fields: str) -> list[Object]:
        wanted = self._view.running_pods(namespace, labels, fields)
        if not wanted:
            return []
        for oldest in (scraper.RESOLUTION, scraper.IMPATIENT):
            known = {key: used for node in self._figures.usage(oldest).values() for key, used in node.pods.items()}
            if all((objects.namespace(pod), objects.name(pod)) in known for pod in wanted):
                break
        found = []
        for pod in wanted:
            used = known.get((objects.namespace(pod), objects.name(pod)))
            if used:
                found.append(answers.pod_metrics(pod, used))
        return found


def _selectors(query: dict[str, list[str]]) -> tuple[str, str]:
    return query.get("labelSelector", [""])[0], query.get("fieldSelector", [""])[0]


def _named(name: str) -> str:
    return f"metadata.name={selectors.escape_field(name)}"
