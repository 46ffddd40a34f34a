"""Volumes of pods: one source each, its own rules, and what containers mount of them."""
# ruff: noqa: E501 (texts stand as they are sent)

import pytest

from kubeshim.machinery.validation import mounts, volumes
from tests.machinery.validation import tables

SOURCES = """
{name: v, emptyDir: {}}
{name: v, emptyDir: {sizeLimit: -1}}
    v.emptyDir.sizeLimit: Forbidden: SizeLimit field must be a valid resource quantity
{name: v}
    v: Required value: must specify a volume type
{name: "", emptyDir: {}}
    v.name: Required value
{name: a.b, emptyDir: {}}
    v.name: Invalid value: "a.b": must not contain dots
{name: v, emptyDir: {}, image: {reference: a, pullPolicy: Always}, csi: {driver: a}}
    v.csi: Forbidden: may not specify more than 1 volume type
    v.image: Forbidden: may not specify more than 1 volume type
{name: v, cephfs: {monitors: [a]}, downwardAPI: {}}
    v.downwarAPI: Forbidden: may not specify more than 1 volume type
{name: v, hostPath: {path: /a, type: ""}}
{name: v, hostPath: {path: ""}}
    v.hostPath.path: Required value
{name: v, hostPath: {path: /a/../b, type: ""}}
    v.hostPath.path: Invalid value: "/a/../b": $BACKSTEPS
{name: v, hostPath: {path: /a, type: Bad}}
    v.hostPath.type: Unsupported value: "Bad": supported values: "", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"
{name: v, gitRepo: {repository: "", directory: a}}
    v.gitRepo.repository: Required value
{name: v, gitRepo: {repository: a, directory: /a/../b}}
    v.gitRepo.directory: Invalid value: "/a/../b": $RELATIVE
    v.gitRepo.directory: Invalid value: "/a/../b": $BACKSTEPS
{name: v, gcePersistentDisk: {pdName: "", partition: 256}}
    v.persistentDisk.pdName: Required value
    v.persistentDisk.partition: Invalid value: 256: must be between 1 and 255, inclusive
{name: v, awsElasticBlockStore: {volumeID: "", partition: -1}}
    v.awsElasticBlockStore.volumeID: Required value
    v.awsElasticBlockStore.partition: Invalid value: -1: must be between 1 and 255, inclusive
{name: v, secret: {secretName: ""}}
    v.secret.secretName: Required value
{name: v, secret: {secretName: s, defaultMode: -1}}
    v.secret.defaultMode: Invalid value: -1: must be a number between 0 and 0777 (octal), both inclusive
{name: v, secret: {secretName: s, items: [{key: "", path: ""}]}}
    v.secret.items[0].key: Required value
    v.secret.items[0].path: Required value
{name: v, secret: {secretName: s, items: [{key: k, path: /a}, {key: k, path: a/../b}, {key: k, path: ..a, mode: 01000}]}}
    v.secret.items[0].path: Invalid value: "/a": $RELATIVE
    v.secret.items[1].path: Invalid value: "a/../b": $BACKSTEPS
    v.secret.items[2].path: Invalid value: "..a": must not start with '..'
    v.secret.items[2].mode: Invalid value: 512: must be a number between 0 and 0777 (octal), both inclusive
{name: v, configMap: {name: ""}}
    v.configMap.name: Required value
{name: v, configMap: {name: c, items: [{key: k, path: ..}]}}
    v.configMap.items[0].path: Invalid value: "..": $BACKSTEPS
    v.configMap.items[0].path: Invalid value: "..": must not start with '..'
{name: v, nfs: {server: "", path: a}}
    v.nfs.server: Required value
    v.nfs.path: Invalid value: "a": must be an absolute path
{name: v, nfs: {server: a, path: ""}}
    v.nfs.path: Required value
    v.nfs.path: Invalid value: "": must be an absolute path
{name: v, iscsi: {targetPortal: "", iqn: "iqn.2015-02.example.com:test", lun: 1}}
    v.iscsi.targetPortal: Required value
{name: v, iscsi: {targetPortal: p, iqn: "", lun: 1}}
    v.iscsi.iqn: Required value
{name: v, iscsi: {targetPortal: p, iqn: "eui.0123456789ABCDEF", lun: 256}}
    v.iscsi.lun: Invalid value: 256: must be between 0 and 255, inclusive
{name: v, iscsi: {targetPortal: p, iqn: "eui.0123", lun: 1}}
    v.iscsi.iqn: Invalid value: "eui.0123": must be valid format
{name: v, iscsi: {targetPortal: p, iqn: "foo.1", lun: 1, chapAuthDiscovery: true}}
    v.iscsi.iqn: Invalid value: "foo.1": must be valid format starting with iqn, eui, or naa
    v.iscsi.secretRef: Required value
{name: v, iscsi: {targetPortal: p, iqn: "eui.0123456789ABCDEF", lun: 1, initiatorName: "iqn.x"}}
    v.iscsi.initiatorname: Invalid value: "iqn.x": must be valid format
{name: v, glusterfs: {endpoints: "", path: ""}}
    v.glusterfs.endpoints: Required value
    v.glusterfs.path: Required value
{name: v, flocker: {}}
    v.flocker: Required value: one of datasetName and datasetUUID is required
{name: v, flocker: {datasetName: a/b, datasetUUID: u}}
    v.flocker: Invalid value: "resource": datasetName and datasetUUID can not be specified simultaneously
    v.flocker.datasetName: Invalid value: "a/b": must not contain '/'
{name: v, persistentVolumeClaim: {claimName: ""}}
    v.persistentVolumeClaim.claimName: Required value
{name: v, rbd: {monitors: [], image: ""}}
    v.rbd.monitors: Required value
    v.rbd.image: Required value
{name: v, cinder: {volumeID: "", secretRef: {name: ""}}}
    v.cinder.volumeID: Required value
    v.cinder.secretRef.name: Required value
{name: v, cephfs: {monitors: []}}
    v.cephfs.monitors: Required value
{name: v, quobyte: {registry: "", volume: ""}}
    v.quobyte.registry: Required value: must be a host:port pair or multiple pairs separated by commas
    v.quobyte.volume: Required value
{name: v, quobyte: {registry: host, volume: v}}
    v.quobyte.registry: Invalid value: "host": must be a host:port pair or multiple pairs separated by commas
{name: v, fc: {lun: 1}}
    v.fc.targetWWNs: Required value: must specify either targetWWNs or wwids, but not both
{name: v, fc: {targetWWNs: [a]}}
    v.fc.lun: Required value: lun is required if targetWWNs is specified
{name: v, fc: {targetWWNs: [a], wwids: [b], lun: 1}}
    v.fc.targetWWNs: Invalid value: ["a"]: targetWWNs and wwids can not be specified simultaneously
{name: v, flexVolume: {driver: ""}}
    v.flexVolume.driver: Required value
{name: v, flexVolume: {driver: d, options: {kubernetes.io/a: b}}}
    v.flexVolume.options[kubernetes.io/a]: Invalid value: "kubernetes.io/a": kubernetes.io and k8s.io namespaces are reserved
{name: v, azureFile: {secretName: "", shareName: ""}}
    v.azureFile.secretName: Required value
    v.azureFile.shareName: Required value
{name: v, vsphereVolume: {volumePath: ""}}
    v.vsphereVolume.volumePath: Required value
{name: v, photonPersistentDisk: {pdID: ""}}
    v.photonPersistentDisk.pdID: Required value
{name: v, portworxVolume: {volumeID: ""}}
    v.portworxVolume.volumeID: Required value
{name: v, azureDisk: {diskName: "", diskURI: ""}}
    v.azureDisk.diskName: Required value
    v.azureDisk.diskURI: Required value
{name: v, scaleIO: {gateway: "", system: "", volumeName: ""}}
    v.scaleIO.gateway: Required value
    v.scaleIO.system: Required value
    v.scaleIO.volumeName: Required value
{name: v, csi: {driver: ""}}
    v.csi.driver: Required value
{name: v, csi: {driver: d, nodePublishSecretRef: {name: ""}}}
    v.csi.nodePublishSecretRef.name: Required value
{name: v, image: {reference: "", pullPolicy: ""}}
    v.image.reference: Required value
    v.image.pullPolicy: Required value
{name: v, image: {reference: a, pullPolicy: Sometimes}}
    v.image.pullPolicy: Unsupported value: "Sometimes": supported values: "Always", "IfNotPresent", "Never"
{name: v, ephemeral: {}}
    v.ephemeral.volumeClaimTemplate: Required value
{name: v, ephemeral: {volumeClaimTemplate: {spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1}}}}}}
{name: v, ephemeral: {volumeClaimTemplate: {metadata: {name: x}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1}}}}}}
    v.ephemeral.volumeClaimTemplate.metadata.name: Forbidden: cannot be set
{name: v, ephemeral: {volumeClaimTemplate: {spec: {}}}}
    v.ephemeral.volumeClaimTemplate.spec.accessModes: Required value: at least 1 access mode is required
    v.ephemeral.volumeClaimTemplate.spec.resources[storage]: Required value
"""


