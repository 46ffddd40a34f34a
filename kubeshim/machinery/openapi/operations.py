"""The operations a server offers, as neutral records, from the types it serves.

Each type has the standard operations its verbs and scope imply, whether it is built in or came with a
CustomResourceDefinition; subresources add theirs. ``paths`` writes the records as OpenAPI v2 or v3.
"""

import dataclasses
from collections.abc import Iterable, Iterator

from kubeshim.machinery import resources
from kubeshim.machinery.openapi import names, parameters

_META = "io.k8s.apimachinery.pkg.apis.meta.v1."
STATUS, PATCH, DELETE_OPTIONS, WATCH_EVENT = (
    _META + name for name in ("Status", "Patch", "DeleteOptions", "WatchEvent")
)  # fmt: skip

_FORMATS = ("application/json", "application/yaml", "application/vnd.kubernetes.protobuf")
_WATCH_FORMATS = ("application/json;stream=watch", "application/vnd.kubernetes.protobuf;stream=watch")
_CUSTOM_FORMATS = ("application/json", "application/yaml")
_ANY = ("*/*",)
_PATCHES = ("application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml")
_STRATEGIC = "application/strategic-merge-patch+json"

_RETURNS_OBJECT = frozenset({
    "csidrivers", "csinodes", "deviceclasses", "persistentvolumeclaims", "persistentvolumes", "pods", "podtemplates",
    "resourceclaims", "resourceclaimtemplates", "resourcequotas", "resourceslices", "serviceaccounts", "services",
    "storageclasses", "volumeattachments", "volumeattributesclasses",
})  # fmt: skip
"""Types whose deletion answers with the object instead of a Status."""

_CONNECT_METHODS = {"proxy": ("delete", "get", "head", "options", "patch", "post", "put")}
"""Methods of connecting subresources; the others have get and post."""

Responses = tuple[tuple[int, str], ...]
"""Status code and what the body is: a definition's name, or ``string``."""


@dataclasses.dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path. ``shared`` query parameters belong to the path, ``query`` to the method."""

    path: str
    method: str
    operation_id: str
    description: str
    tag: str
    responses: Responses
    action: str = ""
    gvk: resources.GroupVersionKind | None = None
    query: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    body: str = ""
    body_required: bool = True
    consumes: tuple[str, ...] = _ANY
    produces: tuple[str, ...] = _FORMATS


def of_group_version(registry: Iterable[resources.Resource], group: str, version: str) -> list[Operation]:
    """The operations on all types of a group-version, with the discovery document first."""
    served = sorted(
        (resource for resource in registry if (resource.group, resource.version) == (group, version)),
        key=lambda resource: resource.plural,
    )
    if not served:
        return []
    found = [
        Operation(
            path=f"{served[0].gvr.prefix}/",
            method="get",
            operation_id=f"get{names.group_version(group, version)}APIResources",
            description="get available resources",
            tag=names.tag(group, version),
            responses=((200, _META + "APIResourceList"),),
        )
    ]
    for resource in served:
        found += of_resource(resource)
    return found


def of_resource(resource: resources.Resource) -> list[Operation]:
    return list(_Maker(resource).make())


def of_server(group_names: Iterable[str]) -> list[Operation]:
    """What belongs to no group-version: discovery above it, the version, and the token issuer's documents."""

    def get(path: str, identifier: str, description: str, tag: str, *response: str) -> Operation:
        schema, *formats = response
        return Operation(
            path, "get", identifier, description, tag, ((200, schema),), produces=tuple(formats or _FORMATS)
        )

    info = "io.k8s.apimachinery.pkg.version.Info"
    issuer, well_known = "openid", "WellKnown"
    found = [
        get("/api/", "getCoreAPIVersions", "get available API versions", "core", _META + "APIVersions"),
        get("/apis/", "getAPIVersions", "get available API versions", "apis", _META + "APIGroupList"),
        get("/version/", "getCodeVersion", "get the version information for this server", "version", info, _FORMATS[0]),
        get(
            "/.well-known/openid-configuration", "getServiceAccountIssuerOpenIDConfiguration",
            "get the OpenID configuration of the issuer of service account tokens", well_known,
            "string", _FORMATS[0],
        ),
        get(
            "/openid/v1/jwks", "getServiceAccountIssuerOpenIDKeyset",
            "get the public keys with which service account tokens are verified", issuer,
            "string", "application/jwk-set+json",
        ),
    ]  # fmt: skip
    for group in group_names:
        identifier = f"get{names.group_name(group)}APIGroup"
        description = "get information of a group"
        found.append(get(f"/apis/{group}/", identifier, description, names.tag(group), _META + "APIGroup"))
    return found


