"""The order in which admission plugins are asked, and asking them.

``PLUGINS`` is upstream's recommended order: first everything that mutates, in this order, then everything that
validates, in this order. ResourceQuota is last, so that nothing is charged that another plugin refuses. Between the two
the object is validated: of what a plugin that mutates refuses one hears before anything that is invalid. What upstream
does in the storage of a kind before it validates comes after all others that mutate.
"""

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, cast

import gevent

from kubeshim import clock
from kubeshim.control_plane.api_server import config as configuration
from kubeshim.control_plane.api_server import locks, metrics
from kubeshim.control_plane.api_server.admission import plugin
from kubeshim.control_plane.api_server.admission.plugins import (
    certificate_approval,
    certificate_requester,
    certificate_signing,
    certificate_subject_restriction,
    cluster_trust_bundle_attest,
    default_ingress_class,
    default_storage_class,
    default_toleration_seconds,
    limit_ranger,
    namespace_lifecycle,
    node_restriction,
    owner_references_permission_enforcement,
    persistent_volume_claim_resize,
    pod_resize_validator,
    pod_security,
    pod_topology_labels,
    priority,
    resource_quota,
    role_escalation,
    runtime_class,
    service_account,
    storage_object_in_use_protection,
    taint_nodes_by_condition,
)
from kubeshim.control_plane.api_server.admission.policies import mutating as mutating_policies
from kubeshim.control_plane.api_server.admission.policies import validating as validating_policies
from kubeshim.control_plane.api_server.admission.webhooks import mutating as mutating_webhooks
from kubeshim.control_plane.api_server.admission.webhooks import validating as validating_webhooks
from kubeshim.machinery import managed_fields, objects, resources

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers


_INVALID = (
    ".metadata.managedFields was in an invalid state after admission; this could be caused by an outdated mutating "
    "admission controller; please fix your requests"
)


class Host(Protocol):
    """What plugins need of the server they work for."""

    authorizer: Any
    """Is set after admission is built."""

    @property
    def config(self) -> configuration.Config: ...

    @property
    def registry(self) -> resources.Registry: ...

    @property
    def client(self) -> resource_quota.Writer: ...

    @property
    def locks(self) -> locks.Locks: ...

    @property
    def clock(self) -> clock.Clock: ...

    @property
    def metrics(self) -> metrics.Metrics: ...


def _whole(server: Host) -> "servers.Server":
    """For plugins that bring other servers' words in: they need everything."""
    return cast("servers.Server", server)


