"""Field ownership: what each write makes of ``metadata.managedFields``, and server-side apply.

Two entrances. ``track_update`` is for create, update and the other patches: the writer owns what it changed, and
whoever owned that before does not any more. ``apply`` merges a configuration into the live object: fields that
others own with another value are conflicts unless forced, and what this manager applied before, does not apply
now and nobody else owns, is taken out.

Why these are safe:
- Both take the object as it came in (decoded, defaulted) before admission and strategies change it, as upstream
  does; what the server sets itself is owned by nobody.
- Identity, versions and the record itself (``STRIPPED``) are never owned. ``status`` is not on the main endpoint
  of a built-in kind, nothing but ``status`` on its status endpoint (``reset``).
- Sets are shared and never changed, so entries of stored objects can be passed on as they are.

Upstream: apimachinery ``util/managedfields``, structured-merge-diff ``merge``.
"""

import datetime
from typing import Any, Protocol

import orjson

from kubeshim.machinery import (
    errors,
    field_changes,
    field_values,
    fieldsets,
    go_text,
    managed_fields,
    resources,
    schemas,
    written_fields,
)
from kubeshim.machinery.objects import Object

Fields = fieldsets.Fields

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_MAX_ANNOTATIONS = 256 * 1024
_METADATA = (
    "name", "namespace", "creationTimestamp", "selfLink", "uid", "clusterName", "generation", "managedFields",
    "resourceVersion", "deletionTimestamp", "deletionGracePeriodSeconds",
)  # fmt: skip
STRIPPED = frozenset("f:" + name for name in _METADATA)
"""Members of metadata that nobody owns."""


class Versions(Protocol):
    """A type in all its versions: who owns fields of another one loses them by what a write changes there."""

    def schema(self, api_version: str) -> schemas.Schema | None:
        """None of a version that it does not have."""

    def convert(self, obj: Object, api_version: str) -> Object:
        """A copy."""


def track_update(
    old: Object | None, new: Object, *, schema: schemas.Schema, manager: str, api_version: str, subresource: str,
    now: datetime.datetime, reset: written_fields.Rule = None, versions: Versions | None = None,
) -> None:  # fmt: skip
    """Writes ``new["metadata"]["managedFields"]`` for a create (``old`` is None), update or patch.

    ``reset`` says what this endpoint does not write.
    """
    metadata: dict[str, Any] = new.setdefault("metadata", {})
    # Through a subresource nobody can edit the record itself.
    entries = managed_fields.live_entries(old) if subresource and old is not None else managed_fields.current(old, new)
    if old is not None and not entries:
        # An object without a record stays without one until something is applied to it.
        metadata.pop("managedFields", None)
        return
    writer = (manager, managed_fields.UPDATE, api_version, subresource)
    entries = _known(entries, schema, new, writer)
    base = old if old is not None else field_changes.template(schema)
    changed, removed = field_changes.changes(base, new, schema)
    written = written_fields.of(reset, schema, subresource)
    changed, removed = _stripped(written.of(changed)), written.of(removed)
    if not changed and not removed:
        _write(metadata, managed_fields.arranged(managed_fields.capped(entries)))
        return
    if old is None and not entries:
        entry = managed_fields.new_entry(
            manager, managed_fields.UPDATE, api_version, subresource, changed, managed_fields.timestamp(now)
        )
        _write(metadata, [entry] if changed else [])
        return
    compared = _Compared(old or {}, new, api_version, (changed, removed), written_fields.named(reset, subresource))
    updated = _after_update(entries, writer, compared.following(versions), now)
    metadata["managedFields"] = managed_fields.arranged(managed_fields.capped(updated))
    if not updated:
        del metadata["managedFields"]


def _known(
    entries: list[managed_fields.Entry], schema: schemas.Schema, obj: Object, writer: managed_fields.Identity
) -> list[managed_fields.Entry]:
    """What was written in a version that nobody can read is nobody's any more; custom resources' are not judged."""
    if not schema.definition or not obj.get("kind"):
        return entries
    return managed_fields.of_known_versions(entries, obj["kind"], writer)


def _write(metadata: dict[str, Any], entries: list[managed_fields.Entry]) -> None:
    if entries:
        metadata["managedFields"] = entries
    else:
        metadata.pop("managedFields", None)


