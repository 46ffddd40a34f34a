"""Services: cluster addresses, node ports, and what a change of type takes away or keeps.

Addresses and ports are taken in ``allocate``: for a new Service before the rest is judged (what cannot be had is told
alone), for a changed one right before the write. What is taken already follows from the Services there are (``follow``
keeps count of it), so that nothing can be leaked or lost by a crash; only what was handed out but is not yet to be seen
among them is remembered, for as long as the write takes. Addresses come from the server's own ranges and, when those
are used up or the address asked for is in another, from the ServiceCIDRs that are ready; an IPAddress that somebody
else made is not given out.
"""

import ipaddress
import random
import threading
from collections.abc import Callable, Iterable

from kubeshim.control_plane.api_server.admission import plugin
from kubeshim.control_plane.api_server.strategies import node_ports, service_families, strategy
from kubeshim.machinery import errors, objects, resources
from kubeshim.machinery.validation import fields, service_updates, services

SERVICES = resources.GroupVersionResource("", "v1", "services")
RANGES = resources.GroupVersionResource("networking.k8s.io", "v1", "servicecidrs")
ADDRESSES = resources.GroupVersionResource("networking.k8s.io", "v1", "ipaddresses")
_OWN_ADDRESSES = ("ipaddress.kubernetes.io/managed-by", "ipallocator.k8s.io")
_ASSUMED = {"status": "True"}
"""A ServiceCIDR that nobody has judged yet gives addresses."""
_TYPES_WITH_ADDRESS = ("ClusterIP", "NodePort", "LoadBalancer")
_TYPES_WITH_NODE_PORTS = ("NodePort", "LoadBalancer")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Service(strategy.Strategy):
    """``configure`` is called once, before the first request."""

    allow_create_on_update = True
    gone_with = (resources.GroupVersionResource("", "v1", "endpoints"),)

    def __init__(self, ranges: Iterable[str] = ("10.96.0.0/16",), ports: tuple[int, int] = (30000, 32767)) -> None:
        self._lock = threading.Lock()
        self._pending: dict[str, object] = {}
        """What is handed out while it is written → for which write."""
        self._held: dict[str, str] | None = None
        """What is taken → which Service holds it; None while nobody tells ``follow``."""
        self._claimed: set[str] = set()
        """Addresses of IPAddress objects that are somebody else's."""
        self.configure(ranges, ports)

    def configure(self, ranges: Iterable[str], ports: tuple[int, int]) -> None:
        """``ranges``: one network, or one of each family (primary first); ``ports``: first and last node port."""
        self._ranges = {("IPv6" if net.version == 6 else "IPv4"): net for net in map(ipaddress.ip_network, ranges)}
        self._ports = ports

    def count(self) -> None:
        """From now on ``follow`` is told of all Services."""
        self._held = {}

    def follow(self, obj: objects.Object, previous: objects.Object | None, *, gone: bool) -> None:
        """One Service more, changed or gone."""
        with self._lock:
            assert self._held is not None
            key = objects.key(obj)
            after = set() if gone else _allocations(obj.get("spec") or {})
            before = _allocations((previous or obj).get("spec") or {})
            for what in before - after:
                if self._held.get(what) == key:
                    del self._held[what]
            self._held.update(dict.fromkeys(after, key))

    def follow_address(self, obj: objects.Object, *, gone: bool) -> None:
        """One IPAddress more, changed or gone; those that only show what Services hold do not count."""
        label, ours = _OWN_ADDRESSES
        if gone or objects.labels(obj).get(label) == ours:
            self._claimed.discard(objects.name(obj))
        else:
            self._claimed.add(objects.name(obj))

    def _taken(self, obj: objects.Object, reader: plugin.Reader) -> set[str]:
        """What other Services hold, and addresses somebody has claimed by an IPAddress."""
        if self._held is None:
            others = [item for item in reader.list(SERVICES) if objects.key(item) != objects.key(obj)]
            return {what for item in others for what in _allocations(item.get("spec") or {})}
        return self._held.keys() | self._claimed

    def prepare_for_create(self, resource: resources.Resource, obj: objects.Object) -> None:
        obj["status"] = {"loadBalancer": {}}
        _pair_addresses(obj.get("spec") or {}, None)
        _drop_unshown(obj.get("spec") or {})

    def prepare_for_update(self, resource: resources.Resource, obj: objects.Object, old: objects.Object) -> None:
        super().prepare_for_update(resource, obj, old)
        spec, before = obj.setdefault("spec", {}), old.get("spec") or {}
        _keep_allocated(spec, before)
        _pair_addresses(spec, before)
        service_families.downgrade(spec, before)
        _drop_by_type(spec, before)
        _drop_unshown(spec)
        if spec.get("type") != "LoadBalancer":
            obj["status"] = {**(obj.get("status") or {}), "loadBalancer": {}}

    def validate(self, resource: resources.Resource, obj: objects.Object) -> list[errors.FieldError]:
        return self._families(obj, None) or services.service(obj)

    def validate_change(
        self, resource: resources.Resource, obj: objects.Object, old: objects.Object
    ) -> list[errors.FieldError]:
        return self._families(obj, old) or service_updates.update(obj, old)

    def _families(self, obj: objects.Object, old: objects.Object | None) -> list[errors.FieldError]:
        """What is wrong with addresses and families is told alone: they are given out before the rest is judged."""
        spec, before = obj.get("spec") or {}, (old or {}).get("spec") or {}
        wrong = services.cluster_ips(spec, before.get("clusterIPs") or ())
        return wrong or service_families.fill(dict(spec), before, tuple(self._ranges))

    def validate_status_update(
        self, resource: resources.Resource, obj: objects.Object, old: objects.Object
    ) -> list[errors.FieldError]:
        return service_updates.status(obj, old)

    def warnings(self, resource: resources.Resource, obj: objects.Object, old: objects.Object | None) -> list[str]:
        return service_updates.warn(obj)

    def status_warnings(self, resource: resources.Resource, obj: objects.Object, old: objects.Object) -> list[str]:
        return service_updates.warn_status(obj)

    def allocate(
        self, resource: resources.Resource, obj: objects.Object, old: objects.Object | None, reader: plugin.Reader,
        dry_run: bool,
    ) -> Callable[[], None] | None:  # fmt: skip
        spec = obj.get("spec") or {}
        before = (old or {}).get("spec") or {}
        if old is not None and _allocations(spec) == _allocations(before) and _complete(spec, before):
            return None
        with self._lock:
            own = _allocations(before)
            taken = (self._taken(obj, reader) | self._pending.keys()) - own
            problems = services.cluster_ips(spec, ()) if old is None else []
            problems = problems or service_families.fill(spec, before, tuple(self._ranges))
            if not problems:
                problems = self._addresses(spec, before, taken, reader, dry_run)
            if not problems:
                earlier = None if old is None else before
                problems = node_ports.allocate(spec, earlier, taken | node_ports.held(before), self._ports, dry_run)
            if problems:
                raise errors.invalid("", "Service", objects.name(obj), problems)
            fresh, write = _allocations(spec) - own, object()
            if not dry_run:
                self._pending.update(dict.fromkeys(fresh, write))
        return lambda: self._written(fresh, write)

    def _written(self, fresh: set[str], write: object) -> None:
        """Or not: from now on what the Services hold is all that counts."""
        with self._lock:
            for what in fresh:
                if self._pending.get(what) is write:
                    del self._pending[what]

    def _addresses(
        self, spec: objects.Object, before: objects.Object, taken: set[str], reader: plugin.Reader, dry_run: bool
    ) -> list[errors.FieldError]:
        if spec.get("type") not in _TYPES_WITH_ADDRESS:
            return []
        if services.is_headless(spec):
            spec["clusterIP"], spec["clusterIPs"] = "None", ["None"]
            return []
        asked = list(spec.get("clusterIPs") or ())
        wrong: list[errors.FieldError] = []
        for index, family in enumerate(spec.get("ipFamilies") or ()):
            network = self._ranges.get(family)
            if network is None:
                continue
            networks = [network, *_more_ranges(reader, network)]
            if index >= len(asked):
                # a dry run does not look for one that is really free
                asked.append(str(network.network_address) if dry_run else _free_address(networks, taken))
            elif asked[index] in (before.get("clusterIPs") or ()):
                continue
            elif why := _refusal(asked[index], networks[:1] if dry_run else networks, taken, dry_run):
                text = f"failed to allocate IP {asked[index]}: {why}"
                wrong.append(fields.invalid("spec.clusterIPs", asked, text))
        spec["clusterIPs"], spec["clusterIP"] = asked, asked[0]
        return wrong


