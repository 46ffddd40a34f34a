"""A provisioner beside a server in memory and real directories; the test plays the binder."""

import contextlib

import pytest

from kubeshim.addons.local_storage import claims, directories, provisioner
from kubeshim.client import kinds
from kubeshim.machinery import errors, objects
from tests import fake_api

CLASS = {
    "metadata": {"name": "local"},
    "provisioner": claims.PROVISIONER,
    "reclaimPolicy": "Delete",
    "volumeBindingMode": "Immediate",
}


@pytest.fixture
def api():
    server = fake_api.FakeApi()
    server.collections.clear()
    yield server
    server.stop()


@pytest.fixture
def client(api):
    made = api.client()
    made.create(kinds.NODES, fake_api.node("n1"))
    made.create(kinds.STORAGE_CLASSES, CLASS)
    yield made
    made.close()


@contextlib.contextmanager
def serving(api, root, node="n1", **options):
    client = api.client()
    made = provisioner.Provisioner(client, lambda name: name == node, directories.OnDisk(root), here=node, **options)
    made.start()
    try:
        yield made
    finally:
        made.stop()
        client.close()


def ask(client, name="data", **annotations):
    asked = dict.fromkeys(claims.ASKED_OF, claims.PROVISIONER)
    spec = {
        "storageClassName": "local",
        "resources": {"requests": {"storage": "1Mi"}},
        "accessModes": ["ReadWriteOnce"],
    }
    obj = {"metadata": {"name": name, "namespace": "x", "annotations": {**asked, **annotations}}, "spec": spec}
    return client.create(kinds.PERSISTENT_VOLUME_CLAIMS, obj)


def volume_of(client, claim):
    def look():
        with contextlib.suppress(errors.NotFound):
            return client.get(kinds.PERSISTENT_VOLUMES, claims.volume_name(claim))

    return fake_api.eventually(look)


def gone(client, volume):
    def look():
        try:
            client.get(kinds.PERSISTENT_VOLUMES, volume["metadata"]["name"])
        except errors.NotFound:
            return True
        return False

    return fake_api.eventually(look)


def release(client, volume):
    client.update(kinds.PERSISTENT_VOLUMES, {**volume, "status": {"phase": "Released"}}, subresource="status")


def test_a_volume_comes_and_goes(api, client, tmp_path):
    with serving(api, tmp_path):
        volume = volume_of(client, ask(client))
        directory = tmp_path / volume["spec"]["local"]["path"].rpartition("/")[2]
        assert directory.stat().st_mode & 0o7777 == 0o777
        (directory / "file").write_text("data")
        release(client, volume)
        gone(client, volume)
        assert not directory.exists()


def test_what_was_released_while_nobody_looked(api, client, tmp_path):
    with serving(api, tmp_path):
        claim = ask(client)
        volume = volume_of(client, claim)
    # or it would get another one, since nobody binds here
    client.delete(kinds.PERSISTENT_VOLUME_CLAIMS, objects.name(claim), objects.namespace(claim))
    release(client, volume)
    with serving(api, tmp_path):
        gone(client, volume)
    assert list(tmp_path.iterdir()) == []


def test_a_kept_volume_keeps_its_directory(api, client, tmp_path):
    client.create(kinds.STORAGE_CLASSES, {**CLASS, "metadata": {"name": "kept"}, "reclaimPolicy": "Retain"})
    with serving(api, tmp_path):
        volume = volume_of(client, ask(client))
        client.patch(kinds.PERSISTENT_VOLUMES, volume["metadata"]["name"],
                     {"spec": {"persistentVolumeReclaimPolicy": "Retain"}})  # fmt: skip
        fake_api.eventually(lambda: not volume_of(client, claims_of(volume))["metadata"].get("finalizers"))
        release(client, volume_of(client, claims_of(volume)))
        client.delete(kinds.PERSISTENT_VOLUMES, volume["metadata"]["name"])
        gone(client, volume)
    assert len(list(tmp_path.iterdir())) == 1


def claims_of(volume):
    return {"metadata": {"uid": volume["spec"]["claimRef"]["uid"]}}


def test_another_nodes_claims_and_volumes_are_left_alone(api, client, tmp_path):
    client.create(kinds.NODES, fake_api.node("n2"))
    with serving(api, tmp_path / "one"), serving(api, tmp_path / "two", "n2"):
        volume = volume_of(client, ask(client, **{claims.SELECTED_NODE: "n2"}))
        assert claims.hostname_of(volume) == "n2"
    assert not (tmp_path / "one").exists()


def test_a_volume_whose_node_is_gone_is_let_go(api, client, tmp_path):
    client.create(kinds.NODES, fake_api.node("n2"))
    with serving(api, tmp_path / "two", "n2"):
        volume = volume_of(client, ask(client, **{claims.SELECTED_NODE: "n2"}))
    client.delete(kinds.NODES, "n2")
    release(client, volume)
    with serving(api, tmp_path / "one", forgets=True):
        gone(client, volume)


def test_growth(api, client, tmp_path):
    with serving(api, tmp_path):
        claim = ask(client)
        volume = volume_of(client, claim)
        claim = client.get(kinds.PERSISTENT_VOLUME_CLAIMS, "data", "x")
        claim["spec"] |= {"volumeName": volume["metadata"]["name"], "resources": {"requests": {"storage": "2Mi"}}}
        claim = client.update(kinds.PERSISTENT_VOLUME_CLAIMS, claim)
        status = {"phase": "Bound", "capacity": {"storage": "1Mi"}}
        client.update(kinds.PERSISTENT_VOLUME_CLAIMS, {**claim, "status": status}, subresource="status")

        def size():
            return client.get(kinds.PERSISTENT_VOLUME_CLAIMS, "data", "x")["status"]["capacity"]["storage"]

        fake_api.eventually(lambda: size() == "2Mi")
        assert volume_of(client, claim)["spec"]["capacity"]["storage"] == "2Mi"


def test_only_volumes_below_the_root_are_removed(tmp_path):
    (tmp_path / "else").mkdir()
    places = directories.OnDisk(tmp_path / "root")
    for path in (tmp_path / "else", tmp_path / "root" / ".." / "else", tmp_path / "root", "/"):
        with pytest.raises(PermissionError):
            places.remove(str(path))
    assert (tmp_path / "else").exists()


def test_an_empty_directory_without_claim_or_volume_goes_at_the_start(api, client, tmp_path):
    for name in ("pvc-a_x_empty", "pvc-b_x_full"):
        (tmp_path / name).mkdir()
    (tmp_path / "pvc-b_x_full" / "data").write_text("kept")
    with serving(api, tmp_path):
        volume_of(client, ask(client))
    assert not (tmp_path / "pvc-a_x_empty").exists()
    assert (tmp_path / "pvc-b_x_full" / "data").exists()


def test_a_claim_for_a_node_that_is_gone_is_given_back(api, client, tmp_path):
    ask(client, **{claims.SELECTED_NODE: "n9"})
    with serving(api, tmp_path, forgets=True):

        def annotations():
            return client.get(kinds.PERSISTENT_VOLUME_CLAIMS, "data", "x")["metadata"]["annotations"]

        fake_api.eventually(lambda: annotations().get(claims.SELECTED_NODE) != "n9")
