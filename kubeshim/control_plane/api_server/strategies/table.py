"""Which strategy goes by which name in ``schemas/resources/*.yaml``: the whole list."""

from collections.abc import Iterable

from kubeshim.control_plane.api_server.custom_resources import catalog
from kubeshim.control_plane.api_server.strategies import (
    canonical,
    certificatesigningrequest,
    custom,
    customresourcedefinition,
    daemonset,
    default,
    deployment,
    devices,
    event,
    horizontalpodautoscaler,
    job,
    namespace,
    node,
    persistentvolume,
    persistentvolumeclaim,
    pod,
    podcertificaterequest,
    policies,
    priorityclass,
    resourceclaim,
    service,
)
from kubeshim.control_plane.api_server.strategies import strategy as strategies
from kubeshim.control_plane.api_server.strategies.checked import Checked
from kubeshim.machinery.validation import (
    admission_policies,
    certificates,
    claims,
    cluster_ranges,
    core,
    cron_jobs,
    device_claims,
    device_slices,
    endpoints,
    flow_control,
    limits,
    network_policies,
    networking,
    others,
    persistent_volumes,
    pod_certificates,
    pod_warnings,
    pods,
    rbac,
    stateful_sets,
    storage,
    storage_classes,
    storage_migration,
    webhooks,
    workload_status,
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
        workloads.deployment,
        None,
        workload_status.deployment,
        change=workloads.deployment_change,
        warn=pod_warnings.workload,
        status={},
        # Annotations are copied to ReplicaSets, so they count, too.
        counted_metadata=("annotations",),
    ),
    "replicaset": Checked(
        workloads.replica_set,
        None,
        workload_status.replica_set,
        change=workloads.replica_set_change,
        warn=pod_warnings.workload,
        status={"replicas": 0},
    ),
    "controllerrevision": Checked(workloads.controller_revision, workloads.controller_revision_update),
    "podtemplate": Checked(lambda obj: pods.template(obj.get("template"), "template"), warn=pod_warnings.pod_template),
    "replicationcontroller": Checked(
        workloads.replication_controller,
        None,
        workload_status.replica_set,
        change=workloads.replication_controller_change,
        warn=pod_warnings.replication_controller,
        status={"replicas": 0},
        orphans=True,
    ),
    "statefulset": Checked(
        stateful_sets.stateful_set,
        None,
        workload_status.stateful_set,
        change=stateful_sets.change,
        warn=stateful_sets.warn,
        status={"replicas": 0, "availableReplicas": 0},
    ),
    "daemonset": daemonset.DaemonSet(
        workloads.daemon_set,
        None,
        workload_status.daemon_set,
        change=workloads.daemon_set_change,
        warn=pod_warnings.workload,
        status=_DAEMON_STATUS,
    ),
    "cronjob": Checked(cron_jobs.create, change=cron_jobs.change, warn=cron_jobs.warn, status={}),
    "configmap": Checked(core.config_map, change=core.config_map_change),
    "secret": Checked(core.secret, change=core.secret_change, warn=core.warn_secret),
    "serviceaccount": canonical.ServiceAccount(warn=core.warn_service_account),
    "endpoints": canonical.Endpoints(
        endpoints.endpoints, change=endpoints.endpoints, warn=endpoints.warn, create_on_update=True
    ),
    "endpointslice": canonical.EndpointSlice(
        endpoints.endpoint_slice,
        change=endpoints.endpoint_slice_update,
        warn=endpoints.warn_slice,
        counted_metadata=("labels",),
    ),
    "persistentvolume": persistentvolume.PersistentVolume(
        persistent_volumes.volume, persistent_volumes.update, warn=persistent_volumes.warn
    ),
    "persistentvolumeclaim": persistentvolumeclaim.PersistentVolumeClaim(
        claims.claim, claims.update, claims.status, warn=claims.warn, status={"phase": "Pending"}
    ),
    "resourcequota": Checked(
        limits.resource_quota, limits.resource_quota_update, limits.resource_quota_status, status={}
    ),
    "limitrange": canonical.LimitRange(limits.limit_range, create_on_update=True),
    "ingress": Checked(
        networking.ingress,
        None,
        networking.ingress_status,
        create=networking.ingress_create,
        warn=networking.warn_ingress,
        status={"loadBalancer": {}},
    ),
    "ingressclass": Checked(networking.ingress_class, networking.ingress_class_update),
    "networkpolicy": Checked(
        network_policies.network_policy, change=network_policies.network_policy, warn=network_policies.warn
    ),
    "role": Checked(rbac.role, create_on_update=True),
    "clusterrole": Checked(rbac.cluster_role, create_on_update=True),
    "rolebinding": Checked(rbac.role_binding, rbac.binding_update, create_on_update=True),
    "clusterrolebinding": Checked(rbac.cluster_role_binding, rbac.binding_update, create_on_update=True),
    "lease": Checked(others.lease, create_on_update=True, unconditional=False),
    "priorityclass": priorityclass.PriorityClass(others.priority_class, change=others.priority_class_update),
    "storageclass": Checked(
        storage_classes.storage_class, storage_classes.storage_class_update, warn=storage_classes.warn_storage_class
    ),
    "poddisruptionbudget": Checked(
        others.disruption_budget, None, others.disruption_status, status=_BUDGET_STATUS, unconditional=False
    ),
    "runtimeclass": Checked(
        others.runtime_class,
        change=others.runtime_class_update,
        warn=others.warn_runtime_class,
        create_on_update=True,
        unconditional=False,
    ),
    "webhookconfiguration": Checked(
        create=lambda obj: webhooks.configuration(obj) + admission_policies.not_static(obj),
        validate_update=webhooks.configuration_update,
        unconditional=False,
    ),
    "validatingadmissionpolicy": policies.Policy(
        admission_policies.validating,
        None,
        admission_policies.validating_status,
        create=admission_policies.not_static,
        status={},
        unconditional=False,
    ),
    "validatingadmissionpolicybinding": policies.Binding(
        admission_policies.validating_binding, create=admission_policies.not_static, unconditional=False
    ),
    "mutatingadmissionpolicy": policies.Policy(
        admission_policies.mutating, create=admission_policies.not_static, unconditional=False
    ),
    "mutatingadmissionpolicybinding": policies.Binding(
        admission_policies.mutating_binding, create=admission_policies.not_static, unconditional=False
    ),
    "flowschema": Checked(flow_control.flow_schema, None, flow_control.status, status={}),
    "prioritylevelconfiguration": Checked(flow_control.priority_level, None, flow_control.status, status={}),
    "clustertrustbundle": Checked(
        certificates.trust_bundle,
        certificates.trust_bundle_update,
        create=certificates.trust_bundle_create,
        unconditional=False,
    ),
    "podcertificaterequest": podcertificaterequest.PodCertificateRequest(
        None,
        certificates.pod_request_update,
        pod_certificates.status,
        create=certificates.pod_request,
        status={},
        unconditional=False,
    ),
    "servicecidr": Checked(cluster_ranges.service_cidr, change=cluster_ranges.service_cidr_update, status={}),
    "ipaddress": canonical.IPAddress(cluster_ranges.address, change=cluster_ranges.address_update),
    "deviceclass": Checked(device_claims.device_class, change=device_claims.device_class),
    "resourceclaim": resourceclaim.ResourceClaim(
        None, device_claims.claim_update, device_claims.claim_status, create=device_claims.claim_create, status={}
    ),
    "resourceclaimtemplate": resourceclaim.ResourceClaimTemplate(
        None, device_claims.template_update, create=device_claims.template_create
    ),
    "resourceslice": devices.ResourceSlice(
        device_slices.resource_slice, change=device_slices.resource_slice, warn=device_slices.warn_slice
    ),
    "devicetaintrule": devices.DeviceTaintRule(
        device_slices.taint_rule,
        None,
        device_slices.taint_rule_status,
        change=device_slices.taint_rule,
        status={},
        unconditional=False,
    ),
    "csidriver": Checked(storage.csi_driver, storage.csi_driver_update, unconditional=False, first_generation=0),
    "csinode": Checked(storage.csi_node, storage.csi_node_update, unconditional=False),
    "csistoragecapacity": Checked(
        storage.storage_capacity,
        storage.storage_capacity_update,
        warn=storage.warn_storage_capacity,
        unconditional=False,
    ),
    "volumeattachment": Checked(
        storage.attachment,
        storage.attachment_update,
        storage.attachment_status,
        create=storage.attachment_create,
        status={"attached": False},
        unconditional=False,
    ),
    "volumeattributesclass": Checked(storage_classes.attributes_class, change=storage_classes.attributes_class_change),
    "storageversionmigration": Checked(
        storage_migration.migration,
        storage_migration.migration_update,
        storage_migration.migration_status,
        status={},
        unconditional=False,
    ),
    "apiservice": canonical.APIService(others.api_service, status={}, unconditional=False),
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
