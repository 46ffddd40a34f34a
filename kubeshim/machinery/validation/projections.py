"""Files in volumes: keys of secrets and config maps, downward API items, and the sources of projected volumes.

Upstream gives some complaints the path of the whole volume, and shows as the bad value the name of what has the file
rather than the file's; clients read these texts, so they are kept.
"""

from collections.abc import Callable, Mapping
from typing import Any

from kubeshim.machinery.errors import FieldError
from kubeshim.machinery.validation import certificates, environment, fields, go_structs, metadata, mounts

_Found = Mapping[str, Any]
_MODE_TEXT = "must be a number between 0 and 0777 (octal), both inclusive"
_KEY_TYPES = ("RSA3072", "RSA4096", "ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519")
_SHORTEST, _LONGEST, _LONGEST_OF_KUBERNETES = 3600, 91 * 86400, 86400
_CONFLICT = "conflicting duplicate paths"


def mode(value: Any, path: str) -> list[FieldError]:
    if value is None or 0 <= value <= 0o777:
        return []
    return [fields.invalid(path, value, _MODE_TEXT)]


def file_path(target: str, path: str) -> list[FieldError]:
    """Required, inside the volume, and not one of the kubelet's own names."""
    return mounts.unreserved_path(target, path) if target else [fields.required(path)]


def keys(found: _Found, path: str) -> list[FieldError]:
    """Keys projected to paths."""
    wrong: list[FieldError] = []
    for index, item in enumerate(found.get("items") or ()):
        place = f"{path}.items[{index}]"
        if not item.get("key"):
            wrong.append(fields.required(place + ".key"))
        wrong += file_path(item.get("path") or "", place + ".path")
        wrong += mode(item.get("mode"), place + ".mode")
    return wrong


def downward(found: _Found, path: str) -> list[FieldError]:
    """A volume of its own."""
    wrong = mode(found.get("defaultMode"), path + ".defaultMode")
    for item in found.get("items") or ():
        wrong += _downward_item(item, path)
    return wrong


def _downward_item(item: _Found, path: str) -> list[FieldError]:
    wrong = file_path(item.get("path") or "", path + ".path")
    field, resource = item.get("fieldRef"), item.get("resourceFieldRef")
    if field is not None:
        wrong += environment.object_field(field, environment.VOLUME_FIELDS, path + ".fieldRef")
        if resource is not None:
            text = "fieldRef and resourceFieldRef can not be specified simultaneously"
            wrong.append(fields.invalid(path, "resource", text))
    elif resource is not None:
        wrong += environment.resource_field(resource, path + ".resourceFieldRef", volume=True)
    else:
        wrong.append(fields.required(path, "one of fieldRef and resourceFieldRef is required"))
    return wrong + mode(item.get("mode"), path + ".mode")


