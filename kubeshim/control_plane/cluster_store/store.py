"""The store's interface: what the API server needs of etcd's model, and no more.

Every change makes one new revision of the whole store; revisions are consecutive decimal integers from 1.
A key's ``mod_revision`` is the revision that last wrote it, ``create_revision`` the one that made it.

Writes are asynchronous: the caller hands in an operation and a ``reply``; a native thread of the store
commits many operations in one transaction and then, for the whole batch and in this order, calls every
subscriber with the batch's events and each operation's ``reply`` with its outcome. So whoever got the reply
knows that the watch cache has already seen the event. Callbacks run in the store's thread: they must only
hand over, never block. An operation whose precondition fails, fails alone.

    StoreError
    ├── KeyExists         create of a key that is there
    ├── PreconditionFailed  expected revision is not the key's (carries the current record, None if gone)
    ├── Compacted         the asked revision is no longer kept (carries the oldest that is)
    ├── FutureRevision    the asked revision does not exist yet
    ├── Overloaded        the bounded queue is full
    └── Unavailable       the store cannot write (disk full, no quorum); the message says why
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Protocol


class StoreError(Exception):
    """Base of what a store refuses."""


class KeyExists(StoreError):
    def __init__(self, current: "Record") -> None:
        super().__init__(f"key exists: {current.key}")
        self.current = current


class PreconditionFailed(StoreError):
    def __init__(self, current: "Record | None") -> None:
        super().__init__("the key is not at the expected revision")
        self.current = current


class Compacted(StoreError):
    def __init__(self, oldest: int) -> None:
        super().__init__(f"revision has been compacted; the oldest kept is {oldest}")
        self.oldest = oldest


class FutureRevision(StoreError):
    def __init__(self, current: int) -> None:
        super().__init__(f"revision is in the future; the current one is {current}")
        self.current = current


class Overloaded(StoreError):
    pass


class Unavailable(StoreError):
    pass


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """A key with its value at some revision."""

    key: str
    value: bytes
    create_revision: int
    mod_revision: int


@dataclasses.dataclass(frozen=True, slots=True)
class Event:
    """A change of one key. ``record`` is None for a deletion; ``previous`` is None for a creation."""

    revision: int
    key: str
    record: Record | None
    previous: Record | None


@dataclasses.dataclass(frozen=True, slots=True)
class Create:
    """Makes ``key``; fails with ``KeyExists``."""

    key: str
    value: bytes


@dataclasses.dataclass(frozen=True, slots=True)
class Update:
    """Replaces ``key`` if it is at ``revision``; fails with ``PreconditionFailed``."""

    key: str
    value: bytes
    revision: int


@dataclasses.dataclass(frozen=True, slots=True)
class Delete:
    """Takes ``key`` away if it is at ``revision``; fails with ``PreconditionFailed``."""

    key: str
    revision: int


Operation = Create | Update | Delete
Reply = Callable[[Record | StoreError], None]
"""Called with the record written (for Delete: the last record, its ``mod_revision`` the deletion's revision)."""
Subscriber = Callable[[Sequence[Event]], None]


@dataclasses.dataclass(frozen=True, slots=True)
class Range:
    """One answer of ``range``: records in key order, the revision they were read at, and whether more follow."""

    records: Sequence[Record]
    revision: int
    more: bool
    count: int
    """All keys from the start of this page to the end of the prefix, at that revision."""


class Store(Protocol):
    """What holds the cluster's state."""

    def submit(self, operation: Operation, reply: Reply) -> None:
        """Queues a write. Raises ``Overloaded`` at once where the queue is full."""

    def subscribe(self, subscriber: Subscriber) -> int:
        """Delivers every batch of events from now on; returns the revision after which they start."""

    def get(self, key: str) -> Record | None:
        """The current record. Blocks; call from a native thread."""

    def range(self, prefix: str, *, revision: int = 0, limit: int = 0, after: str = "") -> Range:
        """Records under ``prefix`` whose key is greater than ``after``, as of ``revision`` (0: now). Blocks.

        Raises ``Compacted`` or ``FutureRevision``.
        """

    def events(self, prefix: str, *, after: int) -> Sequence[Event]:
        """All changes under ``prefix`` with a revision greater than ``after``. Blocks. Raises ``Compacted``."""

    def revision(self) -> int:
        """The last committed revision."""

    def compact(self, revision: int) -> None:
        """Forgets what was superseded at or before ``revision``. Blocks, in small steps that let writes pass."""

    def oldest(self) -> int:
        """The oldest revision that ``range`` and ``events`` can still answer for."""

    def size(self) -> int:
        """Bytes that the state takes where it is kept."""

    def ping(self) -> None:
        """Raises ``Unavailable`` where a write would fail."""

    def close(self) -> None:
        """Commits what was queued and releases everything."""
