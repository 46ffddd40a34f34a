"""Files of a volume that lie in each other's way."""

from collections.abc import Mapping, Sequence
from typing import Any

_Found = Mapping[str, Any]


def of_volumes(volumes: Sequence[_Found]) -> list[str]:
    """Two items of one volume with the same path, or one inside the other."""
    found: list[str] = []
    for volume in volumes:
        name = volume.get("name") or ""
        for field, kind, named in (("configMap", "ConfigMap", "name"), ("secret", "Secret", "secretName")):
            if items := (volume.get(field) or {}).get("items"):
                text = f'volume "{name}" ({kind} "{volume[field].get(named) or ""}"): overlapping paths'
                found += _overlapping(_paths(items), text)
        if items := (volume.get("downwardAPI") or {}).get("items"):
            found += _overlapping(_paths(items), f'volume "{name}" (DownwardAPI): overlapping paths')
        if volume.get("projected") is not None:
            found += _projected(volume["projected"], name)
    return found


def _paths(items: Sequence[_Found]) -> list[str]:
    return [item.get("path") or "" for item in items]


def _projected(projected: _Found, name: str) -> list[str]:
    found: list[str] = []
    everything: set[str] = set()
    for source in projected.get("sources") or ():
        if not any(value is not None for value in source.values()):
            found.append(f'volume "{name}" (Projected) has no sources provided')
            continue
        paths, of = _source(source)
        if not paths:
            continue
        text = f'volume "{name}" (Projected {of}): overlapping paths'
        found += _overlapping(paths, text)
        found += _overlapping(sorted([*set(paths), *everything]), text)
        everything |= set(paths)
    return found


def _source(source: _Found) -> tuple[list[str], str]:
    for field, kind in (("configMap", "ConfigMap"), ("secret", "Secret")):
        if items := (source.get(field) or {}).get("items"):
            return _paths(items), f'{kind} "{source[field].get("name") or ""}"'
    if items := (source.get("downwardAPI") or {}).get("items"):
        return _paths(items), "DownwardAPI"
    if (token := source.get("serviceAccountToken")) is not None:
        return [token.get("path") or ""], "ServiceAccountToken"
    if (bundle := source.get("clusterTrustBundle")) is not None:
        named = bundle["name"] if bundle.get("name") is not None else bundle.get("signerName") or ""
        return [bundle.get("path") or ""], f'ClusterTrustBundle "{named}"'
    return [], ""


def _overlapping(paths: Sequence[str], text: str) -> list[str]:
    found: list[str] = []
    seen: dict[str, None] = {}
    for path in paths:
        path = path.rstrip("/")
        if path and (other := next((one for one in seen if one and _collide(one, path)), "")):
            found.append(f'{text}: "{path}" with "{other}"')
        seen[path] = None
    return found


def _collide(one: str, other: str) -> bool:
    return one == other or (one + "/").startswith(other) or (other + "/").startswith(one)
