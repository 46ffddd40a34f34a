"""Which strategy goes by which name in ``schemas/resources/*.yaml``: the whole list."""

from collections.abc import Iterable

from kubeshim.control_plane.api_server.custom_resources import catalog
from kubeshim.control_plane.api_server.strategies import (
    certificatesigningrequest,
    custom,
    customresourcedefinition,
    default,
    deployment,
    devices,
    event,
    horizontalpodautoscaler,
    job,
    namespace,
    node,
    pod,
    priorityclass,
    service,
)
from kubeshim.control_plane.api_server.strategies import strategy as strategies
from kubeshim.control_plane.api_server.strategies.checked import Checked
from kubeshim.machinery.validation import (
    admission_policies,
    certificates,
    cluster_ranges,
    core,
    device_claims,
    device_slices,
    flow_control,
    jobs,
    networking,
    others,
    pod_certificates,
    pods,
    rbac,
    services,
    storage,
    storage_migration,
    webhooks,
    workloads,
)

_DAEMON_STATUS = {
    "currentNumberScheduled": 0, "numberMisscheduled": 0, "desiredNumberScheduled": 0, "numberReady": 0,
}  # fmt: skip
_BUDGET_STATUS = {"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0}

_STRATEGIES: dict[str, strategies.Strategy] = {
    "default": default.Default(),
    "guarded": default.Guarded(),
    "pod": pod.Pod(),
    "namespace": namespace.Namespace(),
    "node": node.Node(),
    "job": job.Job(),
    "event": event.Event(),
    "horizontalpodautoscaler": horizontalpodautoscaler.HorizontalPodAutoscaler(),
    "certificatesigningrequest": certificatesigningrequest.CertificateSigningRequest(),
    "deployment": deployment.Deployment(
        # Annotations are copied to ReplicaSets, so they count, too.
        workloads.deployment,
        workloads.immutable_selector,
        status={},
        counted_metadata=("annotations",),
    ),
    "replicaset": Checked(workloads.replica_set, workloads.immutable_selector, status={"replicas": 0}),
    "controllerrevision": Checked(workloads.controller_revision, workloads.controller_revision_update),
    "podtemplate": Checked(lambda obj: pods.template(obj.get("template"), "template")),
    "replicationcontroller": Checked(workloads.replication_controller, status={"replicas": 0}, orphans=True),
    "statefulset": Checked(
        workloads.stateful_set, workloads.stateful_set_update, status={"replicas": 0, "availableReplicas": 0}
    ),
    "daemonset": Checked(workloads.daemon_set, workloads.immutable_selector, status=_DAEMON_STATUS),
    "cronjob": Checked(jobs.cron_job, status={}),
    "configmap": Checked(core.config_map, core.config_map_update),
    "secret": Checked(core.secret, core.secret_update),
    "serviceaccount": Checked(),
    "endpoints": Checked(services.endpoints, create_on_update=True),
    "endpointslice": Checked(services.endpoint_slice, services.endpoint_slice_update, counted_metadata=("labels",)),
    "persistentvolume": Checked(core.volume, core.volume_update, status={"phase": "Pending"}),
    "persistentvolumeclaim": Checked(core.claim, core.claim_update, status={"phase": "Pending"}),
    "resourcequota": Checked(core.resource_quota, core.resource_quota_update, status={}),
    "limitrange": Checked(core.limit_range, create_on_update=True),
    "ingress": Checked(networking.ingress, create=networking.ingress_create, status={"loadBalancer": {}}),
    "ingressclass": Checked(networking.ingress_class, networking.ingress_class_update),
    "networkpolicy": Checked(networking.network_policy),
    "role": Checked(rbac.role, create_on_update=True),
    "clusterrole": Checked(rbac.cluster_role, create_on_update=True),
    "rolebinding": Checked(rbac.role_binding, rbac.binding_update, create_on_update=True),
    "clusterrolebinding": Checked(rbac.cluster_role_binding, rbac.binding_update, create_on_update=True),
    "lease": Checked(others.lease, create_on_update=True, unconditional=False),
    "priorityclass": priorityclass.PriorityClass(others.priority_class, others.priority_class_update),
    "storageclass": Checked(others.storage_class, others.storage_class_update),
    "poddisruptionbudget": Checked(others.disruption_budget, status=_BUDGET_STATUS, unconditional=False),
    "runtimeclass": Checked(others.runtime_class, others.runtime_class_update, unconditional=False),
    "webhookconfiguration": Checked(
        create=webhooks.configuration, validate_update=webhooks.configuration_update, unconditional=False
    ),
    "validatingadmissionpolicy": Checked(
        admission_policies.validating, None, admission_policies.validating_status, status={}, unconditional=False
    ),
    "validatingadmissionpolicybinding": Checked(admission_policies.validating_binding, unconditional=False),
    "mutatingadmissionpolicy": Checked(admission_policies.mutating, unconditional=False),
    "mutatingadmissionpolicybinding": Checked(admission_policies.mutating_binding, unconditional=False),
    "flowschema": Checked(flow_control.flow_schema, None, flow_control.status, status={}),
    "prioritylevelconfiguration": Checked(flow_control.priority_level, None, flow_control.status, status={}),
    "clustertrustbundle": Checked(
        certificates.trust_bundle,
        certificates.trust_bundle_update,
        create=certificates.trust_bundle_create,
        unconditional=False,
    ),
    "podcertificaterequest": Checked(
        None,
        certificates.pod_request_update,
        pod_certificates.status,
        create=certificates.pod_request,
        status={},
        unconditional=False,
    ),
    "servicecidr": Checked(cluster_ranges.service_cidr, cluster_ranges.service_cidr_update, status={}),
    "ipaddress": Checked(cluster_ranges.address, cluster_ranges.address_update),
    "deviceclass": Checked(device_claims.device_class),
    "resourceclaim": Checked(
        None, device_claims.immutable_spec, device_claims.claim_status, create=device_claims.claim_create, status={}
    ),
    "resourceclaimtemplate": Checked(None, device_claims.immutable_spec, create=device_claims.template_create),
    "resourceslice": devices.ResourceSlice(device_slices.resource_slice, device_slices.resource_slice_update),
    "devicetaintrule": devices.DeviceTaintRule(
        device_slices.taint_rule, None, device_slices.taint_rule_status, status={}
    ),
    "csidriver": Checked(storage.csi_driver, storage.csi_driver_update, unconditional=False, first_generation=0),
    "csinode": Checked(storage.csi_node, storage.csi_node_update, unconditional=False),
    "csistoragecapacity": Checked(storage.storage_capacity, storage.storage_capacity_update, unconditional=False),
    "volumeattachment": Checked(
        storage.attachment,
        storage.attachment_update,
        storage.attachment_status,
        create=storage.attachment_create,
        status={"attached": False},
        unconditional=False,
    ),
    "volumeattributesclass": Checked(storage.attributes_class, storage.attributes_class_update),
    "storageversionmigration": Checked(
        storage_migration.migration,
        storage_migration.migration_update,
        storage_migration.migration_status,
        status={},
        unconditional=False,
    ),
    "apiservice": Checked(others.api_service, status={}, unconditional=False),
    "customresourcedefinition": customresourcedefinition.CustomResourceDefinition(),
}


def table(
    service_ranges: Iterable[str], node_ports: tuple[int, int], types: catalog.Catalog | None = None
) -> dict[str, strategies.Strategy]:
    """All of them for one server; the Service's depends on its ranges, that of custom resources on their types."""
    made: dict[str, strategies.Strategy] = {**_STRATEGIES, "service": service.Service(service_ranges, node_ports)}
    if types is not None:
        made["custom"] = custom.Custom(types.get, types.from_storage, types.conversions.convert)
    return made


def service_strategy(made: dict[str, strategies.Strategy]) -> service.Service:
    """The Service's of a table."""
    found = made["service"]
    assert isinstance(found, service.Service)
    return found
