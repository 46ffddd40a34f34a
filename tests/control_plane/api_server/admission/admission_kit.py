"""Requests as plugins see them, and a reader over a list of objects."""

from kubeshim.control_plane.api_server import request
from kubeshim.control_plane.api_server.admission import plugin
from kubeshim.machinery import builtin, objects

TYPES = {resource.group_resource: resource for resource in builtin.load()}
USER = request.UserInfo("alice", ("system:authenticated",))


class Objects:
    """Objects by plural: ``Objects(nodes=[…])``."""

    def __init__(self, **found):
        self.found = found

    def get(self, gvr, namespace, name):
        return next((one for one in self.list(gvr, namespace) if objects.name(one) == name), None)

    def list(self, gvr, namespace=""):
        return [one for one in self.found.get(gvr.resource, ()) if namespace in ("", objects.namespace(one))]


def attributes(
    kind, new=None, old=None, *, operation="CREATE", sub="", name="", namespace="n", user=USER, dry_run=False
):
    operation = "UPDATE" if old is not None and operation == "CREATE" else operation
    resource = TYPES[kind]
    return plugin.Attributes(
        user, operation, resource, sub, namespace if resource.namespaced else "", name, new, old, {}, dry_run, []
    )


def named(name, namespace="n", **fields):
    return {"metadata": {"name": name, "namespace": namespace}, **fields}


def pod(*containers, **spec):
    return named("p", spec={"containers": list(containers) or [container()], **spec})


def container(name="c", requests=None, limits=None, **fields):
    resources = {part: value for part, value in (("requests", requests), ("limits", limits)) if value is not None}
    return {"name": name, "image": "i", **({"resources": resources} if resources else {}), **fields}
