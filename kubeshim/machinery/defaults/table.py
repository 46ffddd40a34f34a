"""Which kind gets which defaults: the whole list."""

from collections.abc import Callable

from kubeshim.machinery import objects, resources
from kubeshim.machinery.defaults import core, others, pods, workloads

Setter = Callable[[objects.Object], None]

_BY_GROUP_VERSION: dict[str, dict[str, Setter]] = {
    "v1": {
        "Pod": pods.pod,
        "PodTemplate": pods.pod_template,
        "Service": core.service,
        "Endpoints": core.endpoints,
        "Secret": core.secret,
        "Namespace": core.namespace,
        "Node": core.node,
        "PersistentVolume": core.persistent_volume,
        "PersistentVolumeClaim": core.persistent_volume_claim,
        "LimitRange": core.limit_range,
        "ReplicationController": core.replication_controller,
    },
    "apps/v1": {
        "Deployment": workloads.deployment,
        "ReplicaSet": workloads.replica_set,
        "StatefulSet": workloads.stateful_set,
        "DaemonSet": workloads.daemon_set,
    },
    "batch/v1": {"Job": workloads.job, "CronJob": workloads.cron_job},
    "autoscaling/v1": {"HorizontalPodAutoscaler": workloads.autoscaler_v1},
    "autoscaling/v2": {"HorizontalPodAutoscaler": workloads.autoscaler_v2},
    "networking.k8s.io/v1": {"NetworkPolicy": others.network_policy, "IngressClass": others.ingress_class},
    "discovery.k8s.io/v1": {"EndpointSlice": others.endpoint_slice},
    "rbac.authorization.k8s.io/v1": {
        "RoleBinding": others.role_binding,
        "ClusterRoleBinding": others.role_binding,
    },
    "storage.k8s.io/v1": {"StorageClass": others.storage_class, "CSIDriver": others.csi_driver},
    "scheduling.k8s.io/v1": {"PriorityClass": others.priority_class},
    "admissionregistration.k8s.io/v1": {
        "ValidatingWebhookConfiguration": others.validating_webhooks,
        "MutatingWebhookConfiguration": others.mutating_webhooks,
        "ValidatingAdmissionPolicy": others.admission_policy,
        "ValidatingAdmissionPolicyBinding": others.admission_policy_binding,
        "MutatingAdmissionPolicy": others.admission_policy,
        "MutatingAdmissionPolicyBinding": others.admission_policy_binding,
    },
    "apiregistration.k8s.io/v1": {"APIService": others.api_service},
    "apiextensions.k8s.io/v1": {"CustomResourceDefinition": others.custom_resource_definition},
    "flowcontrol.apiserver.k8s.io/v1": {
        "FlowSchema": others.flow_schema,
        "PriorityLevelConfiguration": others.priority_level,
    },
    "certificates.k8s.io/v1": {"PodCertificateRequest": others.pod_certificate_request},
    "resource.k8s.io/v1": {
        "ResourceClaim": others.resource_claim,
        "ResourceClaimTemplate": others.resource_claim_template,
    },
}

TABLE: dict[resources.GroupVersionKind, Setter] = {
    resources.GroupVersionKind(*resources.split_api_version(group_version), kind): setter
    for group_version, kinds in _BY_GROUP_VERSION.items()
    for kind, setter in kinds.items()
}
