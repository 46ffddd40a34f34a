"""Conversion webhooks: another server turns custom objects of one version into another.

What was converted once is remembered by its content, for the definition as it is. Asking takes time, which the loop's
own callbacks do not have (watches are told of events there). So whoever writes has the object converted to every
served version before it is written, and whoever lists has all that is missing converted in one request; the callbacks
find everything done, or get ``NotNow``.

Source: ``apiextensions.k8s.io/v1`` ``ConversionReview``; upstream's ``conversion/webhook_converter``.
"""

import dataclasses
import hashlib
import logging
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import gevent
import orjson

from kubeshim.control_plane.api_server import webhook_client
from kubeshim.machinery import errors, go_text, objects, resources
from kubeshim.machinery.validation import metadata as metadata_rules

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers

_log = logging.getLogger(__name__)

_SECONDS = 30.0
_REMEMBERED = 20_000
"""Converted objects kept; those shown to clients are kept with the object itself as well."""
_KNOWN = ("v1", "v1beta1")
_GROUP = "apiextensions.k8s.io"


class NotNow(Exception):
    """A conversion that would have to be waited for where nobody may wait."""


@dataclasses.dataclass(frozen=True, slots=True)
class Converter:
    """Of one definition."""

    definition: str
    """Changes with it."""
    client: webhook_client.Client
    review_versions: tuple[str, ...]
    versions: tuple[str, ...]
    """The apiVersions that are served."""


def of(crd: objects.Object) -> Converter | None:
    """None where the versions differ in name only."""
    spec = crd["spec"]
    conversion = spec.get("conversion") or {}
    if conversion.get("strategy") != "Webhook":
        return None
    webhook = conversion.get("webhook") or {}
    return Converter(
        f"{objects.uid(crd)}.{crd['metadata'].get('generation')}",
        webhook_client.of(webhook.get("clientConfig") or {}),
        tuple(webhook.get("conversionReviewVersions") or ()),
        tuple(f"{spec['group']}/{version['name']}" for version in spec["versions"] if version.get("served")),
    )


class Conversions:
    """All converters, and what they have made."""

    def __init__(self, server: "servers.Server") -> None:
        self._server = server
        self._converters: dict[str, Converter] = {}
        """By where the objects are stored."""
        self._made: OrderedDict[tuple[str, str, bytes], bytes] = OrderedDict()

    def follow(self, prefix: str, converter: Converter | None) -> None:
        if converter is None:
            self._converters.pop(prefix, None)
        else:
            self._converters[prefix] = converter

    def wanted(self, resource: resources.Resource) -> bool:
        """Whether objects of this type are converted by a webhook."""
        return resource.storage_prefix in self._converters

    def prepare(self, resource: resources.Resource, found: Iterable[objects.Object], *, everywhere: bool) -> None:
        """Has objects, as they are stored, converted to ``resource``'s version, or to every served one.

        They are the callee's from here on. Raises ``errors.InternalError`` where ``resource``'s version cannot be had;
        who follows another one that cannot be is the only one to notice.
        """
        converter = self._converters.get(resource.storage_prefix)
        if converter is None:
            return
        held = [self._server.custom.from_storage(obj) for obj in found]
        for version in converter.versions if everywhere else (resource.api_version,):
            missing = [obj for obj in held if obj.get("apiVersion") != version]
            missing = [obj for obj in missing if _key(converter, version, obj) not in self._made]
            if not missing:
                continue
            try:
                self._convert(converter, version, missing)
            except errors.InternalError:
                if version == resource.api_version:
                    raise
                _log.warning("%s cannot be converted to %s", resource.group_resource, version, exc_info=True)

    def convert(self, resource: resources.Resource, obj: objects.Object, version: str) -> objects.Object:
        """``obj`` in another apiVersion. Raises ``errors.InternalError`` and ``NotNow``."""
        converter = self._converters.get(resource.storage_prefix)
        if converter is None or obj.get("apiVersion") == version:
            return obj
        key = _key(converter, version, obj)
        if key not in self._made:
            if gevent.getcurrent() is gevent.get_hub():
                raise NotNow
            self._convert(converter, version, [obj])
        self._made.move_to_end(key)
        return with_metadata_of(obj, orjson.loads(self._made[key]))

    def _convert(self, converter: Converter, version: str, found: Sequence[objects.Object]) -> None:
        uid = objects.new_uid()
        source = f"{found[0].get('apiVersion')}, Kind={found[0].get('kind')}"
        try:
            spoken = next(each for each in converter.review_versions if each in _KNOWN)
            body = webhook_client.post(self._server, converter.client, _review(spoken, uid, version, found), _SECONDS)
            made = answer(body, spoken, uid)
        except (webhook_client.Unreachable, BadAnswer) as problem:
            text = f"conversion for {source} failed: conversion webhook for {source} failed: {problem}"
            raise errors.InternalError(text, reason="") from problem
        try:
            check(found, made, version)
        except BadAnswer as problem:
            raise errors.InternalError(f"conversion for {source} {problem}", reason="") from problem
        for obj, converted in zip(found, made, strict=True):
            self._made[_key(converter, version, obj)] = orjson.dumps(converted)
        while len(self._made) > _REMEMBERED:
            self._made.popitem(last=False)


