"""The volume types there are, by the field of ``spec.volumes[]`` that chooses them, with upstream's plugin names."""

from kubeshim.machinery.objects import Object
from kubeshim.node.kubelet import image_trees
from kubeshim.node.kubelet.volumes import (
    config_map,
    downward_api,
    empty_dir,
    ephemeral,
    host_path,
    image,
    persistent_claim,
    projected,
    secret,
    volume,
)

TYPES: dict[str, tuple[str, volume.SetUp]] = {
    "emptyDir": ("kubernetes.io~empty-dir", empty_dir.set_up),
    "configMap": ("kubernetes.io~configmap", config_map.set_up),
    "secret": ("kubernetes.io~secret", secret.set_up),
    "downwardAPI": ("kubernetes.io~downward-api", downward_api.set_up),
    "projected": ("kubernetes.io~projected", projected.set_up),
    "image": (image_trees.PLUGIN, image.set_up),
    "hostPath": ("kubernetes.io~host-path", host_path.set_up),
    "persistentVolumeClaim": ("kubernetes.io~local-volume", persistent_claim.set_up),
    "ephemeral": ("kubernetes.io~local-volume", ephemeral.set_up),
}
OWN_DIRECTORY = ("emptyDir", "configMap", "secret", "downwardAPI", "projected")
"""Types that keep their files in the pod's directory."""


def kind_of(spec: Object) -> str:
    """The field that chooses the type. Raises ``VolumeProblem`` for those not in the table."""
    for field in spec:
        if field in TYPES:
            return field
    fields = sorted(field for field in spec if field != "name")
    raise volume.VolumeProblem(f"no volume plugin matched: {', '.join(fields) or 'no source given'}")
