"""Two machines, each with a node, and no route between them but to each other: the overlay carries."""

import contextlib
import dataclasses

import pytest

from kubeshim.machinery import joining
from kubeshim.node import namespaces
from kubeshim.node.kubelet import network_links, overlay

pytestmark = pytest.mark.root
CLUSTER, NODES = "10.199.0.0/16", "172.31.76.0/24"


def within(pid):
    return lambda function: namespaces.run_in(namespaces.of_process(pid), function)


def plug(run, name, peer, peer_pid, address, prefix):
    """A link from one namespace into another's, with an address here."""

    def work():
        network_links.create_pair(name, 1500, peer, peer_pid)
        give(name, address, prefix)

    run(work)


def give(name, address, prefix, gateway=""):
    with network_links.netlink() as link:
        index = network_links.index_of(link, name)
        link.addr("add", index=index, address=address, prefixlen=prefix)
        link.link("set", index=index, state="up")
        if gateway:
            link.route("add", dst="default", gateway=gateway)


@dataclasses.dataclass
class Side:
    """A machine and its node."""

    machine: object
    node: object
    ways: overlay.Overlay
    obj: dict


def side(name, machine, holder, address, cidr, joined):
    gateway, own = joining.gateway_address(cidr), joining.node_address(cidr)
    in_machine, in_node = within(machine), within(holder)
    plug(in_machine, "kst-n", "eth0", holder, gateway, 30)
    in_node(lambda: give("eth0", own, 30, gateway))
    ways = overlay.Overlay(
        name, own, address, gateway, in_node, holder,
        cluster_cidr=CLUSTER, node_network=NODES, backend="vxlan", direct=False,
    )  # fmt: skip
    end = in_machine(ways.set_up)
    assert in_machine(ways.set_up) == end, "found again"
    annotations = {joining.ENDPOINT: end.encoded(), **({joining.JOINED: address} if joined else {})}
    obj = {
        "metadata": {"name": name, "annotations": annotations},
        "spec": {"podCIDR": cidr},
        "status": {"addresses": [{"type": "InternalIP", "address": own}]},
    }
    return Side(in_machine, in_node, ways, obj)


@pytest.fixture
def two(ns):
    with contextlib.ExitStack() as stack:
        machines = [stack.enter_context(ns.hold()) for _ in range(2)]
        holders = [stack.enter_context(ns.hold()) for _ in range(2)]
        plug(within(machines[0]), "kst-m", "kst-m", machines[1], "192.0.2.1", 24)
        within(machines[1])(lambda: give("kst-m", "192.0.2.2", 24))
        near = side("near", machines[0], holders[0], "192.0.2.1", "10.199.1.0/24", joined=False)
        far = side("far", machines[1], holders[1], "192.0.2.2", "10.199.2.0/24", joined=True)
        yield near, far


def test_nodes_of_two_machines_talk_and_are_parted_again(two, ns):
    near, far = two
    port = ns.serve(far.node)
    with pytest.raises(OSError):
        ns.ask(near.node, "10.199.2.2", port, patience=1)
    for each in two:
        each.machine(lambda each=each: each.ways.follow([near.obj, far.obj]))
    assert near.ways.mtu == 1450
    assert ns.ask(near.node, "10.199.2.2", port) == "10.199.1.2", "nobody's address was changed on the way"
    back = ns.serve(near.node)
    assert ns.ask(far.node, "10.199.1.2", back) == "10.199.2.2"
    near.machine(lambda: near.ways.follow([near.obj]))
    routes = {str(found[0]) for found in near.node(network_links.routes)}
    assert "10.199.2.0/24" not in routes


def test_an_address_the_machine_has_not(two):
    near, _ = two
    with pytest.raises(OSError, match="on no link of this machine"):
        near.node(near.ways.set_up)
