"""The Go names of types, which decoding errors mention.

The published definitions say ``string``; upstream's struct says ``v1.PullPolicy``. Names of structs, lists and maps
follow from the definitions; of the named texts, those people get wrong most are listed.
"""

from kubeshim.machinery.schemas import Schema

_NAMED: dict[str, dict[str, str]] = {
    "PodSpec": {"restartPolicy": "v1.RestartPolicy", "dnsPolicy": "v1.DNSPolicy"},
    "Container": {
        "imagePullPolicy": "v1.PullPolicy",
        "terminationMessagePolicy": "v1.TerminationMessagePolicy",
        "restartPolicy": "v1.ContainerRestartPolicy",
    },
    "ContainerPort": {"protocol": "v1.Protocol"},
    "ServicePort": {"protocol": "v1.Protocol"},
    "ServiceSpec": {
        "type": "v1.ServiceType",
        "sessionAffinity": "v1.ServiceAffinity",
        "externalTrafficPolicy": "v1.ServiceExternalTrafficPolicy",
    },
    "HTTPGetAction": {"scheme": "v1.URIScheme"},
    "Toleration": {"operator": "v1.TolerationOperator", "effect": "v1.TaintEffect"},
    "Taint": {"effect": "v1.TaintEffect"},
    "ObjectMeta": {"uid": "types.UID"},
    "OwnerReference": {"uid": "types.UID"},
    "Secret": {"type": "v1.SecretType"},
    "DeploymentStrategy": {"type": "v1.DeploymentStrategyType"},
    "CronJobSpec": {"concurrencyPolicy": "v1.ConcurrencyPolicy"},
    "EmptyDirVolumeSource": {"medium": "v1.StorageMedium"},
    "PersistentVolumeSpec": {"persistentVolumeReclaimPolicy": "v1.PersistentVolumeReclaimPolicy"},
    "LabelSelectorRequirement": {"operator": "v1.LabelSelectorOperator"},
    "NodeSelectorRequirement": {"operator": "v1.NodeSelectorOperator"},
}

_SCALARS = {
    "string": "string",
    "boolean": "bool",
    "number": "float64",
    "quantity": "resource.Quantity",
    "int-or-string": "intstr.IntOrString",
    "time": "v1.Time",
    "micro-time": "v1.MicroTime",
    "bytes": "[]uint8",
    "any": "runtime.RawExtension",
    "fields": "v1.FieldsV1",
}


def struct(schema: Schema) -> str:
    """``Container``; empty where the definition has no name."""
    return schema.definition.rpartition(".")[2]


def field(struct_name: str, key: str) -> str:
    """The named text type of a field, or nothing where it is a plain string."""
    return _NAMED.get(struct_name, {}).get(key, "")


def name(schema: Schema) -> str:
    """``v1.Container``, ``[]v1.Container``, ``map[string]string``, ``int32`` …"""
    if schema.definition and schema.kind == "object":
        version, _, kind = schema.definition.rpartition(".")
        return f"{version.rpartition('.')[2]}.{kind}"
    match schema.kind:
        case "integer":
            return "int64" if schema.format == "int64" else "int32"
        case "array":
            return "[]" + (name(schema.items) if schema.items else "string")
        case "map":
            if schema.values is not None and schema.values.kind == "quantity":
                return "v1.ResourceList"
            return "map[string]" + (name(schema.values) if schema.values else "string")
    return _SCALARS.get(schema.kind, schema.kind)
