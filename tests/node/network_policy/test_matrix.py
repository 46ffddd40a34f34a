"""Nine pods of three namespaces ask each other, in both address families and three protocols, at two ports.

After each change of policies the matrix of what got through must be what ``reference`` says. The policies are those
that upstream's suite tries, and some hundred drawn by chance; each follows upon the last without a fresh start.
"""

import contextlib
import itertools
import random
import select
import selectors
import socket
import threading
import time

import pytest

from kubeshim.node import nftables
from kubeshim.node.network_policy import policies, rules
from tests import netns, sctp
from tests.node.network_policy import reference

SPACES = {name: {"ns": name, "kind": "odd" if name == "y" else "even"} for name in "xyz"}
PODS = [(space, name) for space in "xyz" for name in "abc"]
PORTS = (80, 81)
NAMED = (("serve-80", "TCP", 80), ("serve-81", "TCP", 81), ("serve-80", "UDP", 80), ("serve-80", "SCTP", 80))
FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
PATIENCE = 0.4
"""Seconds without anything new after which nothing more is to come: it never leaves this kernel."""


def address(version, pod):
    number = 2 + PODS.index(pod)
    return f"10.199.3.{number}" if version == 4 else f"fd99:0:0:3::{number}"


def peer(version, pod):
    if pod is None:
        return reference.Peer(netns.HOST if version == 4 else netns.HOST6)
    space, name = pod
    return reference.Peer(address(version, pod), space, (("pod", name),), NAMED)


def policy(space="x", pods=None, name="p", **spec):
    selector = pods if pods is not None else {}
    return {"metadata": {"namespace": space, "name": name}, "spec": {"podSelector": selector, **spec}}


A = {"matchLabels": {"pod": "a"}}
EVEN = {"matchLabels": {"kind": "even"}}
NOT_C = {"matchExpressions": [{"key": "pod", "operator": "NotIn", "values": ["c"]}]}
Y = {"matchLabels": {"ns": "y"}}
CASES = {
    "deny ingress": [policy()],
    "deny egress": [policy(policyTypes=["Egress"])],
    "deny both": [policy(policyTypes=["Ingress", "Egress"])],
    "allow all ingress": [policy(ingress=[{}])],
    "allow all egress": [policy(policyTypes=["Egress"], egress=[{}])],
    "pods of the namespace": [policy(pods=A, ingress=[{"from": [{"podSelector": {"matchLabels": {"pod": "b"}}}]}])],
    "pods by an expression": [policy(pods=A, ingress=[{"from": [{"podSelector": NOT_C}]}])],
    "every namespace": [policy(ingress=[{"from": [{"namespaceSelector": {}}]}])],
    "some namespaces": [policy(ingress=[{"from": [{"namespaceSelector": EVEN}]}])],
    "pods in namespaces": [policy(pods=A, ingress=[{"from": [{"namespaceSelector": EVEN, "podSelector": NOT_C}]}])],
    "pods or namespaces": [
        policy(pods=A, ingress=[{"from": [{"namespaceSelector": Y}, {"podSelector": {"matchLabels": {"pod": "b"}}}]}])
    ],
    "a port": [policy(pods=A, ingress=[{"ports": [{"port": 81}]}])],
    "a port of a namespace": [policy(pods=A, ingress=[{"from": [{"namespaceSelector": Y}], "ports": [{"port": 81}]}])],
    "a named port": [policy(pods=A, ingress=[{"ports": [{"port": "serve-80"}]}])],
    "a named port of UDP": [policy(pods=A, ingress=[{"ports": [{"port": "serve-80", "protocol": "UDP"}]}])],
    "a named port outward": [policy(policyTypes=["Egress"], egress=[{"ports": [{"port": "serve-81"}]}])],
    "a named port nobody has": [policy(pods=A, ingress=[{"ports": [{"port": "none"}]}])],
    "a range of ports": [policy(pods=A, ingress=[{"ports": [{"port": 81, "endPort": 90}]}])],
    "a protocol": [policy(pods=A, ingress=[{"ports": [{"protocol": "UDP"}]}])],
    "SCTP alone": [policy(ingress=[{"ports": [{"protocol": "SCTP", "port": 80}]}])],
    "blocks with exceptions": [
        policy(
            pods=A,
            ingress=[
                {
                    "from": [
                        {"ipBlock": {"cidr": "10.199.3.0/28", "except": ["10.199.3.4/31"]}},
                        {"ipBlock": {"cidr": "fd99:0:0:3::/124", "except": ["fd99:0:0:3::6/127"]}},
                    ]
                }
            ],
        )
    ],
    "a block outward": [policy(policyTypes=["Egress"], egress=[{"to": [{"ipBlock": {"cidr": "10.199.3.8/29"}}]}])],
    "the machine by a block": [policy(ingress=[{"from": [{"ipBlock": {"cidr": f"{netns.HOST}/32"}}]}])],
    "several add up": [
        policy(name="one", pods=A, ingress=[{"ports": [{"port": 80}], "from": [{"namespaceSelector": Y}]}]),
        policy(name="two", pods=A, ingress=[{"ports": [{"port": 81}], "from": [{"podSelector": {}}]}]),
        policy("y", name="three", policyTypes=["Egress"], egress=[{"ports": [{"port": 80, "protocol": "UDP"}]}]),
    ],
    "both ends must agree": [
        policy(ingress=[{"from": [{"namespaceSelector": Y}]}]),
        policy("y", policyTypes=["Egress"], egress=[{"to": [{"namespaceSelector": EVEN}], "ports": [{"port": 80}]}]),
    ],
    "egress without a type": [policy(egress=[{"to": [{"podSelector": {}}]}])],
    "none any more": [],
}