class _Paths:
    """The files that a projected volume's sources have claimed so far."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._taken: set[str] = set()

    def claim(self, target: str, shown: str) -> list[FieldError]:
        if target in self._taken:
            return [fields.invalid(self.path, shown, _CONFLICT)]
        self._taken.add(target)
        return []


def projected(found: _Found, path: str) -> list[FieldError]:
    """All sources of a projected volume."""
    wrong = mode(found.get("defaultMode"), path + ".defaultMode")
    paths = _Paths(path)
    for index, source in enumerate(found.get("sources") or ()):
        place = f"{path}.sources[{index}]"
        given = [field for field in _SOURCES if source.get(field) is not None]
        for field in given:
            wrong += _SOURCES[field](source[field], f"{place}.{field}", paths)
        if len(given) > 1:
            wrong.append(fields.forbidden(place, "may not specify more than 1 volume type per source"))
    return wrong


def _named(found: _Found, path: str, paths: _Paths) -> list[FieldError]:
    name = found.get("name") or ""
    wrong = [] if name else [fields.required(path + ".name")]
    wrong += keys(found, path)
    for item in found.get("items") or ():
        if item.get("path"):
            wrong += paths.claim(item["path"], name)
    return wrong


def _fields(found: _Found, path: str, paths: _Paths) -> list[FieldError]:
    wrong: list[FieldError] = []
    for item in found.get("items") or ():
        wrong += _downward_item(item, path)
        if item.get("path"):
            wrong += paths.claim(item["path"], item["path"])
    return wrong


def _token(found: _Found, path: str, paths: _Paths) -> list[FieldError]:
    wrong: list[FieldError] = []
    seconds = found.get("expirationSeconds")
    if seconds is None:
        wrong.append(fields.required(path + ".expirationSeconds"))
    elif seconds < 600:
        text = "may not specify a duration less than 10 minutes"
        wrong.append(fields.invalid(path + ".expirationSeconds", seconds, text))
    elif seconds > 2**32:
        text = "may not specify a duration larger than 2^32 seconds"
        wrong.append(fields.invalid(path + ".expirationSeconds", seconds, text))
    return wrong + file_path(found.get("path") or "", paths.path + ".path")


def _trust_bundle(found: _Found, path: str, paths: _Paths) -> list[FieldError]:
    wrong: list[FieldError] = []
    name, signer, selector = found.get("name"), found.get("signerName"), found.get("labelSelector")
    if name is not None and signer is not None:
        shown = go_structs.shown(go_structs.CLUSTER_TRUST_BUNDLE, found)
        wrong.append(fields.invalid(path, shown, "only one of name and signerName may be used"))
    elif name is not None:
        if not name:
            wrong.append(fields.required(path + ".name", "must be a valid object name"))
        owner = name.rpartition(":")[0].replace(":", "/")
        for complaint in certificates.bundle_name(name, owner):
            wrong.append(fields.invalid(path + ".name", name, f"not a valid clustertrustbundlename: {complaint}"))
        if selector is not None:
            text = "labelSelector must be unset if name is specified"
            wrong.append(fields.invalid(path + ".labelSelector", selector, text))
    elif signer is not None:
        if not signer:
            wrong.append(fields.required(path + ".signerName", "must be a valid signer name"))
        wrong += certificates.signer_name(signer, path + ".signerName")
        wrong += metadata.label_selector(selector, path + ".labelSelector")
    else:
        wrong.append(fields.required(path, "either name or signerName must be specified"))
    target = found.get("path") or ""
    return wrong + file_path(target, path + ".path") + paths.claim(target, target)


def _certificate(found: _Found, path: str, paths: _Paths) -> list[FieldError]:
    signer, kind = found.get("signerName") or "", found.get("keyType") or ""
    wrong = certificates.signer_name(signer, path + ".signerName")
    if (annotations := found.get("userAnnotations")) is not None:
        wrong += certificates.user_annotations(annotations, path + ".userAnnotations")
    wrong += fields.one_of(path + ".keyType", kind, _KEY_TYPES)
    seconds = found.get("maxExpirationSeconds")
    if seconds is not None:
        place = path + ".maxExpirationSeconds"
        most = _LONGEST_OF_KUBERNETES if signer.partition("/")[0].endswith("kubernetes.io") else _LONGEST
        if seconds < _SHORTEST:
            wrong.append(fields.invalid(place, seconds, f"if provided, maxExpirationSeconds must be >= {_SHORTEST}"))
        if seconds > most:
            wrong.append(fields.invalid(place, seconds, f"if provided, maxExpirationSeconds must be <= {most}"))
    targets = [name for name in ("credentialBundlePath", "keyPath", "certificateChainPath") if found.get(name)]
    for name in targets:
        wrong += mounts.unreserved_path(found[name], f"{path}.{name}") + paths.claim(found[name], found[name])
    if not targets:
        text = "specify at least one of credentialBundlePath, keyPath, and certificateChainPath"
        wrong.append(fields.required(path, text))
    return wrong


_SOURCES: dict[str, Callable[[_Found, str, _Paths], list[FieldError]]] = {
    "secret": _named,
    "configMap": _named,
    "downwardAPI": _fields,
    "serviceAccountToken": _token,
    "clusterTrustBundle": _trust_bundle,
    "podCertificate": _certificate,
}
