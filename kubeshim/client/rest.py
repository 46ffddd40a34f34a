"""The API over HTTPS: one method a verb, plain dicts in and out, for any number of threads.

Failures are two kinds. What the server answered is an ``errors.APIStatusError`` rebuilt from its
``Status``. What never got an answer is ``Unreachable``; then nobody knows whether a write took place, so
only requests that cannot have arrived (connection refused), or that may safely be sent twice (GET), are
sent again here. 429, and 5xx with ``Retry-After``, were refused before any work and are always retried.

Objects in lists carry no ``apiVersion`` and ``kind`` on the wire; ``list`` puts them in, so that an object
looks the same wherever it came from.
"""

import http.client
import logging
import os
import pathlib
import socket
import ssl
import tempfile
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

import orjson
import urllib3
import urllib3.exceptions

from kubeshim.client import kubeconfig, watching
from kubeshim.machinery import errors, objects
from kubeshim.machinery.objects import Object
from kubeshim.machinery.resources import GroupVersionResource

_log = logging.getLogger(__name__)
# It warns of each connection beyond the pool's size that is closed after use, which is what we want of a burst.
logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)

CONNECT_TIMEOUT = 5.0
READ_TIMEOUT = 65.0
"""Seconds; a little more than the server's own request time-out, so that it is the server who tells."""
REFUSED_ATTEMPTS = 6
THROTTLED_ATTEMPTS = 10
PATCH_TYPES = {
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "json": "application/json-patch+json",
    "apply": "application/apply-patch+yaml",
}
PatchKind = Literal["merge", "strategic", "json", "apply"]

_KEEPALIVE = [
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    # Milliseconds: what nobody acknowledges (a cable was pulled) fails soon, and the next try is a new connection.
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 15000),
]

Within = Callable[[Callable[[], Any]], Any]
"""Calls a function somewhere else, in a thread of another network namespace say, and returns its result."""


Observe = Callable[[str, str, float], None]
"""Method, code (``<error>`` without an answer), and seconds until the answer began."""


class Unreachable(OSError):
    """The server could not be reached, or the connection broke before its answer."""


