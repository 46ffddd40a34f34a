"""The Ingress add-on as part of a cluster: its process, its rights, its class, and what it takes.

Rights are those that upstream's controllers ask for, less leader election: there is one, the supervisor sees to it.
It answers at the first node's address, and at addresses of this machine where ports are published.
"""

import dataclasses
import grp
import ipaddress
import os
import pwd
import shutil
import socket
from collections.abc import Mapping, Sequence
from typing import Any

from kubeshim import pki
from kubeshim.addons.ingress import certificates, controller, haproxy, process, routes
from kubeshim.client import kubeconfig, rest
from kubeshim.cluster import configuration, layout

NAME = "ingress"
USER = "kubeshim:ingress"
_ACCOUNT = "haproxy"
"""Made by Debian's package."""
_RBAC = "/apis/rbac.authorization.k8s.io/v1"
_RULES = (
    ("", "services secrets", "get list watch"),
    ("discovery.k8s.io", "endpointslices", "get list watch"),
    ("networking.k8s.io", "ingresses ingressclasses", "get list watch"),
    ("networking.k8s.io", "ingresses/status", "update patch"),
    ("", "events", "create patch"),
    ("events.k8s.io", "events", "create patch"),
)


class IngressError(Exception):
    """The add-on cannot run here, or not as asked; the message says what to do."""


def program() -> str:
    """HAProxy's path. Debian keeps it in ``/usr/sbin``, which is not on everybody's search path."""
    found = shutil.which("haproxy", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        raise IngressError("--ingress needs HAProxy 2.6 or later, which is not installed: apt-get install haproxy")
    return found


# -- ports of the machine ------------------------------------------------------------------------------------------


def published(text: str) -> str:
    """``[ADDRESS:]PORT:80|443`` with the address filled in: loopback, unless another is given."""
    parts = text.split(":")
    address, port, target = ("127.0.0.1", *parts) if len(parts) == 2 else parts if len(parts) == 3 else ("", "", "")
    if not (port.isdigit() and 0 < int(port) < 65536 and target in ("80", "443")):
        raise IngressError(f"--publish {text}: what is expected is [ADDRESS:]PORT:80 or [ADDRESS:]PORT:443")
    try:
        ipaddress.IPv4Address(address)
    except ValueError as error:
        raise IngressError(f"--publish {text}: {address} is not an IPv4 address") from error
    return f"{address}:{port}:{target}"


# -- objects -------------------------------------------------------------------------------------------------------


def manifests() -> list[tuple[str, dict[str, Any]]]:
    """(path, object) of what the API shall have."""
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": USER}
    return [
        (
            f"{_RBAC}/clusterroles/{USER}",
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "ClusterRole",
                "metadata": {"name": USER},
                "rules": [
                    {"apiGroups": [group], "resources": resources.split(), "verbs": verbs.split()}
                    for group, resources, verbs in _RULES
                ],
            },
        ),
        (
            f"{_RBAC}/clusterrolebindings/{USER}",
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "ClusterRoleBinding",
                "metadata": {"name": USER},
                "roleRef": role,
                "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": USER}],
            },
        ),
        (
            "/apis/networking.k8s.io/v1/ingressclasses/kubeshim",
            {
                "apiVersion": "networking.k8s.io/v1",
                "kind": "IngressClass",
                "metadata": {
                    "name": "kubeshim",
                    "annotations": {"ingressclass.kubernetes.io/is-default-class": "true"},
                },
                "spec": {"controller": routes.CONTROLLER},
            },
        ),
    ]


# -- the process ---------------------------------------------------------------------------------------------------


def build(
    config: configuration.Configuration,
    where: layout.Layout,
    holder_pid: int,
    handed: Mapping[str, Sequence[socket.socket]],
) -> controller.Controller:
    """The controller on the sockets it was handed, which must stay open as long as it runs."""
    directory = where.directory / NAME
    directory.mkdir(mode=0o700, exist_ok=True)
    numbers = {name: tuple(sock.fileno() for sock in found) for name, found in handed.items()}
    account = _account()
    settings = haproxy.Settings(
        http=numbers.get("http", ()),
        https=numbers.get("https", ()),
        default_certificate=_default_certificate(where),
        user=account,
        group=grp.getgrgid(pwd.getpwnam(account).pw_gid).gr_name if account else "",
    )
    loaded = kubeconfig.load(str(pki.Files(where.pki).kubeconfig(NAME)))
    server = f"https://127.0.0.1:{config.port}"
    client = rest.Client(dataclasses.replace(loaded, server=server), user_agent="kubeshim-ingress")
    everywhere = [number for found in numbers.values() for number in found]
    proxy = process.Proxy(program(), directory, everywhere, holder_pid)
    node = config.nodes[0]
    return controller.Controller(client, proxy, settings, node.address, node.name)


def end(where: layout.Layout) -> None:
    """Ends an HAProxy that was left behind."""
    process.end(where.directory / NAME)


def _account() -> str:
    """HAProxy's own user, or ``nobody``."""
    for name in (_ACCOUNT, "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    return ""


def _default_certificate(where: layout.Layout) -> bytes:
    path = where.directory / NAME / "default.pem"
    if not path.exists():
        pki.write_file(path, certificates.self_signed())
    return path.read_bytes()
