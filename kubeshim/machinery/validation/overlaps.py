"""Files of a volume that lie in each other's way."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_Found = Mapping[str, Any]
_File = tuple[str, str]
"""A path, and the source it comes from where a volume has several."""
_CERTIFICATE_FILES = (
    ("certificateChainPath", "chain"), ("keyPath", "key"), ("credentialBundlePath", "credential bundle"),
)  # fmt: skip


def of_volumes(volumes: Sequence[_Found]) -> list[str]:
    """Two files of one volume with the same path, or one inside the other."""
    found: list[str] = []
    for volume in volumes:
        name = volume.get("name") or ""
        for field, kind, named in (("configMap", "ConfigMap", "name"), ("secret", "Secret", "secretName")):
            if items := (volume.get(field) or {}).get("items"):
                found += _overlapping(_files(items), f'volume "{name}" ({kind} "{volume[field].get(named) or ""}")')
        if items := (volume.get("downwardAPI") or {}).get("items"):
            found += _overlapping(_files(items), f'volume "{name}" (DownwardAPI)')
        if volume.get("projected") is not None:
            found += _projected(volume["projected"], f'volume "{name}" (Projected)')
    return found


def _files(items: Sequence[_Found], source: str = "") -> list[_File]:
    return [(item.get("path") or "", source) for item in items]


def _projected(projected: _Found, text: str) -> list[str]:
    found: list[str] = []
    files: list[_File] = []
    for source in projected.get("sources") or ():
        if any(value is not None for value in source.values()):
            files += _of_source(source)
        else:
            found.append(f"{text} has no sources provided")
    return [*found, *_overlapping(files, text)]


def _of_source(source: _Found) -> list[_File]:
    for field, kind in (("configMap", "ConfigMap"), ("secret", "Secret")):
        if items := (source.get(field) or {}).get("items"):
            return _files(items, f'{kind} "{source[field].get("name") or ""}"')
    if items := (source.get("downwardAPI") or {}).get("items"):
        return _files(items, "DownwardAPI")
    if (token := source.get("serviceAccountToken")) is not None:
        return [(token.get("path") or "", "ServiceAccountToken")]
    if (bundle := source.get("clusterTrustBundle")) is not None:
        named = bundle["name"] if bundle.get("name") is not None else bundle.get("signerName") or ""
        return [(bundle.get("path") or "", f'ClusterTrustBundle "{named}"')]
    certificate = source.get("podCertificate") or {}
    return [
        (certificate[field], f"PodCertificate {what}") for field, what in _CERTIFICATE_FILES if field in certificate
    ]


def _overlapping(files: Sequence[_File], text: str) -> Iterator[str]:
    seen: list[_File] = []
    for path, source in files:
        path = path.rstrip("/")
        if not path:
            continue
        for other in seen:
            if (other[0] + "/").startswith(path + "/") or (path + "/").startswith(other[0] + "/"):
                yield f"{text}: overlapping paths: {_shown(path, source)} with {_shown(*other)}"
        seen.append((path, source))


def _shown(path: str, source: str) -> str:
    return f'"{path}" ({source})' if source else f'"{path}"'