@pytest.mark.parametrize(("volume", "expected"), tables.rows(SOURCES))
def test_sources(volume, expected):
    found, right = volumes.validate([volume], "x")
    assert [text.replace("x[0]", "v", 1) for text in tables.texts(found)] == expected
    assert bool(right) is not bool(expected)


PROJECTED = """
{}
{defaultMode: 01000}
    p.defaultMode: Invalid value: 512: must be a number between 0 and 0777 (octal), both inclusive
{sources: [{secret: {name: s}, configMap: {name: c}}]}
    p.sources[0]: Forbidden: may not specify more than 1 volume type per source
{sources: [{secret: {name: ""}}]}
    p.sources[0].secret.name: Required value
{sources: [{secret: {name: s, items: [{key: k, path: a}]}}, {configMap: {name: c, items: [{key: k, path: a}]}}]}
    p: Invalid value: "c": conflicting duplicate paths
{sources: [{downwardAPI: {items: [{path: a}]}}]}
    p.sources[0].downwardAPI: Required value: one of fieldRef and resourceFieldRef is required
{sources: [{downwardAPI: {items: [{path: a, fieldRef: {apiVersion: v1, fieldPath: spec.nodeName}}]}}]}
    p.sources[0].downwardAPI.fieldRef.fieldPath: Unsupported value: "spec.nodeName": supported values: "metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"
{sources: [{downwardAPI: {items: [{path: a, resourceFieldRef: {resource: limits.cpu}}]}}]}
    p.sources[0].downwardAPI.resourceFieldRef.containerName: Required value
{sources: [{downwardAPI: {items: [{path: a, resourceFieldRef: {containerName: c, resource: limits.x}}]}}]}
    p.sources[0].downwardAPI.resourceFieldRef.resource: Unsupported value: "limits.x": supported values: "limits.cpu", "limits.ephemeral-storage", "limits.memory", "requests.cpu", "requests.ephemeral-storage", "requests.memory"
{sources: [{downwardAPI: {items: [{path: a, resourceFieldRef: {containerName: c, resource: limits.cpu, divisor: 1k}}]}}]}
    p.sources[0].downwardAPI.resourceFieldRef.divisor: Invalid value: "limits.cpu": only divisor's values 1m and 1 are supported with the cpu resource
{sources: [{serviceAccountToken: {path: t, expirationSeconds: 599}}]}
    p.sources[0].serviceAccountToken.expirationSeconds: Invalid value: 599: may not specify a duration less than 10 minutes
{sources: [{serviceAccountToken: {path: t, expirationSeconds: 4294967297}}]}
    p.sources[0].serviceAccountToken.expirationSeconds: Invalid value: 4294967297: may not specify a duration larger than 2^32 seconds
{sources: [{serviceAccountToken: {path: "", expirationSeconds: 3600}}]}
    p.path: Required value
{sources: [{clusterTrustBundle: {path: a}}]}
    p.sources[0].clusterTrustBundle: Required value: either name or signerName must be specified
{sources: [{clusterTrustBundle: {path: a, signerName: a.com/b, labelSelector: {matchLabels: {a: b}}}}]}
{sources: [{clusterTrustBundle: {path: a, name: b, labelSelector: {}}}]}
    p.sources[0].clusterTrustBundle.labelSelector: Invalid value: {}: labelSelector must be unset if name is specified
{sources: [{podCertificate: {signerName: a.com/b, keyType: ED25519, credentialBundlePath: c}}]}
{sources: [{podCertificate: {signerName: a.com/b, keyType: BAD, maxExpirationSeconds: 1}}]}
    p.sources[0].podCertificate.keyType: Unsupported value: "BAD": supported values: "RSA3072", "RSA4096", "ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519"
    p.sources[0].podCertificate.maxExpirationSeconds: Invalid value: 1: if provided, maxExpirationSeconds must be >= 3600
    p.sources[0].podCertificate: Required value: specify at least one of credentialBundlePath, keyPath, and certificateChainPath
"""