class Server:
    """A pod that answers TCP and UDP at its ports, and notes what of SCTP arrives."""

    def __init__(self, run):
        self.sockets, self.sctp = [], {}
        for kind, port in itertools.product((socket.SOCK_STREAM, socket.SOCK_DGRAM), PORTS):
            sock = run(lambda kind=kind: socket.socket(socket.AF_INET6, kind))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(("::", port))
            if kind == socket.SOCK_STREAM:
                sock.listen(512)
            self.sockets.append(sock)
        for family in (socket.AF_INET, socket.AF_INET6):
            self.sctp[family] = run(lambda family=family: sctp.raw(family))
        self._stop, self._stopping = socket.socketpair()
        self.arrived = set()
        self._thread = threading.Thread(target=self._loop, daemon=True)
        self._thread.start()

    def _loop(self):
        by_family = {sock: family for family, sock in self.sctp.items()}
        selector = selectors.PollSelector()
        for sock in (*self.sockets, *by_family, self._stopping):
            selector.register(sock, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                sock = key.fileobj
                if sock is self._stopping:
                    selector.close()
                    return
                with contextlib.suppress(OSError):
                    if sock in by_family:
                        packet = sock.recv(2048)
                        self.arrived.add(sctp.ports(packet, by_family[sock]))
                    elif sock.type == socket.SOCK_STREAM:
                        sock.accept()[0].close()
                    else:
                        sock.sendto(*sock.recvfrom(100))

    def close(self):
        self._stop.send(b".")
        self._thread.join()
        for sock in (*self.sockets, *self.sctp.values(), self._stop, self._stopping):
            sock.close()


class World:
    def __init__(self, stack, made, in_host):
        self.node = made
        self.run = {None: in_host}
        self.servers = {}
        for pod in PODS:
            pid = stack.enter_context(netns.hold())
            made.attach(pid, address(4, pod), "/".join(pod), others=[address(6, pod)])
            self.run[pod] = lambda function, pid=pid: made.run_in_pod(pid, function)
            self.servers[pod] = stack.enter_context(contextlib.closing(Server(self.run[pod])))
        self._numbers = itertools.count()

    def disagreement(self, found):
        """What got through and should not, or the other way round.

        Who is missing is asked for once more, with more patience: on a busy machine an answer may be late, while what
        is not let through never comes.
        """
        wanted, seen = expected(found), self.matrix(PATIENCE)
        if wanted - seen:
            seen |= self.matrix(10 * PATIENCE)
        return wanted ^ seen

    def matrix(self, patience):
        """``(version, who, whom, protocol, port)`` of all that got through."""
        found = set()
        for server in self.servers.values():
            server.arrived.clear()

        def from_one(who):
            found.update(self.run[who](lambda: self._ask(who, patience)))

        threads = [threading.Thread(target=from_one, args=(who,)) for who in self.run]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return found

    def _ask(self, who, patience):
        """Everybody at once; when nothing has come for some time, whoever is missing was not let through."""
        waiting, marks, poll = {}, {}, select.poll()
        with contextlib.ExitStack() as opened:
            raws = {version: opened.enter_context(sctp.raw(FAMILIES[version])) for version in FAMILIES}
            for version, whom, port in itertools.product(FAMILIES, PODS, PORTS):
                there = address(version, whom)
                for protocol, kind in (("TCP", socket.SOCK_STREAM), ("UDP", socket.SOCK_DGRAM)):
                    sock = opened.enter_context(socket.socket(FAMILIES[version], kind))
                    sock.setblocking(False)
                    if protocol == "UDP":
                        sock.bind(("", self._source()))
                    with contextlib.suppress(BlockingIOError):
                        sock.connect((there, port))
                    if protocol == "UDP":
                        sock.send(b"?")
                    poll.register(sock, select.POLLIN if protocol == "UDP" else select.POLLOUT)
                    waiting[sock.fileno()] = sock, (version, who, whom, protocol, port)
                source = self._source()
                raws[version].sendto(sctp.init(source, port), (there, 0))
                marks[(version, who, whom, "SCTP", port)] = (source, port)
            return self._answers(waiting, marks, poll, patience)

    def _source(self):
        """A port from which no earlier question has left a tracked flow."""
        return 1024 + next(self._numbers) % 60000

    def _answers(self, waiting, marks, poll, patience):
        found, ends = set(), time.monotonic() + patience
        while (waiting or marks) and time.monotonic() < ends:
            before = len(found)
            for number, _ in poll.poll(10):
                sock, what = waiting.pop(number)
                poll.unregister(number)
                if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
                    found.add(what)
            come = {what for what, mark in marks.items() if mark in self.servers[what[2]].arrived}
            for what in come:
                del marks[what]
            found |= come
            if len(found) > before:
                ends = time.monotonic() + patience
        return found


@pytest.fixture(scope="module")
def world():
    if not netns.HAS_IPV6:
        pytest.skip("this machine has no IPv6")
    with netns.node(dual=True) as (made, in_host), contextlib.ExitStack() as stack:
        yield World(stack, made, in_host)


def state(found, version):
    seen = [
        policies.Pod(space, address(version, (space, name)), {"pod": name}, "n1", frozenset(NAMED))
        for space, name in PODS
    ]
    return rules.state(policies.isolation(found, seen, SPACES, "n1", version=version))


def expected(found):
    return {
        (version, who, whom, protocol, port)
        for version, who, whom, protocol, port in itertools.product(
            (4, 6), (None, *PODS), PODS, ("TCP", "UDP", "SCTP"), PORTS
        )
        if reference.allowed(found, SPACES, peer(version, who), peer(version, whom), protocol, port)
    }


class Standing:
    """The tables of both families, taken from policies to policies as the enforcer takes them."""

    def __init__(self, world):
        self._nft = nftables.open_in(world.node.run_in_node)
        self._states = {version: rules.empty(version) for version in (4, 6)}
        for each in self._states.values():
            self._nft.run(rules.whole(each))

    def become(self, found):
        for version, standing in self._states.items():
            wanted = state(found, version)
            if text := "".join(rules.change(standing, wanted)):
                self._nft.run(text)
            self._states[version] = wanted

    def close(self):
        self._nft.close()


@pytest.mark.root
def test_packets_do_what_policies_say(world):
    with contextlib.closing(Standing(world)) as standing:
        assert world.disagreement([]) == set()
        for name, found in CASES.items():
            standing.become(found)
            assert world.disagreement(found) == set(), name


@pytest.mark.root
def test_so_do_policies_drawn_by_chance(world):
    draw = random.Random(20260101)
    with contextlib.closing(Standing(world)) as standing:
        for _ in range(20):
            found = drawn(draw)
            standing.become(found)
            assert world.disagreement(found) == set(), found
        standing.become([])
        assert world.disagreement([]) == set()


def drawn(draw):
    """One to four policies."""

    def selector(key, values):
        chosen = draw.sample(values, draw.randint(1, len(values)))
        kinds = [
            {},
            {"matchLabels": {key: chosen[0]}},
            {"matchExpressions": [{"key": key, "operator": draw.choice(["In", "NotIn"]), "values": chosen}]},
            {"matchExpressions": [{"key": key, "operator": draw.choice(["Exists", "DoesNotExist"])}]},
        ]
        return draw.choice(kinds)

    def a_peer():
        kind = draw.randrange(4)
        if kind == 0:
            length, version = draw.randint(24, 32), draw.choice((4, 6))
            cidr = f"10.199.3.0/{length}" if version == 4 else f"fd99:0:0:3::/{length + 96}"
            inner = "10.199.3.0/30" if version == 4 else "fd99:0:0:3::/126"
            return {"ipBlock": {"cidr": cidr, **({"except": [inner]} if length < 30 and draw.random() < 0.5 else {})}}
        found = {}
        if kind != 1:
            found["namespaceSelector"] = selector("ns", list("xyz"))
        if kind != 2:
            found["podSelector"] = selector("pod", list("abc"))
        return found

    def a_port():
        found = {"protocol": draw.choice(["TCP", "UDP", "SCTP"])}
        if draw.random() < 0.7:
            found["port"] = draw.choice([80, 81, "serve-80", "serve-81"])
            if found["port"] == 80 and draw.random() < 0.5:
                found["endPort"] = draw.choice([80, 81, 100])
        return found

    def some(make):
        return [make() for _ in range(draw.randint(0, 2))]

    def a_rule(side):
        found = {side: some(a_peer), "ports": some(a_port)}
        return {key: value for key, value in found.items() if value}

    made = []
    for number in range(draw.randint(1, 4)):
        types = draw.choice([["Ingress"], ["Egress"], ["Ingress", "Egress"]])
        spec = {"policyTypes": types}
        if "Ingress" in types:
            spec["ingress"] = some(lambda: a_rule("from"))
        if "Egress" in types:
            spec["egress"] = some(lambda: a_rule("to"))
        made.append(policy(draw.choice("xyz"), selector("pod", list("abc")), f"p{number}", **spec))
    return made


def test_a_thousand_drawn_policies_are_understood_alike():
    """Without packets: what the product works out for both ends against what the reference says."""
    draw = random.Random(7)
    for _ in range(250):
        found = drawn(draw)
        for version in (4, 6):
            seen = {
                pod: policies.Pod(pod[0], address(version, pod), {"pod": pod[1]}, "n1", frozenset(NAMED))
                for pod in PODS
            }
            isolation = policies.isolation(found, list(seen.values()), SPACES, "n1", version=version)
            for who, whom in itertools.product(PODS, PODS):
                for protocol, port in itertools.product(("TCP", "UDP", "SCTP"), PORTS):
                    told = lets(isolation, address(version, who), address(version, whom), protocol, port)
                    wanted = reference.allowed(found, SPACES, peer(version, who), peer(version, whom), protocol, port)
                    assert told == wanted, (found, who, whom, protocol, port)


def lets(isolation, source, target, protocol, port):
    """As the chains of the kernel would judge."""
    if source == target:
        return True
    for direction, guarded, other in (("egress", source, target), ("ingress", target, source)):
        names = isolation.selected.get((guarded, direction))
        if names is not None and not any(
            rule_lets(rule, other, target, protocol, port)
            for name in names
            for rule in isolation.rules[(name, direction)]
        ):
            return False
    return True


def rule_lets(rule, other, server, protocol, port):
    known = rule.anyone or other in rule.peers or any(policies._contains(block, other) for block in rule.blocks)
    ported = (
        rule.any_port
        or any(spoken == protocol and first <= port <= last for spoken, first, last in rule.ports)
        or (server, protocol, port) in rule.named
    )
    return known and ported
