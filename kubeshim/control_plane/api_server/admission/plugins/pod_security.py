"""PodSecurity: a namespace's labels say how much its pods may ask for.

``pod-security.kubernetes.io/enforce`` refuses pods, ``warn`` warns, of workloads too, so that one learns of it
before the pods fail. Namespaces without labels allow everything.
"""

import re
from typing import Any

from kubeshim.control_plane.api_server.admission import plugin, pod_security
from kubeshim.machinery import errors, objects, resources
from kubeshim.machinery.validation import fields

_PREFIX = "pod-security.kubernetes.io/"
_NAMESPACES = resources.GroupVersionResource("", "v1", "namespaces")
_PODS = resources.GroupVersionResource("", "v1", "pods")
_VERSION = re.compile(r"v1\.(0|[1-9][0-9]*)").fullmatch
_TEMPLATES: dict[str, tuple[str, ...]] = {
    "podtemplates": ("template", "spec"),
    "replicationcontrollers": ("spec", "template", "spec"),
    "replicasets.apps": ("spec", "template", "spec"),
    "deployments.apps": ("spec", "template", "spec"),
    "statefulsets.apps": ("spec", "template", "spec"),
    "daemonsets.apps": ("spec", "template", "spec"),
    "jobs.batch": ("spec", "template", "spec"),
    "cronjobs.batch": ("spec", "jobTemplate", "spec", "template", "spec"),
}


class PodSecurity:
    """Validating admission plugin."""

    def validate(self, attributes: plugin.Attributes, reader: plugin.Reader) -> None:
        obj, kind = attributes.object, attributes.resource.group_resource
        if obj is None or attributes.operation not in ("CREATE", "UPDATE"):
            return
        if kind == "namespaces":
            if not attributes.subresource:
                _namespace(attributes, obj, reader)
        elif kind == "pods":
            if _concerns_security(attributes):
                _judge(attributes, reader, obj.get("spec") or {}, enforce=True)
        elif kind in _TEMPLATES and not attributes.subresource:
            spec = objects.dig(obj, *_TEMPLATES[kind])
            if spec is not None:
                _judge(attributes, reader, spec, enforce=False)


def _concerns_security(attributes: plugin.Attributes) -> bool:
    """A pod being made, or given a container; nothing else of it that counts here may change."""
    if attributes.operation == "CREATE":
        return not attributes.subresource
    return attributes.subresource == "ephemeralcontainers"


def _judge(attributes: plugin.Attributes, reader: plugin.Reader, spec: dict[str, Any], *, enforce: bool) -> None:
    namespace = reader.get(_NAMESPACES, "", attributes.namespace)
    labels = objects.labels(namespace) if namespace else {}
    if enforce:
        level, version, shown = _policy(labels, "enforce")
        found = pod_security.evaluate(spec, level, version)
        if found:
            obj = attributes.object or {}
            name = attributes.name or objects.name(obj) or objects.dig(obj, "metadata", "generateName", default="")
            why = f'violates PodSecurity "{shown}": {", ".join(str(finding) for finding in found)}'
            raise errors.forbidden("", "pods", name, why)
    level, version, shown = _policy(labels, "warn")
    found = pod_security.evaluate(spec, level, version)
    if found:
        attributes.warnings.append(
            f'would violate PodSecurity "{shown}": {", ".join(str(finding) for finding in found)}'
        )


def _policy(labels: dict[str, str], mode: str) -> tuple[str, int, str]:
    """Level, minor version, and both as shown. What cannot be read is taken at its strictest."""
    level = labels.get(_PREFIX + mode, "privileged")
    text = labels.get(f"{_PREFIX}{mode}-version", "latest")
    match = _VERSION(text)
    version = int(match[1]) if match else pod_security.LATEST
    if level not in pod_security.LEVELS:
        level = "restricted"
    return level, version, f"{level}:{text if match else 'latest'}"


def _namespace(attributes: plugin.Attributes, obj: objects.Object, reader: plugin.Reader) -> None:
    """Labels must be readable; a stricter level warns of the pods that are there already."""
    labels, before = objects.labels(obj), objects.labels(attributes.old_object or {})
    problems = _label_problems(labels)
    if problems and _label_problems(before) != problems:
        raise errors.invalid("", "Namespace", objects.name(obj), problems)
    if attributes.operation != "UPDATE" or _policy(labels, "enforce") == _policy(before, "enforce"):
        return
    level, version, shown = _policy(labels, "enforce")
    violating: dict[str, list[str]] = {}
    for pod in reader.list(_PODS, objects.name(obj)):
        found = pod_security.evaluate(pod.get("spec") or {}, level, version)
        if found:
            violating.setdefault(", ".join(finding.reason for finding in found), []).append(objects.name(pod))
    if violating:
        attributes.warnings.append(
            f'existing pods in namespace "{objects.name(obj)}" violate the new PodSecurity enforce level "{shown}"'
        )
    for reasons, names in sorted(violating.items(), key=lambda entry: min(entry[1])):
        others = f" (and {len(names) - 1} other pod{'s' if len(names) > 2 else ''})" if len(names) > 1 else ""
        attributes.warnings.append(f"{min(names)}{others}: {reasons}")


def _label_problems(labels: dict[str, str]) -> list[errors.FieldError]:
    wrong = []
    for mode in ("enforce", "audit", "warn"):
        level, version = labels.get(_PREFIX + mode), labels.get(f"{_PREFIX}{mode}-version")
        if level is not None and level not in pod_security.LEVELS:
            text = f"must be one of {', '.join(pod_security.LEVELS)}"
            wrong.append(fields.invalid(f"metadata.labels[{_PREFIX}{mode}]", level, text))
        if version is not None and version != "latest" and not _VERSION(version):
            text = 'must be "latest" or "v1.x"'
            wrong.append(fields.invalid(f"metadata.labels[{_PREFIX}{mode}-version]", version, text))
    return wrong
