"""Which form a client wants and which form it sent: ``Accept`` and ``Content-Type``.

What is offered is an ``Offers`` record: the media types in the server's order of preference (the first one
answers a missing header) and what objects may be turned into (``as=Table``). Clauses of ``Accept`` are tried by
falling q-value, then the more specific before the less; a clause whose parameters cannot be met is passed over.
Source: apiserver ``pkg/endpoints/handlers/negotiation``, the order of goautoneg.
"""

import dataclasses
import functools
from collections.abc import Iterable

from kubeshim.machinery import errors

JSON = "application/json"
YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_MERGE_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"

BUILT_IN_PATCHES = (JSON_PATCH, MERGE_PATCH, STRATEGIC_MERGE_PATCH, APPLY_PATCH)
CUSTOM_PATCHES = (JSON_PATCH, MERGE_PATCH, APPLY_PATCH)
"""Custom resources have no Go struct tags to merge by."""


@dataclasses.dataclass(frozen=True, slots=True)
class MediaType:
    """The form agreed on. ``kind`` is what ``as=`` names: ``Table``, ``PartialObjectMetadata(List)`` or nothing."""

    essence: str = JSON
    kind: str = ""
    group: str = ""
    version: str = ""
    stream: str = ""
    pretty: bool | None = None
    profile: str = ""

    def header(self, *, stream: bool = False) -> str:
        """The ``Content-Type`` of the answer: conversions are told by the body, streams by a parameter."""
        if stream and self.essence == PROTOBUF:
            return f"{PROTOBUF};stream=watch"
        return self.essence


@dataclasses.dataclass(frozen=True, slots=True)
class Offers:
    """What an endpoint can answer with."""

    media_types: tuple[str, ...] = (JSON, YAML, PROTOBUF)
    converted_only: tuple[str, ...] = ()
    """Those of the media types that nothing but ``PartialObjectMetadata`` can be written in."""
    tables: bool = True
    partial: bool = True
    converts: tuple[tuple[str, str, str], ...] = ()
    """Other ``(group, version, kind)`` that ``as=`` may name, for discovery."""


OBJECTS = Offers()
"""Built-in kinds."""
CUSTOM_OBJECTS = Offers(converted_only=(PROTOBUF,))
"""Custom resources have no messages, but their metadata has one."""
STATUS_ONLY = Offers(tables=False, partial=False)
"""Endpoints whose answers are never converted (reviews, options), and errors everywhere."""
JSON_ONLY = Offers((JSON,), tables=False, partial=False)
STREAMS = (JSON, PROTOBUF)
"""What a watch can be told in."""

_META = ("v1", "v1beta1")


@functools.lru_cache(maxsize=512)
def negotiate(accept_header: str, offers: Offers = OBJECTS) -> MediaType:
    """The form to answer in. Raises ``errors.NotAcceptable`` (406) where none of the clauses can be met."""
    if not accept_header:
        return MediaType(offers.media_types[0])
    for main, sub, parameters in parse_accept(accept_header):
        for essence in offers.media_types:
            offered_main, _, offered_sub = essence.partition("/")
            if main not in (offered_main, "*") or sub not in (offered_sub, "*") or (main == "*" and sub != "*"):
                continue
            chosen = _with_parameters(essence, parameters, offers)
            if chosen is not None:
                return chosen
    raise not_acceptable(offers.media_types)


def negotiate_stream(accept_header: str, offers: Offers = OBJECTS) -> MediaType:
    """The form of a watch. Upstream chooses as for a list first; who would get YAML then is refused."""
    chosen = negotiate(accept_header, offers)
    if chosen.essence not in STREAMS:
        raise not_acceptable(f"{essence};stream=watch" for essence in offers.media_types if essence in STREAMS)
    return chosen


def not_acceptable(media_types: Iterable[str]) -> errors.NotAcceptable:
    return errors.NotAcceptable(f"only the following media types are accepted: {', '.join(media_types)}")


def _with_parameters(essence: str, parameters: dict[str, str], offers: Offers) -> MediaType | None:
    kind = parameters.get("as", "")
    group, version = parameters.get("g", ""), parameters.get("v", "")
    stream = parameters.get("stream", "")
    if stream and (stream != "watch" or essence not in STREAMS):
        return None
    if parameters.get("sv") and (parameters["sv"] != "v1" or not offers.partial):
        return None
    converted = "as" in parameters or "g" in parameters or "v" in parameters
    if converted:
        if not _convertible(essence, kind, group, version, offers):
            return None
    elif essence in offers.converted_only:
        return None
    pretty = parameters.get("pretty")
    return MediaType(
        essence, kind, group, version, stream, None if pretty is None else pretty == "1", parameters.get("profile", "")
    )


def _convertible(essence: str, kind: str, group: str, version: str, offers: Offers) -> bool:
    if (group, version, kind) in offers.converts:
        return True
    if group != "meta.k8s.io" or version not in _META:
        return False
    if kind == "Table":
        return offers.tables and essence in (JSON, YAML)
    return kind in ("PartialObjectMetadata", "PartialObjectMetadataList") and offers.partial


def parse_accept(header: str) -> list[tuple[str, str, dict[str, str]]]:
    """``(type, subtype, parameters)`` by preference. Clauses that are no media range are left out."""
    clauses = []
    for text in header.split(","):
        head, *rest = (part.strip() for part in text.split(";"))
        main, slash, sub = head.partition("/")
        if not slash:
            if main != "*":
                continue
            sub = "*"
        quality = 1.0
        parameters: dict[str, str] = {}
        for part in rest:
            key, _, value = part.partition("=")
            if key.strip() == "q":
                quality = _quality(value)
            elif key:
                parameters[key.strip()] = value.strip()
        clauses.append((-quality, main == "*", sub == "*", main.strip(), sub.strip(), parameters))
    clauses.sort(key=lambda clause: clause[:3])
    return [(main, sub, parameters) for _, _, _, main, sub, parameters in clauses]


def _quality(text: str) -> float:
    try:
        return float(text.strip())
    except ValueError:
        return 1.0


def content_type(header: str, accepted: Iterable[str] = (JSON, YAML, PROTOBUF)) -> str:
    """The bare media type of a request body; a missing header means the first one.

    Raises ``errors.UnsupportedMediaType`` (415) for anything else than ``accepted``.
    """
    types = tuple(accepted)
    if not header:
        return types[0]
    essence = header.partition(";")[0].strip().lower()
    if essence in types:
        return essence
    raise unsupported(types)


def patch_type(header: str, accepted: Iterable[str] = BUILT_IN_PATCHES) -> str:
    """The media type of a patch; unlike other bodies it has to be said."""
    types = tuple(accepted)
    essence = header.partition(";")[0]
    if essence in types:
        return essence
    raise unsupported(types)


def unsupported(accepted: Iterable[str]) -> errors.UnsupportedMediaType:
    listed = ", ".join(accepted)
    return errors.UnsupportedMediaType(
        f"the body of the request was in an unknown format - accepted media types include: {listed}"
    )


def pretty(query: str, user_agent: str) -> bool:
    """Whether JSON is indented: the ``pretty`` parameter says so, else it is for people's tools."""
    if query:
        return query in ("1", "t", "T", "true", "TRUE", "True")
    return user_agent.startswith(("curl", "Wget", "Mozilla/5.0"))
