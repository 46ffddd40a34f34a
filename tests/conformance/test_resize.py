"""Resources of running containers changed in place: in the spec, in the status, and in the kernel's own files."""

import pytest

from tests.conformance.kube import STRATEGIC, container, is_ready, pod
from tests.conformance.names import answers, case

SLEEP = "trap exit TERM; while :; do sleep 0.2; done"
CPU, CPU_LIMIT, LESS_CPU, MORE_CPU, MORE_CPU_LIMIT = 20, 30, 15, 25, 35
MEMORY, LESS_MEMORY, MORE_MEMORY, MORE_MEMORY_LIMIT = 35, 30, 40, 50


def resources(cpu=None, cpu_limit=None, memory=None, memory_limit=None):
    """Milli-CPUs and MiB."""
    found = {}
    for kind, wanted in (("requests", (cpu, memory)), ("limits", (cpu_limit, memory_limit))):
        named = {"cpu": wanted[0] and f"{wanted[0]}m", "memory": wanted[1] and f"{wanted[1]}Mi"}
        if any(named.values()):
            found[kind] = {name: value for name, value in named.items() if value}
    return found


def fixed(index, cpu, memory):
    """A guaranteed container's; each is a little larger than the one before."""
    cpu, memory = cpu + 2 * index, memory + 2 * index
    return resources(cpu, cpu, memory, memory)


def of(amounts):
    return {f"c{index + 1}": wanted for index, wanted in enumerate(amounts)}


def filled(wanted):
    """As the API server completes it: what is limited is requested too."""
    requests = {**(wanted.get("limits") or {}), **(wanted.get("requests") or {})}
    return {**wanted, **({"requests": requests} if requests else {})}


CONFINED = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
NON_ROOT = {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}}


def make(kube, before):
    containers = [
        container(SLEEP, name=name, resources=wanted, securityContext=CONFINED) for name, wanted in before.items()
    ]
    kube.create(pod("it", *containers, restart="OnFailure", securityContext=NON_ROOT))
    found = kube.wait("Pod", "it", lambda p: is_ready(p) and in_force(p, before))
    # nobody asked for a policy, so none is said
    assert not any("resizePolicy" in entry for entry in found["spec"]["containers"])


def in_force(found, wanted):
    """Whether the status shows just these resources and no resize is under way."""
    conditions = {entry["type"] for entry in found["status"].get("conditions") or []}
    if conditions & {"PodResizePending", "PodResizeInProgress"}:
        return False
    statuses = {status["name"]: status.get("resources") for status in found["status"]["containerStatuses"]}
    return statuses == {name: filled(amounts) for name, amounts in wanted.items()}


def check(kube, wanted):
    """Waits until the resize is done; no container may have been restarted for it."""
    done = kube.wait("Pod", "it", lambda p: in_force(p, wanted))
    assert is_ready(done)
    assert {entry["name"]: entry["resources"] for entry in done["spec"]["containers"]} == {
        name: filled(amounts) for name, amounts in wanted.items()
    }
    assert [status["restartCount"] for status in done["status"]["containerStatuses"]] == [0] * len(wanted)
    for name, amounts in wanted.items():
        assert kernels(kube, name) == expected(kube, name, filled(amounts)), name


READ = {
    1: "cat /sys/fs/cgroup/cpu/cpu.shares /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/memory/memory.limit_in_bytes",
    2: "cat /sys/fs/cgroup/cpu.weight /sys/fs/cgroup/cpu.max /sys/fs/cgroup/memory.max",
}


def version(kube, name):
    said = kube.execute(
        "it", "sh", "-c", "test -e /sys/fs/cgroup/cgroup.controllers && echo 2 || echo 1", container=name
    )
    return int(said)


def kernels(kube, name):
    return kube.execute("it", "sh", "-c", READ[version(kube, name)], container=name).split()


