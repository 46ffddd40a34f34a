"""For whom a kubelet may have tokens made: the audiences that a pod's own volumes name.

A projected token names its audience itself; a CSI volume brings those its driver asks for, whether it stands in the
pod, behind a claim, or is one of the kinds that a driver has taken over.
"""

from collections.abc import Iterator

from kubeshim.control_plane.api_server.admission import plugin
from kubeshim.machinery import errors, objects, resources

_CLAIMS = resources.GroupVersionResource("", "v1", "persistentvolumeclaims")
_VOLUMES = resources.GroupVersionResource("", "v1", "persistentvolumes")
_DRIVERS = resources.GroupVersionResource("storage.k8s.io", "v1", "csidrivers")
_TAKEN_OVER = {
    "awsElasticBlockStore": "ebs.csi.aws.com",
    "azureDisk": "disk.csi.azure.com",
    "azureFile": "file.csi.azure.com",
    "cinder": "cinder.csi.openstack.org",
    "gcePersistentDisk": "pd.csi.storage.gke.io",
    "portworxVolume": "pxd.portworx.com",
    "vsphereVolume": "csi.vsphere.vmware.com",
}


def of_pod(pod: objects.Object, reader: plugin.Reader) -> Iterator[str]:
    """Raises ``NotFound`` for a claim or volume that is missing. The empty audience is the API server's own."""
    for volume in objects.dig(pod, "spec", "volumes", default=()):
        for source in objects.dig(volume, "projected", "sources", default=()):
            if source.get("serviceAccountToken") is not None:
                yield source["serviceAccountToken"].get("audience") or ""
        driver = _driver(pod, volume, reader)
        found = reader.get(_DRIVERS, "", driver) if driver else None
        for wanted in objects.dig(found, "spec", "tokenRequests", default=()):
            yield wanted.get("audience") or ""


def _driver(pod: objects.Object, volume: objects.Object, reader: plugin.Reader) -> str:
    claim = objects.dig(volume, "persistentVolumeClaim", "claimName", default="")
    if volume.get("ephemeral") is not None:
        claim = f"{objects.name(pod)}-{volume['name']}"
    if not claim:
        return _named(volume)
    found = reader.get(_CLAIMS, objects.namespace(pod), claim)
    if found is None:
        raise errors.not_found("", "persistentvolumeclaim", claim)
    name = objects.dig(found, "spec", "volumeName", default="")
    if not name:
        return ""
    behind = reader.get(_VOLUMES, "", name)
    if behind is None:
        raise errors.not_found("", "persistentvolume", name)
    return _named(behind.get("spec") or {})


def _named(source: objects.Object) -> str:
    own = objects.dig(source, "csi", "driver", default="")
    return str(own) or next((driver for kind, driver in _TAKEN_OVER.items() if source.get(kind) is not None), "")
