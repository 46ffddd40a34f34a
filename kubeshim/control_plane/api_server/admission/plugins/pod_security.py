"""PodSecurity: pods are held to the level their namespace's labels ask for.

Workloads are not refused for their templates, only warned about: their pods are judged when they are made. There is
no audit log, so the ``audit`` labels are checked and otherwise without effect.
"""

from typing import Any

from kubeshim.control_plane.api_server.admission import plugin, refusals
from kubeshim.control_plane.api_server.admission.pod_security import evaluation, levels
from kubeshim.machinery import errors, objects, resources

_NAMESPACES = resources.GroupVersionResource("", "v1", "namespaces")
_PODS = resources.GroupVersionResource("", "v1", "pods")
_JUDGED = frozenset(("", "ephemeralcontainers", "resize"))
"""Subresources that write a pod's spec."""
_TEMPLATES: dict[str, tuple[str, ...]] = {
    "podtemplates": ("template",),
    "replicationcontrollers": ("spec", "template"),
    "replicasets.apps": ("spec", "template"),
    "deployments.apps": ("spec", "template"),
    "statefulsets.apps": ("spec", "template"),
    "daemonsets.apps": ("spec", "template"),
    "jobs.batch": ("spec", "template"),
    "cronjobs.batch": ("spec", "jobTemplate", "spec", "template"),
}
_MOST_PODS = 3000
"""How many existing pods are looked at when a namespace becomes stricter."""
_SECCOMP_POD = "seccomp.security.alpha.kubernetes.io/pod"
_SECCOMP_CONTAINER = "container.seccomp.security.alpha.kubernetes.io/"


class PodSecurity:
    resources = frozenset(("pods", "namespaces", *_TEMPLATES))

    def validate(self, attributes: plugin.Attributes, reader: plugin.Reader) -> None:
        obj = attributes.object
        if obj is None or attributes.operation not in ("CREATE", "UPDATE"):
            return
        if attributes.resource.plural == "namespaces":
            if not attributes.subresource:
                _namespace(attributes, reader, obj)
            return
        namespace = reader.get(_NAMESPACES, "", attributes.namespace)
        labels = objects.labels(namespace) if namespace is not None else {}
        if not levels.is_labelled(labels):
            return
        policy, _ = levels.policy(labels)
        if attributes.resource.plural == "pods":
            if attributes.subresource in _JUDGED and _is_significant(obj, attributes.old_object):
                _judge(attributes, policy, obj, enforce=True)
        elif not attributes.subresource:
            template = objects.dig(obj, *_TEMPLATES[attributes.resource.group_resource])
            if template is not None:
                _judge(attributes, policy, template, enforce=False)


def _judge(attributes: plugin.Attributes, policy: levels.Policy, pod: objects.Object, *, enforce: bool) -> None:
    metadata, spec = pod.get("metadata") or {}, pod.get("spec") or {}
    if enforce:
        found = evaluation.violations(policy.enforce, metadata, spec)
        if found:
            why = f'violates PodSecurity "{policy.enforce}": {evaluation.details(found)}'
            raise refusals.forbidden(attributes, why)
    found = evaluation.violations(policy.warn, metadata, spec)
    if found:
        attributes.warnings.append(f'would violate PodSecurity "{policy.warn}": {evaluation.details(found)}')


def _is_significant(pod: objects.Object, old: objects.Object | None) -> bool:
    """Whether a change may have made a pod worse; most of a pod cannot change."""
    if old is None:
        return True
    if _seccomp(pod, "") != _seccomp(old, ""):
        return True
    for field in ("containers", "initContainers"):
        now, before = pod["spec"].get(field) or [], old["spec"].get(field) or []
        if len(now) != len(before):
            return True
        if any(_is_changed(one, other, pod, old) for one, other in zip(now, before, strict=True)):
            return True
    known = {one["name"]: one for one in old["spec"].get("ephemeralContainers") or ()}
    return any(
        one["name"] not in known or _is_changed(one, known[one["name"]], pod, old)
        for one in pod["spec"].get("ephemeralContainers") or ()
    )


def _is_changed(one: dict[str, Any], other: dict[str, Any], pod: objects.Object, old: objects.Object) -> bool:
    name = str(one["name"])
    return one.get("image") != other.get("image") or _seccomp(pod, name) != _seccomp(old, name)


def _seccomp(pod: objects.Object, container: str) -> str | None:
    return objects.annotations(pod).get(_SECCOMP_CONTAINER + container if container else _SECCOMP_POD)


def _namespace(attributes: plugin.Attributes, reader: plugin.Reader, namespace: objects.Object) -> None:
    """Labels must be readable; where they become stricter, the pods that are there are judged, for a warning."""
    policy, problems = levels.policy(objects.labels(namespace))
    old, known = levels.policy({})
    if attributes.old_object is not None:
        old, known = levels.policy(objects.labels(attributes.old_object))
    if problems and problems != known:
        raise errors.invalid("", "Namespace", objects.name(namespace), problems)
    if attributes.operation != "UPDATE" or not _is_stricter(policy.enforce, old.enforce):
        return
    attributes.warnings += _of_existing(reader, objects.name(namespace), policy.enforce)


def _is_stricter(new: levels.LevelVersion, old: levels.LevelVersion) -> bool:
    if new == old or new.level == levels.PRIVILEGED:
        return False
    return new.minor != old.minor or levels.LEVELS.index(new.level) > levels.LEVELS.index(old.level)


def _of_existing(reader: plugin.Reader, namespace: str, wanted: levels.LevelVersion) -> list[str]:
    pods = _first_of_each_owner(reader.list(_PODS, namespace))
    by_reasons: dict[str, list[str]] = {}
    for pod in pods[:_MOST_PODS]:
        found = evaluation.violations(wanted, pod.get("metadata") or {}, pod.get("spec") or {})
        if found:
            by_reasons.setdefault(evaluation.reasons(found), []).append(objects.name(pod))
    warnings = []
    if len(pods) > _MOST_PODS:
        warnings.append(
            f"new PodSecurity enforce level only checked against the first {_MOST_PODS} of {len(pods)} existing pods"
        )
    if by_reasons:
        warnings.append(
            f'existing pods in namespace "{namespace}" violate the new PodSecurity enforce level "{wanted}"'
        )
    return warnings + sorted(_told(min(names), len(names) - 1, why) for why, names in by_reasons.items())


def _told(name: str, others: int, why: str) -> str:
    if not others:
        return f"{name}: {why}"
    return f"{name} (and {others} other {'pod' if others == 1 else 'pods'}): {why}"


def _first_of_each_owner(pods: list[objects.Object]) -> list[objects.Object]:
    """Pods of one controller are mostly alike: one of each comes first, the rest last."""
    first: list[objects.Object] = []
    rest: list[objects.Object] = []
    seen: set[str] = set()
    for pod in pods:
        owner = objects.controller_of(pod)
        uid = str(owner["uid"]) if owner else ""
        (rest if uid and uid in seen else first).append(pod)
        seen.add(uid)
    return first + rest