class _Compared:
    """What a write changes and removes, in the words of each version in which somebody owns fields."""

    def __init__(
        self, old: Object, new: Object, api_version: str, here: tuple[Fields, Fields], written: written_fields.Named
    ) -> None:
        self._old, self._new, self._written = old, new, written
        self._versions: Versions | None = None
        self._own = here
        self._found = {api_version: here}

    def following(self, versions: Versions | None) -> "_Compared":
        self._versions = versions
        return self

    def own(self) -> tuple[Fields, Fields]:
        return self._own

    def for_owner(self, entry: managed_fields.Entry) -> tuple[Fields, Fields]:
        version = str(entry.get("apiVersion") or "")
        if version not in self._found:
            self._found[version] = self._in(version)
        return self._found[version]

    def _in(self, version: str) -> tuple[Fields, Fields]:
        schema = self._versions.schema(version) if self._versions is not None and self._old else None
        if schema is None or self._versions is None:
            return self._own
        old, new = (self._versions.convert(obj, version) for obj in (self._old, self._new))
        changed, removed = field_changes.changes(old, new, schema)
        written = self._written(schema)
        return _stripped(written.of(changed)), written.of(removed)


def _after_update(
    entries: list[managed_fields.Entry], writer: managed_fields.Identity, compared: _Compared, now: datetime.datetime
) -> list[managed_fields.Entry]:
    """Everybody loses what was changed or removed, then the writer gets what was changed."""
    changed, removed = compared.own()
    result: list[managed_fields.Entry] = []
    own: managed_fields.Entry | None = None
    for entry in entries:
        fields = entry["fieldsV1"]
        if managed_fields.identity(entry) == writer:
            own = entry
            continue
        remaining = fields
        for gone in compared.for_owner(entry):
            remaining = fieldsets.difference(remaining, gone)
        if remaining is fields:
            result.append(entry)
        elif remaining:
            result.append({**entry, "fieldsV1": remaining})
    kept = fieldsets.difference(own["fieldsV1"], removed) if own is not None else fieldsets.LEAF
    fields = fieldsets.union(kept, changed)
    if fields:
        time = managed_fields.timestamp(now) if changed or own is None else own.get("time") or ""
        manager, operation, version, subresource = writer
        result.append(managed_fields.new_entry(manager, operation, version, subresource, fields, time))
    return result


def _stripped(fields: Fields) -> Fields:
    """The set without what nobody can own."""
    result = {key: below for key, below in fields.items() if key not in ("f:apiVersion", "f:kind", "f:metadata")}
    metadata = fields.get("f:metadata")
    if metadata is not None:
        kept = {key: below for key, below in metadata.items() if key not in STRIPPED and key != fieldsets.SELF}
        if kept:
            result["f:metadata"] = kept
    return result


def apply(
    live: Object | None, applied: Object, *, schema: schemas.Schema, manager: str, api_version: str, subresource: str,
    force: bool, now: datetime.datetime, reset: written_fields.Rule = None, versions: Versions | None = None,
) -> Object:  # fmt: skip
    """The object that server-side apply of ``applied`` makes, with its managedFields; ``live`` is left alone.

    Raises ``errors.Conflict`` (causes FieldManagerConflict), ``errors.BadRequest``, or a plain 500 where the
    configuration does not fit the schema, as upstream does.
    """
    try:
        wanted = field_values.field_set(applied, schema)
    except field_values.NotTyped as problem:
        raise errors.APIStatusError(
            f"failed to create typed patch object ({_named(applied)}): {problem}", code=500, reason=""
        ) from None
    # What this endpoint does not write is not asked for; identity is, so that pruning leaves it alone. Of a new object
    # the strategy drops what it must.
    written = written_fields.of(reset, schema, subresource)
    wanted = written.of(wanted)
    asked = applied
    if live is not None:
        asked = {key: value for key, value in applied.items() if written.asks(key)}
    me = (manager, managed_fields.APPLY, "", subresource)
    names = written_fields.named(reset, subresource)
    result = _Apply(live, asked, schema, me, api_version, now, written, names, versions).result(wanted, force)
    if manager == "kubectl" and _annotations(result).get(LAST_APPLIED):
        _sync_last_applied(result, applied)
    return result


def check(applied: Object, gvk: resources.GroupVersionKind) -> None:
    """Raises ``errors.BadRequest`` for a configuration of another type, or one that holds the record itself."""
    said, kind = applied.get("apiVersion"), applied.get("kind")
    if (said, kind) != (gvk.group_version, gvk.kind):
        raise errors.BadRequest(f"invalid object type: {_type_text(said, kind)}")
    metadata = applied.get("metadata")
    if isinstance(metadata, dict) and metadata.get("managedFields") is not None:
        raise errors.BadRequest("metadata.managedFields must be nil")


def _type_text(api_version: Any, kind: Any) -> str:
    """``apps/v1, Kind=Deployment``; ``/v1, Kind=Pod``; what no version can be leaves everything out."""
    api_version, kind = (said if isinstance(said, str) else "" for said in (api_version, kind))
    group, slash, version = api_version.partition("/")
    if "/" in version:
        return "/, Kind="
    return f"{group}/{version}, Kind={kind}" if slash else f"/{group}, Kind={kind}"


