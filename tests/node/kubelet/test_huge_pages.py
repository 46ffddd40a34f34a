"""Huge pages: found on the machine, told of the node, limited by cgroup, mounted for volumes."""

import pytest

from kubeshim.node.container_runtime import cgroups, runtime
from kubeshim.node.kubelet import config, machine, node_status, quality
from kubeshim.node.kubelet.volumes import empty_dir, volume

MEGA, GIGA = 1 << 20, 1 << 30


def pod(*asked):
    containers = [
        {"name": f"c{index}", "resources": {"requests": amounts, "limits": amounts}}
        for index, amounts in enumerate(asked)
    ]
    return {"metadata": {"uid": "u"}, "spec": {"containers": containers}}


def test_what_the_machine_has(tmp_path):
    for name, count in (("hugepages-2048kB", "5\n"), ("hugepages-1048576kB", "2\n"), ("else", "1")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "nr_hugepages").write_text(count)
    assert machine.huge_pages(str(tmp_path)) == {"hugepages-2Mi": 10 * MEGA, "hugepages-1Gi": 2 * GIGA}
    assert machine.huge_pages(str(tmp_path / "none")) == {}


def test_what_the_node_says():
    hardware = machine.Machine(4, 8 * GIGA, "amd64", "", "", "", "", "", 0, {"hugepages-2Mi": 512 * MEGA})
    load = machine.Load(0, 1 << 40, 0, 0, 0, 0, 0)
    facts = node_status.Facts(hardware, load, None, [], node_status.Health(), "2026-01-01T00:00:00Z")
    settings = config.KubeletConfig("n", "1.2.3.4", "/d")
    found = node_status.status(settings, facts, {"capacity": {"hugepages-64Ki": "1Mi", "x.example/y": "3"}})
    assert found["capacity"]["hugepages-2Mi"] == found["allocatable"]["hugepages-2Mi"] == "512Mi"
    assert found["capacity"]["hugepages-1Gi"] == "0"
    assert found["allocatable"]["memory"] == "7680Mi"
    assert "hugepages-64Ki" not in found["capacity"]
    assert found["allocatable"]["x.example/y"] == "3"


def test_what_a_pod_may_use():
    assert quality.huge_pages(pod({"hugepages-2Mi": "4Mi"}, {"hugepages-2Mi": "2Mi", "hugepages-1Gi": "1Gi"})) == {
        2 * MEGA: 6 * MEGA,
        GIGA: GIGA,
    }
    assert quality.pod_resources(pod({})).huge_pages == {}


@pytest.mark.parametrize(
    ("version", "top", "suffix"), [(1, "hugetlb/k/pod1", ".limit_in_bytes"), (2, "k/pod1", ".max")]
)
def test_limits(tmp_path, version, top, suffix):
    where = tmp_path / top
    where.mkdir(parents=True)
    (tmp_path / "cgroup.controllers").write_text("cpu hugetlb memory pids\n")
    for name in ("2MB", "1GB", "2MB.rsvd"):
        (where / f"hugetlb.{name}{suffix}").write_text("max\n")
    cgroups.limit("/k/pod1", "cgroupfs", version, runtime.Resources(huge_pages={2 * MEGA: 6 * MEGA}), str(tmp_path))
    assert (where / f"hugetlb.2MB{suffix}").read_text() == str(6 * MEGA)
    assert (where / f"hugetlb.1GB{suffix}").read_text() == "0"
    assert (where / f"hugetlb.2MB.rsvd{suffix}").read_text() == "max\n"
    if version == 2:
        assert (tmp_path / "k/cgroup.subtree_control").read_text() == "+cpu +memory +pids +hugetlb"


@pytest.mark.parametrize(
    ("medium", "asked", "found"),
    [
        ("HugePages", [{"hugepages-2Mi": "4Mi"}], 2 * MEGA),
        ("HugePages-1Gi", [{"hugepages-2Mi": "4Mi", "hugepages-1Gi": "1Gi"}], GIGA),
        ("HugePages", [{"hugepages-2Mi": "4Mi", "hugepages-1Gi": "1Gi"}], None),
        ("HugePages", [{}], None),
        ("HugePages-1Gi", [{"hugepages-2Mi": "4Mi"}], None),
    ],
)
def test_the_page_size_of_a_volume(medium, asked, found):
    if found is None:
        with pytest.raises(volume.VolumeProblem, match="HugePages"):
            empty_dir.page_size(medium, pod(*asked))
    else:
        assert empty_dir.page_size(medium, pod(*asked)) == found
