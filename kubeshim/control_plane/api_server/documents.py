"""The paths that are no resources: discovery, OpenAPI, version, health, metrics, and what others add.

Discovery and OpenAPI are computed from the registry and from what aggregated servers told, encoded once and kept under
the generations of both; what clients keep for long, OpenAPI and discovery's aggregated form, has an ETag.
OpenAPI documents are large: they are built in a native thread, when first asked for, of what was served at that moment.
"""

import datetime
import hashlib
import html
import platform
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from gevent import event as gevent_event

from kubeshim.control_plane.api_server import metrics, request, response, routes, statusz
from kubeshim.control_plane.api_server.aggregation import documents as together
from kubeshim.control_plane.api_server.aggregation import openapi as others
from kubeshim.control_plane.api_server.authentication import issuer
from kubeshim.control_plane.api_server.flow_control import dump
from kubeshim.control_plane.api_server.flow_control import metrics as flow_metrics
from kubeshim.machinery import discovery, groups, openapi, resources
from kubeshim.machinery.codecs import json, negotiation
from kubeshim.wire import exposition, process_metrics

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers

VERSION = {
    "major": "1", "minor": "37", "emulationMajor": "1", "emulationMinor": "37",
    "minCompatibilityMajor": "1", "minCompatibilityMinor": "36", "gitVersion": "v1.37.0+kubeshim",
    "gitCommit": "", "gitTreeState": "clean", "buildDate": "2026-08-01T00:00:00Z",
    "goVersion": "none", "compiler": platform.python_implementation(), "platform": "linux/amd64",
}  # fmt: skip
_AGGREGATED = ("apidiscovery.k8s.io", "v2", "APIGroupDiscoveryList")
_DISCOVERY = negotiation.Offers(tables=False, partial=False, converts=(_AGGREGATED,))
_AGGREGATED_TYPE = "{};g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_NOT_CACHED = ("Cache-Control", "no-cache, private")
_A_YEAR = datetime.timedelta(days=365)
_HEALTH = frozenset(("healthz", "livez", "readyz"))


