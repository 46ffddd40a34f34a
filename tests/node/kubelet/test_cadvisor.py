"""``/metrics/cadvisor``: which figures a container, its limits and a pod's network have there."""

import re

import pytest

from kubeshim.node.container_runtime import runtime
from kubeshim.node.kubelet import server_cadvisor, server_machine

STATUS = {"name": "c", "image": "i:1", "containerID": "docker://ID"}
STATS = runtime.Stats(
    1_500_000_000, 100, 80, 60, 9.5, memory_cache=30, memory_swap=4, throttling=runtime.Throttling(10, 2, 500_000_000),
    disks=(runtime.Disk("8:0", 4096, 512, 3, 1),),
)  # fmt: skip
NAMES = 'id="/podu/ID",image="i:1",name="ID",namespace="ns",pod="p"'


def text(limits=None, interfaces=()):
    container = {"name": "c", "resources": {"limits": limits or {}}}
    pod = {"metadata": {"name": "p", "namespace": "ns", "uid": "u"}, "spec": {"containers": [container]}}
    return server_cadvisor.text(
        [(pod, STATUS, STATS)], [(pod, interfaces)], 2, 1 << 30, lambda numbers: f"/dev/{numbers}"
    )


@pytest.mark.parametrize(
    "line",
    [
        f'container_cpu_usage_seconds_total{{container="c",cpu="total",{NAMES}}} 1.5',
        f'container_memory_cache{{container="c",{NAMES}}} 30',
        f'container_memory_swap{{container="c",{NAMES}}} 4',
        f'container_memory_rss{{container="c",{NAMES}}} 60',
        f'container_fs_reads_bytes_total{{container="c",device="/dev/8:0",{NAMES}}} 4096',
        f'container_fs_writes_total{{container="c",device="/dev/8:0",{NAMES}}} 1',
        f'container_cpu_cfs_periods_total{{container="c",{NAMES}}} 10',
        f'container_cpu_cfs_throttled_periods_total{{container="c",{NAMES}}} 2',
        f'container_cpu_cfs_throttled_seconds_total{{container="c",{NAMES}}} 0.5',
        f'container_spec_cpu_quota{{container="c",{NAMES}}} 50000',
        f'container_spec_memory_limit_bytes{{container="c",{NAMES}}} 1048576',
        "machine_cpu_cores 2",
        "machine_memory_bytes 1073741824",
    ],
)
def test_a_container(line):
    assert line in text({"cpu": "500m", "memory": "1Mi"}).splitlines()


def test_what_has_no_limit_is_not_throttled():
    assert "_cfs_" not in text()
    assert "container_spec_cpu_quota" not in text()


def test_a_network():
    told = text(interfaces=[server_machine.Interface("eth0", 1, 2, 3, 4, 5, 6, 7, 8)])
    found = dict(re.findall(r'^container_network_(\w+)\{.*interface="eth0".*\} (\d+)$', told, re.MULTILINE))
    assert found == {
        "receive_bytes_total": "1", "receive_errors_total": "2", "receive_packets_total": "5",
        "receive_packets_dropped_total": "6", "transmit_bytes_total": "3", "transmit_errors_total": "4",
        "transmit_packets_total": "7", "transmit_packets_dropped_total": "8",
    }  # fmt: skip
