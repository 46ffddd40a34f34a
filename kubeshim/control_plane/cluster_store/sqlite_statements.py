"""The SQL of the embedded store: a function for each thing that is asked of the database."""

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence

from kubeshim.control_plane.cluster_store import store

_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS log (
        revision INTEGER PRIMARY KEY,
        key TEXT NOT NULL,
        created INTEGER NOT NULL,
        previous INTEGER NOT NULL,
        deleted INTEGER NOT NULL,
        value BLOB NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS log_key ON log (key, revision)",
    "CREATE TABLE IF NOT EXISTS current (key TEXT PRIMARY KEY, revision INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
    "INSERT OR IGNORE INTO meta VALUES ('compacted', 0), ('revision', 0)",
)
_ROWS_LIMIT = 256
"""Rows of one statement; what SQLite allows in parameters is far more."""
_COMPACT_ROWS = 500
_VACUUM_PAGES = 256


def connect(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=64, timeout=30)
    connection.execute("PRAGMA wal_autocheckpoint=0")
    connection.execute("PRAGMA synchronous=FULL")
    return connection


def open_writer(path: str) -> sqlite3.Connection:
    connection = connect(path)
    connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
    connection.execute("PRAGMA journal_mode=WAL")
    with transaction(connection):
        for statement in _SCHEMA:
            connection.execute(statement)
    return connection


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # A full disk may have rolled back by itself.
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def meta(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()[0])


def _chunks(count: int) -> Iterator[tuple[int, int]]:
    """``(start, size)`` covering ``count`` rows in powers of two, so that few statement texts are ever prepared."""
    start = 0
    while start < count:
        size = min(_ROWS_LIMIT, 1 << ((count - start).bit_length() - 1))
        yield start, size
        start += size


def records(connection: sqlite3.Connection, keys: set[str]) -> dict[str, store.Record]:
    names = list(keys)
    found: dict[str, store.Record] = {}
    for start, size in _chunks(len(names)):
        marks = ",".join("?" * size)
        for row in connection.execute(
            "SELECT l.key, l.value, l.created, l.revision FROM current AS c JOIN log AS l ON l.revision = c.revision"
            f" WHERE c.key IN ({marks})",
            names[start : start + size],
        ).fetchall():
            found[row[0]] = store.Record(*row)
    return found


def write(connection: sqlite3.Connection, events: Sequence[store.Event]) -> None:
    rows: list[object] = []
    for event in events:
        record, previous = event.record, event.previous
        living = record or previous
        assert living is not None
        rows += (
            event.revision, event.key, living.create_revision, previous.mod_revision if previous else 0,
            int(record is None), record.value if record else b"",
        )  # fmt: skip
    for start, size in _chunks(len(events)):
        marks = ",".join(["(?,?,?,?,?,?)"] * size)
        connection.execute(f"INSERT INTO log VALUES {marks}", rows[start * 6 : (start + size) * 6])
    final = {event.key: event for event in events}
    kept = [value for event in final.values() if event.record for value in (event.key, event.revision)]
    gone = [event.key for event in final.values() if not event.record and event.previous]
    for start, size in _chunks(len(kept) // 2):
        marks = ",".join(["(?,?)"] * size)
        connection.execute(f"INSERT OR REPLACE INTO current VALUES {marks}", kept[start * 2 : (start + size) * 2])
    for start, size in _chunks(len(gone)):
        marks = ",".join("?" * size)
        connection.execute(f"DELETE FROM current WHERE key IN ({marks})", gone[start : start + size])
    connection.execute("UPDATE meta SET value = ? WHERE name = 'revision'", (events[-1].revision,))


def compact_turn(connection: sqlite3.Connection, start: int, end: int) -> int:
    """Drops what the next rows after ``start`` superseded, tombstones included; returns how far it came."""
    with transaction(connection):
        step = connection.execute(
            "SELECT max(revision) FROM (SELECT revision FROM log WHERE revision > ? AND revision <= ?"
            " ORDER BY revision LIMIT ?)",
            (start, end, _COMPACT_ROWS // 2),
        ).fetchone()[0]
        if step is None:
            return end
        connection.execute(
            "DELETE FROM log WHERE revision IN"
            " (SELECT previous FROM log WHERE revision > ? AND revision <= ? AND previous > 0)",
            (start, step),
        )
        connection.execute("DELETE FROM log WHERE revision > ? AND revision <= ? AND deleted", (start, step))
    return int(step)


def vacuum_turn(connection: sqlite3.Connection) -> int:
    """Gives some free pages back to the file system; returns how many are still free."""
    connection.execute(f"PRAGMA incremental_vacuum({_VACUUM_PAGES})").fetchall()
    return int(connection.execute("PRAGMA freelist_count").fetchone()[0])


def event(row: Sequence[object]) -> store.Event:
    revision, key, created, deleted, value, old_value, old_created, old_revision = row
    record = None if deleted else store.Record(key, value, created, revision)  # type: ignore[arg-type]
    previous = None if old_value is None else store.Record(key, old_value, old_created, old_revision)  # type: ignore[arg-type]
    return store.Event(revision, key, record, previous)  # type: ignore[arg-type]


def end_of(prefix: str) -> str:
    """The first key after all that start with ``prefix``."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1) if prefix else "\U0010ffff"
