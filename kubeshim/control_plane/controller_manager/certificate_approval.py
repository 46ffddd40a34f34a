"""Which certificate requests are approved without anybody looking at them. Pure.

Two as upstream: a kubelet's client certificate, asked for by the node itself (renewal) or by a bootstrap token's
bearer. Two for nodes that joined from another machine, each asked for by the node with its own certificate: the
client certificate of the agent's other parts (kube-proxy, policies, DNS), and the kubelet's serving certificate.
Upstream leaves the latter to somebody who knows which addresses are the node's. Here that is known: the node stands
on an address of its own ``spec.podCIDR``, which it cannot change, so no node gets a certificate for another's.

A recognizer only says what a request is; whether its author may have that, the API server is asked: may he create
``certificatesigningrequests/SUBRESOURCE``?
"""

import base64
import dataclasses
from collections.abc import Callable
from typing import Any

from kubeshim.machinery import joining, objects
from kubeshim.machinery.objects import Object

CLIENT_KUBELET = "kubernetes.io/kube-apiserver-client-kubelet"
CLIENT = "kubernetes.io/kube-apiserver-client"
SERVING = "kubernetes.io/kubelet-serving"
_CLIENT_USAGES = ({"key encipherment", "digital signature", "client auth"}, {"digital signature", "client auth"})
_SERVER_USAGES = ({"key encipherment", "digital signature", "server auth"}, {"digital signature", "server auth"})
_USER = "system:node:"


@dataclasses.dataclass(frozen=True, slots=True)
class Wish:
    """A request, taken apart."""

    signer: str
    requester: str
    usages: frozenset[str]
    common_name: str
    organizations: tuple[str, ...]
    dns: tuple[str, ...]
    ips: tuple[str, ...]
    others: int
    """How many alternative names of other kinds there are."""

    @property
    def node(self) -> str:
        """Of the requester; empty where it is no node."""
        return self.requester.removeprefix(_USER) if self.requester.startswith(_USER) else ""

    @property
    def names(self) -> int:
        return len(self.dns) + len(self.ips) + self.others


def wish(request: Object) -> Wish:
    """Raises ``ValueError`` where what is inside is no request for a certificate."""
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    csr = x509.load_pem_x509_csr(base64.b64decode(request["spec"]["request"]))
    common = [str(one.value) for one in csr.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    organizations = tuple(str(one.value) for one in csr.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME))
    alternatives: list[Any] = []
    try:
        alternatives = list(csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        alternatives = []
    dns = tuple(str(one.value) for one in alternatives if isinstance(one, x509.DNSName))
    ips = tuple(str(one.value) for one in alternatives if isinstance(one, x509.IPAddress))
    return Wish(
        signer=request["spec"].get("signerName", ""),
        requester=request["spec"].get("username", ""),
        usages=frozenset(request["spec"].get("usages") or ()),
        common_name=common[0] if common else "",
        organizations=organizations,
        dns=dns,
        ips=ips,
        others=len(alternatives) - len(dns) - len(ips),
    )


def is_kubelet_client(this: Wish) -> bool:
    """Whether it asks for just what a kubelet's client certificate is."""
    return (
        this.organizations == ("system:nodes",)
        and this.common_name.startswith(_USER)
        and not this.names
        and this.usages in _CLIENT_USAGES
    )


def _self_client(this: Wish, _: Object | None) -> bool:
    return this.requester == this.common_name and _node_client(this, None)


def _node_client(this: Wish, _: Object | None) -> bool:
    return this.signer == CLIENT_KUBELET and is_kubelet_client(this)


def _node_agent(this: Wish, _: Object | None) -> bool:
    return (
        this.signer == CLIENT
        and bool(this.node)
        and this.common_name == joining.AGENT_USER + this.node
        and this.organizations == (joining.AGENT_GROUP,)
        and not this.names
        and this.usages in _CLIENT_USAGES
    )


def _self_server(this: Wish, node: Object | None) -> bool:
    return (
        this.signer == SERVING
        and bool(this.node)
        and this.requester == this.common_name
        and this.organizations == ("system:nodes",)
        and this.usages in _SERVER_USAGES
        and this.dns == (this.node,)
        and node is not None
        and joining.is_joined(node)
        and this.ips == (joining.node_address(objects.dig(node, "spec", "podCIDR", default="")),)
        and not this.others
    )


@dataclasses.dataclass(frozen=True, slots=True)
class Recognizer:
    subresource: str
    recognize: Callable[[Wish, Object | None], bool]
    """Told the request and the Node its author is, if there is one."""
    message: str


RECOGNIZERS = (
    Recognizer(
        "selfnodeclient",
        _self_client,
        "Auto approving self kubelet client certificate after SubjectAccessReview.",
    ),
    Recognizer(
        "nodeclient", _node_client, "Auto approving kubelet client certificate after SubjectAccessReview."
    ),
    Recognizer(
        "nodeagentclient", _node_agent, "Auto approving node agent client certificate after SubjectAccessReview."
    ),
    Recognizer(
        "selfnodeserver", _self_server, "Auto approving self kubelet server certificate after SubjectAccessReview."
    ),
)  # fmt: skip
