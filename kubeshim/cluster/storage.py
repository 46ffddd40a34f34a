"""The StorageClasses of a new cluster: one provisioner under the two names that users' manifests ask for.

They are made once, with the cluster; what the user makes of them stays.
"""

from typing import Any

from kubeshim.addons.local_storage import claims

DEFAULT = "local-path"
NAMES = (DEFAULT, "standard")


def classes() -> list[tuple[str, dict[str, Any]]]:
    """(path, object) of each."""
    return [(f"/apis/storage.k8s.io/v1/storageclasses/{name}", _class(name, default=name == DEFAULT)) for name in NAMES]


def _class(name: str, *, default: bool) -> dict[str, Any]:
    annotations = {"storageclass.kubernetes.io/is-default-class": "true"} if default else {}
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name, "annotations": annotations},
        "provisioner": claims.PROVISIONER,
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "WaitForFirstConsumer",
        "allowVolumeExpansion": True,
    }
