import os
import pathlib
import stat

import pytest

from kubeshim.node.kubelet import environment, field_paths, mounts
from kubeshim.node.kubelet.volumes import atomic_writer, host_path, manager, ownership, sub_path, trust_bundles, volume

NODE = field_paths.NodeFacts("node", ["1.1.1.1"], ["2.2.2.2"], {})


def files(**contents):
    return {name.replace("__", "/"): atomic_writer.File(text.encode(), 0o644) for name, text in contents.items()}


def seen(directory):
    return {
        str(path.relative_to(directory)): path.read_text()
        for path in sorted(pathlib.Path(directory).rglob("*"))
        if not str(path.relative_to(directory)).startswith("..") and path.is_file()
    }


def test_files_change_together_and_nothing_changes_without_need(tmp_path):
    assert atomic_writer.write(str(tmp_path), files(a="1", x__y="2"))
    assert (tmp_path / "a").read_text() == "1" and (tmp_path / "x/y").read_text() == "2"
    before = os.readlink(tmp_path / "..data")
    assert not atomic_writer.write(str(tmp_path), files(a="1", x__y="2"))
    assert os.readlink(tmp_path / "..data") == before and os.readlink(tmp_path / "a") == "..data/a"
    assert atomic_writer.write(str(tmp_path), files(a="3"))
    assert sorted(os.listdir(tmp_path)) == sorted(["..data", os.readlink(tmp_path / "..data"), "a"])
    assert (tmp_path / "a").read_text() == "3"
    assert atomic_writer.write(str(tmp_path), {})
    assert [name for name in os.listdir(tmp_path) if not name.startswith("..")] == []


@pytest.mark.parametrize("path", ["/a", "../a", "a/../b", "..a", "", "x" * 256])
def test_paths_that_could_leave_are_refused(tmp_path, path):
    with pytest.raises(ValueError, match="invalid path"):
        atomic_writer.write(str(tmp_path), {path: atomic_writer.File(b"", 0o644)})


@pytest.mark.root
def test_a_group_gets_files_it_can_read(tmp_path):
    atomic_writer.write(str(tmp_path), {"k": atomic_writer.File(b"", 0o600, 1001)}, 2000)
    found = (tmp_path / "k").stat()
    assert (stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid) == (0o640, 1001, 2000)
    assert not atomic_writer.write(str(tmp_path), {"k": atomic_writer.File(b"", 0o600, 1001)}, 2000)


def context(**objects):
    pod = {"metadata": {"name": "p", "namespace": "n", "uid": "u", "labels": {"a": "b"}}, "spec": {"containers": []}}

    def lookup(kind, name):
        return objects.get(name)

    return volume.Context(pod, lookup, lambda pod, audience, seconds: volume.Token(f"T{seconds}", 50.0), NODE)


def prepare(tmp_path, source, **objects):
    made = context(**objects)
    made.pod["spec"]["volumes"] = [{"name": "v", **source}]
    return manager.prepare(made.pod, str(tmp_path), made)


CONFIG = {"kind": "ConfigMap", "data": {"a": "A", "b": "B"}, "binaryData": {"c": "Qw=="}}


@pytest.mark.parametrize(
    ("source", "contents"),
    [
        ({"configMap": {"name": "cm"}}, {"a": "A", "b": "B", "c": "C"}),
        ({"configMap": {"name": "cm", "items": [{"key": "b", "path": "x/y"}]}}, {"x/y": "B"}),
        ({"configMap": {"name": "none", "optional": True}}, {}),
        ({"downwardAPI": {"items": [{"path": "l", "fieldRef": {"fieldPath": "metadata.labels"}}]}}, {"l": 'a="b"'}),
    ],
)
def test_what_volumes_hold(tmp_path, source, contents):
    found = prepare(tmp_path, source, cm=CONFIG)
    top = seen(found.made["v"].path)
    links = {p: (pathlib.Path(found.made["v"].path) / p).read_text() for p in contents}
    assert links == contents and set(top) <= set(contents)