def _allocations(spec: objects.Object) -> set[str]:
    """Everything a Service holds, as texts: addresses, and ``port/PROTOCOL`` of node ports."""
    found = {ip for ip in spec.get("clusterIPs") or [spec.get("clusterIP")] if ip and ip != "None"}
    return found | node_ports.held(spec)


def _complete(spec: objects.Object, before: objects.Object) -> bool:
    """Whether nothing is left to hand out."""
    if any(spec.get(field) != before.get(field) for field in ("ipFamilies", "ipFamilyPolicy")):
        return False
    if spec.get("type") in _TYPES_WITH_ADDRESS:
        wanted = len(spec.get("ipFamilies") or ())
        if (
            not wanted
            or not spec.get("clusterIPs")
            or (not services.is_headless(spec) and len(spec["clusterIPs"]) < wanted)
        ):
            return False
    return not node_ports.missing(spec)


def _more_ranges(reader: plugin.Reader, network: Network) -> list[Network]:
    """Networks of ServiceCIDRs of the same family as ``network``, beside it."""
    found: list[Network] = []
    for one in reader.list(RANGES):
        ready = objects.condition(one, "Ready")
        if (ready or _ASSUMED).get("status") != "True" or objects.dig(one, "metadata", "deletionTimestamp"):
            continue
        for text in objects.dig(one, "spec", "cidrs", default=()):
            more = ipaddress.ip_network(text)
            if more.version == network.version and more != network:
                found.append(more)
    return found


