"""PersistentVolumes, claims, classes and what drivers tell."""
# ruff: noqa: E501 (texts stand as they are sent)

import copy

import pytest

from kubeshim.machinery import resources
from kubeshim.machinery.validation import claims, persistent_volumes, storage, storage_classes
from tests.machinery.validation import tables

CLAIM = resources.GroupVersionKind("", "v1", "PersistentVolumeClaim")
VOLUME = resources.GroupVersionKind("", "v1", "PersistentVolume")
STORAGE = ("storage.k8s.io", "v1")


def claim(changes, status=None):
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10G"}}, **copy.deepcopy(changes)}
    return tables.filled(CLAIM, {"metadata": {"name": "c"}, "spec": spec, "status": status or {}})


CLAIMS = """
{}
{accessModes: []}
    spec.accessModes: Required value: at least 1 access mode is required
{accessModes: [ReadWriteOnce, Other]}
    spec.accessModes: Unsupported value: "Other": supported values: "ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"
{accessModes: [ReadWriteOnce, ReadWriteOncePod]}
    spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes
{resources: {}}
    spec.resources[storage]: Required value
{resources: {requests: {storage: -10G}}}
    spec.resources[storage]: Invalid value: "-10G": must be greater than zero
{resources: {requests: {storage: 0G}}}
    spec.resources[storage]: Invalid value: "0": must be greater than zero
{selector: {matchExpressions: [{key: a, operator: InNull, values: [b]}]}}
    spec.selector.matchExpressions[0].operator: Invalid value: "InNull": not a valid selector operator
{storageClassName: A_}
    spec.storageClassName: Invalid value: "A_": $SUBDOMAIN
{volumeMode: Other}
    spec.volumeMode: Unsupported value: "Other": supported values: "Block", "Filesystem"
{dataSource: {kind: Pod, name: a}}
    spec.dataSource: Invalid value: "Pod": must be 'PersistentVolumeClaim' when referencing the default apiGroup
{dataSourceRef: {kind: "", name: "", apiGroup: a.b}}
    spec.dataSourceRef.name: Required value
    spec.dataSourceRef.kind: Required value
{volumeAttributesClassName: A_}
    spec.volumeAttributesClassName: Invalid value: "A_": $SUBDOMAIN
"""


@pytest.mark.parametrize(("changes", "expected"), tables.rows(CLAIMS))
def test_claims(changes, expected):
    assert tables.texts(claims.claim(claim(changes))) == expected


FIXED = "spec: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
CLAIM_CHANGES = f"""
[{{}}, {{volumeName: v}}]
[{{volumeName: v}}, {{volumeName: w}}]
    {FIXED}
[{{}}, {{resources: {{requests: {{storage: 11G}}}}}}]
    {FIXED}
[{{}}, {{accessModes: [ReadOnlyMany]}}]
    {FIXED}
[{{}}, {{storageClassName: a}}]
[{{storageClassName: a}}, {{storageClassName: b}}]
    {FIXED}
[{{volumeAttributesClassName: a}}, {{}}]
    {FIXED}
"""


@pytest.mark.parametrize(("pair", "expected"), tables.rows(CLAIM_CHANGES))
def test_changed_claims(pair, expected):
    old, new = map(claim, pair)
    assert [text.partition("\n")[0] for text in tables.texts(claims.update(new, old))] == expected


def test_bound_claims_grow():
    bound = {"phase": "Bound", "capacity": {"storage": "10G"}}
    old = claim({}, bound)
    assert claims.update(claim({"resources": {"requests": {"storage": "11G"}}}, bound), old) == []
    assert claims.update(claim({"volumeAttributesClassName": "a"}, bound), old) == []
    assert claims.update(old, claim({"volumeAttributesClassName": "a"}, bound)) == []
    old_with_class = claim({}, {**bound, "currentVolumeAttributesClassName": "a"})
    assert tables.texts(claims.update(claim({"volumeAttributesClassName": ""}, bound), old_with_class)) == [
        "spec.volumeAttributesClassName: Forbidden: update to empty string is forbidden when "
        "status.currentVolumeAttributesClassName is not nil"
    ]
    assert tables.texts(claims.update(claim({"resources": {"requests": {"storage": "9G"}}}, bound), old)) == [
        "spec.resources.requests.storage: Forbidden: field can not be less than status.capacity"
    ]
    fraction = claim({"resources": {"requests": {"storage": "500m"}}})
    assert claims.warn(fraction, None) == [
        'spec.resources.requests[storage]: fractional byte value "500m" is invalid, must be an integer'
    ]


def volume(changes):
    spec = {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "10G"}, "hostPath": {"path": "/a"}}
    spec.update(copy.deepcopy(changes))
    spec = {key: value for key, value in spec.items() if value is not None}
    return tables.filled(VOLUME, {"metadata": {"name": "v"}, "spec": spec})