def expected(kube, name, wanted):
    requests, limits = wanted.get("requests") or {}, wanted.get("limits") or {}
    shares = max(2, int(requests.get("cpu", "0m")[:-1]) * 1024 // 1000)
    quota = max(1000, int(limits["cpu"][:-1]) * 100) if "cpu" in limits else 0
    memory = int(limits["memory"][:-2]) << 20 if "memory" in limits else 0
    if version(kube, name) == 2:
        weight = 1 + (shares - 2) * 9999 // 262142
        return [str(weight), *([str(quota)] if quota else ["max"]), "100000", str(memory or "max")]
    return [str(shares), str(quota or -1), str(memory or 9223372036854771712)]


def resize(kube, wanted):
    """As a client makes the patch that has computed the difference of two pods."""
    containers = [{"name": name, "resources": amounts} for name, amounts in wanted.items()]
    order = [{"name": name} for name in wanted]
    patch = {"spec": {"$setElementOrder/containers": order, "containers": containers}}
    generation = kube.get("Pod", "it")["metadata"]["generation"]
    patched = kube.patch("Pod", "it", patch, how=STRATEGIC, subresource="resize")
    assert patched["metadata"]["generation"] == generation + 1


GUARANTEED = "[sig-node] Pod InPlace Resize Container guaranteed pods with multiple containers 3 containers - "
BURSTABLE = "[sig-node] Pod InPlace Resize Container burstable pods - extended "
ORIGINAL = of([fixed(index, CPU, MEMORY) for index in range(3)])


@pytest.mark.parametrize(
    ("before", "after", "back"),
    [
        case(
            ORIGINAL,
            of([fixed(0, MORE_CPU, MORE_MEMORY), fixed(1, MORE_CPU, MORE_MEMORY), fixed(2, LESS_CPU, LESS_MEMORY)]),
            True,
            of=GUARANTEED + "increase cpu & mem on c1, c2, decrease cpu & mem on c3 - net increase",
            id="net-increase",
        ),
        case(
            ORIGINAL,
            of([fixed(0, MORE_CPU, MORE_MEMORY), fixed(1, LESS_CPU, LESS_MEMORY), fixed(2, LESS_CPU, LESS_MEMORY)]),
            True,
            of=GUARANTEED + "increase cpu & mem on c1, decrease cpu & mem on c2, c3 - net decrease",
            id="net-decrease",
        ),
        case(
            ORIGINAL,
            of([fixed(0, MORE_CPU, MEMORY), fixed(1, LESS_CPU, MORE_MEMORY), fixed(2, MORE_CPU, MORE_MEMORY)]),
            True,
            of=GUARANTEED + "increase: CPU (c1,c3), memory (c2, c3) ; decrease: CPU (c2)",
            id="mixed",
        ),
        case(
            of(
                [
                    resources(CPU),
                    resources(memory=MEMORY),
                    resources(CPU, memory=MEMORY),
                    resources(CPU),
                    resources(memory=MEMORY),
                ]
            ),
            of(
                [
                    resources(MORE_CPU, MORE_CPU_LIMIT),
                    resources(memory=LESS_MEMORY, memory_limit=MORE_MEMORY_LIMIT),
                    resources(CPU, memory=LESS_MEMORY),
                    resources(LESS_CPU, memory=MEMORY),
                    resources(CPU, memory=MORE_MEMORY),
                ]
            ),
            False,
            of=BURSTABLE + "6 containers - various operations performed (including adding limits and requests)",
            id="additions",
        ),
        case(
            of([resources(2, 10)]),
            of([resources(1, 5)]),
            True,
            of=BURSTABLE + "resize with equivalents",
            id="equivalents",
        ),
    ],
)
def test_resize(kube, before, after, back):
    make(kube, before)
    check(kube, before)
    resize(kube, after)
    check(kube, after)
    if back:
        resize(kube, before)
        check(kube, before)


@answers("[sig-node] Pod InPlace Resize Container resize pod via the replace endpoint")
def test_replaced(kube):
    before, after = (
        of([resources(CPU, CPU_LIMIT, MEMORY, MORE_MEMORY)]),
        of([resources(MORE_CPU, MORE_CPU_LIMIT, MEMORY, 60)]),
    )
    make(kube, before)
    for wanted in (after, before):
        assert kube.get("Pod", "it", subresource="resize")["metadata"]["name"] == "it"

        def edit(obj, wanted=wanted):
            for entry in obj["spec"]["containers"]:
                entry["resources"] = wanted[entry["name"]]

        kube.change("Pod", "it", edit, subresource="resize")
        check(kube, wanted)
        seen, whole = kube.get("Pod", "it", subresource="resize"), kube.get("Pod", "it")
        assert (seen["kind"], seen["spec"]) == ("Pod", whole["spec"])
