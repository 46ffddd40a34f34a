"""Puts the authorizers over a server's stored objects."""

from kubeshim.control_plane.api_server import config as configuration
from kubeshim.control_plane.api_server import storage as storages
from kubeshim.control_plane.api_server.authorization import authorizer, bootstrap_policy, node, rbac, rules
from kubeshim.machinery import resources

_KINDS = ("roles", "clusterroles", "rolebindings", "clusterrolebindings")
_PODS = resources.GroupVersionResource("", "v1", "pods")


def build(config: configuration.Config, storage: storages.Storage) -> authorizer.Chain:
    """The chain ``config`` asks for, following ``storage`` from now on."""
    index = rbac.RBAC()

    def follow(change: storages.Change) -> None:
        if change.kind == "DELETED":
            index.remove(change.obj)
        else:
            index.set(change.obj)

    for plural in _KINDS:
        storage.subscribe(resources.GroupVersionResource(rbac.GROUP, "v1", plural), follow)
    nodes = None
    if "Node" in config.authorization_mode.split(","):
        nodes = _nodes(storage)
    return authorizer.Chain(index, nodes, mode=config.authorization_mode)


def _nodes(storage: storages.Storage) -> node.NodeAuthorizer:
    graph = node.Graph()

    def follow(change: storages.Change) -> None:
        if change.kind == "DELETED":
            graph.remove_pod(change.obj)
        else:
            graph.set_pod(change.obj)

    storage.subscribe(_PODS, follow)
    return node.NodeAuthorizer(graph, storage.reader, rules.compile_rules(bootstrap_policy.node_rules()))
