"""One version of a custom type: the record the registry has, and what bodies and stored objects are held against."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from kubeshim.control_plane.api_server import scale_paths
from kubeshim.machinery import jsonpath, objects, resources, schemas
from kubeshim.machinery.custom_validation import embedded
from kubeshim.machinery.custom_validation import schema as validation
from kubeshim.machinery.structural import defaulting, expressions

VERBS = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")
"""In the order in which upstream tells those of custom types."""
_SUBRESOURCE_VERBS = ("get", "patch", "update")


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class CustomType:
    resource: resources.Resource
    openapi: Mapping[str, Any]
    """The ``openAPIV3Schema``."""
    schema: schemas.Schema
    defaults: defaulting.Fill | None
    validator: validation.Node
    rules: expressions.Rules | None
    scale: scale_paths.Paths | None
    served: bool
    embeds: bool
    """Whether there are objects within the objects."""
    deprecation: str = ""
    """What a user of this version is warned of."""
    terminating: bool = False


def of(crd: objects.Object) -> list[CustomType]:
    """All versions, in the definition's order; objects may be stored in one that is not served."""
    return [_version(crd, version) for version in crd["spec"]["versions"]]


def _version(crd: objects.Object, version: Mapping[str, Any]) -> CustomType:
    openapi = objects.dig(version, "schema", "openAPIV3Schema") or {"x-kubernetes-preserve-unknown-fields": True}
    resource = resource_of(crd, version)
    schema = schemas.from_structural(openapi)
    deprecated = version.get("deprecated")
    told = version.get("deprecationWarning")
    return CustomType(
        resource=resource,
        openapi=openapi,
        schema=schema,
        defaults=defaulting.compile_defaults(schema),
        validator=validation.Node(openapi),
        rules=expressions.compile_rules(openapi),
        scale=_scale(objects.dig(version, "subresources", "scale")),
        served=bool(version.get("served")),
        embeds=embedded.has_resources(openapi),
        deprecation=(told or f"{resource.api_version} {resource.kind} is deprecated") if deprecated else "",
        terminating=objects.is_deleting(crd),
    )


def is_of(custom: CustomType, crd: objects.Object) -> bool:
    """Whether making the types again would give the same."""
    version = next((entry for entry in crd["spec"]["versions"] if entry["name"] == custom.resource.version), None)
    return (
        version is not None
        and custom.terminating == objects.is_deleting(crd)
        and resource_of(crd, version) == custom.resource
    )


def storage_version(crd: objects.Object) -> str:
    return next(str(version["name"]) for version in crd["spec"]["versions"] if version.get("storage"))


def resource_of(crd: objects.Object, version: Mapping[str, Any]) -> resources.Resource:
    spec, names = crd["spec"], crd["status"]["acceptedNames"]
    group, name, kind = spec["group"], version["name"], names["kind"]
    gvk = resources.GroupVersionKind(group, name, kind)
    metadata = crd["metadata"]
    return resources.Resource(
        group=group, version=name, plural=names["plural"], kind=kind, namespaced=spec["scope"] == "Namespaced",
        verbs=VERBS, singular=names.get("singular") or "", short_names=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()), list_kind=names.get("listKind") or f"{kind}List",
        subresources=_subresources(version.get("subresources") or {}, gvk),
        columns=tuple(_columns(version.get("additionalPrinterColumns") or ())),
        selectable_fields=_selectable(version), strategy="custom",
        stored_as=resources.GroupVersionResource(group, storage_version(crd), names["plural"]),
        definition=f"{metadata.get('uid')}.{metadata.get('generation')}",
    )  # fmt: skip


def _subresources(found: Mapping[str, Any], gvk: resources.GroupVersionKind) -> dict[str, resources.Subresource]:
    made = {}
    if found.get("status") is not None:
        made["status"] = resources.Subresource("status", gvk, _SUBRESOURCE_VERBS)
    if found.get("scale") is not None:
        made["scale"] = resources.Subresource("scale", scale_paths.KIND, _SUBRESOURCE_VERBS)
    return made


def _columns(found: Iterable[Mapping[str, Any]]) -> Iterator[resources.Column]:
    """As far as their paths can be read; the first that cannot ends the table, as upstream."""
    for column in found:
        try:
            jsonpath.compile_path(column["jsonPath"])
        except ValueError:
            return
        yield _column(column)


def _column(column: Mapping[str, Any]) -> resources.Column:
    path = column["jsonPath"]
    text = column.get("description") or f"Custom resource definition column (in JSONPath format): {path}"
    return resources.Column(
        column["name"], column["type"], path, column.get("format") or "", text, column.get("priority") or 0
    )


def _selectable(version: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(entry["jsonPath"].removeprefix(".") for entry in version.get("selectableFields") or ())


def _scale(found: Mapping[str, Any] | None) -> scale_paths.Paths | None:
    if found is None:
        return None
    selector = found.get("labelSelectorPath") or ""
    return scale_paths.Paths(
        _steps(found["specReplicasPath"]), _steps(found["statusReplicasPath"]), _steps(selector) if selector else (),
        selector_is_text=True,
    )  # fmt: skip


def _steps(path: str) -> tuple[str, ...]:
    return tuple(path.strip(".").split("."))
