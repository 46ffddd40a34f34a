"""Containers of all sorts: regular, init (with sidecars) and ephemeral."""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from kubeshim.machinery.errors import FieldError
from kubeshim.machinery.validation import amounts, content, environment, fields, mounts, probes, security

_PROTOCOLS = ("SCTP", "TCP", "UDP")
_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_RESTART_POLICIES = ("Always", "Never", "OnFailure")
_MESSAGE_POLICIES = ("File", "FallbackToLogsOnError")
_RULE_ACTIONS = ("Restart", "RestartAllContainers")
_RESIZE_POLICIES = ("NotRequired", "RestartContainer")
_SIDECAR_ONLY = "may not be set for init containers without restartPolicy=Always"
_EPHEMERAL_FORBIDDEN = (
    "ports", "resources", "resizePolicy", "restartPolicy", "restartPolicyRules", "livenessProbe", "readinessProbe",
    "startupProbe", "lifecycle",
)  # fmt: skip
_NOT_EPHEMERAL = "cannot be set for an Ephemeral Container"


@dataclasses.dataclass(frozen=True, slots=True)
class Context:
    """What of the pod its containers are judged against."""

    volumes: Mapping[str, Mapping[str, Any]]
    claims: Collection[str]
    grace_period: int | None
    restart_policy: str
    host_users: bool
    system: str | None
    """``os.name``, if the pod says it."""


def validate(spec: Mapping[str, Any], path: str, context: Context) -> list[FieldError]:
    """All containers of a pod spec at ``path``."""
    regular = spec.get("containers") or ()
    if not regular:
        wrong = [fields.required(path + ".containers")]
    else:
        wrong = _regular(regular, path + ".containers", context)
    if spec.get("initContainers"):
        wrong += _init(spec["initContainers"], regular, path + ".initContainers", context)
    if spec.get("ephemeralContainers"):
        wrong += _ephemeral(spec, path + ".ephemeralContainers", context)
    return wrong


def _regular(found: Sequence[Mapping[str, Any]], base: str, context: Context) -> list[FieldError]:
    wrong: list[FieldError] = []
    names: set[str] = set()
    for index, container in enumerate(found):
        path = f"{base}[{index}]"
        wrong += _common(container, path, context)
        name = container.get("name") or ""
        if name in names:
            wrong.append(fields.duplicate(path + ".name", name))
        names.add(name)
        wrong += _handlers(container, path, context)
        if container.get("restartPolicy") is not None or container.get("restartPolicyRules"):
            wrong += _restart_policy(container, path)
    wrong += _host_port_conflicts(found, base)
    return wrong


def _restart_policy(container: Mapping[str, Any], path: str) -> list[FieldError]:
    """A container's own restart policy and the rules by exit code."""
    wrong: list[FieldError] = []
    policy, rules = container.get("restartPolicy"), container.get("restartPolicyRules") or ()
    if policy is not None:
        wrong += fields.one_of(path + ".restartPolicy", policy, _RESTART_POLICIES)
    elif rules:
        wrong.append(fields.required(path + ".restartPolicy", "must specify restartPolicy when restart rules are used"))
    if len(rules) > 20:
        wrong.append(fields.too_many(path + ".restartPolicyRules", len(rules), 20))
    for index, rule in enumerate(rules):
        place = f"{path}.restartPolicyRules[{index}]"
        action, codes = rule.get("action") or "", rule.get("exitCodes")
        wrong += fields.one_of(place + ".action", action, _RULE_ACTIONS)
        if codes is None:
            wrong.append(fields.required(place + ".exitCodes", "must be specified"))
            continue
        wrong += fields.one_of(place + ".exitCodes.operator", codes.get("operator") or "", ("In", "NotIn"))
        values = codes.get("values") or ()
        if len(values) > 255:
            wrong.append(fields.too_many(place + ".exitCodes.values", len(values), 255))
    return wrong


def _init(
    found: Sequence[Mapping[str, Any]], regular: Sequence[Mapping[str, Any]], base: str, context: Context
) -> list[FieldError]:
    wrong: list[FieldError] = []
    names = {container.get("name") for container in regular}
    for index, container in enumerate(found):
        path = f"{base}[{index}]"
        wrong += _common(container, path, context)
        policy = container.get("restartPolicy")
        if policy is not None or container.get("restartPolicyRules"):
            wrong += _restart_policy(container, path)
        name = container.get("name") or ""
        if name in names:
            wrong.append(fields.duplicate(path + ".name", name))
        elif name:
            names.add(name)
        wrong += _host_port_conflicts((container,), base)
        if policy == "Always":
            wrong += _handlers(container, path, context)
        else:
            for field in ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe"):
                if container.get(field) is not None:
                    wrong.append(fields.forbidden(f"{path}.{field}", _SIDECAR_ONLY))
            for place, resize in enumerate(container.get("resizePolicy") or ()):
                if resize.get("restartPolicy") == "RestartContainer":
                    text = "must not be set to 'RestartContainer' for non-sidecar initContainers"
                    where = f"{path}.resizePolicy[{place}].restartPolicy"
                    wrong.append(fields.invalid(where, "RestartContainer", text))
    return wrong