@pytest.mark.root
def test_projected_sources_share_a_directory_in_memory(tmp_path):
    parts = [
        {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}},
        {"configMap": {"name": "cm", "items": [{"key": "a", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
    ]
    found = prepare(tmp_path, {"projected": {"sources": parts}}, cm=CONFIG)
    path = pathlib.Path(found.made["v"].path)
    try:
        assert {name: (path / name).read_text() for name in ("token", "ca.crt", "namespace")} == {
            "token": "T3607", "ca.crt": "A", "namespace": "n",
        }  # fmt: skip
        assert mounts.is_mount(str(path)) and found.refresh_at == 50.0 and ("ConfigMap", "cm") in found.watched
    finally:
        manager.remove(str(tmp_path))
    assert not tmp_path.exists() and mounts.points(str(tmp_path)) == []


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"configMap": {"name": "none"}}, 'MountVolume.SetUp failed for volume "v" : configmap "none" not found'),
        ({"secret": {"secretName": "none"}}, 'MountVolume.SetUp failed for volume "v" : secret "none" not found'),
        ({"configMap": {"name": "cm", "items": [{"key": "z", "path": "z"}]}}, "non-existent configmap key: z"),
        ({"nfs": {"server": "x"}}, "no volume plugin matched: nfs"),
        ({"persistentVolumeClaim": {"claimName": "none"}}, 'persistentvolumeclaim "none" not found'),
    ],
)  # fmt: skip
def test_what_cannot_be_made_says_why(tmp_path, source, message):
    with pytest.raises(manager.Failed) as caught:
        prepare(tmp_path, source, cm=CONFIG)
    assert message in str(caught.value)


def test_claims_lead_to_their_volume(tmp_path):
    claim = {"metadata": {"name": "c"}, "spec": {"volumeName": "pv"}, "status": {"phase": "Bound"}}
    found = {"metadata": {"name": "pv"}, "spec": {"hostPath": {"path": str(tmp_path)}}}
    made = prepare(tmp_path, {"persistentVolumeClaim": {"claimName": "c", "readOnly": True}}, c=claim, pv=found)
    assert made.made["v"] == volume.Made(str(tmp_path), True)


def test_host_paths_are_checked(tmp_path):
    assert host_path.check(str(tmp_path / "new"), "DirectoryOrCreate") and (tmp_path / "new").is_dir()
    assert host_path.check(str(tmp_path / "file"), "FileOrCreate") and (tmp_path / "file").is_file()
    with pytest.raises(volume.VolumeProblem, match="is not a directory"):
        host_path.check(str(tmp_path / "file"), "Directory")
    with pytest.raises(volume.VolumeProblem, match="is not a socket file"):
        host_path.check(str(tmp_path / "none"), "Socket")


@pytest.mark.root
def test_a_sub_path_cannot_leave_its_volume(tmp_path):
    root, target = tmp_path / "root", tmp_path / "target"
    root.mkdir()
    (root / "inside").mkdir()
    (root / "inside/f").write_text("x")
    (root / "good").symlink_to("inside")
    (root / "bad").symlink_to("/etc")
    (root / "up").symlink_to("../..")
    try:
        sub_path.prepare(str(root), "good", str(target))
        assert (target / "f").read_text() == "x"
        sub_path.prepare(str(root), "made/here", str(target))
        assert (root / "made/here").is_dir()
        for bad in ("bad", "up", "bad/passwd"):
            with pytest.raises(volume.VolumeProblem, match="outside"):
                sub_path.prepare(str(root), bad, str(target))
    finally:
        mounts.remove_tree(str(target))
    assert (root / "inside/f").exists()


@pytest.mark.parametrize(
    ("expression", "message"),
    [("$(NONE)", 'missing value for "NONE"'), ("$(ABS)", "must not be an absolute path"), ("../x", "must not contain")],
)
def test_sub_path_expressions_are_checked(expression, message):
    made = {"v": volume.Made("/nowhere")}
    container = {"name": "c", "volumeMounts": [{"name": "v", "mountPath": "/m", "subPathExpr": expression}]}
    with pytest.raises(environment.ConfigProblem, match=message):
        manager.mounts_of({}, container, made, "/nowhere", {"ABS": "/abs"})