class Client:
    """A client of one API server. Safe to share between threads; ``close`` it when done.

    Connections are opened ``within``, if that is given; afterwards any thread may use them.
    """

    def __init__(
        self, config: kubeconfig.ClientConfig, *, user_agent: str = "kubeshim", within: Within | None = None
    ) -> None:
        self.config = config
        self._headers = {"User-Agent": user_agent, "Accept": "application/json"}
        if config.impersonate:
            self._headers["Impersonate-User"] = config.impersonate
        self._closed = threading.Event()
        self._token = _Token(config)
        self._prefix = urllib.parse.urlsplit(config.server).path.rstrip("/")
        self._within = within
        self.observe: Observe | None = None
        """Is told of every request."""
        self._pool, self._watch_pool = self._pools()

    def _pools(self) -> tuple[urllib3.HTTPConnectionPool, urllib3.HTTPConnectionPool]:
        """Two: a watch keeps its connection for minutes; it must never take one from the requests."""
        context = tls_context(self.config) if self.config.server.startswith("https") else None
        return tuple(_pool(self.config, context, size, self._within) for size in (32, 128))  # type: ignore[return-value]

    def renew_identity(self) -> None:
        """Reads certificate and key files again, for connections from now on.

        What is under way goes on with the old ones; their pool goes when the last of them has ended.
        """
        self._pool, self._watch_pool = self._pools()

    def close(self) -> None:
        """Drops idle connections and ends waiting retries."""
        self._closed.set()
        self._pool.close()
        self._watch_pool.close()

    def get(
        self, gvr: GroupVersionResource, name: str, namespace: str = "", *, subresource: str = "", **params: Any
    ) -> Object:
        return self._json("GET", path_of(gvr, namespace, name, subresource), params)

    def list(
        self,
        gvr: GroupVersionResource,
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        resource_version: str = "",
        limit: int = 0,
        metadata_only: bool = False,
        **params: Any,
    ) -> Object:
        """One page; ``metadata.continue`` is not followed (``pages`` does).

        With ``metadata_only`` items are ``PartialObjectMetadata``.
        """
        query = _selectors(label_selector, field_selector, resource_version, params)
        if limit:
            query["limit"] = limit
        headers = {"Accept": _PARTIAL_LIST} if metadata_only else None
        found = self._json("GET", path_of(gvr, namespace), query, headers=headers)
        return _with_kinds(found)

    def pages(
        self, gvr: GroupVersionResource, namespace: str = "", *, limit: int = 500, **params: Any
    ) -> Iterator[Object]:
        """All items, fetched ``limit`` at a time."""
        token = ""
        while True:
            query: dict[str, Any] = {**params, "continue": token} if token else params
            page = self.list(gvr, namespace, limit=limit, **query)
            yield from page["items"]
            token = page.get("metadata", {}).get("continue") or ""
            if not token:
                return

    def create(
        self,
        gvr: GroupVersionResource,
        obj: Object,
        namespace: str = "",
        *,
        name: str = "",
        subresource: str = "",
        **params: Any,
    ) -> Object:
        """POSTs ``obj``; ``name`` and ``subresource`` address things like ``pods/NAME/binding``."""
        path = path_of(gvr, namespace or objects.namespace(obj), name, subresource)
        return self._json("POST", path, params, body=obj)

    def update(self, gvr: GroupVersionResource, obj: Object, *, subresource: str = "", **params: Any) -> Object:
        path = path_of(gvr, objects.namespace(obj), objects.name(obj), subresource)
        return self._json("PUT", path, params, body=obj)

    def patch(
        self,
        gvr: GroupVersionResource,
        name: str,
        patch: Any,
        namespace: str = "",
        *,
        kind: PatchKind = "merge",
        subresource: str = "",
        **params: Any,
    ) -> Object:
        headers = {"Content-Type": PATCH_TYPES[kind]}
        return self._json("PATCH", path_of(gvr, namespace, name, subresource), params, body=patch, headers=headers)

    def delete(
        self, gvr: GroupVersionResource, name: str, namespace: str = "", *, options: Object | None = None
    ) -> Object:
        """Returns the object still there (finalizers, grace) or a ``Status``. ``options`` are DeleteOptions' fields."""
        return self._json("DELETE", path_of(gvr, namespace, name), {}, body=_delete_options(options))

    def delete_collection(
        self,
        gvr: GroupVersionResource,
        namespace: str = "",
        *,
        options: Object | None = None,
        label_selector: str = "",
        field_selector: str = "",
    ) -> Object:
        query = _selectors(label_selector, field_selector, "", {})
        return self._json("DELETE", path_of(gvr, namespace), query, body=_delete_options(options))

    def watch(
        self,
        gvr: GroupVersionResource,
        namespace: str = "",
        *,
        resource_version: str = "",
        label_selector: str = "",
        field_selector: str = "",
        timeout: int = 0,
        metadata_only: bool = False,
        **params: Any,
    ) -> watching.Watch:
        """Iterates ``(type, object)`` until the server ends it; ``stop()`` of the answer ends it from any thread.

        ``ERROR`` events are raised. ``timeout`` (seconds) is the server's; 0 leaves it to the server.
        """
        query = _selectors(label_selector, field_selector, resource_version, params)
        query["watch"] = True
        if timeout:
            query["timeoutSeconds"] = timeout
        headers = {"Accept": _PARTIAL} if metadata_only else {}
        # Silence beyond the agreed end means a dead peer that keepalive did not notice.
        patience = urllib3.Timeout(connect=CONNECT_TIMEOUT, read=timeout + 30 if timeout else None)
        response = self._request("GET", path_of(gvr, namespace), query, headers=headers, timeout=patience, stream=True)
        return watching.Watch(response)

    def raw(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        stream: bool = False,
        params: Mapping[str, Any] | None = None,
    ) -> urllib3.BaseHTTPResponse:
        """Any path. The answer has ``.status``, ``.headers``, ``.data``; with ``stream`` its body is still unread."""
        return self._request(method, path, params or {}, body=body, headers=headers or {}, stream=stream)

    def _json(
        self,
        method: str,
        path: str,
        params: Mapping[str, Any],
        *,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Object:
        encoded = None if body is None else orjson.dumps(body)
        sent = dict(headers or {})
        if encoded is not None:
            sent.setdefault("Content-Type", "application/json")
        response = self._request(method, path, params, body=encoded, headers=sent)
        answer: Object = orjson.loads(response.data)
        return answer

    def _request(
        self,
        method: str,
        path: str,
        params: Mapping[str, Any],
        *,
        body: bytes | None = None,
        headers: Mapping[str, str],
        timeout: urllib3.Timeout | None = None,
        stream: bool = False,
    ) -> urllib3.BaseHTTPResponse:
        """Sends, retries what is safe to retry, and turns failures into exceptions."""
        url = self._prefix + path + _query(params)
        refused = throttled = 0
        while True:
            started = time.monotonic()
            try:
                response = self._send(method, url, body, headers, timeout, stream)
                self._observed(method, str(response.status), started)
            except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError) as error:
                self._observed(method, "<error>", started)
                refused += 1
                if not _may_repeat(method, error) or refused >= REFUSED_ATTEMPTS:
                    raise Unreachable(f"{method} {self.config.server}{path}: {error}") from error
                if self._closed.wait(0.05 * 2**refused / 2):
                    raise Unreachable("the client was closed") from error
                continue
            if response.status < 400:
                return response
            failure, wait = _failure(response), _retry_after(response)
            throttled += 1
            if wait is None or throttled >= THROTTLED_ATTEMPTS or self._closed.wait(wait):
                raise failure

    def _observed(self, method: str, code: str, started: float) -> None:
        if self.observe is not None:
            self.observe(method, code, time.monotonic() - started)

    def _send(
        self,
        method: str,
        url: str,
        body: bytes | None,
        headers: Mapping[str, str],
        timeout: urllib3.Timeout | None,
        stream: bool,
    ) -> urllib3.BaseHTTPResponse:
        sent = urllib3.HTTPHeaderDict({**self._headers, **headers})
        for group in self.config.impersonate_groups:
            sent.add("Impersonate-Group", group)
        token = self._token.value()
        if token:
            sent["Authorization"] = f"Bearer {token}"
        pool = self._watch_pool if stream else self._pool
        return pool.urlopen(  # type: ignore[no-any-return, unused-ignore]
            method,
            url,
            body=body,
            headers=sent,
            retries=False,
            redirect=False,
            timeout=timeout or urllib3.Timeout(connect=CONNECT_TIMEOUT, read=READ_TIMEOUT),
            preload_content=not stream,
        )


