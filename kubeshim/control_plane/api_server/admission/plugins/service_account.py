"""ServiceAccount: every pod runs as one, and gets its token, the cluster's CA and its namespace as files.

A namespace's ``default`` account is made by a controller; a pod that comes before it waits for a moment. Mirror pods
are the kubelet's own and may refer to nothing.
"""

import random
from collections.abc import Callable, Iterable
from typing import Any

from kubeshim.control_plane.api_server.admission import mountable_secrets, plugin, refusals
from kubeshim.machinery import objects, pod_references, resources

_ACCOUNTS = resources.GroupVersionResource("", "v1", "serviceaccounts")
_DEFAULT = "default"
_MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
_VOLUME = "kube-api-access-"
_SUFFIX = "bcdfghjklmnpqrstvwxz2456789"
_TOKEN_SECONDS = 3607
"""Odd on purpose: by it the token endpoint knows that nobody chose this lifetime."""
_ATTEMPTS, _PAUSE = 200, 0.025
"""Five seconds. Upstream waits for one; a machine so busy that accounts come later is no reason to refuse a pod."""


class ServiceAccount:
    """``pause`` sleeps for some seconds without holding up others."""

    resources = frozenset(("pods",))

    def __init__(self, pause: Callable[[float], None]) -> None:
        self._pause = pause

    def admit(self, attributes: plugin.Attributes, reader: plugin.Reader) -> None:
        pod = attributes.object
        if attributes.operation != "CREATE" or attributes.subresource or pod is None:
            return
        if _is_mirror(pod):
            _check_mirror(attributes, pod)
            return
        spec = pod["spec"]
        name = spec.get("serviceAccountName") or _DEFAULT
        spec["serviceAccountName"] = spec["serviceAccount"] = name
        account = self._account(attributes, reader, name)
        if _mounts_token(account, spec):
            _mount(spec)
        if not spec.get("imagePullSecrets") and account.get("imagePullSecrets"):
            spec["imagePullSecrets"] = [dict(reference) for reference in account["imagePullSecrets"]]

    def validate(self, attributes: plugin.Attributes, reader: plugin.Reader) -> None:
        pod = attributes.object
        if pod is None:
            return
        if attributes.operation == "UPDATE" and attributes.subresource == "ephemeralcontainers":
            account = reader.get(_ACCOUNTS, attributes.namespace, str(pod["spec"].get("serviceAccountName") or ""))
            if account is not None:
                _check_secrets(attributes, account, mountable_secrets.of_ephemeral_containers)
        elif attributes.operation == "CREATE" and not attributes.subresource:
            if _is_mirror(pod):
                _check_mirror(attributes, pod)
                return
            name = pod["spec"].get("serviceAccountName")
            if not name:
                why = f"no service account specified for pod {attributes.namespace}/{objects.name(pod)}"
                raise refusals.forbidden(attributes, why)
            _check_secrets(attributes, self._account(attributes, reader, name), mountable_secrets.of_pod)

    def _account(self, attributes: plugin.Attributes, reader: plugin.Reader, name: str) -> objects.Object:
        space = attributes.namespace
        found = reader.get(_ACCOUNTS, space, name)
        attempts = _ATTEMPTS if name == _DEFAULT else 0
        while found is None and attempts:
            self._pause(_PAUSE)
            found = reader.get(_ACCOUNTS, space, name)
            attempts -= 1
        if found is None:
            raise refusals.forbidden(
                attributes, f'error looking up service account {space}/{name}: serviceaccount "{name}" not found'
            )
        return found


def _is_mirror(pod: objects.Object) -> bool:
    return pod_references.MIRROR in objects.annotations(pod)


def _check_mirror(attributes: plugin.Attributes, pod: objects.Object) -> None:
    if pod["spec"].get("serviceAccountName"):
        raise refusals.forbidden(attributes, "a mirror pod may not reference service accounts")
    if any(plural == "secrets" for plural, _, _ in pod_references.of_pod(pod)):
        raise refusals.forbidden(attributes, "a mirror pod may not reference secrets")
    for volume in pod["spec"].get("volumes") or ():
        for source in objects.dig(volume, "projected", "sources", default=()):
            if source.get("serviceAccountToken"):
                raise refusals.forbidden(
                    attributes, "a mirror pod may not use service account token volume projections"
                )


def _check_secrets(
    attributes: plugin.Attributes, account: objects.Object,
    problem: Callable[[objects.Object, objects.Object], str],
) -> None:  # fmt: skip
    if not mountable_secrets.is_enforced(account) or attributes.object is None:
        return
    why = problem(attributes.object, account)
    if why:
        raise refusals.forbidden(attributes, why)


def _mounts_token(account: objects.Object, spec: dict[str, Any]) -> bool:
    """The pod's word counts before the account's; without either it is yes."""
    for said in (spec.get("automountServiceAccountToken"), account.get("automountServiceAccountToken")):
        if said is not None:
            return bool(said)
    return True


def _mount(spec: dict[str, Any]) -> None:
    volumes = spec.get("volumes") or []
    name = next((volume["name"] for volume in volumes if volume.get("name", "").startswith(_VOLUME)), "")
    present = bool(name)
    name = name or _VOLUME + "".join(random.choices(_SUFFIX, k=5))
    mounted = [_mount_in(spec.get(field) or (), name) for field in ("initContainers", "containers")]
    if any(mounted) and not present:
        spec["volumes"] = [*volumes, {"name": name, "projected": _projected()}]


def _mount_in(containers: Iterable[dict[str, Any]], name: str) -> bool:
    """Whether one of the containers had nothing at that path yet."""
    mounted = False
    for container in containers:
        mounts = container.get("volumeMounts") or []
        if not any(mount.get("mountPath") == _MOUNT_PATH for mount in mounts):
            container["volumeMounts"] = [*mounts, {"name": name, "readOnly": True, "mountPath": _MOUNT_PATH}]
            mounted = True
    return mounted


def _projected() -> dict[str, Any]:
    namespace = {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
    return {
        "sources": [
            {"serviceAccountToken": {"expirationSeconds": _TOKEN_SECONDS, "path": "token"}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [namespace]}},
        ],
        "defaultMode": 0o644,
    }
