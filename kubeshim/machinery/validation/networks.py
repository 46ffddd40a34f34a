"""What of a pod concerns its network: DNS, ports of the host's network, entries of its hosts file."""

from collections.abc import Mapping, Sequence
from typing import Any

from kubeshim.machinery.errors import FieldError
from kubeshim.machinery.validation import content, fields

DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
_MOST_SERVERS, _MOST_SEARCHES, _MOST_CHARACTERS = 3, 32, 2048


def dns_policy(spec: Mapping[str, Any], path: str) -> list[FieldError]:
    policy, place = spec.get("dnsPolicy") or "", path + ".dnsPolicy"
    return fields.one_of(place, policy, DNS_POLICIES) if policy else [fields.required(place)]


def dns_config(spec: Mapping[str, Any], path: str) -> list[FieldError]:
    policy, config, place = spec.get("dnsPolicy") or "", spec.get("dnsConfig"), path + ".dnsConfig"
    if policy == "None":
        if config is None:
            return [fields.required(place, "must provide `dnsConfig` when `dnsPolicy` is None")]
        if not config.get("nameservers"):
            text = "must provide at least one DNS nameserver when `dnsPolicy` is None"
            return [fields.required(place + ".nameservers", text)]
    config = config or {}
    wrong: list[FieldError] = []
    servers, searches = config.get("nameservers") or [], config.get("searches") or []
    if len(servers) > _MOST_SERVERS:
        text = f"must not have more than {_MOST_SERVERS} nameservers"
        wrong.append(fields.invalid(place + ".nameservers", servers, text))
    for index, server in enumerate(servers):
        wrong += fields.all_invalid(f"{place}.nameservers[{index}]", server, content.ip(server))
    if len(searches) > _MOST_SEARCHES:
        text = f"must not have more than {_MOST_SEARCHES} search paths"
        wrong.append(fields.invalid(place + ".searches", searches, text))
    if len(" ".join(searches)) > _MOST_CHARACTERS:
        text = f"must not have more than {_MOST_CHARACTERS} characters (including spaces) in the search list"
        wrong.append(fields.invalid(place + ".searches", searches, text))
    for index, search in enumerate(searches):
        if search != ".":
            judged = search.removesuffix(".")
            complaints = content.dns_subdomain_with_underscores(judged)
            wrong += fields.all_invalid(f"{place}.searches[{index}]", judged, complaints)
    for index, option in enumerate(config.get("options") or ()):
        if not option.get("name"):
            wrong.append(fields.required(f"{place}.options[{index}]", "must not be empty"))
    return wrong


def host_ports(spec: Mapping[str, Any], path: str, is_pod: bool) -> list[FieldError]:
    """In the host's network a port is the host's."""
    wrong: list[FieldError] = []
    for index, container in enumerate(spec.get("containers") or ()):
        for place, port in enumerate(container.get("ports") or ()):
            host = port.get("hostPort") or 0
            if (is_pod or host) and host != (port.get("containerPort") or 0):
                text = "must match `containerPort` when `hostNetwork` is true"
                wrong.append(fields.invalid(f"{path}.containers[{index}].ports[{place}].hostPort", host, text))
    return wrong


def host_aliases(found: Sequence[Mapping[str, Any]], path: str) -> list[FieldError]:
    wrong: list[FieldError] = []
    for index, alias in enumerate(found):
        place = f"{path}[{index}]"
        wrong += fields.all_invalid(place + ".ip", alias.get("ip") or "", content.ip(alias.get("ip") or ""))
        for number, name in enumerate(alias.get("hostnames") or ()):
            wrong += fields.all_invalid(f"{place}.hostnames[{number}]", name, content.dns_subdomain(name))
    return wrong
