"""A thousand endpoint changes under load: none fails, and nobody is sent to an endpoint that is long gone."""

import contextlib
import dataclasses
import itertools
import re
import subprocess
import threading
import time

import pytest

from kubeshim.client import kinds
from kubeshim.node import nftables
from kubeshim.node.kube_proxy import proxy
from tests import fake_api, netns

pytestmark = pytest.mark.root

VIP = "10.198.0.7"
PODS = {"a": "10.199.3.2", "b": "10.199.3.3", "c": "10.199.3.4"}
FLIPS, VICTIMS, ANSWERS = 1000, 3, 100
CONFIG = proxy.ProxyConfig((netns.NODE,), netns.PODS, (netns.SERVICES,), listen=False)


@pytest.mark.parametrize("mode", ["nftables", "iptables"])
def test_flips_under_load(mode, node):
    made, in_host = node
    api = fake_api.FakeApi()
    client = api.client()
    service = {"type": "ClusterIP", "clusterIP": VIP, "ports": [{"port": 80, "protocol": "TCP"}]}
    client.create(kinds.SERVICES, {"metadata": {"name": "web"}, "spec": service}, "ns")
    client.create(kinds.ENDPOINT_SLICES, piece(PODS), "ns")
    with contextlib.ExitStack() as stack:
        stack.callback(api.stop)
        stack.callback(client.close)
        for name, address in PODS.items():
            pid = stack.enter_context(netns.hold())
            made.attach(pid, address, name)
            netns.serve(lambda function, pid=pid: made.run_in_pod(pid, function), name, 8080)
        running = proxy.Proxy(client, made.run_in_node, "n1", dataclasses.replace(CONFIG, mode=mode))
        running.start()
        stack.callback(running.stop)
        assert running.wait_for_sync(60)
        load = Load(in_host)
        stack.callback(load.stop)
        kernel = stack.enter_context(contextlib.closing(LOOKS[mode](made)))

        def await_kernel(names):
            wanted = sorted(PODS[name] for name in names)
            fake_api.eventually(lambda: kernel.endpoints() == wanted)

        gone = flip(client, load, await_kernel)
        load.stop()
        assert load.failures == []
        for victim, since, until in gone:
            answered = {name for when, name in load.answers if since < when < until}
            assert answered
            assert answered <= set(PODS) - {victim}
        assert "kubeproxy_sync_proxy_rules_failures_total 0" in running.metrics()
        await_kernel(PODS)


def flip(client, load, await_kernel):
    """Each victim is away for a while, in which the two others come and go in turns; when the kernel had it no more.

    The others together include the last victim: a kernel that has just them is behind no more.
    """
    gone = []
    for victim in itertools.islice(itertools.cycle(PODS), VICTIMS):
        others = [name for name in PODS if name != victim]
        put(client, others)
        await_kernel(others)
        since, enough = time.monotonic(), len(load.answers) + ANSWERS
        for number in itertools.count():
            put(client, [others[number % 2]] if number % 3 else others)
            if number > FLIPS / VICTIMS and (len(load.answers) > enough or load.failures):
                break
        gone.append((victim, since, time.monotonic()))
    put(client, PODS)
    return gone


def put(client, names):
    client.patch(kinds.ENDPOINT_SLICES, "web-x", {"endpoints": piece(names)["endpoints"]}, "ns")


def piece(names):
    return {
        "metadata": {"name": "web-x", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "ports": [{"name": "", "port": 8080, "protocol": "TCP"}],
        "endpoints": [{"addresses": [PODS[name]], "conditions": {"ready": True}} for name in names],
    }


class NftablesLook:
    """The endpoints that the kernel has, those that only linger among them."""

    def __init__(self, made):
        self._nft = nftables.open_in(made.run_in_node)

    def endpoints(self):
        [listed] = [each["map"] for each in self._nft.listing("list map ip kube-proxy eps") if "map" in each]
        return sorted(value["concat"][0] for _, value in listed.get("elem", ()))

    def close(self):
        self._nft.close()


class IptablesLook:
    """As above, out of the rules."""

    def __init__(self, made):
        self._run_in_node = made.run_in_node

    def endpoints(self):
        command = ["iptables-save", "-t", "nat"]
        rules = self._run_in_node(lambda: subprocess.run(command, check=True, capture_output=True, text=True)).stdout
        return sorted(re.findall(r"--to-destination ([\d.]+):", rules))

    def close(self):
        """Nothing is open."""


LOOKS = {"nftables": NftablesLook, "iptables": IptablesLook}


class Load:
    """One client that connects again and again; when each connection was begun, and who answered."""

    def __init__(self, run):
        self.answers, self.failures = [], []
        self._run = run
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._loop, daemon=True)
        self._thread.start()

    def stop(self):
        self._stopping.set()
        self._thread.join()

    def _loop(self):
        def ask():
            while not self._stopping.wait(0.001):
                began = time.monotonic()
                try:
                    self.answers.append((began, netns.ask(lambda function: function(), VIP, 80).split()[0]))
                except OSError as error:
                    self.failures.append(error)

        self._run(ask)