_PARTIAL = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
_PARTIAL_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


def path_of(gvr: GroupVersionResource, namespace: str = "", name: str = "", subresource: str = "") -> str:
    """The URL path of a collection, object or subresource, without query."""
    parts = [gvr.prefix]
    if namespace:
        parts += ["namespaces", urllib.parse.quote(namespace, safe="")]
    parts.append(gvr.resource)
    if name:
        parts.append(urllib.parse.quote(name, safe=":"))
    if subresource:
        parts.append(subresource)
    return "/".join(parts)


def _query(params: Mapping[str, Any]) -> str:
    pairs: list[tuple[str, str]] = []
    for key, value in params.items():
        for item in value if isinstance(value, list | tuple) else (value,):
            if item is None or item == "":
                continue
            pairs.append((key, str(item).lower() if isinstance(item, bool) else str(item)))
    return "?" + urllib.parse.urlencode(pairs) if pairs else ""


def _selectors(labels: str, fields: str, version: str, params: Mapping[str, Any]) -> dict[str, Any]:
    named = {"labelSelector": labels, "fieldSelector": fields, "resourceVersion": version}
    return {**{key: value for key, value in named.items() if value}, **params}


def _with_kinds(found: Object) -> Object:
    kind, version = str(found.get("kind", "")).removesuffix("List"), found.get("apiVersion")
    items = found.get("items")
    if items is None:
        items = found["items"] = []
    for item in items:
        item.setdefault("apiVersion", version)
        item.setdefault("kind", kind)
    return found