VOLUMES = """
{}
{accessModes: []}
    spec.accessModes: Required value
{accessModes: [Other]}
    spec.accessModes: Unsupported value: "Other": supported values: "ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"
{capacity: {}}
    spec.capacity: Required value
    spec.capacity: Unsupported value: null: supported values: "storage"
{capacity: {storage: "-1"}}
    spec.capacity[storage]: Invalid value: -1: must be a valid resource quantity
    spec.capacity[storage]: Invalid value: "-1": must be greater than zero
{capacity: {storage: "1", cpu: "1"}}
    spec.capacity: Unsupported value: {"cpu":"1","storage":"1"}: supported values: "storage"
{persistentVolumeReclaimPolicy: Other}
    spec.persistentVolumeReclaimPolicy: Unsupported value: "Other": supported values: "Delete", "Recycle", "Retain"
{hostPath: null}
    spec: Required value: must specify a volume type
{nfs: {server: a, path: /b}}
    spec.nfs: Forbidden: may not specify more than 1 volume type
{hostPath: {path: /}, persistentVolumeReclaimPolicy: Recycle}
    spec.persistentVolumeReclaimPolicy: Forbidden: may not be 'recycle' for a hostPath mount of '/'
{hostPath: {path: /a/..}}
    spec.hostPath.path: Invalid value: "/a/..": $BACKSTEPS
{hostPath: null, local: {path: /a}}
    spec.nodeAffinity: Required value: Local volume requires node affinity
{nodeAffinity: {}}
    spec.nodeAffinity.required: Required value: must specify required node constraints
{nodeAffinity: {required: {nodeSelectorTerms: [{matchExpressions: [{key: "a b", operator: Exists}]}]}}}
    spec.nodeAffinity.required.nodeSelectorTerms[0].matchExpressions[0].key: Invalid value: "a b": $QUALIFIED
{storageClassName: A_}
    spec.storageClassName: Invalid value: "A_": $SUBDOMAIN
{volumeMode: Other}
    spec.volumeMode: Unsupported value: "Other": supported values: "Block", "Filesystem"
{volumeAttributesClassName: ""}
    spec.volumeAttributesClassName: Required value: an empty string is disallowed
    spec.csi: Required value: has to be specified when using volumeAttributesClassName
{hostPath: null, csi: {driver: "", volumeHandle: ""}}
    spec.csi.driver: Required value
    spec.csi.volumeHandle: Required value
{hostPath: null, csi: {driver: a, volumeHandle: b, controllerPublishSecretRef: {name: A_}}}
    spec.csi.controllerPublishSecretRef.name: Invalid value: "A_": $SUBDOMAIN
    spec.csi.controllerPublishSecretRef.namespace: Required value
"""


@pytest.mark.parametrize(("changes", "expected"), tables.rows(VOLUMES))
def test_volumes(changes, expected):
    assert tables.texts(persistent_volumes.volume(volume(changes))) == expected


def test_changed_volumes():
    def texts(old, new):
        return [text.partition("\n")[0] for text in tables.texts(persistent_volumes.update(volume(new), volume(old)))]

    assert texts({}, {"capacity": {"storage": "20G"}}) == []
    assert texts({}, {"hostPath": {"path": "/b"}}) == [
        "spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after creation"
    ]
    assert texts({"volumeMode": "Block"}, {}) == ['volumeMode: Invalid value: "Filesystem": field is immutable']
    assert persistent_volumes.warn(volume({"persistentVolumeReclaimPolicy": "Recycle"}), None) == [
        "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning."
    ]


CLASSES = """
{provisioner: a.b/c}
{provisioner: ""}
    provisioner: Required value
{provisioner: "a b"}
    provisioner: Invalid value: "a b": $QUALIFIED
{provisioner: a, reclaimPolicy: Recycle}
    reclaimPolicy: Unsupported value: "Recycle": supported values: "Delete", "Retain"
{provisioner: a, volumeBindingMode: Other}
    volumeBindingMode: Unsupported value: "Other": supported values: "Immediate", "WaitForFirstConsumer"
{provisioner: a, parameters: {"": b}}
    parameters: Invalid value: "": field can not be empty.
{provisioner: a, allowedTopologies: [{matchLabelExpressions: [{key: "a b", values: []}]}]}
    allowedTopologies[0].matchLabelExpressions[0].values: Required value
    allowedTopologies[0].matchLabelExpressions[0].key: Invalid value: "a b": $QUALIFIED
{provisioner: a, allowedTopologies: [{matchLabelExpressions: [{key: a, values: [b, b]}, {key: a, values: [c]}]}]}
    allowedTopologies[0].matchLabelExpressions[0].values[1]: Duplicate value: "b"
    allowedTopologies[0].matchLabelExpressions[1].key: Duplicate value: "a"
"""


