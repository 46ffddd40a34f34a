"""The embedded store: one SQLite file in WAL mode.

``log`` holds every revision, append-only; ``current`` names the newest live revision of each key. Both change in
one transaction with ``synchronous=FULL``: what is acknowledged survives loss of power.

One native thread owns the writing connection. It takes whatever has queued, decides the whole batch against one
``SELECT`` of the keys it names, writes it with one multi-row statement a table, commits once, and delivers (events to
subscribers, then outcomes to waiters). Few statements a batch matter twice: they are fast, and each gives up the
interpreter lock, which a busy event loop in the main thread is slow to give back.

Checkpoints never happen inside a commit (``wal_autocheckpoint=0``): a second connection in its own thread copies the
WAL back (PASSIVE, which waits for nobody) when it has grown. Only a WAL beyond ``_WAL_LIMIT``, which a PASSIVE
checkpoint could not reset because writes never paused, is truncated between two batches by the writer itself.
Compaction is done by the writer in turns of at most 500 rows with queued writes passing in between; freed pages are
given back a few at a time (``auto_vacuum=INCREMENTAL``).

Reads use a small pool of read-only connections and see a consistent snapshot each.

Why is ``oldest`` safe against readers? The compacted revision rises in its own transaction before the first row goes,
and every historical read looks at it inside its own snapshot.
"""

import contextlib
import functools
import logging
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from kubeshim.control_plane.cluster_store import batch, broadcast, store
from kubeshim.control_plane.cluster_store import sqlite_statements as statements

_log = logging.getLogger(__name__)

_QUEUE_LIMIT = 10_000
_BATCH_LIMIT = 256
_BATCH_BYTES = 16 << 20
_CHECKPOINT_BYTES = 4 << 20
_WAL_LIMIT = 128 << 20

_Write = tuple[store.Operation, store.Reply]
_Task = Callable[[sqlite3.Connection], None]