def _key(converter: Converter, version: str, obj: objects.Object) -> tuple[str, str, bytes]:
    metadata = {key: value for key, value in obj["metadata"].items() if key != "resourceVersion"}
    content = orjson.dumps({**obj, "metadata": metadata}, option=orjson.OPT_SORT_KEYS)
    return converter.definition, version, hashlib.blake2b(content, digest_size=16).digest()


def _review(spoken: str, uid: str, version: str, found: Sequence[objects.Object]) -> bytes:
    request = {"uid": uid, "desiredAPIVersion": version, "objects": list(found)}
    return orjson.dumps({"kind": "ConversionReview", "apiVersion": f"{_GROUP}/{spoken}", "request": request})


class BadAnswer(Exception):
    """It is none; the text says why."""


def answer(body: bytes, spoken: str, uid: str) -> list[Any]:
    """The converted objects, in the order of those sent. Raises ``BadAnswer``."""
    try:
        review = orjson.loads(body)
    except orjson.JSONDecodeError as problem:
        raise BadAnswer(f"couldn't get version/kind; json parse error: {problem}") from None
    response = review.get("response") if isinstance(review, dict) else None
    if not isinstance(response, dict):
        raise BadAnswer("no response provided")
    if spoken == "v1" and response.get("uid") != uid:
        raise BadAnswer(f'expected response.uid="{uid}", got "{response.get("uid") or ""}"')
    result = response.get("result") or {}
    if result.get("status") != "Success":
        raise BadAnswer(str(result.get("message") or f"response.result.status was '{result.get('status') or ''}', not "
                            "'Success'"))  # fmt: skip
    made = response.get("convertedObjects")
    return made if isinstance(made, list) else []


def check(found: Sequence[objects.Object], made: Sequence[Any], version: str) -> None:
    """Raises ``BadAnswer`` for what a webhook may not make of the objects sent."""
    if len(made) != len(found):
        raise BadAnswer(f"returned {len(made)} objects, expected {len(found)}")
    for index, (old, new) in enumerate(zip(found, made, strict=True), 1):
        if why := _problem(old, new, version):
            raise BadAnswer(f"returned invalid converted object at index {index}: {why}")
        if why := _metadata_problem(old, new):
            raise BadAnswer(f"returned invalid metadata in object at index {index}: {why}")


def _problem(old: objects.Object, new: Any, version: str) -> str:
    if not isinstance(new, dict):
        return "it is no object"
    if new.get("apiVersion") != version:
        return f"invalid groupVersion (expected {version}, received {new.get('apiVersion')})"
    if new.get("kind") != old.get("kind"):
        return f"invalid kind (expected {old.get('kind')}, received {new.get('kind')})"
    metadata = new.get("metadata")
    metadata = metadata if isinstance(metadata, Mapping) else {}
    for field, shown in (("name", "name"), ("namespace", "namespace"), ("uid", "UID")):
        before, now = old["metadata"].get(field) or "", metadata.get(field) or ""
        if before != now:
            return f"must have the same {shown}: {before} != {now}"
    return ""


def _metadata_problem(old: objects.Object, new: objects.Object) -> str:
    metadata = new.get("metadata")
    if not isinstance(metadata, Mapping):
        if "metadata" not in new:
            return "missing metadata in converted object"
        return f"invalid metadata of type {go_text.type_name(metadata)} in converted object"
    for field, path in (("labels", "metadata.labels"), ("annotations", "metadata.annotation")):
        given = metadata.get(field)
        if given is None:
            continue
        if not isinstance(given, Mapping):
            return f"invalid metadata.{field} of type {go_text.type_name(given)} in converted object"
        for key, value in given.items():
            if not isinstance(value, str):
                shown = go_text.type_name(value)
                return f"metadata.{field}[{key}] must be a string, but is {shown} in converted object"
        if given != (old["metadata"].get(field) or {}):
            judge = metadata_rules.labels if field == "labels" else metadata_rules.annotations
            if texts := list(dict.fromkeys(map(str, judge(given, path)))):
                return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    return ""


def with_metadata_of(old: objects.Object, new: objects.Object) -> objects.Object:
    """The converted object: of metadata, a webhook changes labels and annotations only."""
    metadata = dict(old["metadata"])
    for field in ("labels", "annotations"):
        given = new["metadata"].get(field)
        if given:
            metadata[field] = given
        else:
            metadata.pop(field, None)
    return {**new, "metadata": metadata}