@pytest.mark.parametrize(("obj", "expected"), tables.rows(CLASSES))
def test_classes(obj, expected):
    obj = tables.filled(resources.GroupVersionKind(*STORAGE, "StorageClass"), obj)
    assert tables.texts(storage_classes.storage_class(obj)) == expected


def test_classes_stay():
    old = {"provisioner": "a", "parameters": {"b": "c"}, "reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"}
    new = {"provisioner": "d", "reclaimPolicy": "Retain", "volumeBindingMode": "WaitForFirstConsumer"}
    assert tables.texts(storage_classes.storage_class_update(new, old)) == [
        "parameters: Forbidden: updates to parameters are forbidden.",
        "provisioner: Forbidden: updates to provisioner are forbidden.",
        "reclaimPolicy: Forbidden: updates to reclaimPolicy are forbidden.",
        'volumeBindingMode: Invalid value: "WaitForFirstConsumer": field is immutable',
    ]
    assert tables.texts(storage_classes.attributes_class({})) == [
        "driverName: Required value",
        "parameters: Required value: must contain at least one key/value pair",
    ]


DRIVERS = """
{}
{fsGroupPolicy: Other}
    spec.fsGroupPolicy: Unsupported value: "Other": supported values: "File", "None", "ReadWriteOnceWithFSType"
{volumeLifecycleModes: [Other]}
    spec.volumeLifecycleModes: Unsupported value: "Other": supported values: "Persistent", "Ephemeral"
{tokenRequests: [{audience: a}, {audience: a}]}
    spec.tokenRequests[1].audience: Duplicate value: "a"
{tokenRequests: [{audience: a, expirationSeconds: 10}]}
    spec.tokenRequests[0].expirationSeconds: Invalid value: 10: may not specify a duration less than 10 minutes
{nodeAllocatableUpdatePeriodSeconds: 5}
    spec.nodeAllocatableUpdatePeriodSeconds: Invalid value: 5: must be greater than or equal to 10 seconds
{serviceAccountTokenInSecrets: true}
    spec.serviceAccountTokenInSecrets: Invalid value: true: serviceAccountTokenInSecrets is set but no tokenRequests are specified
"""


@pytest.mark.parametrize(("spec", "expected"), tables.rows(DRIVERS))
def test_drivers(spec, expected):
    obj = tables.filled(resources.GroupVersionKind(*STORAGE, "CSIDriver"), {"spec": spec})
    assert tables.texts(storage.csi_driver(obj)) == expected


NODES = """
{drivers: [{name: a, nodeID: b, topologyKeys: [c]}]}
{drivers: [{name: "", nodeID: ""}]}
    spec.drivers[0].name: Required value
    spec.drivers[0].nodeID: Required value
{drivers: [{name: a, nodeID: b}, {name: a, nodeID: b}]}
    spec.drivers[1].name: Duplicate value: "a"
{drivers: [{name: a, nodeID: b, allocatable: {count: -1}}]}
    spec.drivers[0].allocatable.count: Invalid value: -1: $NEGATIVE
{drivers: [{name: a, nodeID: b, topologyKeys: [c, c, "d e"]}]}
    spec.drivers[0]: Duplicate value: "c"
    spec.drivers[0]: Invalid value: "d e": $QUALIFIED
"""


@pytest.mark.parametrize(("spec", "expected"), tables.rows(NODES))
def test_nodes_of_drivers(spec, expected):
    assert tables.texts(storage.csi_node({"spec": spec})) == expected


ATTACHMENTS = """
{attacher: a, nodeName: n, source: {persistentVolumeName: v}}
{nodeName: n, source: {}}
    spec.attacher: Required value
    spec.source: Required value: must specify exactly one of inlineVolumeSpec and persistentVolumeName
{attacher: a, nodeName: n, source: {persistentVolumeName: ""}}
    spec.source.persistentVolumeName: Required value: must specify non empty persistentVolumeName
{attacher: a, nodeName: N_, source: {persistentVolumeName: v}}
    spec.nodeName: Invalid value: "N_": $SUBDOMAIN
{attacher: a, nodeName: n, source: {inlineVolumeSpec: {accessModes: [ReadWriteOnce], capacity: {storage: 1}, csi: {driver: a, volumeHandle: b}}}}
    spec.source.inlineVolumeSpec.capacity: Forbidden: may not be specified in the context of inline volumes
"""


@pytest.mark.parametrize(("spec", "expected"), tables.rows(ATTACHMENTS))
def test_attachments(spec, expected):
    assert tables.texts(storage.attachment({"spec": spec})) == expected