class SQLiteStore:
    """``store.Store`` over a file, which is created (mode 0600) if it is not there."""

    def __init__(self, path: str | os.PathLike[str], *, queue_limit: int = _QUEUE_LIMIT) -> None:
        self._path = os.fspath(path)
        self._broadcast = broadcast.Broadcaster()
        self._queue: queue.SimpleQueue[_Write | _Task | None] = queue.SimpleQueue()
        self._queue_limit = queue_limit
        self._closing = False
        self._readers: queue.LifoQueue[sqlite3.Connection] = queue.LifoQueue()
        self._reader_closed = False
        os.close(os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        self._connection = statements.open_writer(self._path)
        self._revision = statements.meta(self._connection, "revision")
        self._compacted = statements.meta(self._connection, "compacted")
        self._trouble: str = ""
        self._grown = threading.Event()
        self._writer = threading.Thread(target=self._write_loop, name="store-writer", daemon=True)
        self._checkpointer = threading.Thread(target=self._checkpoint_loop, name="store-checkpoint", daemon=True)
        self._writer.start()
        self._checkpointer.start()

    # --- writes -----------------------------------------------------------------------------------------------------

    def submit(self, operation: store.Operation, reply: store.Reply) -> None:
        if self._closing:
            raise store.Unavailable("the store is closed")
        if self._queue.qsize() >= self._queue_limit:
            raise store.Overloaded(f"{self._queue_limit} writes are waiting")
        self._queue.put((operation, reply))

    def _write_loop(self) -> None:
        while True:
            writes, task, stop = self._take()
            if writes:
                self._commit(writes)
            if task is not None:
                task(self._connection)
            if stop:
                return

    def _take(self) -> tuple[list[_Write], _Task | None, bool]:
        """Everything queued up to a batch; a task (compaction) or the end closes the batch."""
        writes: list[_Write] = []
        size = 0
        entry = self._queue.get()
        while True:
            if entry is None:
                return writes, None, True
            if callable(entry):
                return writes, entry, False
            writes.append(entry)
            size += len(getattr(entry[0], "value", b""))
            if len(writes) >= _BATCH_LIMIT or size >= _BATCH_BYTES:
                return writes, None, False
            try:
                entry = self._queue.get_nowait()
            except queue.Empty:
                return writes, None, False

    def _commit(self, writes: Sequence[_Write]) -> None:
        operations = [operation for operation, _ in writes]
        replies = [reply for _, reply in writes]
        try:
            current = statements.records(self._connection, {operation.key for operation in operations})
            decided = batch.plan(operations, current, self._revision)
            if decided.events:
                with statements.transaction(self._connection):
                    statements.write(self._connection, decided.events)
            self._trouble = ""
        except Exception as error:  # whatever it is: others wait for this thread
            self._fail(error, replies)
            return
        with self._broadcast.lock:
            if decided.events:
                self._revision = decided.events[-1].revision
            self._broadcast.deliver(decided.events, zip(replies, decided.outcomes, strict=True))
        if decided.events:
            self._watch_wal()

    def _fail(self, error: Exception, replies: Sequence[store.Reply]) -> None:
        if not self._trouble:
            _log.error("cannot write to %s: %s", self._path, error)
        self._trouble = str(error)
        failure = store.Unavailable(f"the cluster store cannot write: {error}")
        self._broadcast.deliver((), [(reply, failure) for reply in replies])

    def _watch_wal(self) -> None:
        try:
            size = os.stat(self._path + "-wal").st_size
        except OSError:
            return
        if size > _WAL_LIMIT:
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        elif size > _CHECKPOINT_BYTES:
            self._grown.set()

    def _checkpoint_loop(self) -> None:
        connection = statements.connect(self._path)
        while True:
            self._grown.wait()
            if self._closing:
                break
            self._grown.clear()
            with contextlib.suppress(sqlite3.Error):
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            # Once a second is enough: each copies all that is new, and the disk is shared with the commits.
            if self._wait_closing(1.0):
                break
        connection.close()

    def _wait_closing(self, seconds: float) -> bool:
        end = time.monotonic() + seconds
        while not self._closing and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, 0.1))
        return self._closing

    # --- reads ------------------------------------------------------------------------------------------------------

    def subscribe(self, subscriber: store.Subscriber) -> int:
        with self._broadcast.lock:
            self._broadcast.add(subscriber)
            return self._revision

    def get(self, key: str) -> store.Record | None:
        with self._snapshot() as connection:
            return statements.records(connection, {key}).get(key)

    def range(self, prefix: str, *, revision: int = 0, limit: int = 0, after: str = "") -> store.Range:
        low, high = max(after, prefix), statements.end_of(prefix)
        compare = ">" if after >= prefix and after else ">="
        with self._snapshot() as connection:
            newest = statements.meta(connection, "revision")
            if revision > newest:
                raise store.FutureRevision(newest)
            if revision and revision < (oldest := statements.meta(connection, "compacted")):
                raise store.Compacted(oldest)
            if revision in (0, newest):
                source = f"current AS c WHERE c.key {compare} ? AND c.key < ?"
                arguments: tuple[object, ...] = (low, high)
            else:
                source = (
                    "(SELECT key, max(revision) AS revision, deleted FROM log"
                    f" WHERE key {compare} ? AND key < ? AND revision <= ? GROUP BY key) AS c WHERE NOT c.deleted"
                )
                arguments = (low, high, revision)
            page = " LIMIT ?" if limit else ""
            rows = connection.execute(
                "SELECT l.key, l.value, l.created, l.revision FROM"
                f" (SELECT c.key, c.revision FROM {source} ORDER BY c.key{page}) AS c"
                " JOIN log AS l ON l.revision = c.revision ORDER BY c.key",
                (*arguments, limit) if limit else arguments,
            ).fetchall()
            count = len(rows)
            if limit and count == limit:
                count = connection.execute(f"SELECT count(*) FROM {source}", arguments).fetchone()[0]
        return store.Range([store.Record(*row) for row in rows], revision or newest, len(rows) < count, count)

    def events(self, prefix: str, *, after: int) -> Sequence[store.Event]:
        with self._snapshot() as connection:
            oldest = statements.meta(connection, "compacted")
            if after < oldest:
                raise store.Compacted(oldest)
            rows = connection.execute(
                "SELECT l.revision, l.key, l.created, l.deleted, l.value, p.value, p.created, p.revision"
                " FROM log AS l LEFT JOIN log AS p ON p.revision = l.previous"
                " WHERE l.revision > ? AND l.key >= ? AND l.key < ? ORDER BY l.revision",
                (after, prefix, statements.end_of(prefix)),
            ).fetchall()
        return [statements.event(row) for row in rows]

    def revision(self) -> int:
        return self._revision

    def oldest(self) -> int:
        return self._compacted

    @contextlib.contextmanager
    def _snapshot(self) -> Iterator[sqlite3.Connection]:
        if self._closing:
            raise store.Unavailable("the store is closed")
        try:
            connection = self._readers.get_nowait()
        except queue.Empty:
            connection = statements.connect(self._path)
            connection.execute("PRAGMA query_only=ON")
        try:
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            connection.close()
            raise store.Unavailable(f"the cluster store cannot read: {error}") from error
        except BaseException:
            self._readers.put(connection)
            raise
        self._readers.put(connection)

    # --- upkeep -----------------------------------------------------------------------------------------------------

    def compact(self, revision: int) -> None:
        if revision > self._revision:
            raise store.FutureRevision(self._revision)
        done = self._compacted
        if revision <= done:
            return
        self._run(lambda connection: self._begin_compaction(connection, revision))
        while done < revision:
            turn = functools.partial(statements.compact_turn, start=done, end=revision)
            done = self._run(turn)
        while self._run(statements.vacuum_turn):
            pass

    def _begin_compaction(self, connection: sqlite3.Connection, revision: int) -> int:
        with statements.transaction(connection):
            connection.execute("UPDATE meta SET value = ? WHERE name = 'compacted'", (revision,))
        self._compacted = revision
        return revision

    def size(self) -> int:
        return os.stat(self._path).st_size

    def ping(self) -> None:
        def probe(connection: sqlite3.Connection) -> int:
            with statements.transaction(connection):
                connection.execute("UPDATE meta SET value = value WHERE name = 'compacted'")
            return 0

        self._run(probe)

    def _run(self, work: Callable[[sqlite3.Connection], int]) -> int:
        """Has the writer's thread do ``work`` between two batches; raises what it raised."""
        if self._closing:
            raise store.Unavailable("the store is closed")
        done = threading.Event()
        outcome: list[int | sqlite3.Error] = []

        def task(connection: sqlite3.Connection) -> None:
            try:
                outcome.append(work(connection))
            except sqlite3.Error as error:
                outcome.append(error)
            finally:
                done.set()

        self._queue.put(task)
        while not done.wait(1.0):
            if not self._writer.is_alive():
                raise store.Unavailable("the store is closed")
        if isinstance(outcome[0], sqlite3.Error):
            raise store.Unavailable(f"the cluster store cannot write: {outcome[0]}") from outcome[0]
        return outcome[0]

    def close(self) -> None:
        if self._closing:
            return
        self._closing = True
        self._grown.set()
        self._queue.put(None)
        self._writer.join()
        self._checkpointer.join()
        with contextlib.suppress(queue.Empty):
            while True:
                self._readers.get_nowait().close()
        self._connection.close()
