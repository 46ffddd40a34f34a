"""``metadata.managedFields``: who owns which fields, as a list of entries.

An entry's manager is its name, operation, subresource and (for updates only) API version: an applier has one
entry whatever version it speaks. Entries are kept as they are on the wire and are never changed in place.
"""

import datetime
import functools
from typing import Any

import orjson

from kubeshim import clock
from kubeshim.machinery import fieldsets
from kubeshim.machinery.codecs import descriptors

Entry = dict[str, Any]
Identity = tuple[str, str, str, str]
"""``(manager, operation, API version or "" for appliers, subresource)``."""

APPLY, UPDATE = "Apply", "Update"
MAX_UPDATE_MANAGERS = 10
OLD_UPDATES = "ancient-changes"
BEFORE_FIRST_APPLY = "before-first-apply"


def identity(entry: Entry) -> Identity:
    operation = entry.get("operation") or ""
    version = "" if operation == APPLY else entry.get("apiVersion") or ""
    return entry.get("manager") or "", operation, version, entry.get("subresource") or ""


def sort_text(entry: Entry) -> str:
    """An entry's manager as upstream names it inside, in JSON: what it sorts by where several are told of."""
    manager, operation, version, subresource = identity(entry)
    named = {"manager": manager, "operation": operation, "apiVersion": version, "subresource": subresource}
    return orjson.dumps({key: value for key, value in named.items() if value}).decode()


def new_entry(
    manager: str, operation: str, api_version: str, subresource: str, fields: fieldsets.Fields, time: str
) -> Entry:
    entry: Entry = {"manager": manager, "operation": operation, "apiVersion": api_version}
    if time:
        entry["time"] = time
    entry["fieldsType"] = "FieldsV1"
    entry["fieldsV1"] = fields
    if subresource:
        entry["subresource"] = subresource
    return entry


def timestamp(now: datetime.datetime) -> str:
    return clock.rfc3339(now)


def current(old: dict[str, Any] | None, new: dict[str, Any]) -> list[Entry]:
    """The entries a write starts from.

    The request's own where it has valid ones, so that clients may edit them; else the live object's, so that
    clients who know nothing of the field do not delete it. No entry, or a single empty one, resets everything.
    """
    live = live_entries(old)
    given = new.get("metadata", {}).get("managedFields")
    if given is None or given is live or (given and given == live):
        return live
    if given in ([], [{}]):
        return []
    edited = _edited(given)
    return live if edited is None else edited


def keep_reset(obj: dict[str, Any]) -> None:
    """Writes an empty list, which would go the way of all empty lists, as the one entry that says the same."""
    metadata = obj.get("metadata")
    if isinstance(metadata, dict) and metadata.get("managedFields") == []:
        metadata["managedFields"] = [{}]


def _edited(given: Any) -> list[Entry] | None:
    """The entries of a client, one a manager (the last) and none that owns nothing; None if one is unsound."""
    entries = _valid(given)
    if not entries or not all(entry.get("apiVersion") and fieldsets.is_valid(entry["fieldsV1"]) for entry in entries):
        return None
    last = {identity(entry): entry for entry in entries}
    return [entry for entry in last.values() if entry["fieldsV1"]]


def live_entries(old: dict[str, Any] | None) -> list[Entry]:
    return _valid((old or {}).get("metadata", {}).get("managedFields"))


def _valid(entries: Any) -> list[Entry]:
    """The entries if all are sound, else none."""
    if not isinstance(entries, list):
        return []
    for entry in entries:
        if not isinstance(entry, dict) or entry.get("operation") not in (APPLY, UPDATE):
            return []
        if entry.get("fieldsType") != "FieldsV1" or not isinstance(entry.get("fieldsV1", {}), dict):
            return []
    return [entry if "fieldsV1" in entry else {**entry, "fieldsV1": {}} for entry in entries]


def problem(entries: Any) -> str:
    """Why the entries cannot be read, in upstream's words; empty where they can."""
    for index, entry in enumerate(entries or ()):
        if entry.get("operation") not in (APPLY, UPDATE):
            return "operation must be `Apply` or `Update`"
        if not entry.get("apiVersion"):
            return "apiVersion must not be empty"
        kind = entry.get("fieldsType")
        if not kind:
            return f"missing fieldsType in managed fields entry {index}"
        if kind != "FieldsV1":
            return f'invalid fieldsType "{kind}" in managed fields entry {index}'
    return ""


def of_known_versions(entries: list[Entry], kind: str, writer: Identity) -> list[Entry]:
    """Without those of versions that the built-in kind has in no release; the writer's own stays."""
    return [
        entry for entry in entries
        if identity(entry) == writer or _is_known(str(entry.get("apiVersion") or ""), kind)
    ]  # fmt: skip


@functools.cache
def _is_known(api_version: str, kind: str) -> bool:
    group, _, version = api_version.rpartition("/")
    return descriptors.message_for_kind(group, version, kind) is not None


def arranged(entries: list[Entry]) -> list[Entry]:
    """Appliers first, then by time, then by name: the order in which entries are published."""
    return sorted(
        entries,
        key=lambda entry: (
            entry["operation"],
            entry.get("time") or "",
            entry.get("manager") or "",
            entry.get("apiVersion") or "",
            entry.get("subresource") or "",
        ),
    )


def capped(entries: list[Entry]) -> list[Entry]:
    """At most so many updaters: the oldest of a version are folded into one entry."""
    updaters = [entry for entry in entries if entry["operation"] == UPDATE]
    surplus = len(updaters) - MAX_UPDATE_MANAGERS
    if surplus <= 0:
        return entries
    updaters.sort(key=lambda entry: (entry.get("time") or "", identity(entry)))
    gone: set[int] = set()
    buckets: dict[str, Entry] = {}
    first: dict[str, Entry] = {}
    for entry in updaters:
        if surplus <= 0:
            break
        version = entry.get("apiVersion") or ""
        if version not in first:
            first[version] = entry
            continue
        oldest = buckets.get(version)
        if oldest is None:
            oldest = first[version]
            gone.add(id(oldest))
        fields = fieldsets.union(entry["fieldsV1"], oldest["fieldsV1"])
        buckets[version] = new_entry(OLD_UPDATES, UPDATE, version, "", fields, entry.get("time") or "")
        gone.add(id(entry))
        surplus -= 1
    return [entry for entry in entries if id(entry) not in gone] + list(buckets.values())
