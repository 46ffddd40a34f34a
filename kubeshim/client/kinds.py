"""Names of the built-in types that components use."""

from kubeshim.machinery.resources import GroupVersionResource

CONFIG_MAPS = GroupVersionResource("", "v1", "configmaps")
ENDPOINTS = GroupVersionResource("", "v1", "endpoints")
EVENTS = GroupVersionResource("", "v1", "events")
SERIES_EVENTS = GroupVersionResource("events.k8s.io", "v1", "events")
"""The same objects in their newer form."""
LIMIT_RANGES = GroupVersionResource("", "v1", "limitranges")
NAMESPACES = GroupVersionResource("", "v1", "namespaces")
NODES = GroupVersionResource("", "v1", "nodes")
PERSISTENT_VOLUME_CLAIMS = GroupVersionResource("", "v1", "persistentvolumeclaims")
PERSISTENT_VOLUMES = GroupVersionResource("", "v1", "persistentvolumes")
POD_TEMPLATES = GroupVersionResource("", "v1", "podtemplates")
PODS = GroupVersionResource("", "v1", "pods")
REPLICATION_CONTROLLERS = GroupVersionResource("", "v1", "replicationcontrollers")
RESOURCE_QUOTAS = GroupVersionResource("", "v1", "resourcequotas")
SECRETS = GroupVersionResource("", "v1", "secrets")
SERVICE_ACCOUNTS = GroupVersionResource("", "v1", "serviceaccounts")
SERVICES = GroupVersionResource("", "v1", "services")

VALIDATING_ADMISSION_POLICIES = GroupVersionResource(
    "admissionregistration.k8s.io", "v1", "validatingadmissionpolicies"
)

CONTROLLER_REVISIONS = GroupVersionResource("apps", "v1", "controllerrevisions")
DAEMON_SETS = GroupVersionResource("apps", "v1", "daemonsets")
DEPLOYMENTS = GroupVersionResource("apps", "v1", "deployments")
REPLICA_SETS = GroupVersionResource("apps", "v1", "replicasets")
STATEFUL_SETS = GroupVersionResource("apps", "v1", "statefulsets")

CRON_JOBS = GroupVersionResource("batch", "v1", "cronjobs")
JOBS = GroupVersionResource("batch", "v1", "jobs")

HORIZONTAL_POD_AUTOSCALERS = GroupVersionResource("autoscaling", "v2", "horizontalpodautoscalers")
CERTIFICATE_SIGNING_REQUESTS = GroupVersionResource("certificates.k8s.io", "v1", "certificatesigningrequests")
POD_CERTIFICATE_REQUESTS = GroupVersionResource("certificates.k8s.io", "v1", "podcertificaterequests")
LEASES = GroupVersionResource("coordination.k8s.io", "v1", "leases")
ENDPOINT_SLICES = GroupVersionResource("discovery.k8s.io", "v1", "endpointslices")
INGRESS_CLASSES = GroupVersionResource("networking.k8s.io", "v1", "ingressclasses")
INGRESSES = GroupVersionResource("networking.k8s.io", "v1", "ingresses")
NETWORK_POLICIES = GroupVersionResource("networking.k8s.io", "v1", "networkpolicies")
CLUSTER_TRUST_BUNDLES = GroupVersionResource("certificates.k8s.io", "v1", "clustertrustbundles")
RUNTIME_CLASSES = GroupVersionResource("node.k8s.io", "v1", "runtimeclasses")
POD_DISRUPTION_BUDGETS = GroupVersionResource("policy", "v1", "poddisruptionbudgets")
PRIORITY_CLASSES = GroupVersionResource("scheduling.k8s.io", "v1", "priorityclasses")

CLUSTER_ROLE_BINDINGS = GroupVersionResource("rbac.authorization.k8s.io", "v1", "clusterrolebindings")
CLUSTER_ROLES = GroupVersionResource("rbac.authorization.k8s.io", "v1", "clusterroles")
ROLE_BINDINGS = GroupVersionResource("rbac.authorization.k8s.io", "v1", "rolebindings")
ROLES = GroupVersionResource("rbac.authorization.k8s.io", "v1", "roles")

CSI_DRIVERS = GroupVersionResource("storage.k8s.io", "v1", "csidrivers")
CSI_NODES = GroupVersionResource("storage.k8s.io", "v1", "csinodes")
STORAGE_CLASSES = GroupVersionResource("storage.k8s.io", "v1", "storageclasses")
VOLUME_ATTRIBUTES_CLASSES = GroupVersionResource("storage.k8s.io", "v1", "volumeattributesclasses")
VOLUME_ATTACHMENTS = GroupVersionResource("storage.k8s.io", "v1", "volumeattachments")