def _ephemeral(spec: Mapping[str, Any], base: str, context: Context) -> list[FieldError]:
    wrong: list[FieldError] = []
    others = {c.get("name") for field in ("containers", "initContainers") for c in spec.get(field) or ()}
    names = set(others)
    for index, container in enumerate(spec["ephemeralContainers"]):
        path = f"{base}[{index}]"
        wrong += _common(container, path, context) + padded_image(container, path)
        name, target = container.get("name") or "", container.get("targetContainerName") or ""
        if name in names:
            wrong.append(fields.duplicate(path + ".name", name))
        names.add(name)
        if target and target not in others:
            wrong.append(fields.not_found(path + ".targetContainerName", target))
        for field in _EPHEMERAL_FORBIDDEN:
            found = container.get(field)
            if found or (found is not None and field not in ("resources", "ports")):
                wrong.append(fields.forbidden(f"{path}.{field}", _NOT_EPHEMERAL))
        for place, mount in enumerate(container.get("volumeMounts") or ()):
            for field in ("subPath", "subPathExpr"):
                if mount.get(field):
                    wrong.append(fields.forbidden(f"{path}.volumeMounts[{place}].{field}", _NOT_EPHEMERAL))
    return wrong


def padded_image(container: Mapping[str, Any], path: str) -> list[FieldError]:
    """Blanks around an image: borne in templates, not in pods."""
    image = container.get("image") or ""
    if image.strip() == image:
        return []
    return [fields.invalid(path + ".image", image, "must not have leading or trailing whitespace")]


def _common(container: Mapping[str, Any], path: str, context: Context) -> list[FieldError]:
    """What holds for every sort of container."""
    wrong: list[FieldError] = []
    name, image = container.get("name"), container.get("image") or ""
    if not name:
        wrong.append(fields.required(path + ".name"))
    elif complaints := content.dns_label(name):
        wrong += fields.all_invalid(path + ".name", name, complaints)
    if not image:
        wrong.append(fields.required(path + ".image"))
    if (policy := container.get("terminationMessagePolicy")) not in _MESSAGE_POLICIES:
        wrong += _choice(path + ".terminationMessagePolicy", policy, _MESSAGE_POLICIES)
    if found := container.get("ports"):
        wrong += ports(found, path + ".ports")
    if found := container.get("env"):
        wrong += environment.variables(found, path + ".env")
    if found := container.get("envFrom"):
        wrong += environment.sources(found, path + ".envFrom")
    if container.get("volumeMounts") or container.get("volumeDevices"):
        wrong += mounts.validate(container, context.volumes, path)
    if (policy := container.get("imagePullPolicy")) not in _PULL_POLICIES:
        wrong += _choice(path + ".imagePullPolicy", policy, _PULL_POLICIES)
    if found := container.get("resources"):
        wrong += amounts.requirements(found, path + ".resources", context.claims)
    if found := container.get("resizePolicy"):
        wrong += _resize_policy(found, path + ".resizePolicy", context.restart_policy)
    if found := container.get("securityContext"):
        wrong += security.container(found, path + ".securityContext", context.host_users)
    return wrong


def _choice(path: str, value: Any, supported: Sequence[str]) -> list[FieldError]:
    """Required, and one of a few."""
    return [fields.not_supported(path, value, supported)] if value else [fields.required(path)]


def _handlers(container: Mapping[str, Any], path: str, context: Context) -> list[FieldError]:
    wrong: list[FieldError] = []
    if found := container.get("lifecycle"):
        wrong += probes.lifecycle(found, path + ".lifecycle", context.grace_period, context.system)
    for field in ("livenessProbe", "readinessProbe", "startupProbe"):
        if (found := container.get(field)) is not None:
            wrong += probes.probe(found, field, f"{path}.{field}", context.grace_period)
    return wrong


def ports(found: Sequence[Mapping[str, Any]], base: str) -> list[FieldError]:
    wrong: list[FieldError] = []
    names: set[str] = set()
    for index, port in enumerate(found):
        path = f"{base}[{index}]"
        if name := port.get("name"):
            if complaints := content.port_name(name):
                wrong += fields.all_invalid(path + ".name", name, complaints)
            elif name in names:
                wrong.append(fields.duplicate(path + ".name", name))
            names.add(name)
        number = port.get("containerPort") or 0
        if not number:
            wrong.append(fields.required(path + ".containerPort"))
        elif not 1 <= number <= 65535:
            wrong += fields.all_invalid(path + ".containerPort", number, content.port_number(number))
        host = port.get("hostPort") or 0
        if host:
            wrong += fields.all_invalid(path + ".hostPort", host, content.port_number(host))
        if (protocol := port.get("protocol")) not in _PROTOCOLS:
            wrong += _choice(path + ".protocol", protocol, _PROTOCOLS)
    return wrong


def _host_port_conflicts(found: Sequence[Mapping[str, Any]], base: str) -> list[FieldError]:
    wrong: list[FieldError] = []
    seen: set[str] = set()
    for index, container in enumerate(found):
        for place, port in enumerate(container.get("ports") or ()):
            if not port.get("hostPort"):
                continue
            key = f"{port.get('protocol')}/{port.get('hostIP') or ''}/{port['hostPort']}"
            if key in seen:
                wrong.append(fields.duplicate(f"{base}[{index}].ports[{place}].hostPort", key))
            seen.add(key)
    return wrong


def _resize_policy(found: Sequence[Mapping[str, Any]], path: str, restart_policy: str) -> list[FieldError]:
    wrong: list[FieldError] = []
    seen: set[str] = set()
    for index, policy in enumerate(found):
        name, restart = policy.get("resourceName") or "", policy.get("restartPolicy") or ""
        if name in seen:
            wrong.append(fields.duplicate(f"{path}[{index}]", name))
        seen.add(name)
        if name not in ("cpu", "memory"):
            wrong += _choice(path, name, ("cpu", "memory"))
        if restart not in _RESIZE_POLICIES:
            wrong += _choice(path, restart, _RESIZE_POLICIES)
        if restart_policy == "Never" and restart != "NotRequired":
            text = "must be 'NotRequired' when pod `restartPolicy` is 'Never'"
            wrong.append(fields.invalid(path, restart, text))
    return wrong
