"""Watches NetworkPolicies and what they speak of, and keeps the node's kernel in step.

As long as there is no policy nothing else is watched: only the first one makes this node look at all pods and
namespaces. Handlers mark; one thread works out the whole isolation of the node and writes the difference to what
stands as one transaction. Nothing is written before all caches are filled, so what an earlier process left in the
kernel keeps guarding until then. A write that fails is followed by a whole rewrite.

A new pod of the node is isolated before it is connected: ``admit`` is called with the address it is going to have
and returns when the kernel knows what holds for it.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from kubeshim.client import informer, kinds, recorder, rest
from kubeshim.machinery import objects
from kubeshim.machinery.objects import Object
from kubeshim.node import nftables
from kubeshim.node.network_policy import policies, rules
from kubeshim.wire import exposition

log = logging.getLogger(__name__)

_DNS_SLICES = "kubernetes.io/service-name=kube-dns"
_PATIENCE = 20.0
"""Seconds a pod waits for its policies before its start is tried anew."""
_RETRY_FIRST, _RETRY_LAST = 0.1, 30.0
_LACKING = "network policies need nftables (Debian: apt-get install nftables), which this machine has not"
_LINGER = 0.1
"""Seconds: longer than any packet is on its way."""
_LOOK_AGAIN = 30.0
"""Seconds after which it is seen whether the rules still stand."""


class Enforcer:
    """Of one node. ``run_in_node`` enters its namespace; ``versions`` of IP that its pods have addresses of."""

    def __init__(
        self, client: rest.Client, run_in_node: nftables.RunInNode, node_name: str, versions: Sequence[int] = (4,)
    ) -> None:
        self._versions = versions
        self._run_in_node = run_in_node
        self._node_name = node_name
        self._client = client
        self._events: recorder.Recorder | None = None
        self._policies = informer.Informer(client, kinds.NETWORK_POLICIES)
        self._pods = informer.Informer(client, kinds.PODS)
        self._namespaces = informer.Informer(client, kinds.NAMESPACES)
        self._dns = informer.Informer(
            client, kinds.ENDPOINT_SLICES, namespace=policies.DNS_NAMESPACE, label_selector=_DNS_SLICES
        )
        self._nft: nftables.Nftables | None = None
        self._standing: dict[int, rules.State] = {}
        """By version of IP; what is not there must be written whole."""
        self._looking = False
        self._stopping = False
        self._changed = threading.Event()
        self._rest = threading.Event()
        self._hurried = threading.Event()
        """Ends the rest between two rounds: somebody waits."""
        self._written = threading.Condition()
        self._provisional: dict[str, Sequence[str]] = {}
        """Addresses by UID, of pods that are being connected."""
        self._guarded: set[str] = set()
        """Of those, whom the kernel knows."""
        self._thread = threading.Thread(target=self._run, name="network-policy", daemon=True)
        self._counters = {"syncs": 0, "failures": 0, "policies": 0}

    def start(self) -> None:
        """Where the machine has no nftables policies are refused aloud, one by one, and not enforced."""
        if not nftables.available():
            self._events = recorder.Recorder(self._client, "network-policy", self._node_name)
            self._policies.add_handler(added=self._refuse, updated=lambda _, new: self._refuse(new))
            self._policies.start()
            return
        self._follow(self._policies, lambda policy: policy.get("spec"))
        self._policies.start()
        self._thread.start()

    def stop(self) -> None:
        """The rules stay."""
        self._stopping = True
        self._changed.set()
        self._rest.set()
        self._hurried.set()
        with self._written:
            self._written.notify_all()
        for source in (self._policies, *self._others):
            source.stop()
        if self._thread.ident is not None:
            self._thread.join()
        if self._nft is not None:
            self._nft.close()
        if self._events is not None:
            self._events.stop()

    def admit(self, uid: str, addresses: Sequence[str]) -> None:
        """Returns when the policies for a pod that will have ``addresses`` are written. Raises ``TimeoutError``."""
        if not nftables.available():
            return
        if not self._policies.wait_for_sync(_PATIENCE):
            raise TimeoutError("network policies are not known yet")
        if not self._policies.list():
            return
        with self._written:
            self._provisional[uid] = addresses
            self._guarded.discard(uid)
            self._changed.set()
            self._hurried.set()
            if not self._written.wait_for(lambda: uid in self._guarded or self._stopping, _PATIENCE):
                self._provisional.pop(uid, None)
                raise TimeoutError("network policies for the pod are not written yet")

    def metrics(self) -> str:
        """Prometheus text."""
        told = self._counters
        return exposition.text(
            exposition.counter("kubeshim_network_policy_syncs_total", "Times rules were written.", told["syncs"]),
            exposition.counter("kubeshim_network_policy_failures_total", "Times that failed.", told["failures"]),
            exposition.gauge("kubeshim_network_policies", "Policies that are in force.", told["policies"]),
        )

    @property
    def _others(self) -> tuple[informer.Informer, ...]:
        return self._pods, self._namespaces, self._dns

    def _follow(self, source: informer.Informer, telling: Callable[[Object], object]) -> None:
        """Wakes the thread when what ``telling`` picks of an object changes."""

        def added(obj: Object) -> None:
            self._changed.set()
            if objects.uid(obj) in self._provisional:
                self._hurried.set()  # a pod that waits, and could not be seen to before it was known

        def updated(old: Object, new: Object) -> None:
            if telling(old) != telling(new):
                self._changed.set()

        source.add_handler(added=added, updated=updated, deleted=lambda _: self._changed.set())

    def _run(self) -> None:
        while not self._policies.wait_for_sync(0.5):
            if self._stopping:
                return
        self._changed.set()
        delay = 0.0
        while not self._stopping:
            self._changed.wait(delay or _LOOK_AGAIN)
            self._changed.clear()
            self._hurried.clear()
            if self._stopping:
                return
            began = time.monotonic()
            try:
                self._sync()
                delay = 0.0
                # Whatever happens meanwhile is taken together: never more than a fifth of the time goes into this,
                # but for pods that wait to be connected.
                self._hurried.wait(4 * (time.monotonic() - began))
            except OSError as error:
                self._counters["failures"] += 1
                self._standing = {}
                delay = min(max(delay * 2, _RETRY_FIRST), _RETRY_LAST)
                log.error("writing network policies failed, trying again in %.1f s: %s", delay, error)

    def _sync(self) -> None:
        found = self._policies.list()
        self._counters["policies"] = len(found)
        if found and not self._looking:
            self._look()
        if self._looking and not self._wait_for_others():
            return
        nft = self._nft = self._nft or nftables.open_in(self._run_in_node)
        with self._written:
            provisional = dict(self._provisional)
        if not found and not self._looking and not self._standing:
            nft.run("".join(map(removal, self._versions)))  # what an earlier process may have left
            self._standing = {version: rules.empty(version) for version in self._versions}
            return
        present = self._pods.list() if found else []
        gone = ""
        for version in self._versions:
            wanted = rules.state(self._isolation(found, present, provisional, version))
            if version not in self._standing or not _stands(nft, version):
                if found or self._looking:
                    nft.run(rules.whole(wanted))
                    self._counters["syncs"] += 1
            elif any(change := rules.change(self._standing[version], wanted)):
                for text in filter(None, (change.before, change.switch)):
                    nft.run(text)
                gone += change.after
                self._counters["syncs"] += 1
            self._standing[version] = wanted
        self._tell(found, present, provisional)
        if gone:
            self._rest.wait(_LINGER)
            nft.run(gone)

    def _tell(self, found: list[Object], present: list[Object], provisional: Mapping[str, Sequence[str]]) -> None:
        """Wakes who waits for what has just been written, and forgets what the API has come to know."""
        known = {objects.uid(pod): bool(objects.dig(pod, "status", "podIP")) for pod in present}
        with self._written:
            for uid, addresses in provisional.items():
                # Known with an address, or known once and now gone: nobody needs to be told of it any more.
                over = known.get(uid, not found or uid in self._guarded)
                if uid in known or not found:
                    self._guarded.add(uid)
                if over and self._provisional.get(uid) == addresses:
                    del self._provisional[uid]
            self._guarded &= {*self._provisional, *provisional}
            self._written.notify_all()

    def _refuse(self, policy: Object) -> None:
        text = f"not enforced on node {self._node_name}: {_LACKING}"
        log.error("NetworkPolicy %s is %s", objects.key(policy), text)
        if self._events is not None:
            self._events.event(policy, "Warning", "NotEnforced", text)

    def _look(self) -> None:
        self._looking = True
        self._standing = {}
        self._follow(
            self._pods, lambda pod: ([policies.pod_of(pod, (), v) for v in self._versions], objects.labels(pod))
        )
        self._follow(self._namespaces, objects.labels)
        self._follow(self._dns, lambda piece: (piece.get("endpoints"), piece.get("ports")))
        for source in self._others:
            source.start()

    def _wait_for_others(self) -> bool:
        return not any(self._wait_in_vain(source) for source in self._others)

    def _wait_in_vain(self, source: informer.Informer) -> bool:
        while not source.wait_for_sync(0.5):
            if self._stopping:
                return True
        return False

    def _isolation(
        self, found: list[Object], present: list[Object], provisional: Mapping[str, Sequence[str]], version: int
    ) -> policies.Isolation:
        if not found:
            return policies.Isolation({}, {}, version=version)
        seen = (policies.pod_of(pod, provisional.get(objects.uid(pod), ()), version) for pod in present)
        pods = [pod for pod in seen if pod is not None]
        namespaces: Mapping[str, Mapping[str, str]] = {
            objects.name(each): objects.labels(each) for each in self._namespaces.list()
        }
        return policies.isolation(found, pods, namespaces, self._node_name, dns_of(self._dns.list()), version)


def removal(version: int) -> str:
    """The text that takes a family's table away, whether or not it is there (pure)."""
    return f"add table {rules.table(version)}\ndelete table {rules.table(version)}\n"


def remove(run_in_node: nftables.RunInNode) -> None:
    """Takes away what an enforcer left in the node. Raises ``OSError``."""
    if nftables.available():
        nft = nftables.open_in(run_in_node)
        try:
            nft.run(removal(4) + removal(6))
        finally:
            nft.close()


def dns_of(slices: list[Object]) -> list[tuple[str, str, int]]:
    """Where cluster DNS answers, of its EndpointSlices (pure)."""
    return [
        (address, port.get("protocol") or "TCP", int(port["port"]))
        for piece in slices
        for port in piece.get("ports") or ()
        for endpoint in piece.get("endpoints") or ()
        for address in endpoint.get("addresses") or ()
    ]


def _stands(nft: nftables.Nftables, version: int) -> bool:
    family, name = rules.table(version).split()
    return any(entry.get("table", {}).get("name") == name for entry in nft.listing(f"list tables {family}"))
