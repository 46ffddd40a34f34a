"""Label and field selectors of a request, as a test of stored objects."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

from kubeshim.control_plane.api_server import request, stored, watch_cache
from kubeshim.control_plane.api_server.custom_resources import conversion
from kubeshim.control_plane.api_server.verbs import operation
from kubeshim.machinery import errors, objects, resources, schemas, selectors
from kubeshim.machinery.validation import fields as values

_PLAIN = '{quoted} is not a known field selector: only "metadata.name", "metadata.namespace"'
_UNKNOWN = {
    "jobs.batch": "field label {quoted} not supported for batchv1.Job",
    "resourceslices.resource.k8s.io": "field label not supported for resource.k8s.io/v1, Kind=ResourceSlice: {}",
}
_OLD_NAMES = {"pods": {"spec.host": "spec.nodeName"}}
_WITHOUT_NAMESPACE = ("podcertificaterequests.certificates.k8s.io",)
"""Namespaced types with selectable fields of which the namespace is none."""
_NEVER_SET = ("status.podIPs",)
"""Fields that may be asked for, and of which nothing is ever told."""
_NOT_TEXT = {"boolean": "false", "integer": "0"}
"""What a field that is not set reads as, where its type is not a string."""


class Selection:
    """Both selectors of a list, watch or deletecollection."""

    def __init__(self, op: operation.Operation, labels: str, fields: str) -> None:
        try:
            self.labels = selectors.parse_labels(labels) if labels else None
            self.fields = selectors.parse_fields(fields) if fields else None
        except selectors.SelectorError as problem:
            raise problem.as_bad_request() from problem
        if self.labels is not None and self.labels.empty:
            self.labels = None
        if self.fields is not None and self.fields.empty:
            self.fields = None
        if self.fields is not None:
            self.fields = _known(op.resource, self.fields)
        self._extract = extractor(op.server.schema, op.resource) if self.fields is not None else None
        self._view = functools.partial(op.server.storage.view, op.resource)

    @property
    def name(self) -> str | None:
        """The one name asked for, if there is one."""
        return self.fields.exact("metadata.name") if self.fields is not None else None

    def matches(self) -> watch_cache.Matches | None:
        """None where everything matches."""
        labels, fields, extract, view = self.labels, self.fields, self._extract, self._view
        if fields is None:
            return None if labels is None else lambda item: labels.matches(item.labels)
        assert extract is not None

        def match(item: stored.Stored) -> bool:
            if labels is not None and not labels.matches(item.labels):
                return False
            try:
                seen = view(item)
            except conversion.NotNow:
                # after a restart an old state may not have been converted yet; what is stored has to do
                seen = item
            return fields.matches(seen.fields(extract))

        return match


def of(op: operation.Operation, asked: request.Request) -> Selection:
    """From the query; a name in a watch's path counts as a field selector."""
    selection = Selection(op, asked.param("labelSelector"), asked.param("fieldSelector"))
    if not op.name:
        return selection
    if selection.fields is None:
        return Selection(op, asked.param("labelSelector"), f"metadata.name={selectors.escape_field(op.name)}")
    if selection.name != op.name:
        raise errors.BadRequest("fieldSelector metadata.name doesn't match requested name")
    return selection


def _known(resource: resources.Resource, selector: selectors.FieldSelector) -> selectors.FieldSelector:
    """The selector with the names that fields have now. Raises ``errors.BadRequest``."""
    known = {*resource.selectable_fields, "metadata.name"}
    plain = not resource.selectable_fields and resource.strategy != "custom"
    if plain or (resource.namespaced and resource.group_resource not in _WITHOUT_NAMESPACE):
        known.add("metadata.namespace")
    names = _OLD_NAMES.get(resource.group_resource, {})
    terms = []
    for term in selector.requirements:
        term = dataclasses.replace(term, field=names.get(term.field, term.field))
        if term.field not in known:
            text = _PLAIN if plain else _UNKNOWN.get(resource.group_resource, "field label not supported: {}")
            quoted = values.quote(term.field)
            raise errors.BadRequest(text.format(term.field, quoted=quoted))
        terms.append(term)
    return selectors.FieldSelector(tuple(terms))


@functools.lru_cache(maxsize=1024)
def extractor(
    schema_of: Callable[[resources.GroupVersionKind], schemas.Schema], resource: resources.Resource
) -> Callable[[objects.Object], dict[str, str]]:
    """What reads the selectable fields of an object as texts."""

    def unset(field: str) -> str:
        return "" if resource.strategy == "custom" else _unset(schema_of(resource.gvk), field)

    paths = [(field, _path(field), unset(field)) for field in resource.selectable_fields if field not in _NEVER_SET]

    def extract(obj: objects.Object) -> dict[str, str]:
        found = {"metadata.name": objects.name(obj), "metadata.namespace": objects.namespace(obj)}
        for field, path, unset in paths:
            value = objects.dig(obj, *path)
            if field == "source" and not value:
                value = obj.get("reportingComponent")
            found[field] = unset if value is None else _text(value)
        return found

    return extract


def _path(field: str) -> tuple[str, ...]:
    return ("source", "component") if field == "source" else tuple(field.split("."))


def _text(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _unset(schema: schemas.Schema, field: str) -> str:
    place: schemas.Schema | None = schema
    for step in field.split("."):
        place = place.properties.get(step) if place is not None else None
    return _NOT_TEXT.get(place.kind, "") if place is not None else ""
