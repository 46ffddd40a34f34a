import os

import pytest
import yaml

from kubeshim import pki
from kubeshim.cluster import user_kubeconfig

ADMIN = pki.kubeconfig("https://127.0.0.1:6443", b"ca", user="kubernetes-admin")

FOREIGN = {
    "apiVersion": "v1",
    "kind": "Config",
    "preferences": {"colors": True},
    "clusters": [{"name": "other", "cluster": {"server": "https://other"}}],
    "users": [{"name": "other", "user": {"token": "t"}}],
    "contexts": [{"name": "other", "context": {"cluster": "other", "user": "other"}}],
    "current-context": "other",
}


def test_merging_keeps_foreign_entries_and_unmerging_restores_the_file(tmp_path):
    admin = ADMIN
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(FOREIGN))
    user_kubeconfig.merge(path, admin, "kubeshim")
    user_kubeconfig.merge(path, admin, "kubeshim")
    merged = yaml.safe_load(path.read_text())
    assert merged["current-context"] == "kubeshim"
    assert [one["name"] for one in merged["clusters"]] == ["other", "kubeshim"]
    assert merged["preferences"] == {"colors": True}
    user_kubeconfig.unmerge(path, "kubeshim")
    assert yaml.safe_load(path.read_text()) == FOREIGN
    assert [one.name for one in tmp_path.iterdir() if "config" in one.name] == ["config"]


def test_a_kubeconfig_that_only_we_were_in_goes_away(tmp_path):
    admin = ADMIN
    path = tmp_path / "home" / ".kube" / "config"
    user_kubeconfig.merge(path, admin, "one", owner=(os.getuid(), os.getgid()))
    user_kubeconfig.merge(path, admin, "two")
    user_kubeconfig.unmerge(path, "two")
    assert yaml.safe_load(path.read_text())["current-context"] == "one"
    user_kubeconfig.unmerge(path, "one")
    assert not path.exists()


@pytest.mark.parametrize("content", ["{", "- a\n", "clusters: 3\n"])
def test_a_file_that_is_no_kubeconfig_is_left_alone(tmp_path, content):
    path = tmp_path / "config"
    path.write_text(content)
    with pytest.raises(user_kubeconfig.UserKubeconfigError):
        user_kubeconfig.merge(path, pki.kubeconfig("https://x", b"ca", user="u"), "kubeshim")
    assert path.read_text() == content


def test_a_lock_left_by_a_dead_process_is_taken_over(tmp_path):
    path = tmp_path / "config"
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    (tmp_path / "config.lock").write_text(str(pid))
    user_kubeconfig.merge(path, pki.kubeconfig("https://x", b"ca", user="u"), "kubeshim")
    assert path.exists()


def test_who_finds_a_lock_abandoned_does_not_take_away_the_next_ones(tmp_path, monkeypatch):
    """Another has found the same, and has locked anew before this one acts."""
    lock = tmp_path / "config.lock"
    lock.write_text("abandoned")
    monkeypatch.setattr(user_kubeconfig, "_abandoned", lambda path: path.read_text() == "abandoned")
    lock.write_text("the next one's")
    user_kubeconfig._take_away(lock)
    assert [path.name for path in tmp_path.iterdir()] == ["config.lock"]
    assert lock.read_text() == "the next one's"
    lock.write_text("abandoned")
    user_kubeconfig._take_away(lock)
    user_kubeconfig._take_away(lock)
    assert list(tmp_path.iterdir()) == []