@pytest.mark.parametrize(("projected", "expected"), tables.rows(PROJECTED))
def test_projected_volumes(projected, expected):
    found, _ = volumes.validate([{"name": "v", "projected": projected}], "x")
    assert [text.replace("x[0].projected", "p", 1) for text in tables.texts(found)] == expected


def test_names_are_told_apart():
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1"}}}
    found, right = volumes.validate(
        [
            {"name": "a", "ephemeral": {"volumeClaimTemplate": {"spec": claim}}},
            {"name": "b", "persistentVolumeClaim": {"claimName": "pod-a"}},
            {"name": "b", "emptyDir": {}},
        ],
        "v",
        "pod",
    )
    assert tables.texts(found) == [
        'v[1].persistentVolumeClaim.claimName: Invalid value: "pod-a": must not reference a PVC that gets created for an ephemeral volume',
        'v[2].name: Duplicate value: "b"',
    ]
    assert set(right) == {"a", "b"}


MOUNTS = """
{volumeMounts: [{name: a, mountPath: /a}, {name: a, mountPath: /b}]}
{volumeMounts: [{name: "", mountPath: /a}]}
    c.volumeMounts[0].name: Required value
    c.volumeMounts[0].name: Not found: ""
{volumeMounts: [{name: a, mountPath: ""}]}
    c.volumeMounts[0].mountPath: Required value
{volumeMounts: [{name: a, mountPath: /a}, {name: b, mountPath: /a}]}
    c.volumeMounts[1].mountPath: Invalid value: "/a": must be unique
{volumeMounts: [{name: a, mountPath: /a, subPath: /x}]}
    c.volumeMounts.subPath: Invalid value: "/x": $RELATIVE
{volumeMounts: [{name: a, mountPath: /a, subPath: x/../y}]}
    c.volumeMounts.subPath: Invalid value: "x/../y": $BACKSTEPS
{volumeMounts: [{name: a, mountPath: /a, subPath: x, subPathExpr: y}]}
    c.volumeMounts[0].subPathExpr: Invalid value: "y": subPathExpr and subPath are mutually exclusive
{volumeMounts: [{name: a, mountPath: /a, mountPropagation: Bidirectional}]}
    c.volumeMounts.mountPropagation: Forbidden: Bidirectional mount propagation is available only to privileged containers
{securityContext: {privileged: true}, volumeMounts: [{name: a, mountPath: /a, mountPropagation: Bidirectional}]}
{volumeMounts: [{name: a, mountPath: /a, mountPropagation: Sideways}]}
    c.volumeMounts.mountPropagation: Unsupported value: "Sideways": supported values: "Bidirectional", "HostToContainer", "None"
{volumeMounts: [{name: a, mountPath: /a, recursiveReadOnly: Enabled}]}
    c.volumeMounts.recursiveReadOnly: Forbidden: may only be specified when readOnly is true
{volumeMounts: [{name: a, mountPath: /a, readOnly: true, recursiveReadOnly: IfPossible, mountPropagation: HostToContainer}]}
    c.volumeMounts.recursiveReadOnly: Forbidden: may only be specified when mountPropagation is None or not specified
{volumeMounts: [{name: a, mountPath: /a, recursiveReadOnly: Foo}]}
    c.volumeMounts.recursiveReadOnly: Unsupported value: "Foo": supported values: "Disabled", "Enabled", "IfPossible"
{volumeDevices: [{name: p, devicePath: /dev/a}]}
{volumeDevices: [{name: a, devicePath: /dev/a}]}
    c.volumeDevices[0].name: Invalid value: "a": can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode
{volumeDevices: [{name: x, devicePath: ""}]}
    c.volumeDevices[0].name: Not found: "x"
    c.volumeDevices[0].devicePath: Required value
{volumeDevices: [{name: p, devicePath: /a}, {name: p, devicePath: /a}]}
    c.volumeDevices[1].name: Invalid value: "p": must be unique
    c.volumeDevices[1].devicePath: Invalid value: "/a": must be unique
{volumeDevices: [{name: p, devicePath: /a/../b}]}
    c.volumeDevices[0].devicePath: Invalid value: "/a/../b": can not contain backsteps ('..')
{volumeMounts: [{name: p, mountPath: /x}], volumeDevices: [{name: p, devicePath: /x}]}
    c.volumeMounts[0].name: Invalid value: "p": must not already exist in volumeDevices
    c.volumeMounts[0].mountPath: Invalid value: "/x": must not already exist as a path in volumeDevices
    c.volumeDevices[0].name: Invalid value: "p": must not already exist in volumeMounts
    c.volumeDevices[0].devicePath: Invalid value: "/x": must not already exist as a path in volumeMounts
"""


@pytest.mark.parametrize(("container", "expected"), tables.rows(MOUNTS))
def test_mounts(container, expected):
    by_name = {name: {"name": name, "emptyDir": {}} for name in "ab"}
    by_name["p"] = {"name": "p", "persistentVolumeClaim": {"claimName": "c"}}
    assert tables.texts(mounts.validate(container, by_name, "c")) == expected
