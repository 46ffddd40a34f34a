"""Which Secrets a pod may use where its service account limits them to those it lists."""

from collections.abc import Iterable
from typing import Any

from kubeshim.machinery import objects

_ENFORCED = "kubernetes.io/enforce-mountable-secrets"
_TRUE = frozenset(("1", "t", "T", "TRUE", "true", "True"))


def is_enforced(account: objects.Object) -> bool:
    return objects.annotations(account).get(_ENFORCED) in _TRUE


def of_pod(pod: objects.Object, account: objects.Object) -> str:
    """What is wrong with a new pod's references; empty if nothing is."""
    spec, allowed = pod["spec"], _names(account.get("secrets"))
    name = objects.name(account)
    for volume in spec.get("volumes") or ():
        secret = (volume.get("secret") or {}).get("secretName", "") if volume.get("secret") is not None else None
        if secret is not None and secret not in allowed:
            return f'volume with secret.secretName="{secret}" is {_not_allowed(name)}'
    problem = _of_containers("init container", spec.get("initContainers") or (), allowed, name)
    problem = problem or _of_containers("container", spec.get("containers") or (), allowed, name)
    if problem:
        return problem
    pull_allowed = _names(account.get("imagePullSecrets"))
    for index, reference in enumerate(spec.get("imagePullSecrets") or ()):
        if reference.get("name", "") not in pull_allowed:
            return (
                f'imagePullSecrets[{index}].name="{reference.get("name", "")}" is not allowed because service account '
                f"{name} does not reference that imagePullSecret"
            )
    return ""


def of_ephemeral_containers(pod: objects.Object, account: objects.Object) -> str:
    """What is wrong with the references of a pod's ephemeral containers."""
    containers = pod["spec"].get("ephemeralContainers") or ()
    return _of_containers("ephemeral container", containers, _names(account.get("secrets")), objects.name(account))


def _names(references: Iterable[dict[str, Any]] | None) -> frozenset[str]:
    return frozenset(str(reference.get("name") or "") for reference in references or ())


def _of_containers(what: str, containers: Iterable[dict[str, Any]], allowed: frozenset[str], account: str) -> str:
    for container in containers:
        for variable in container.get("env") or ():
            secret = objects.dig(variable, "valueFrom", "secretKeyRef", "name")
            if secret is not None and secret not in allowed:
                return (
                    f"{what} {container['name']} with envVar {variable.get('name')} referencing "
                    f'secret.secretName="{secret}" is {_not_allowed(account)}'
                )
        for source in container.get("envFrom") or ():
            secret = objects.dig(source, "secretRef", "name")
            if secret is not None and secret not in allowed:
                return (
                    f'{what} {container["name"]} with envFrom referencing secret.secretName="{secret}" is '
                    f"{_not_allowed(account)}"
                )
    return ""


def _not_allowed(account: str) -> str:
    return f"not allowed because service account {account} does not reference that secret"
