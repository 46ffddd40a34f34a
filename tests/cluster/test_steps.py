"""What is done step by step, and when that takes away what others have made: never."""

import threading

import pytest

from kubeshim.cluster import down, layout, lock, up


class Making:
    def __init__(self, where):
        self.where, self.fresh = where, not where.configuration.exists()
        self.seen = []

    def steps(self):
        yield "look", self._look

    def _look(self):
        self.seen.append(self.fresh)
        raise OSError("it cannot be done")


@pytest.mark.parametrize("made_meanwhile", [True, False])
def test_only_what_is_new_when_the_lock_is_had_is_taken_away_again(tmp_path, monkeypatch, made_meanwhile):
    monkeypatch.setattr(layout, "ROOT", tmp_path)
    removed, failures = [], []
    monkeypatch.setattr(down, "remove", lambda name, report: removed.append(name))
    where = layout.Layout.of("one")
    this = Making(where)

    def take():
        try:
            up.take_steps(this, up.UpFailed, lambda *_: None)
        except up.UpFailed as error:
            failures.append(str(error))

    with lock.locked(where):
        thread = threading.Thread(target=take)
        thread.start()
        where.directory.mkdir()
        if made_meanwhile:
            where.configuration.write_text("{}")
    thread.join()
    assert failures == ["look: it cannot be done"]
    assert (this.seen, removed) == (([False], []) if made_meanwhile else ([True], ["one"]))
