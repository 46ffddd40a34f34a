"""How values of the API's Go structs look inside a message: all their fields, in their order, under their Go names.

Only the few structs that upstream's messages repeat as a whole. A shape says for each field its JSON name, its Go
name, and what stands there when the field is not given, or the shape of the struct that does.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from kubeshim.machinery.validation.fields import Struct


@dataclasses.dataclass(frozen=True, slots=True)
class Shape:
    """``pointers``: fields that are null when not given; ``zeros``: the others, with what they are then."""

    names: tuple[str, ...]
    zeros: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    nested: Mapping[str, "Shape"] = dataclasses.field(default_factory=dict)
    spelled: Mapping[str, str] = dataclasses.field(default_factory=dict)


def shown(shape: Shape, value: Mapping[str, Any]) -> Struct:
    """The struct that ``value`` was decoded into."""
    found = Struct()
    for name in shape.names:
        given = value.get(name)
        if given is None:
            given = shape.zeros.get(name)
        elif (inner := shape.nested.get(name)) is not None:
            given = listed(inner, given) if isinstance(given, list) else shown(inner, given)
        found[shape.spelled.get(name) or name[:1].upper() + name[1:]] = given
    return found


def listed(shape: Shape, values: Sequence[Mapping[str, Any]]) -> list[Struct]:
    return [shown(shape, value) for value in values]


_REQUIREMENT = Shape(("key", "operator", "values"), {"key": "", "operator": ""})
NODE_SELECTOR_TERM = Shape(
    ("matchExpressions", "matchFields"), nested={"matchExpressions": _REQUIREMENT, "matchFields": _REQUIREMENT}
)
VOLUME_NODE_AFFINITY = Shape(
    ("required",), nested={"required": Shape(("nodeSelectorTerms",), nested={"nodeSelectorTerms": NODE_SELECTOR_TERM})}
)
_PROFILE = Shape(("type", "localhostProfile"), {"type": ""})
SECCOMP_PROFILE = _PROFILE
_SELINUX = ("user", "role", "type", "level")
SECURITY_CONTEXT = Shape(
    (
        "capabilities", "privileged", "seLinuxOptions", "windowsOptions", "runAsUser", "runAsGroup", "runAsNonRoot",
        "readOnlyRootFilesystem", "allowPrivilegeEscalation", "procMount", "seccompProfile", "appArmorProfile",
    ),
    nested={
        "capabilities": Shape(("add", "drop")),
        "seLinuxOptions": Shape(_SELINUX, dict.fromkeys(_SELINUX, "")),
        "windowsOptions": Shape(
            ("gmsaCredentialSpecName", "gmsaCredentialSpec", "runAsUserName", "hostProcess"),
            spelled={
                "gmsaCredentialSpecName": "GMSACredentialSpecName", "gmsaCredentialSpec": "GMSACredentialSpec",
            },
        ),
        "seccompProfile": _PROFILE,
        "appArmorProfile": _PROFILE,
    },
    spelled={"seLinuxOptions": "SELinuxOptions"},
)  # fmt: skip
POD_RESOURCE_CLAIM = Shape(("name", "resourceClaimName", "resourceClaimTemplateName"), {"name": ""})
SERVICE_PORT = Shape(
    ("name", "protocol", "appProtocol", "port", "targetPort", "nodePort"),
    {"name": "", "protocol": "", "port": 0, "targetPort": 0, "nodePort": 0},
)
TAINT = Shape(("key", "value", "effect", "timeAdded"), {"key": "", "value": "", "effect": ""})
POD_IP = Shape(("ip",), {"ip": ""}, spelled={"ip": "IP"})
NODE_ADDRESS = Shape(("type", "address"), {"type": "", "address": ""})
CLUSTER_TRUST_BUNDLE = Shape(("name", "signerName", "labelSelector", "optional", "path"), {"path": ""})
SCOPE_SELECTOR = Shape(
    ("matchExpressions",),
    nested={"matchExpressions": Shape(("scopeName", "operator", "values"), {"scopeName": "", "operator": ""})},
)
EVICTION_RESPONDER = Shape(("name", "priority"), {"name": ""})
_ROLLING = Shape(("maxUnavailable", "maxSurge"), {"maxUnavailable": 0, "maxSurge": 0})
DEPLOYMENT_STRATEGY = Shape(("type", "rollingUpdate"), {"type": ""}, {"rollingUpdate": _ROLLING})
STATEFUL_ROLLING = Shape(("partition", "maxUnavailable"), {"partition": 0})
STATEFUL_STRATEGY = Shape(("type", "rollingUpdate"), {"type": ""}, {"rollingUpdate": STATEFUL_ROLLING})
PARENT_REFERENCE = Shape(
    ("group", "resource", "namespace", "name"), dict.fromkeys(("group", "resource", "namespace", "name"), "")
)
_SUCCESS_RULE = Shape(("succeededIndexes", "succeededCount"))
SUCCESS_POLICY = Shape(("rules",), nested={"rules": _SUCCESS_RULE})
_FAILURE_RULE = Shape(
    ("action", "onExitCodes", "onPodConditions"),
    {"action": ""},
    {
        "onExitCodes": Shape(("containerName", "operator", "values"), {"operator": ""}),
        "onPodConditions": Shape(("type", "status"), {"type": "", "status": ""}),
    },
)
FAILURE_POLICY = Shape(("rules",), nested={"rules": _FAILURE_RULE})
UNCOUNTED_PODS = Shape(("succeeded", "failed"))
DISRUPTION_BUDGET = Shape(("minAvailable", "selector", "maxUnavailable", "unhealthyPodEvictionPolicy"))
TOLERATION = Shape(
    ("key", "operator", "value", "effect", "tolerationSeconds"),
    dict.fromkeys(("key", "operator", "value", "effect"), ""),
)
CSI_NODE_DRIVER = Shape(
    ("name", "nodeID", "topologyKeys", "allocatable"), {"name": "", "nodeID": ""}, {"allocatable": Shape(("count",))}
)
VOLUME_ATTACHMENT = Shape(
    ("attacher", "source", "nodeName"),
    {"attacher": "", "nodeName": ""},
    {"source": Shape(("persistentVolumeName", "inlineVolumeSpec"))},
)
ROLE_REFERENCE = Shape(
    ("apiGroup", "kind", "name"), dict.fromkeys(("apiGroup", "kind", "name"), ""), spelled={"apiGroup": "APIGroup"}
)
_REFERENCE = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
OBJECT_REFERENCE = Shape(_REFERENCE, dict.fromkeys(_REFERENCE, ""), spelled={"uid": "UID", "apiVersion": "APIVersion"})
EVENT_SOURCE = Shape(("component", "host"), {"component": "", "host": ""})
