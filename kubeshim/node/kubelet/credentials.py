"""Registry credentials from ``imagePullSecrets``: which entry fits which image. Pure.

Source: Kubernetes documentation, "Images", "Interpretation of config.json".
"""

import base64
import binascii
import fnmatch
import json
from collections.abc import Iterable, Mapping
from typing import Any

from kubeshim.machinery.objects import Object
from kubeshim.node.container_runtime import references

_HUB = "docker.io"
_HUB_NAMES = ("index.docker.io", "registry-1.docker.io", "docker.io")


def find(secrets: Iterable[Object], image: str) -> list[dict[str, str]]:
    """Credentials to try for ``image``, the most specific first; ``username``, ``password``, ``serveraddress``…"""
    try:
        reference = references.parse(image)
    except ValueError:
        return []
    matches: list[tuple[int, dict[str, str]]] = []
    for secret in secrets:
        for server, entry in _entries(secret).items():
            length = _match(server, reference)
            if length is not None:
                matches.append((length, _credential(reference.registry, entry)))
    matches.sort(key=lambda match: match[0], reverse=True)
    return [credential for _, credential in matches if credential]


def _entries(secret: Object) -> Mapping[str, Any]:
    data = secret.get("data") or {}
    try:
        if ".dockerconfigjson" in data:
            found = json.loads(base64.b64decode(data[".dockerconfigjson"])).get("auths") or {}
        elif ".dockercfg" in data:
            found = json.loads(base64.b64decode(data[".dockercfg"]))
        else:
            return {}
    except (ValueError, binascii.Error, AttributeError):
        return {}
    return found if isinstance(found, dict) else {}


def _match(server: str, reference: references.Reference) -> int | None:
    """Length of the path that matched, None where the entry is for another place."""
    plain = server.partition("://")[2] or server
    host, _, path = plain.rstrip("/").partition("/")
    path = path.removeprefix("v1").removeprefix("v2").strip("/")
    if host in _HUB_NAMES:
        host = _HUB
    ours, theirs = reference.registry.split("."), host.split(".")
    if len(ours) != len(theirs) or not all(fnmatch.fnmatchcase(a, b) for a, b in zip(ours, theirs, strict=True)):
        return None
    if path and reference.repository != path and not reference.repository.startswith(path + "/"):
        return None
    return len(path)


def _credential(registry: str, entry: Mapping[str, Any]) -> dict[str, str]:
    user, password = entry.get("username") or "", entry.get("password") or ""
    if entry.get("auth") and not user:
        try:
            user, _, password = base64.b64decode(entry["auth"]).decode().partition(":")
        except (ValueError, binascii.Error):
            return {}
    found = {"username": user, "password": password, "identitytoken": entry.get("identitytoken") or ""}
    address = "https://index.docker.io/v1/" if registry == _HUB else registry
    return {"serveraddress": address, **{key: value for key, value in found.items() if value}}
