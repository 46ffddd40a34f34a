"""Volumes that begin empty, and mounts of a part of a volume."""

import pytest

from tests.conformance.kube import container, pod
from tests.conformance.names import answers, case
from tests.conformance.test_volumes import downward, field, make, mount, volume

MEDIA = {"default": {}, "tmpfs": {"medium": "Memory"}}


def empty(medium="default", name="files"):
    return {"name": name, "emptyDir": MEDIA[medium]}


@pytest.mark.parametrize(
    "medium",
    [
        case("default", of="[sig-storage] EmptyDir volumes volume on default medium should have the correct mode"),
        case("tmpfs", of="[sig-storage] EmptyDir volumes volume on tmpfs should have the correct mode"),
    ],
)
def test_everybody_may_write(kube, medium):
    script = "stat -c %a /test; grep ' /test ' /proc/mounts | cut -d' ' -f3"
    mode, filesystem = kube.run(
        pod("it", container(script, volumeMounts=[mount("/test")]), volumes=[empty(medium)])
    ).split()
    assert mode == "777"
    assert (filesystem == "tmpfs") == (medium == "tmpfs")


@pytest.mark.parametrize(
    ("user", "mode", "medium"),
    [
        case(user, mode, medium, of=f"[sig-storage] EmptyDir volumes should support ({who},{mode},{medium})")
        for who, user in (("root", 0), ("non-root", 1001))
        for mode in ("0644", "0666", "0777")
        for medium in MEDIA
    ],
)
def test_files_keep_their_modes(kube, user, mode, medium):
    script = f"umask 0; echo -n content >/test/file && chmod {mode} /test/file && stat -c '%a %u' /test/file && cat /test/file"
    main = container(script, volumeMounts=[mount("/test")], securityContext={"runAsUser": user})
    assert kube.run(pod("it", main, volumes=[empty(medium)])) == f"{mode[1:]} {user}\ncontent"


@answers("[sig-storage] EmptyDir volumes pod should support shared volumes between containers")
def test_containers_share(kube):
    idle = "trap exit TERM; while :; do sleep 0.1; done"
    reader = container(idle, name="reader", volumeMounts=[mount("/shared")])
    writer = container(f"echo -n Hello >/other/file; {idle}", name="writer", volumeMounts=[mount("/other")])
    kube.start(pod("it", reader, writer, volumes=[empty()]))
    wait = "until [ -s /shared/file ]; do sleep 0.05; done; cat /shared/file"
    assert kube.execute("it", "sh", "-c", wait, container="reader") == "Hello"


@answers("[sig-storage] EmptyDir wrapper volumes should not conflict")
def test_a_secret_and_a_config_map_beside_each_other(kube):
    make(kube, "Secret", "hidden", {"s": "secret"})
    make(kube, "ConfigMap", "config", {"c": "config"})
    mounts = [mount("/secret", "hidden"), mount("/config", "config")]
    volumes = [volume("Secret", "hidden", volume_name="hidden"), volume("ConfigMap", "config", volume_name="config")]
    assert (
        kube.run(pod("it", container("cat /secret/s /config/c", volumeMounts=mounts), volumes=volumes))
        == "secretconfig"
    )


@answers("[sig-storage] EmptyDir wrapper volumes should not cause race condition when used for configmaps")
def test_many_config_maps_in_several_pods(kube):
    names = [f"config-{i}" for i in range(50)]
    for name in names:
        make(kube, "ConfigMap", name, {"data-1": name})
    volumes = [volume("ConfigMap", name, volume_name=name) for name in names]
    mounts = [mount(f"/etc/{name}", name) for name in names]
    count = "cat /etc/config-*/data-1 | sed 's/config/\\nconfig/g' | grep -c config"
    for i in range(5):
        kube.create(pod(f"it-{i}", container(count, volumeMounts=mounts), volumes=volumes, labels={"app": "many"}))
    over = kube.wait_all(
        "Pod",
        lambda pods: all(p["status"].get("phase") in ("Succeeded", "Failed") for p in pods),
        labelSelector="app=many",
    )
    assert [p["status"]["phase"] for p in over] == ["Succeeded"] * 5
    assert [kube.log(f"it-{i}") for i in range(5)] == ["50\n"] * 5


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        case(
            "ConfigMap",
            "/test/sub",
            of="[sig-storage] Subpath Atomic writer volumes should support subpaths with configmap pod",
        ),
        case(
            "ConfigMap",
            "/etc/passwd",
            of="[sig-storage] Subpath Atomic writer volumes should support subpaths with configmap pod with mountPath of existing file",
        ),
        case(
            "Secret",
            "/test/sub",
            of="[sig-storage] Subpath Atomic writer volumes should support subpaths with secret pod",
        ),
        case(
            "Downward",
            "/test/sub",
            of="[sig-storage] Subpath Atomic writer volumes should support subpaths with downward pod",
        ),
        case(
            "Projected configMap",
            "/test/sub",
            of="[sig-storage] Subpath Atomic writer volumes should support subpaths with projected pod",
        ),
    ],
)
def test_one_file_of_a_volume(kube, kind, path):
    if kind == "Downward":
        files, sub, expected = downward("Downward API volume", field("metadata.name", "down/name")), "down/name", "it"
    else:
        make(kube, kind, "files", {"configmap-key": "configmap-value"})
        files, sub, expected = volume(kind, "files"), "configmap-key", "configmap-value"
    main = container(f"cat {path}", volumeMounts=[mount(path, subPath=sub)])
    assert kube.run(pod("it", main, volumes=[files])) == expected