def _named(obj: Object) -> str:
    """``default/web; apps/v1, Kind=Deployment``; ``default/x; /v1, Kind=Pod``."""
    metadata = obj.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    space, name = (said if isinstance(said := metadata.get(key), str) else "" for key in ("namespace", "name"))
    return f"{space}/{name}; {_type_text(obj['apiVersion'], obj.get('kind'))}"


def _annotations(obj: Object) -> dict[str, str]:
    return obj.get("metadata", {}).get("annotations") or {}


class _Apply:
    """One application: the parts that its steps share."""

    def __init__(
        self, live: Object | None, applied: Object, schema: schemas.Schema, me: managed_fields.Identity,
        api_version: str, now: datetime.datetime, written: written_fields.Written, names: written_fields.Named,
        versions: Versions | None,
    ) -> None:  # fmt: skip
        self.schema = schema
        self.names, self.versions = names, versions
        self.me = me
        self.written = written
        self.api_version = api_version
        self.now = now
        self.exists = live is not None
        self.live = _copied(live or {"apiVersion": applied["apiVersion"], "kind": applied.get("kind", "")})
        self.live.get("metadata", {}).pop("managedFields", None)
        self.applied = _copied(applied)
        self.entries = managed_fields.live_entries(live)
        if live is not None and not self.entries:
            self.entries = self._before_first_apply()

    def _before_first_apply(self) -> list[managed_fields.Entry]:
        """An object without a record: all of it that this endpoint writes belongs to whoever was there before."""
        fields, _ = field_changes.changes(field_changes.template(self.schema), self.live, self.schema)
        fields = _stripped(self.written.of(fields))
        if not fields:
            return []
        time = managed_fields.timestamp(self.now)
        name = managed_fields.BEFORE_FIRST_APPLY
        return [managed_fields.new_entry(name, managed_fields.UPDATE, self.api_version, self.me[3], fields, time)]

    def result(self, wanted: Fields, force: bool) -> Object:
        own = next((entry for entry in self.entries if managed_fields.identity(entry) == self.me), None)
        others = [entry for entry in self.entries if entry is not own]
        merged: Object = field_values.merge(self.live, self.applied, self.schema)
        merged = self._pruned(merged, wanted, own, others)
        changed, removed = field_changes.changes(self.live, merged, self.schema)
        here = self.written.of(changed), self.written.of(removed)
        live = self.live if self.exists else {}
        compared = _Compared(live, merged, self.api_version, here, self.names).following(self.versions)
        if not force:
            self._check_conflicts(others, compared)
        others = _known(others, self.schema, self.applied, self.me)
        entries = self._without(others, compared)
        owned = _stripped(wanted)
        if owned:
            # Who changes nothing keeps the time of before, and has none the first time: upstream's way.
            before = own.get("time") or "" if own is not None else ""
            time = before if self.exists and merged == self.live else managed_fields.timestamp(self.now)
            entries.append(
                managed_fields.new_entry(self.me[0], managed_fields.APPLY, self.api_version, self.me[3], owned, time)
            )
        _write(merged.setdefault("metadata", {}), managed_fields.arranged(entries))
        return merged

    @staticmethod
    def _without(entries: list[managed_fields.Entry], compared: _Compared) -> list[managed_fields.Entry]:
        result = []
        for entry in entries:
            fields = entry["fieldsV1"]
            for gone in compared.for_owner(entry):
                fields = fieldsets.difference(fields, gone)
            if fields:
                result.append(entry if fields is entry["fieldsV1"] else {**entry, "fieldsV1": fields})
        return result

    def _pruned(
        self, merged: Object, wanted: Fields, own: managed_fields.Entry | None, others: list[managed_fields.Entry]
    ) -> Object:
        """``merged`` without what this manager applied last time and nobody, itself included, owns now.

        Each owner speaks for the fields of the version in which it wrote.
        """
        last = own["fieldsV1"] if own is not None else fieldsets.LEAF
        if own is None or not last:
            return merged
        owned = {self.api_version: wanted}
        for entry in others:
            version = self._readable(entry)
            owned[version] = fieldsets.union(owned.get(version, fieldsets.LEAF), entry["fieldsV1"])
        start = self._readable(own)
        whole = self._as(merged, start)
        pruned = field_values.remove(whole, self._named(last, start), self._schema_of(start)) or {}
        for version, fields in owned.items():
            whole, pruned = self._as(whole, version), self._as(pruned, version)
            kept = fieldsets.union(self._fields_of(pruned, version), self._named(fields, version))
            gone = fieldsets.difference(self._fields_of(whole, version), kept)
            pruned = field_values.remove(whole, gone, self._schema_of(version)) or {}
        whole, pruned = self._as(whole, start), self._as(pruned, start)
        gone = fieldsets.difference(self._fields_of(whole, start), self._fields_of(pruned, start))
        gone = fieldsets.intersection(gone, self._named(last, start))
        return self._as(field_values.remove(whole, gone, self._schema_of(start)) or {}, self.api_version)

    def _readable(self, entry: managed_fields.Entry) -> str:
        """The version of an entry; of one that cannot be had, the one that is being written."""
        version = str(entry.get("apiVersion") or "")
        known = self.versions is not None and self.versions.schema(version) is not None
        return version if known else self.api_version

    def _schema_of(self, version: str) -> schemas.Schema:
        found = self.versions.schema(version) if self.versions is not None else None
        return found or self.schema

    def _as(self, obj: Object, version: str) -> Object:
        if self.versions is None or obj.get("apiVersion") in (None, version):
            return obj
        return self.versions.convert(obj, version)

    def _named(self, fields: Fields, version: str) -> Fields:
        return field_values.with_named_fields(fields, self._schema_of(version))

    def _fields_of(self, obj: Object, version: str) -> Fields:
        return self._named(field_values.lenient_field_set(obj, self._schema_of(version)), version)

    def _check_conflicts(self, others: list[managed_fields.Entry], compared: _Compared) -> None:
        allowed = self._allowed() if self.me[0] == "kubectl" else fieldsets.LEAF
        found: list[tuple[managed_fields.Entry, tuple[str, ...]]] = []
        for entry in others:
            changed, _ = compared.for_owner(entry)
            conflicting = fieldsets.difference(fieldsets.intersection(entry["fieldsV1"], changed), allowed)
            found.extend((entry, path) for path in fieldsets.paths(conflicting))
        if found:
            raise conflict_error(found)

    def _allowed(self) -> Fields:
        """What client-side apply put there and nobody changed since: kubectl may take it over without force."""
        text = _annotations(self.live).get(LAST_APPLIED)
        try:
            last = orjson.loads(text) if text else None
            if not isinstance(last, dict) or last.get("apiVersion") != self.api_version or not last.get("kind"):
                return fieldsets.LEAF
            fields = field_values.field_set(last, self.schema)
        except (orjson.JSONDecodeError, field_values.NotTyped):
            return fieldsets.LEAF
        changed, removed = field_changes.changes(last, self.live, self.schema)
        return fieldsets.difference(fieldsets.difference(fields, changed), removed)