def claimed(tmp_path, field, mode, path):
    claim = {"kind": "PersistentVolumeClaim", "metadata": {"name": "c"}, "spec": {"volumeName": "pv"}}
    stored = {"metadata": {"name": "pv"}, "spec": {"volumeMode": mode, "local": {"path": str(path)}}}
    made = context(c={**claim, "status": {"phase": "Bound"}}, pv=stored)
    container = {"name": "c", field: [{"name": "v", "mountPath": "/v", "devicePath": "/dev/xvda"}]}
    made.pod["spec"] |= {
        "containers": [container],
        "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}],
    }
    prepared = manager.prepare(made.pod, str(tmp_path), made)
    return manager.devices_of(container, prepared.made)


def test_a_local_volume_may_be_a_raw_device(tmp_path, monkeypatch):
    monkeypatch.setattr(stat, "S_ISBLK", lambda mode: True)
    [device] = claimed(tmp_path, "volumeDevices", "Block", tmp_path)
    assert (device.host_path, device.container_path, device.read_only) == (str(tmp_path), "/dev/xvda", False)


@pytest.mark.parametrize(
    ("field", "mode", "text"),
    [
        ("volumeDevices", "Filesystem", "volume v has volumeMode Filesystem, but is specified in volumeDevices"),
        ("volumeDevices", "Block", "is not a block device"),
    ],
)
def test_a_device_that_is_none_is_refused(tmp_path, field, mode, text):
    with pytest.raises(manager.Failed, match=text):
        claimed(tmp_path, field, mode, tmp_path)


ONE, TWO = (f"-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n" for text in ("b25l", "dHdv"))
BUNDLES = [
    {"metadata": {"name": "a", "labels": {"x": "1"}}, "spec": {"signerName": "s/s", "trustBundle": f"# words\n{ONE}"}},
    {"metadata": {"name": "b", "labels": {"x": "2"}}, "spec": {"signerName": "s/s", "trustBundle": ONE + TWO}},
    {"metadata": {"name": "c"}, "spec": {"trustBundle": TWO}},
]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"name": "c"}, TWO),
        ({"signerName": "s/s", "labelSelector": {}}, ONE + TWO),
        ({"signerName": "s/s", "labelSelector": {"matchLabels": {"x": "1"}}}, ONE),
        ({"signerName": "s/s", "optional": True}, ""),
        ({"name": "none", "optional": True}, ""),
    ],
)
def test_trust_bundles(source, expected):
    assert trust_bundles.anchors(trust_bundles.choose(source, BUNDLES)).decode() == expected


@pytest.mark.parametrize(("source", "words"), [({"name": "none"}, "not found"), ({"signerName": "s/s"}, "zero")])
def test_trust_bundles_that_are_missing(source, words):
    with pytest.raises(trust_bundles.Missing, match=words):
        trust_bundles.choose(source, BUNDLES)


@pytest.mark.root
def test_a_local_volume_is_given_to_a_pods_group_once(tmp_path, monkeypatch):
    """Its containers have it from then on: they change permissions, and files come and go."""
    volume_path = tmp_path / "volume"
    volume_path.mkdir()
    for name in ("kept", "gone"):
        (volume_path / name).touch(0o600)
    lstat, group = os.lstat, {"securityContext": {"fsGroup": 2000}}

    def goes(path):
        if str(path).endswith("gone") and os.path.exists(path):
            os.unlink(path)
        return lstat(path)

    monkeypatch.setattr(ownership.os, "lstat", goes)
    for mode in (0o660, 0o600):
        claim = {"metadata": {"name": "c"}, "spec": {"volumeName": "pv"}, "status": {"phase": "Bound"}}
        made = context(c=claim, pv={"metadata": {"name": "pv"}, "spec": {"local": {"path": str(volume_path)}}})
        made.pod["spec"] |= {**group, "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]}
        manager.prepare(made.pod, str(tmp_path), made)
        found = (volume_path / "kept").stat()
        assert (stat.S_IMODE(found.st_mode), found.st_gid) == (mode, 2000)
        (volume_path / "kept").chmod(0o600)
