"""OpenAPI documents of what a registry serves.

Building is not free (v2 some tenths of a second, a v3 document some hundredths); callers build on demand and
keep the bytes until the registry's generation changes. ``v3_hashes`` is cheap, so that the index, which every
kubectl asks for first, needs no document to be built.
"""

import hashlib
from typing import Any

from kubeshim.machinery import groups, resources
from kubeshim.machinery.openapi import components, names, operations, paths

_INFO = {"title": "Kubernetes", "version": "v1.37.0"}
_BEARER = {
    "BearerToken": {
        "description": "Bearer Token authentication",
        "type": "apiKey",
        "name": "authorization",
        "in": "header",
    }
}
_SERVER_PATHS = {
    "api": "/api/",
    "apis": "/apis/",
    "version": "/version/",
    ".well-known/openid-configuration": "/.well-known/openid-configuration",
    "openid/v1/jwks": "/openid/v1/jwks",
}


def v2(registry: resources.Registry, custom: components.Custom) -> dict[str, Any]:
    """``GET /openapi/v2``."""
    served = list(registry)
    order = groups.ordered(served)
    found = operations.of_server(group for group in order if group)
    for group, versions in order.items():
        for version in versions:
            found += operations.of_group_version(served, group, version)
    paths_, parameters = paths.v2(found)
    return {
        "swagger": "2.0",
        "info": _INFO,
        "paths": paths_,
        "definitions": components.v2(found, served, custom),
        "parameters": parameters,
        "securityDefinitions": _BEARER,
        "security": [{"BearerToken": []}],
    }


def v3_paths(registry: resources.Registry) -> list[str]:
    """The documents there are, as the index names them: ``api/v1``, ``apis/apps``, ``apis/apps/v1``, ``version`` …"""
    found = list(_SERVER_PATHS)
    for group, versions in groups.ordered(registry).items():
        if group:
            found.append(f"apis/{group}")
        found += [f"apis/{group}/{version}" if group else f"api/{version}" for version in versions]
    return sorted(found)


def v3_hashes(registry: resources.Registry, custom: components.Custom) -> dict[str, str]:
    """For each document, a digest that changes when the document would."""
    return {path: _hash(registry, path, custom) for path in v3_paths(registry)}


def v3_hash(registry: resources.Registry, path: str, custom: components.Custom) -> str:
    """The digest of one document; nothing where there is no such document."""
    return _hash(registry, path, custom) if path in v3_paths(registry) else ""


def v3_url(path: str, digest: str) -> str:
    return f"/openapi/v3/{path}?hash={digest}"


def v3_index(hashes: dict[str, str]) -> dict[str, Any]:
    """``GET /openapi/v3``. What is served is asked for once (``v3_hashes``): it may change meanwhile."""
    return {"paths": {path: {"serverRelativeURL": v3_url(path, digest)} for path, digest in hashes.items()}}


def v3(registry: resources.Registry, group: str, version: str, custom: components.Custom) -> dict[str, Any] | None:
    """The document of a group-version; None where nothing of it is served."""
    served = _of(registry, group, version)
    return _document(operations.of_group_version(served, group, version), served, custom) if served else None


def v3_document(registry: resources.Registry, path: str, custom: components.Custom) -> dict[str, Any] | None:
    """``GET /openapi/v3/PATH``, any that the index names; None for others."""
    parts = path.split("/")
    if parts[0] == "api" and len(parts) == 2:
        return v3(registry, "", parts[1], custom)
    if parts[0] == "apis" and len(parts) == 3:
        return v3(registry, parts[1], parts[2], custom)
    served = [group for group in groups.ordered(registry) if group]
    wanted = _SERVER_PATHS.get(path, f"/{path}/")
    found = [operation for operation in operations.of_server(served) if operation.path == wanted]
    return _document(found, [], {}) if found else None


def _document(
    found: list[operations.Operation], served: list[resources.Resource], custom: components.Custom
) -> dict[str, Any]:
    return {
        "openapi": "3.0.0",
        "info": _INFO,
        "paths": paths.v3(found),
        "components": {"schemas": components.v3(found, served, custom), "securitySchemes": _BEARER},
    }


def _of(registry: resources.Registry, group: str, version: str) -> list[resources.Resource]:
    return [resource for resource in registry if (resource.group, resource.version) == (group, version)]


def _hash(registry: resources.Registry, path: str, custom: components.Custom) -> str:
    parts = path.split("/")
    digest = hashlib.sha512(f"{_INFO['version']} {path}".encode())
    if parts[0] in ("api", "apis") and len(parts) > 1:
        group, version = ("", parts[1]) if parts[0] == "api" else (parts[1], "".join(parts[2:]))
        for resource in sorted(_of(registry, group, version), key=lambda resource: resource.plural):
            digest.update(repr(resource).encode())
            digest.update(repr(custom.get(resource.gvk)).encode())
            digest.update(names.definition(resource.gvk).encode())
    return digest.hexdigest().upper()
