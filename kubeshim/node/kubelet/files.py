"""The files every container gets: ``/etc/hosts`` and ``/etc/resolv.conf``. Pure texts, and writing them."""

import dataclasses
import os
import tempfile
from collections.abc import Sequence

from kubeshim.machinery import objects
from kubeshim.machinery.objects import Object
from kubeshim.node.kubelet import pod_spec

_MOST_NAMESERVERS = 3
_MOST_SEARCHES = 32
_LONGEST_SEARCH = 2048


def hosts(pod: Object, addresses: Sequence[str], cluster_domain: str) -> str:
    """``/etc/hosts`` of a pod with a network of its own."""
    lines = [
        "# Kubernetes-managed hosts file.",
        "127.0.0.1\tlocalhost",
        "::1\tlocalhost ip6-localhost ip6-loopback",
        "fe00::0\tip6-localnet",
        "fe00::0\tip6-mcastprefix",
        "fe00::1\tip6-allnodes",
        "fe00::2\tip6-allrouters",
    ]
    name, domain = pod_spec.hostname(pod), pod_spec.domain(pod, cluster_domain)
    for address in addresses:
        lines.append(f"{address}\t{name}.{domain}\t{name}" if domain else f"{address}\t{name}")
    return "\n".join(lines) + "\n" + _aliases(pod)


def node_hosts(pod: Object, node_text: str) -> str:
    """``/etc/hosts`` of a pod in the node's network: the node's own, and the pod's aliases."""
    return "# Kubernetes-managed hosts file (host network).\n" + node_text + _aliases(pod)


def _aliases(pod: Object) -> str:
    aliases = pod_spec.spec(pod).get("hostAliases") or ()
    if not aliases:
        return ""
    lines = ["", "# Entries added by HostAliases."]
    lines += [f"{alias['ip']}\t" + "\t".join(alias.get("hostnames") or ()) for alias in aliases]
    return "\n".join(lines) + "\n"


@dataclasses.dataclass(frozen=True, slots=True)
class Resolver:
    """What ``resolv.conf`` says."""

    nameservers: Sequence[str] = ()
    searches: Sequence[str] = ()
    options: Sequence[str] = ()

    def text(self) -> str:
        lines = [f"nameserver {server}" for server in self.nameservers]
        if self.searches:
            lines.append("search " + " ".join(self.searches))
        if self.options:
            lines.append("options " + " ".join(self.options))
        return "\n".join(lines) + "\n" if lines else ""


def parse_resolver(text: str) -> Resolver:
    """Reads ``resolv.conf``; of several ``search`` lines the last holds."""
    servers: list[str] = []
    searches: list[str] = []
    options: list[str] = []
    for line in text.splitlines():
        words = line.split("#")[0].split(";")[0].split()
        if len(words) >= 2 and words[0] == "nameserver":
            servers.append(words[1])
        elif words and words[0] in ("search", "domain"):
            searches = [word.rstrip(".") or "." for word in words[1:]]
        elif words and words[0] == "options":
            options = words[1:]
    return Resolver(servers, searches, options)


def resolver(pod: Object, node: Resolver, cluster_dns: Sequence[str], cluster_domain: str) -> Resolver:
    """By the pod's ``dnsPolicy`` and ``dnsConfig``."""
    policy = pod_spec.spec(pod).get("dnsPolicy") or "ClusterFirst"
    if policy == "ClusterFirst" and pod_spec.host_network(pod):
        policy = "Default"
    if policy.startswith("ClusterFirst") and not cluster_dns:
        policy = "Default"
    if policy == "None":
        base = Resolver()
    elif policy == "Default":
        base = node
    else:
        domains = [f"{objects.namespace(pod)}.svc.{cluster_domain}", f"svc.{cluster_domain}", cluster_domain]
        base = Resolver(cluster_dns, _unique([*domains, *node.searches]), ["ndots:5"])
    return _bounded(_extended(base, pod_spec.spec(pod).get("dnsConfig") or {}))


def _extended(base: Resolver, config: Object) -> Resolver:
    options: dict[str, str] = {}
    for option in base.options:
        name, _, value = option.partition(":")
        options[name] = value
    for entry in config.get("options") or ():
        options[entry["name"]] = str(entry.get("value") or "")
    return Resolver(
        _unique([*base.nameservers, *(config.get("nameservers") or ())]),
        _unique([*base.searches, *(config.get("searches") or ())]),
        [f"{name}:{value}" if value else name for name, value in options.items()],
    )


def _bounded(found: Resolver) -> Resolver:
    searches = list(found.searches[:_MOST_SEARCHES])
    while searches and len(" ".join(searches)) > _LONGEST_SEARCH:
        searches.pop()
    return Resolver(found.nameservers[:_MOST_NAMESERVERS], searches, found.options)


def _unique(texts: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(texts))


def write(path: str, text: str, mode: int = 0o644) -> None:
    """Writes in place where the file is there: containers have its inode mounted. Else whole or not at all."""
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            if file.read() == text:
                return
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return
    directory = os.path.dirname(path)
    os.makedirs(directory, 0o750, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=directory)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(temporary, mode)
    os.rename(temporary, path)