class Documents:
    """The encoded documents of a server."""

    def __init__(self, server: "servers.Server") -> None:
        self._server = server
        self._generation = (-1, -1)
        self._kept: dict[tuple[str, ...], tuple[bytes, str] | None] = {}
        self._building: dict[tuple[tuple[int, int], tuple[str, ...]], gevent_event.AsyncResult[Any]] = {}
        """Documents that somebody waits for already: many who come at once after a change have it built once."""

    def handle(self, asked: request.Request) -> request.Response:
        """Raises 404 (as plain text), 405 and 406."""
        parts = asked.path.strip("/").split("/")
        routed = _is_routed(parts)
        if asked.path.endswith("/") and not routed and parts[0] not in ("", "apis"):
            return page_not_found()
        found = self._openid(asked.path.rstrip("/")) or self._find(asked, parts)
        if found is None and is_built_in(asked.path):
            raise routes.not_found()
        if found is not None and routed and asked.method != "GET":
            raise routes.not_allowed()
        return page_not_found() if found is None else found

    def _find(self, asked: request.Request, parts: list[str]) -> request.Response | None:
        server = self._server
        if parts == [""]:
            return self._plain(("paths",), lambda: {"paths": self._paths()}, asked)
        match parts:
            case ["api" | "apis"]:
                return self._root(asked, core=parts[0] == "api")
            case ["apis", group]:
                return self._discovery(("group", group), lambda: self._group(group), asked)
            case ["api", version]:
                return self._resources(asked, "", version)
            case ["apis", group, version]:
                return self._resources(asked, group, version)
            case ["openapi", "v2"]:
                return self._openapi_v2(asked)
            case ["openapi", "v3", *rest]:
                return self._openapi_v3(asked, "/".join(rest))
            case ["version"]:
                return self._plain(("version",), lambda: VERSION, asked)
            case [name, *_] if name in _HEALTH:
                return server.health.handle(asked)
            case ["statusz"]:
                return statusz.answer(asked, VERSION, self._paths(), server.clock.now())
            case ["metrics"]:
                return _exposition(self._metrics())
            case ["metrics", "slis"]:
                return _exposition(server.health.slis.text())
            case ["debug", "api_priority_and_fairness", page] if page in dump.PAGES:
                detailed = bool(asked.param("includeRequestDetails"))
                return request.Response(
                    200, [("Content-Type", "text/plain; charset=utf-8")],
                    dump.PAGES[page](server.flow_control, detailed).encode(),
                )  # fmt: skip
        return None

    def _openid(self, path: str) -> request.Response | None:
        return self._server.openid.get(path) if self._server.openid is not None else None

    def _root(self, asked: request.Request, *, core: bool) -> request.Response | None:
        media = negotiation.negotiate(asked.header("accept"), _DISCOVERY)
        registry, config = self._server.registry, self._server.config
        if media.kind:
            return self._discovery(
                ("aggregated", str(core)), lambda: self._aggregated(core), asked, media, _AGGREGATED_TYPE, tagged=True
            )
        if core:
            address = f"{config.advertise_address}:{config.advertise_port}"
            return self._discovery(("api",), lambda: discovery.api_versions(registry, address), asked)
        remote = self._server.aggregation.remote
        return self._discovery(("apis",), lambda: together.group_list(registry, remote.values()), asked)

    def _aggregated(self, core: bool) -> dict[str, Any]:
        aggregation = self._server.aggregation
        if core:
            return discovery.aggregated(self._server.registry, core)
        return together.aggregated(self._server.registry, aggregation.remote, aggregation.told)

    def _group(self, name: str) -> dict[str, Any] | None:
        return together.group(self._server.registry, self._server.aggregation.remote.values(), name)

    def _resources(self, asked: request.Request, group: str, version: str) -> request.Response | None:
        def make() -> dict[str, Any] | None:
            return discovery.api_resource_list(self._server.registry, group, version)

        return self._discovery(("resources", group, version), make, asked)

    def _types(self) -> tuple[resources.Registry, dict[resources.GroupVersionKind, dict[str, Any]]]:
        """The types being served and the schemas of custom ones, for a thread, which does not see what comes or goes
        meanwhile: a document is of one moment, that of its digest.
        """
        server = self._server
        return resources.Registry(list(server.registry)), dict(server.custom_openapi)

    def _openapi_v2(self, asked: request.Request) -> request.Response | None:
        registry, custom = self._types()
        theirs: dict[str, bytes] = {}

        def gather() -> None:
            theirs.update(others.v2_documents(self._server))

        form = _openapi_form(asked, openapi.V2_PROTOBUF)
        if not form:
            return request.Response(406, [("Vary", "Accept"), _NOT_CACHED])

        def document() -> bytes:
            whole = others.merged(openapi.v2(registry, custom), theirs)
            return json.encode(whole) if form == negotiation.JSON else openapi.v2_protobuf(whole)

        return self._document(
            ("v2", form), document, asked, form, in_thread=True, gather=gather, cached=[_NOT_CACHED]
        )  # fmt: skip

    def _openapi_v3(self, asked: request.Request, path: str) -> request.Response | None:
        registry, custom = self._types()
        aggregation = self._server.aggregation
        added = together.openapi_paths(aggregation.remote, aggregation.told)
        if path in added:
            return others.v3_document(asked, self._server, path)

        def index() -> bytes:
            listed = openapi.v3_index(openapi.v3_hashes(registry, custom))
            listed["paths"] = {**listed["paths"], **added}
            return json.encode(listed)

        if not path:
            return self._document(
                ("v3",), index, asked, negotiation.JSON, in_thread=True, cached=[_NOT_CACHED]
            )  # fmt: skip
        form = _openapi_form(asked, openapi.V3_PROTOBUF)
        digest = openapi.v3_hash(registry, path, custom)
        if not digest:
            return None
        if not form:
            return request.Response(406, [("Vary", "Accept"), _NOT_CACHED])
        cached = [_NOT_CACHED]
        if wanted := asked.param("hash"):
            if wanted != digest:
                return _moved(openapi.v3_url(path, digest))
            # Whoever asks for a digest gets the same for ever.
            expires = self._server.clock.now() + _A_YEAR
            cached = [("Cache-Control", "public, immutable"), ("Expires", f"{expires:%a, %d %b %Y %H:%M:%S} UTC")]

        def document() -> bytes | None:
            found = openapi.v3_document(registry, path, custom)
            if found is None:
                return None
            return json.encode(found) if form == negotiation.JSON else openapi.v3_protobuf(found)

        return self._document(
            ("v3", path, form), document, asked, form, in_thread=True, cached=cached, etag=f'"{digest}"'
        )  # fmt: skip

    def _paths(self) -> list[str]:
        """What ``/`` lists."""
        served = {resource.gvr.prefix for resource in self._server.registry}
        served |= {one.path for one in self._server.aggregation.remote.values()}
        groups = {prefix.rpartition("/")[0] for prefix in served if prefix.startswith("/apis/")}
        health = self._server.health
        checks = {f"/{probe}/{name}" for probe in ("healthz", "livez") for name in health.live} | {
            f"/readyz/{name}" for name in {**health.live, **health.ready}
        }
        fixed = {"/api", "/apis", "/healthz", "/livez", "/readyz", "/openapi/v2", "/openapi/v3", "/version"}
        fixed |= {"/metrics", "/metrics/slis", statusz.PATH, issuer.CONFIGURATION, issuer.KEYS}
        return sorted(served | groups | checks | fixed)

    def _metrics(self) -> str:
        storage = self._server.storage
        gauges = (
            ("apiserver_longrunning_requests", "Watches that are open.", storage.watchers()),
            ("apiserver_storage_revision", "Revision of the store's last write.", storage.revision),
        )
        stored = {resource.storage_prefix: resource for resource in self._server.registry}
        held = [(one.group, one.plural, storage.count(one)) for one in stored.values()]
        services = [(one.name, one.available) for one in self._server.aggregation.remote.values()]
        more = [
            *flow_metrics.lines(self._server.flow_control),
            *metrics.objects_held(held),
            *metrics.stored(self._server.store.size()),
            *metrics.unavailable_services(services),
            *self._server.authenticators.metrics(),
            *process_metrics.build(VERSION),
            *process_metrics.lines(),
        ]
        # Thousands of lines: nobody else's request waits for them.
        text: str = self._server.in_thread(lambda: self._server.metrics.text(gauges, more))
        return text

    # --- encoded documents ------------------------------------------------------------------------------------------

    def _plain(
        self, key: tuple[str, ...], make: Callable[[], dict[str, Any]], asked: request.Request
    ) -> request.Response | None:
        """What is no API object: JSON for people."""
        return self._document(key, lambda: json.encode_pretty(make()), asked, negotiation.JSON, tagged=False)

    def _discovery(
        self, key: tuple[str, ...], make: Callable[[], dict[str, Any] | None], asked: request.Request,
        media: negotiation.MediaType | None = None, content_type: str = "{}", *, tagged: bool = False,
    ) -> request.Response | None:  # fmt: skip
        """An API object: JSON, YAML or protobuf. Raises ``errors.NotAcceptable``."""
        if media is None:
            media = negotiation.negotiate(asked.header("accept"), negotiation.STATUS_ONLY)
        essence, pretty = media.essence, response.is_pretty(asked, media)

        def encode() -> bytes | None:
            made = make()
            return None if made is None else response.encode(made, essence, pretty=pretty)

        return self._document((*key, essence, str(pretty)), encode, asked, content_type.format(essence), tagged=tagged)

    def _document(
        self, key: tuple[str, ...], make: Callable[[], bytes | None], asked: request.Request, content_type: str, *,
        in_thread: bool = False, gather: Callable[[], None] | None = None, etag: str = "", tagged: bool = True,
        cached: Sequence[tuple[str, str]] = (("Cache-Control", "public"),),
    ) -> request.Response | None:  # fmt: skip
        """An encoded document; a ``tagged`` one with its ETag, or 304 for a client that has it.

        ``gather`` may wait for the network.
        """
        generation = self._now()
        if generation != self._generation:
            self._kept.clear()
            self._generation = generation
        if key in self._kept:
            found = self._kept[key]
        elif (building := self._building.get((generation, key))) is not None:
            found = building.get()
        else:
            building = self._building[generation, key] = gevent_event.AsyncResult()
            try:
                if gather is not None:
                    gather()
                body = self._server.in_thread(make) if in_thread else make()
                found = None if body is None else (body, etag or f'"{hashlib.sha512(body).hexdigest().upper()}"')
                building.set(found)
            except BaseException as problem:
                building.set_exception(problem)
                raise
            finally:
                del self._building[generation, key]
            # The registry may have changed while a thread built this.
            if self._now() == generation and found is not None:
                self._kept[key] = found
        if found is None:
            return None
        body, etag = found
        headers = [("Content-Type", content_type), _NOT_CACHED]
        if tagged:
            headers = [("Content-Type", content_type), ("ETag", etag), ("Vary", "Accept"), *cached]
        if tagged and _matches(asked.header("if-none-match"), etag):
            return request.Response(304, headers[1:])
        answer = request.Response(200, headers, body)
        response.gzip(asked, answer)
        return answer

    def _now(self) -> tuple[int, int]:
        return self._server.registry.generation, self._server.aggregation.generation