def _delete_options(options: Object | None) -> Object | None:
    return None if options is None else {"kind": "DeleteOptions", "apiVersion": "v1", **options}


def _may_repeat(method: str, error: Exception) -> bool:
    if isinstance(error, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ConnectTimeoutError):
        return True
    if isinstance(error, urllib3.exceptions.SSLError):
        return False
    return method in ("GET", "HEAD") and not isinstance(error, urllib3.exceptions.ReadTimeoutError)


def _retry_after(response: urllib3.BaseHTTPResponse) -> float | None:
    """Seconds after which the server wants to see the request again; None where it said nothing."""
    if response.status != 429 and response.status < 500:
        return None
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isdigit() else None


def _failure(response: urllib3.BaseHTTPResponse) -> errors.APIStatusError:
    body = response.data
    try:
        status = orjson.loads(body)
    except orjson.JSONDecodeError:
        status = None
    if not isinstance(status, dict) or status.get("kind") != "Status":
        status = {"message": body.decode("utf-8", "replace").strip() or str(response.reason), "code": response.status}
    return errors.from_status(status, response.status)


def _pool(
    config: kubeconfig.ClientConfig, context: ssl.SSLContext | None, size: int, within: Within | None
) -> urllib3.HTTPConnectionPool:
    pool = _make_pool(config, context, size)
    if within is not None:
        pool.ConnectionCls = _opened_within(pool.ConnectionCls, within)
    return pool


def _opened_within(base: Any, within: Within) -> Any:
    class Connection(base):  # type: ignore[misc]
        def _new_conn(self) -> socket.socket:
            opened: socket.socket = within(super()._new_conn)
            return opened

    return Connection


def _make_pool(
    config: kubeconfig.ClientConfig, context: ssl.SSLContext | None, size: int
) -> urllib3.HTTPConnectionPool:
    parts = urllib.parse.urlsplit(config.server)
    if not parts.hostname:
        raise kubeconfig.ConfigError(f"server {config.server!r} is not a URL")
    common: dict[str, Any] = {"maxsize": size, "block": False, "socket_options": _KEEPALIVE}
    if context is None:
        return urllib3.HTTPConnectionPool(parts.hostname, parts.port or 80, **common)
    if config.tls_server_name:
        common |= {"server_hostname": config.tls_server_name, "assert_hostname": config.tls_server_name}
    if config.insecure:
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)  # it was asked for
        common |= {"cert_reqs": "CERT_NONE", "assert_hostname": False}
    return urllib3.HTTPSConnectionPool(parts.hostname, parts.port or 443, ssl_context=context, **common)


def tls_context(config: kubeconfig.ClientConfig) -> ssl.SSLContext:
    """Trusts and shows what the configuration says; kubelets know the same identities."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if config.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif config.ca_data:
        context.load_verify_locations(cadata=config.ca_data.decode())
    elif config.ca_file:
        context.load_verify_locations(cafile=config.ca_file)
    else:
        context.load_default_certs()
    if config.cert_data or config.cert_file:
        _load_identity(context, config)
    return context


def _load_identity(context: ssl.SSLContext, config: kubeconfig.ClientConfig) -> None:
    """Loads certificate and key; OpenSSL takes them only from files, so data goes through one that only we can read."""
    certificate = config.cert_data or pathlib.Path(config.cert_file or "").read_bytes()
    key = config.key_data or (pathlib.Path(config.key_file).read_bytes() if config.key_file else b"")
    with tempfile.NamedTemporaryFile(prefix="kubeshim-identity-") as file:  # created with mode 0600
        file.write(certificate.rstrip() + b"\n" + key)
        file.flush()
        context.load_cert_chain(file.name)


class _Token:
    """The bearer token, read again when its file changes."""

    def __init__(self, config: kubeconfig.ClientConfig) -> None:
        self._fixed = config.token
        self._path = config.token_file
        self._seen: tuple[int, str] | None = None

    def value(self) -> str | None:
        if self._fixed or not self._path:
            return self._fixed
        changed = os.stat(self._path).st_mtime_ns
        if self._seen is None or self._seen[0] != changed:
            self._seen = changed, pathlib.Path(self._path).read_text().strip()
        return self._seen[1]