def _refusal(address: str, networks: list[Network], taken: set[str], dry_run: bool) -> str:
    """Why an address asked for cannot be had; a dry run asks one range only, and not whether somebody has it."""
    ip = ipaddress.ip_address(address)
    network = networks[0] if dry_run else next((network for network in networks if ip in network), None)
    if network is None:
        return "the provided network does not match the current range"
    usable = ip in network and ip != network.network_address
    if not usable or (ip.version == 4 and ip == network.broadcast_address):
        return f"the provided IP ({address}) is not in the valid range. The range of valid IPs is {network}"
    return "provided IP is already allocated" if str(ip) in taken and not dry_run else ""


def _free_address(networks: list[Network], taken: set[str]) -> str:
    for network in networks:
        if address := _free_in(network, taken):
            return address
    raise errors.internal("failed to allocate a serviceIP: range is full")


def _free_in(network: Network, taken: set[str]) -> str:
    """A random free address or nothing, from the upper band as long as there is one.

    The lower band is for addresses people ask for by name, so that theirs are seldom taken by chance.
    """
    last = network.num_addresses - (2 if network.version == 4 else 1)
    static = min(max(16, network.num_addresses // 16), 256) if last > 16 else 1
    for low, high in ((static + 1, last), (1, min(static, last))):
        if high < low:
            continue
        size = high - low + 1
        start = random.randrange(size)
        for step in range(min(size, 1 << 16)):
            candidate = str(network[low + (start + step) % size])
            if candidate not in taken:
                taken.add(candidate)
                return candidate
    return ""


def _pair_addresses(spec: objects.Object, before: objects.Object | None) -> None:
    """``clusterIP`` is the first of ``clusterIPs``: old clients say only the former; who says the latter says both."""
    single, several = spec.get("clusterIP") or "", spec.get("clusterIPs") or []
    if before is None:
        if single and not several:
            spec["clusterIPs"] = [single]
        return
    old_single, old_several = before.get("clusterIP") or "", before.get("clusterIPs") or []
    if single == old_single:
        if old_several and not several:
            spec["clusterIPs"] = old_several
    elif several == old_several:
        spec["clusterIPs"] = [single]
        if not single:
            del spec["clusterIPs"]


def _drop_by_type(spec: objects.Object, before: objects.Object) -> None:
    """What the old type or policy had and the new one may not have goes, unless the client has just set it."""
    if services.is_reached_from_outside(before) and not services.is_reached_from_outside(spec):
        _drop(spec, before, "externalTrafficPolicy")
    if services.needs_health_check(before) and not services.needs_health_check(spec):
        _drop(spec, before, "healthCheckNodePort")
    kind, earlier = spec.get("type"), before.get("type")
    if kind == "ExternalName" != earlier:
        if all(spec.get(name) == before.get(name) for name in ("clusterIP", "clusterIPs")):
            _drop(spec, before, "clusterIP", "clusterIPs")
        _drop(spec, before, "ipFamilies", "ipFamilyPolicy")
    if earlier in _TYPES_WITH_NODE_PORTS and kind not in _TYPES_WITH_NODE_PORTS:
        node_ports.drop_unchanged(spec, before)
    if earlier == "LoadBalancer" != kind:
        _drop(spec, before, "allocateLoadBalancerNodePorts", "loadBalancerClass")


def _drop_unshown(spec: objects.Object) -> None:
    """A policy for traffic inside is taken of a name outside, too, and never shown."""
    if spec.get("type") == "ExternalName" and spec.get("internalTrafficPolicy") in services.POLICIES:
        del spec["internalTrafficPolicy"]


def _drop(spec: objects.Object, before: objects.Object, *names: str) -> None:
    for name in names:
        if name in spec and spec[name] == before.get(name):
            del spec[name]


def _keep_allocated(spec: objects.Object, before: objects.Object) -> None:
    """What was handed out before stays, where the client does not mention it."""
    if spec.get("type") != "ExternalName" != before.get("type"):
        if not spec.get("clusterIP") and before.get("clusterIP"):
            spec["clusterIP"] = before["clusterIP"]
        if not spec.get("clusterIPs") and spec.get("clusterIP") == before.get("clusterIP") and "clusterIPs" in before:
            spec["clusterIPs"] = before["clusterIPs"]
    node_ports.keep(spec, before)
    both = services.needs_health_check(spec) and services.needs_health_check(before)
    if both and not spec.get("healthCheckNodePort") and before.get("healthCheckNodePort"):
        spec["healthCheckNodePort"] = before["healthCheckNodePort"]
