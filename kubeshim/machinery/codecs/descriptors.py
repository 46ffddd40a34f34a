"""How Go's API structs go over the wire: protobuf field numbers, JSON names, and which fields a struct always writes.

Two fact tables make one ``Message`` a Go struct. ``protobuf-fields.tsv`` has numbers and types;
``go-fields.tsv`` has, for each field, its JSON name and its presence:

    pointer   absent or present; a present zero (``replicas: 0``) stays
    value     left out of JSON when zero (Go's omitempty or omitzero on a plain value)
    struct    a nested struct that is always there, ``{}`` at least
    always    written even when zero (no omitempty); a list, map or message is ``null`` then
    null      a pointer to a scalar that is written even when nil, as ``null``
    inline    a nested protobuf message whose fields stand in the parent's JSON object

Both are facts about the wire, not code: numbers and types from upstream's .proto files, presence and JSON names from
the type information that Go leaves in the genuine kubectl 1.37 and helm. A test holds them against the OpenAPI
definitions, so a new version shows what is missing.

The presence of a field decides both what a protobuf body means as JSON and what stays of a JSON body, because
upstream decodes either into the same struct and writes it out again.
"""

import dataclasses
import functools
from importlib import resources as package_data
from typing import Literal

Presence = Literal["pointer", "value", "struct", "always", "null", "inline"]


@dataclasses.dataclass(frozen=True, slots=True)
class Field:
    """``type`` is a scalar (``int32``, ``string`` …), or a full message name; ``entry`` is (key, value) of a map."""

    number: int
    name: str
    label: str
    """``optional``, ``repeated`` or ``map``."""
    type: str
    presence: Presence


@dataclasses.dataclass(frozen=True, slots=True)
class Message:
    """A Go struct. ``fields`` in the order of their numbers; ``name`` is ``k8s.io.api.core.v1.Pod``."""

    name: str
    fields: tuple[Field, ...]


SCALARS = frozenset(("bool", "bytes", "double", "int32", "int64", "string", "uint32", "uint64"))


@functools.cache
def messages() -> dict[str, Message]:
    """All messages by full name."""
    presences = _presences()
    found: dict[str, list[Field]] = {}
    for package, message, number, field, label, kind in _rows("protobuf-fields.tsv"):
        name = f"{package}.{message}"
        fields = found.setdefault(name, [])
        if field == "-":
            continue
        json_name, presence = presences.get(
            (name, field), (field, "pointer" if "." in kind or kind[0].isupper() else "value")
        )
        fields.append(Field(int(number), json_name, label, _qualified(kind, package), presence))
    return {
        name: Message(name, tuple(sorted(fields, key=lambda field: field.number))) for name, fields in found.items()
    }


@functools.cache
def declared(name: str) -> tuple[Field, ...]:
    """The fields of a struct in the order it has them, which is that of ``go-fields.tsv``; none of no struct."""
    message = messages().get(name)
    order = {json_name: index for index, json_name in enumerate(_orders().get(name, ()))}
    return () if message is None else tuple(sorted(message.fields, key=lambda field: order.get(field.name, len(order))))


@functools.cache
def _orders() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for (name, field), (json_name, _) in _presences().items():
        found.setdefault(name, []).append(json_name or field)
    return found


def _presences() -> dict[tuple[str, str], tuple[str, Presence]]:
    return {
        (f"{package}.{message}", field): (field if json_name == "-" else json_name, presence)  # type: ignore[misc]
        for package, message, field, json_name, presence in _rows("go-fields.tsv")
    }


def _rows(name: str) -> list[list[str]]:
    text = package_data.files("kubeshim.schemas").joinpath("facts", name).read_text("utf-8")
    return [line.split("\t") for line in text.splitlines()[1:]]


def _qualified(kind: str, package: str) -> str:
    """Types are written relative to their package; a map's is ``key,value``."""
    kind = kind.removeprefix(".")
    if "," in kind:
        key, _, value = kind.partition(",")
        return f"{key},{_qualified(value.strip(), package)}"
    if kind in SCALARS or "." in kind:
        return kind
    return f"{package}.{kind}"


_GROUPS = {
    "": "api.core",
    "apiextensions.k8s.io": "apiextensions_apiserver.pkg.apis.apiextensions",
    "apiregistration.k8s.io": "kube_aggregator.pkg.apis.apiregistration",
    "flowcontrol.apiserver.k8s.io": "api.flowcontrol",
    "internal.apiserver.k8s.io": "api.apiserverinternal",
    "meta.k8s.io": "apimachinery.pkg.apis.meta",
    "rbac.authorization.k8s.io": "api.rbac",
    **{group: f"api.{group}" for group in ("apps", "autoscaling", "batch", "extensions", "policy")},
    **{
        f"{name}.k8s.io": f"api.{name}"
        for name in (
            "admission", "admissionregistration", "apidiscovery", "authentication", "authorization", "certificates",
            "coordination", "discovery", "events", "imagepolicy", "lifecycle", "networking", "node", "resource",
            "scheduling", "storage", "storagemigration",
        )
    },
}  # fmt: skip
"""API group → package. Any other group is a custom resource's, whatever its first label is."""
META = "k8s.io.apimachinery.pkg.apis.meta.v1"
_COMMON = frozenset((
    "APIGroup", "APIGroupList", "APIResourceList", "APIVersions", "CreateOptions", "DeleteOptions", "GetOptions",
    "List", "ListOptions", "PartialObjectMetadata", "PartialObjectMetadataList", "PatchOptions", "Status",
    "UpdateOptions", "WatchEvent",
))  # fmt: skip


def message_for_kind(group: str, version: str, kind: str) -> Message | None:
    """The message of an API kind. Every built-in group has the common ones of meta/v1 (``DeleteOptions`` …)."""
    package = _GROUPS.get(group)
    if package is None:
        return None
    found = messages().get(f"k8s.io.{package}.{version}.{kind}")
    return messages().get(f"{META}.{kind}") if found is None and kind in _COMMON else found


def message_of(definition: str) -> Message | None:
    """The message an OpenAPI definition (``io.k8s.api.core.v1.Pod``) stands for, if there is one."""
    if not definition.startswith("io.k8s."):
        return None
    return messages().get("k8s.io." + definition[len("io.k8s.") :].replace("-", "_"))


@functools.cache
def presence_of(definition: str) -> dict[str, Presence]:
    """JSON field → presence for a definition, inlined structs flattened; empty for what is no Go struct."""
    message = message_of(definition)
    return dict(_flattened(message)) if message is not None else {}


def _flattened(message: Message) -> list[tuple[str, Presence]]:
    pairs: list[tuple[str, Presence]] = []
    for field in message.fields:
        if field.presence == "inline":
            pairs.extend(_flattened(messages()[field.type]))
        else:
            pairs.append((field.name, field.presence))
    return pairs