def conflict_error(found: list[tuple[managed_fields.Entry, tuple[str, ...]]]) -> errors.Conflict:
    """409 with one cause a field, manager by manager, each one's fields in the order of its set."""
    found = sorted(found, key=lambda one: managed_fields.sort_text(one[0]))
    named = [(_manager_text(entry), fieldsets.path_text(path)) for entry, path in found]
    causes = [
        {"reason": "FieldManagerConflict", "message": f"conflict with {who}", "field": field} for who, field in named
    ]
    if len(named) == 1:
        who, field = named[0]
        return errors.Conflict(
            f"Apply failed with 1 conflict: conflict with {who}: {field}", details={"causes": causes}
        )
    lines: list[str] = []
    for who in dict.fromkeys(who for who, _ in named):
        lines.append(f"conflicts with {who}:")
        lines.extend(f"- {field}" for other, field in named if other == who)
    joined = "\n".join(lines)
    return errors.Conflict(f"Apply failed with {len(named)} conflicts: {joined}", details={"causes": causes})


def _manager_text(entry: managed_fields.Entry) -> str:
    """``"kubectl-client-side-apply" using apps/v1``."""
    text = f'"{entry.get("manager") or ""}"'
    if entry.get("subresource"):
        text += f' with subresource "{entry["subresource"]}"'
    return f"{text} using {entry.get('apiVersion') or ''}" if entry["operation"] == managed_fields.UPDATE else text


def _sync_last_applied(result: Object, applied: Object) -> None:
    """Keeps client-side apply's annotation in step, so that users can go back to it."""
    plain = _copied(applied)
    metadata = plain.get("metadata") or {}
    annotations = metadata.pop("annotations", None)
    if isinstance(annotations, dict):
        metadata["annotations"] = {key: value for key, value in annotations.items() if key != LAST_APPLIED}
    text = go_text.json(plain) + "\n"
    target = result["metadata"]["annotations"] = dict(_annotations(result))
    target[LAST_APPLIED] = text
    if sum(len(key.encode()) + len(value.encode()) for key, value in target.items()) > _MAX_ANNOTATIONS:
        del target[LAST_APPLIED]


def _copied(obj: Object) -> Object:
    result: Object = orjson.loads(orjson.dumps(obj))
    return result
