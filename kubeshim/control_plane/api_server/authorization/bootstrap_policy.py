"""The roles and bindings every cluster starts with, read from ``schemas/bootstrap/``."""

from collections.abc import Iterator
from typing import Any

from kubeshim.control_plane.api_server import bootstrap_data
from kubeshim.machinery import objects

_API_VERSION = "rbac.authorization.k8s.io/v1"
_GROUP = "rbac.authorization.k8s.io"
_READ = ("get", "list", "watch")
_WRITE = ("create", "update", "patch", "delete", "deletecollection")
_WORDS = {"read": _READ, "write": _WRITE}
_EVENTS = "create update patch | core events.k8s.io | events"


def rule(text: str) -> dict[str, Any]:
    """A PolicyRule from the files' notation; lists come out sorted, as upstream publishes them."""
    verbs_text, groups, things, *names = (
        part.split() for part in (_EVENTS if text == "events" else text).split("|")
    )  # fmt: skip
    verbs = sorted({verb for word in verbs_text for verb in _WORDS.get(word, (word,))})
    if groups == ["url"]:
        return {"nonResourceURLs": sorted(things), "verbs": verbs}
    made: dict[str, Any] = {
        "apiGroups": sorted("" if group == "core" else group for group in groups),
        "resources": sorted(things),
        "verbs": verbs,
    }
    if names:
        made["resourceNames"] = sorted(names[0])
    return made


def load() -> list[objects.Object]:
    """Every role and binding, roles first, so that a binding never refers to what is not there yet."""
    found = [*_cluster_roles(), *_controllers(), *_namespaced(), *_own()]
    return sorted(found, key=lambda obj: obj["kind"].endswith("Binding"))


def node_rules() -> list[dict[str, Any]]:
    """The rules of ``system:node``."""
    return [rule(text) for text in bootstrap_data.read("cluster-roles")["roles"]["system:node"]]


def _cluster_roles() -> Iterator[objects.Object]:
    data = bootstrap_data.read("cluster-roles")
    labels = data["labels"]
    for name, rules in data["roles"].items():
        yield _role("ClusterRole", name, rules, label=labels.get(name, ""))
    for name, label in data["aggregated"].items():
        made = _role("ClusterRole", name, None, label=labels.get(name, ""))
        made["aggregationRule"] = {"clusterRoleSelectors": [{"matchLabels": {label: "true"}}]}
        yield made
    for name, subjects in data["bindings"].items():
        yield _binding(name, name, subjects)


def _controllers() -> Iterator[objects.Object]:
    also = bootstrap_data.read("own-roles")["controllers-also-bound-to"]
    for controller, rules in bootstrap_data.read("controller-roles")["controllers"].items():
        name = f"system:controller:{controller}"
        yield _role("ClusterRole", name, rules)
        yield _binding(name, name, [f"ServiceAccount kube-system/{controller}"])
        yield _binding(f"kubeshim:controller-manager:{controller}", name, [also])


def _namespaced() -> Iterator[objects.Object]:
    for namespace, roles in bootstrap_data.read("namespace-roles").items():
        for name, entry in roles.items():
            yield _role("Role", name, entry["rules"], namespace=namespace)
            bindings = {entry.get("named", name): entry["subjects"], **entry.get("also", {})}
            for binding, subjects in bindings.items():
                yield _binding(binding, name, subjects, namespace=namespace)


def _own() -> Iterator[objects.Object]:
    data = bootstrap_data.read("own-roles")
    for name, rules in data["roles"].items():
        made = _role("ClusterRole", name, rules)
        made["metadata"]["labels"] |= dict.fromkeys(data["aggregated"].get(name, ()), "true")
        yield made
    for name, subjects in data["bindings"].items():
        binding, _, role = name.partition("=")
        yield _binding(binding, role or binding, subjects)


def _role(kind: str, name: str, rules: list[str] | None, *, namespace: str = "", label: str = "") -> objects.Object:
    made: objects.Object = {"apiVersion": _API_VERSION, "kind": kind, "metadata": _metadata(name, namespace)}
    if label:
        made["metadata"]["labels"][label] = "true"
    made["rules"] = None if rules is None else [rule(text) for text in rules]
    return made


def _binding(name: str, role: str, subjects: list[str], *, namespace: str = "") -> objects.Object:
    kind = "Role" if namespace else "ClusterRole"
    made: objects.Object = {
        "apiVersion": _API_VERSION,
        "kind": f"{kind}Binding",
        "metadata": _metadata(name, namespace),
        "roleRef": {"apiGroup": _GROUP, "kind": kind, "name": role},
    }
    if subjects:
        made["subjects"] = [_subject(text) for text in subjects]
    return made


def _subject(text: str) -> dict[str, str]:
    kind, _, name = text.partition(" ")
    if kind == "ServiceAccount":
        space, _, account = name.partition("/")
        return {"kind": kind, "name": account, "namespace": space}
    return {"apiGroup": _GROUP, "kind": kind, "name": name}


def _metadata(name: str, namespace: str) -> dict[str, Any]:
    made: dict[str, Any] = {
        "name": name,
        "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"},
        "annotations": {"rbac.authorization.kubernetes.io/autoupdate": "true"},
    }
    return made | ({"namespace": namespace} if namespace else {})