class _Maker:
    """Makes the operations of one type."""

    def __init__(self, resource: resources.Resource) -> None:
        self._resource = resource
        self._custom = resource.strategy == "custom"
        scope = "/namespaces/{namespace}" if resource.namespaced else ""
        self._all = f"{resource.gvr.prefix}/{resource.plural}"
        self._collection = f"{resource.gvr.prefix}{scope}/{resource.plural}"
        self._one = self._collection + "/{name}"
        self._scoped = ("Namespaced" if resource.namespaced else "") + resource.kind
        self._kind = names.definition(resource.gvk)
        self._list = names.definition(resource.gvk._replace(kind=resource.list_kind or resource.kind + "List"))
        self._formats = _CUSTOM_FORMATS if self._custom else _FORMATS
        self._list_formats = (*self._formats, *(_WATCH_FORMATS[:1] if self._custom else _WATCH_FORMATS))

    def make(self) -> Iterator[Operation]:
        verbs = set(self._resource.verbs)
        if "list" in verbs:
            yield self._listing(self._collection, "list", self._scoped, shared=False)
            if self._resource.namespaced:
                everywhere = self._resource.kind + "ForAllNamespaces"
                yield self._listing(self._all, "list", everywhere, shared=True)
        if "create" in verbs:
            yield self._create()
        if "deletecollection" in verbs:
            yield self._delete_collection()
        yield from self._single(self._one, self._scoped, verbs, self._kind, self._resource.gvk, "the specified")
        if "delete" in verbs:
            yield self._delete()
        for name in sorted(self._resource.subresources):
            yield from self._subresource(self._resource.subresources[name])
        if "watch" in verbs and not self._custom:
            yield from self._watches()

    def _operation(self, path: str, method: str, verb: str, rest: str, action: str, **more: object) -> Operation:
        resource = self._resource
        base = Operation(
            path=path,
            method=method,
            operation_id=f"{verb}{names.group_version(resource.group, resource.version)}{rest}",
            description=f"{verb} {resource.kind}",
            tag=names.tag(resource.group, resource.version),
            responses=(),
            action=action,
            gvk=resource.gvk,
            shared=("pretty",),
            produces=self._formats,
        )
        return dataclasses.replace(base, **more)  # type: ignore[arg-type]

    def _listing(self, path: str, verb: str, rest: str, *, shared: bool) -> Operation:
        query = {"shared": ("pretty", *parameters.LIST)} if shared else {"query": parameters.LIST}
        text = f"list or watch objects of kind {self._resource.kind}"
        responses = ((200, self._list),)
        return self._operation(
            path, "get", verb, rest, "list", responses=responses, description=text, produces=self._list_formats, **query
        )

    def _create(self) -> Operation:
        responses = tuple((code, self._kind) for code in (200, 201, 202))
        return self._operation(
            self._collection, "post", "create", self._scoped, "post", description=f"create a {self._resource.kind}",
            responses=responses, body=self._kind, query=parameters.WRITE,
        )  # fmt: skip

    def _delete_collection(self) -> Operation:
        return self._operation(
            self._collection, "delete", "delete", "Collection" + self._scoped, "deletecollection",
            description=f"delete collection of {self._resource.kind}", responses=((200, STATUS),), body=DELETE_OPTIONS,
            body_required=False, query=parameters.DELETE_COLLECTION,
        )  # fmt: skip

    def _delete(self) -> Operation:
        answer = self._kind if self._resource.plural in _RETURNS_OBJECT and not self._custom else STATUS
        return self._operation(
            self._one, "delete", "delete", self._scoped, "delete", description=f"delete a {self._resource.kind}",
            responses=((200, answer), (202, answer)), body=DELETE_OPTIONS, body_required=False, query=parameters.DELETE,
        )  # fmt: skip

    def _single(
        self, path: str, rest: str, verbs: set[str], schema: str, gvk: resources.GroupVersionKind, what: str
    ) -> Iterator[Operation]:
        """Reading, replacing and patching one object, or the part of it that a subresource is."""
        kind = self._resource.kind
        if "get" in verbs:
            yield self._operation(
                path, "get", "read", rest, "get", gvk=gvk, description=f"read {what} {kind}", responses=((200, schema),)
            )
        responses = ((200, schema), (201, schema))
        if "update" in verbs:
            yield self._operation(
                path, "put", "replace", rest, "put", gvk=gvk, description=f"replace {what} {kind}",
                responses=responses, body=schema, query=parameters.WRITE,
            )  # fmt: skip
        if "patch" in verbs:
            patches = _PATCHES if self._custom else (*_PATCHES[:2], _STRATEGIC, *_PATCHES[2:])
            yield self._operation(
                path, "patch", "patch", rest, "patch", gvk=gvk, description=f"partially update {what} {kind}",
                responses=responses, body=PATCH, query=parameters.PATCH, consumes=patches,
            )  # fmt: skip

    def _subresource(self, subresource: resources.Subresource) -> Iterator[Operation]:
        name = subresource.name
        path, rest = f"{self._one}/{name}", self._scoped + name[:1].upper() + name[1:]
        gvk = subresource.kind
        if name in parameters.CONNECT:
            yield from self._connect(path, rest, name, gvk)
            return
        schema = names.definition(gvk)
        if name == "log":
            formats = ("text/plain", *self._formats)
            yield self._operation(
                path, "get", "read", rest, "get", description=f"read log of the specified {self._resource.kind}",
                responses=((200, "string"),), query=parameters.LOG, produces=formats,
            )  # fmt: skip
            return
        if "create" in subresource.verbs:
            yield self._operation(
                path, "post", "create", rest, "post", gvk=gvk, description=f"create {name} of a {self._resource.kind}",
                responses=tuple((code, schema) for code in (200, 201, 202)), body=schema, query=parameters.WRITE,
            )  # fmt: skip
        yield from self._single(path, rest, set(subresource.verbs), schema, gvk, f"{name} of the specified")

    def _connect(self, path: str, rest: str, name: str, gvk: resources.GroupVersionKind) -> Iterator[Operation]:
        paths = [(path, rest)]
        if name == "proxy":
            paths.append((path + "/{path}", rest + "WithPath"))
        for where, ending in paths:
            for method in _CONNECT_METHODS.get(name, ("get", "post")):
                yield self._operation(
                    where, method, "connect", method.capitalize() + ending, "connect", gvk=gvk, produces=_ANY,
                    description=f"connect {method.upper()} requests to {name} of {self._resource.kind}",
                    responses=((200, "string"),), shared=parameters.CONNECT[name],
                )  # fmt: skip

    def _watches(self) -> Iterator[Operation]:
        """The paths under ``/watch/``, from before there was a query parameter for it."""
        prefix = self._resource.gvr.prefix
        below = self._collection.removeprefix(prefix)
        kind, note = self._resource.kind, "deprecated: use the 'watch' parameter with a list operation instead."
        changes = f"watch individual changes to a list of {kind}. "
        targets = [
            (f"{prefix}/watch{below}", self._scoped + "List", "watchlist", changes),
            (f"{prefix}/watch{below}/{{name}}", self._scoped, "watch", f"watch changes to an object of kind {kind}. "),
        ]  # fmt: skip
        if self._resource.namespaced:
            path, rest = f"{prefix}/watch/{self._resource.plural}", kind + "ListForAllNamespaces"
            targets.append((path, rest, "watchlist", changes))
        for path, rest, action, text in targets:
            yield self._operation(
                path, "get", "watch", rest, action, description=text + note, responses=((200, WATCH_EVENT),),
                shared=("pretty", *parameters.LIST), produces=self._list_formats,
            )  # fmt: skip