def _openapi_form(asked: request.Request, protobufs: tuple[str, str]) -> str:
    """The form OpenAPI is wanted in; nothing where none of the accepted ones is served."""
    for main, sub, _ in negotiation.parse_accept(asked.header("accept") or "*/*"):
        for essence in (negotiation.JSON, *protobufs):
            served_main, _, served_sub = essence.partition("/")
            if main in (served_main, "*") and sub in (served_sub, "*"):
                return protobufs[0] if essence in protobufs else essence
    return ""


def _matches(header: str, etag: str) -> bool:
    """Whether ``If-None-Match`` names what the client would get; weak or strong is no matter."""
    return header.strip() == "*" or any(one.strip().removeprefix("W/") == etag for one in header.split(","))


def _moved(url: str) -> request.Response:
    body = f'<a href="{html.escape(url)}">Moved Permanently</a>.\n\n'
    headers = [("Content-Type", "text/html; charset=utf-8"), ("Location", url), ("Vary", "Accept"), _NOT_CACHED]
    return request.Response(301, headers, body.encode())


def _is_routed(parts: list[str]) -> bool:
    """Documents behind the router, which are read with GET alone; the others answer any method."""
    match parts:
        case ["api"] | ["api", _] | ["apis", _, _] | ["version"] | [".well-known" | "openid", *_]:
            return True
    return False


def is_built_in(path: str) -> bool:
    """Whether the router of the built-in types has to say what is not there; elsewhere it is nobody's."""
    match path.strip("/").split("/"):
        case ["api" | "version", *_]:
            return True
        case ["apis", group, _, *_]:
            return groups.is_built_in(group)
    return False


def handle(asked: request.Request, server: "servers.Server") -> request.Response:
    return server.documents.handle(asked)


def _exposition(text: str) -> request.Response:
    return request.Response(200, [("Content-Type", exposition.CONTENT_TYPE)], text.encode())


def page_not_found() -> request.Response:
    """What upstream's innermost handler says to a path nobody knows."""
    return response.plain(404, "404 page not found")
