"""Which other objects a pod makes its node read. Pure."""

from collections.abc import Iterator
from typing import Any

from kubeshim.machinery import objects

MIRROR = "kubernetes.io/config.mirror"
"""Annotation of mirror pods: the API's picture of a pod that the kubelet took from its own disk."""

Reference = tuple[str, str, str]
"""(plural, namespace, name)."""


def of_pod(pod: objects.Object) -> frozenset[Reference]:
    """Secrets, config maps, claims, resource claims and the service account that ``pod`` names."""
    return frozenset(_of_pod(pod))


def _of_pod(pod: objects.Object) -> Iterator[Reference]:
    space = objects.namespace(pod)
    spec = pod.get("spec") or {}
    if spec.get("serviceAccountName"):
        yield ("serviceaccounts", space, spec["serviceAccountName"])
    for secret in spec.get("imagePullSecrets") or ():
        if secret.get("name"):
            yield ("secrets", space, secret["name"])
    for field in ("initContainers", "containers", "ephemeralContainers"):
        for container in spec.get(field) or ():
            for plural, name in _of_environment(container):
                yield (plural, space, name)
    for volume in spec.get("volumes") or ():
        for plural, name in _of_volume(volume, objects.name(pod)):
            yield (plural, space, name)
    for claim in spec.get("resourceClaims") or ():
        if claim.get("resourceClaimName"):
            yield ("resourceclaims", space, claim["resourceClaimName"])
    for claim in objects.dig(pod, "status", "resourceClaimStatuses", default=()):
        if claim.get("resourceClaimName"):
            yield ("resourceclaims", space, claim["resourceClaimName"])


def _of_environment(container: dict[str, Any]) -> Iterator[tuple[str, str]]:
    sources = [variable.get("valueFrom") or {} for variable in container.get("env") or ()]
    sources += container.get("envFrom") or []
    for source in sources:
        for field, plural in (
            ("secretKeyRef", "secrets"), ("secretRef", "secrets"),
            ("configMapKeyRef", "configmaps"), ("configMapRef", "configmaps"),
        ):  # fmt: skip
            name = (source.get(field) or {}).get("name")
            if name:
                yield (plural, name)


def _of_volume(volume: dict[str, Any], pod_name: str) -> Iterator[tuple[str, str]]:
    for kind, source in volume.items():
        if not isinstance(source, dict):
            continue
        if kind == "projected":
            for part in source.get("sources") or ():
                for field, plural in (("secret", "secrets"), ("configMap", "configmaps")):
                    if (part.get(field) or {}).get("name"):
                        yield (plural, part[field]["name"])
        elif kind == "configMap" and source.get("name"):
            yield ("configmaps", source["name"])
        elif kind == "persistentVolumeClaim" and source.get("claimName"):
            yield ("persistentvolumeclaims", source["claimName"])
        elif kind == "ephemeral":
            yield ("persistentvolumeclaims", f"{pod_name}-{volume.get('name', '')}")
        else:
            # every other source names its secret in a field of one of these names
            names = (source.get("secretName"), *((source.get(f) or {}).get("name") for f in _SECRET_FIELDS))
            yield from (("secrets", name) for name in names if name)


_SECRET_FIELDS = ("secretRef", "nodePublishSecretRef")


def secrets_of_volume(volume: objects.Object) -> Iterator[tuple[str, str]]:
    """(namespace, name) of the secrets a PersistentVolume names; without a namespace, its claim's."""
    default = objects.dig(volume, "spec", "claimRef", "namespace", default="")
    for source in (volume.get("spec") or {}).values():
        if isinstance(source, dict):
            for field, value in source.items():
                if isinstance(value, dict) and field.lower().endswith("secretref") and value.get("name"):
                    yield (value.get("namespace") or default, value["name"])
            if source.get("secretName"):
                yield (source.get("secretNamespace") or default, source["secretName"])