Step = tuple[str, Callable[[plugin.Attributes, plugin.Reader], None]]
"""A plugin's name, and what asks it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """``make`` builds the plugin for a server; one that is not ``default`` must be asked for."""

    name: str
    make: Callable[[Host], Any]
    default: bool = True


PLUGINS: tuple[Entry, ...] = (
    Entry("NamespaceLifecycle", lambda server: namespace_lifecycle.NamespaceLifecycle()),
    Entry("LimitRanger", lambda server: limit_ranger.LimitRanger()),
    Entry("ServiceAccount", lambda server: service_account.ServiceAccount(gevent.sleep)),
    Entry("NodeRestriction", lambda server: node_restriction.NodeRestriction(lambda: server.authorizer)),
    Entry("TaintNodesByCondition", lambda server: taint_nodes_by_condition.TaintNodesByCondition()),
    Entry("PodSecurity", lambda server: pod_security.PodSecurity()),
    Entry("Priority", lambda server: priority.Priority()),
    Entry(
        "DefaultTolerationSeconds",
        lambda server: default_toleration_seconds.DefaultTolerationSeconds(
            server.config.default_not_ready_toleration, server.config.default_unreachable_toleration
        ),
    ),
    Entry("DefaultStorageClass", lambda server: default_storage_class.DefaultStorageClass()),
    Entry(
        "StorageObjectInUseProtection",
        lambda server: storage_object_in_use_protection.StorageObjectInUseProtection(),
    ),
    Entry(
        "OwnerReferencesPermissionEnforcement",
        lambda server: owner_references_permission_enforcement.OwnerReferencesPermissionEnforcement(
            server.registry, lambda: server.authorizer
        ),
        default=False,
    ),
    Entry("PersistentVolumeClaimResize", lambda server: persistent_volume_claim_resize.PersistentVolumeClaimResize()),
    Entry("RuntimeClass", lambda server: runtime_class.RuntimeClass()),
    Entry("CertificateApproval", lambda server: certificate_approval.CertificateApproval(lambda: server.authorizer)),
    Entry("CertificateSigning", lambda server: certificate_signing.CertificateSigning(lambda: server.authorizer)),
    Entry(
        "ClusterTrustBundleAttest",
        lambda server: cluster_trust_bundle_attest.ClusterTrustBundleAttest(lambda: server.authorizer),
    ),
    Entry(
        "CertificateSubjectRestriction",
        lambda server: certificate_subject_restriction.CertificateSubjectRestriction(),
    ),
    Entry("DefaultIngressClass", lambda server: default_ingress_class.DefaultIngressClass()),
    Entry("PodTopologyLabels", lambda server: pod_topology_labels.PodTopologyLabels()),
    Entry("PodResizeValidator", lambda server: pod_resize_validator.PodResizeValidator()),
    Entry("MutatingAdmissionPolicy", lambda server: mutating_policies.MutatingAdmissionPolicy(_whole(server))),
    Entry("MutatingAdmissionWebhook", lambda server: mutating_webhooks.MutatingAdmissionWebhook(_whole(server))),
    Entry("CertificateRequester", lambda server: certificate_requester.CertificateRequester()),
    Entry("RoleEscalation", lambda server: role_escalation.RoleEscalation(lambda: server.authorizer)),
    Entry("ValidatingAdmissionPolicy", lambda server: validating_policies.ValidatingAdmissionPolicy(_whole(server))),
    Entry("ValidatingAdmissionWebhook", lambda server: validating_webhooks.ValidatingAdmissionWebhook(_whole(server))),
    Entry(
        "ResourceQuota",
        lambda server: resource_quota.ResourceQuota(server.client, server.locks.of, server.clock),
    ),
)


class Chain:
    """The plugins that are on, bound to one server."""

    def __init__(self, reader: plugin.Reader, config: configuration.Config, server: Host) -> None:
        """Raises ``ValueError`` for names nobody knows."""
        self._reader = reader
        self._plugins = [(entry.name, entry.make(server)) for entry in _chosen(config)]
        self._rechecks = [one.recheck for _, one in self._plugins if hasattr(one, "recheck")]
        self._admitted = server.metrics.admitted
        self._by_type: dict[str, tuple[list[Step], list[Step]]] = {}

    def mutate(self, attributes: plugin.Attributes) -> None:
        """Lets plugins change ``attributes.object``. Raises ``errors.APIStatusError`` to refuse."""
        steps = self._steps(attributes.resource.group_resource)[0]
        before = _managed(attributes.object)
        self._ask("admit", steps, attributes)
        if attributes.reinvocation.wanted:
            attributes.reinvocation.second = True
            self._ask("admit", steps, attributes)
        after = _managed(attributes.object)
        if after is not before and (problem := managed_fields.problem(after)):
            assert attributes.object is not None
            attributes.object["metadata"]["managedFields"] = before or []
            attributes.warnings.append(f"{_INVALID}: {problem}")

    def validate(self, attributes: plugin.Attributes) -> None:
        """Raises ``errors.APIStatusError`` to refuse."""
        self._ask("validate", self._steps(attributes.resource.group_resource)[1], attributes)

    def recheck(self, attributes: plugin.Attributes) -> None:
        """Right before the write: what may have become otherwise while other servers were asked. Raises as above."""
        for check in self._rechecks:
            check(attributes, self._reader)

    def _ask(self, kind: str, steps: Sequence[Step], attributes: plugin.Attributes) -> None:
        operation, reader, admitted, now = attributes.operation, self._reader, self._admitted, time.perf_counter
        name, rejected, first = "", True, now()
        began = first
        try:
            for name, step in steps:
                step(attributes, reader)
                ended = now()
                admitted(name, kind, operation, False, ended - began)
                began = ended
            rejected = False
        finally:
            if rejected:
                admitted(name, kind, operation, True, now() - began)
            admitted("", kind, operation, rejected, now() - first)

    def asks_others(self) -> bool:
        """Whether a write may wait for other servers' words."""
        return any(one.waits for _, one in self._plugins if hasattr(one, "waits"))

    def _steps(self, group_resource: str) -> tuple[list[Step], list[Step]]:
        """The plugins that look at objects of a type."""
        steps = self._by_type.get(group_resource)
        if steps is None:
            concerned = [(name, one) for name, one in self._plugins if _concerns(one, group_resource)]
            steps = self._by_type[group_resource] = (
                [(name, one.admit) for name, one in concerned if hasattr(one, "admit")],
                [(name, one.validate) for name, one in concerned if hasattr(one, "validate")],
            )
        return steps


def _managed(obj: objects.Object | None) -> Any:
    return ((obj or {}).get("metadata") or {}).get("managedFields")


def _concerns(one: Any, group_resource: str) -> bool:
    """A plugin with ``resources`` (``deployments.apps``, ``pods``) is asked about those only."""
    types = getattr(one, "resources", None)
    return types is None or group_resource in types


def _chosen(config: configuration.Config) -> list[Entry]:
    known = {entry.name for entry in PLUGINS}
    for option, names in (
        ("enable-admission-plugins", config.enabled_admission_plugins),
        ("disable-admission-plugins", config.disabled_admission_plugins),
    ):
        for name in names:
            if name not in known:
                raise ValueError(f'{option} plugin "{name}" is unknown')
    return [
        entry
        for entry in PLUGINS
        if (entry.default or entry.name in config.enabled_admission_plugins)
        and entry.name not in config.disabled_admission_plugins
    ]
