"""What only the embedded store promises: durability, bounds, and giving space back."""

import sqlite3
import subprocess
import sys
import threading

import pytest

from kubeshim.control_plane.cluster_store import sqlite, store


def test_state_and_revision_survive_closing(tmp_path, write):
    first = sqlite.SQLiteStore(tmp_path / "state.db")
    write(first, store.Create("/a", b"1"), store.Create("/b", b"2"), store.Delete("/b", 2))
    first.compact(2)
    first.close()
    again = sqlite.SQLiteStore(tmp_path / "state.db")
    assert (again.revision(), again.oldest()) == (3, 2)
    (record,) = write(again, store.Update("/a", b"x", 1))
    assert record.mod_revision == 4
    again.close()


def test_everything_acknowledged_survives_a_kill(tmp_path):
    script = """
import os, sys, threading
from kubeshim.control_plane.cluster_store import sqlite, store
kept = sqlite.SQLiteStore(sys.argv[1])
def reply(outcome):
    os.write(1, b"%s %d\\n" % (outcome.key.encode(), outcome.mod_revision))
    if outcome.mod_revision == 300:
        os.kill(os.getpid(), 9)
for number in range(1000):
    kept.submit(store.Create("/k/%04d" % number, b"v" * 100), reply)
threading.Event().wait(10)
"""
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path / "state.db")], capture_output=True, check=False)
    told = [line.split() for line in done.stdout.decode().splitlines()]
    assert len(told) >= 300
    again = sqlite.SQLiteStore(tmp_path / "state.db")
    for key, revision in told:
        assert again.get(key).mod_revision == int(revision)
    again.close()


def test_a_full_queue_refuses_at_once(tmp_path):
    kept = sqlite.SQLiteStore(tmp_path / "state.db", queue_limit=3)
    entered, release = threading.Event(), threading.Event()

    def hold(outcome):
        entered.set()
        release.wait(60)

    kept.submit(store.Create("/hold", b""), hold)
    assert entered.wait(60)
    for number in range(3):
        kept.submit(store.Create(f"/{number}", b""), lambda outcome: None)
    with pytest.raises(store.Overloaded):
        kept.submit(store.Create("/x", b""), lambda outcome: None)
    release.set()
    kept.close()


def test_a_failed_commit_fails_its_writers_and_the_next_one_works(tmp_path, write):
    kept = sqlite.SQLiteStore(tmp_path / "state.db")
    write(kept, store.Create("/a", b"1"))
    kept._run(lambda connection: len(connection.execute("PRAGMA max_page_count=1").fetchall()))
    (outcome,) = write(kept, store.Create("/big", b"x" * 500_000))
    assert isinstance(outcome, store.Unavailable)
    assert "full" in str(outcome)
    kept._run(lambda connection: len(connection.execute("PRAGMA max_page_count=1000000").fetchall()))
    (record,) = write(kept, store.Create("/big", b"x" * 500_000))
    assert record.mod_revision == 2
    kept.close()


def test_compaction_returns_space(tmp_path, write):
    path = tmp_path / "state.db"
    kept = sqlite.SQLiteStore(path)
    (record,) = write(kept, store.Create("/a", b"x" * 10_000))
    for _ in range(300):
        (record,) = write(kept, store.Update("/a", b"y" * 10_000, record.mod_revision))
    kept.compact(kept.revision())
    pages = kept._run(lambda connection: connection.execute("PRAGMA page_count").fetchone()[0])
    assert pages < 300
    kept.close()
    assert sqlite3.connect(path).execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_what_cannot_be_written_fails_and_the_next_is_written(tmp_path, write):
    """The thread that writes outlives it, or everybody would wait for ever."""
    kept = sqlite.SQLiteStore(tmp_path / "state.db")
    (outcome,) = write(kept, store.Create("/no text \ud800", b""))
    assert isinstance(outcome, store.Unavailable)
    (outcome,) = write(kept, store.Create("/a", b""))
    assert outcome.mod_revision == 1
    kept.ping()
    kept.close()
