"""Rows of configuration, quota and access rules."""

import datetime
from collections.abc import Mapping
from typing import Any

from kubeshim.machinery import objects, selectors
from kubeshim.machinery.tables import cells, durations


def config_map(obj: objects.Object, now: datetime.datetime) -> cells.Cells:
    return [cells.name(obj), len(obj.get("data") or ()) + len(obj.get("binaryData") or ()), cells.age(obj, now)]


def secret(obj: objects.Object, now: datetime.datetime) -> cells.Cells:
    return [cells.name(obj), obj.get("type", ""), len(obj.get("data") or ()), cells.age(obj, now)]


def service_account(obj: objects.Object, now: datetime.datetime) -> cells.Cells:
    return [cells.name(obj), cells.age(obj, now)]


def resource_quota(obj: objects.Object, now: datetime.datetime) -> cells.Cells:
    status = cells.status(obj)
    hard, used = status.get("hard") or {}, status.get("used") or {}
    requests: list[str] = []
    limits: list[str] = []
    for name in sorted(hard):
        into = limits if name.startswith("limits.") else requests
        into.append(f"{name}: {used.get(name, '0')}/{hard[name]}")
    return [cells.name(obj), ", ".join(requests), ", ".join(limits), cells.age(obj, now)]


def role_binding(obj: objects.Object, now: datetime.datetime) -> cells.Cells:
    role = obj.get("roleRef") or {}
    by_kind: dict[str, list[str]] = {"User": [], "Group": [], "ServiceAccount": []}
    for subject in obj.get("subjects") or ():
        name = subject["name"]
        if subject["kind"] == "ServiceAccount":
            name = f"{subject.get('namespace', '')}/{name}"
        by_kind.setdefault(subject["kind"], []).append(name)
    return [
        cells.name(obj),
        f"{role.get('kind', '')}/{role.get('name', '')}",
        cells.age(obj, now),
        *(", ".join(by_kind[kind]) for kind in ("User", "Group", "ServiceAccount")),
    ]


def signing_request(obj: objects.Object, now: datetime.datetime) -> cells.Cells:
    spec = cells.spec(obj)
    seconds = spec.get("expirationSeconds")
    return [
        cells.name(obj),
        cells.age(obj, now),
        spec.get("signerName") or cells.NONE,
        spec.get("username", ""),
        cells.NONE if seconds is None else durations.human(datetime.timedelta(seconds=seconds)),
        _signing_state(cells.status(obj)),
    ]


def _signing_state(status: Mapping[str, Any]) -> str:
    found = {condition.get("type") for condition in status.get("conditions") or ()}
    state = "Denied" if "Denied" in found else "Approved" if "Approved" in found else "Pending"
    if "Failed" in found:
        state += ",Failed"
    return state + ",Issued" if status.get("certificate") else state


def trust_bundle(obj: objects.Object, _now: datetime.datetime) -> cells.Cells:
    return [cells.name(obj), cells.spec(obj).get("signerName") or cells.NONE]


def pod_certificate(obj: objects.Object, _now: datetime.datetime) -> cells.Cells:
    spec, state = cells.spec(obj), "Pending"
    for condition in cells.status(obj).get("conditions") or ():
        if condition.get("type") in ("Issued", "Denied", "Failed"):
            state = condition["type"]
    return [
        cells.name(obj),
        *(spec.get(field, "") for field in ("podName", "serviceAccountName", "nodeName", "signerName")),
        state,
        cells.labels(spec.get("unverifiedUserAnnotations")),
    ]


def webhooks(obj: objects.Object, now: datetime.datetime) -> cells.Cells:
    return [cells.name(obj), len(obj.get("webhooks") or ()), cells.age(obj, now)]


def admission_policy(obj: objects.Object, now: datetime.datetime) -> cells.Cells:
    """A validating or mutating policy: how many rules it has, and what it takes its parameters from."""
    spec = cells.spec(obj)
    rules = spec.get("validations") or spec.get("mutations") or ()
    kind = spec.get("paramKind")
    shown = f"{kind.get('apiVersion', '')}/{kind.get('kind', '')}" if kind else cells.UNSET
    return [cells.name(obj), len(rules), shown, cells.age(obj, now)]


def admission_policy_binding(obj: objects.Object, now: datetime.datetime) -> cells.Cells:
    spec = cells.spec(obj)
    reference, shown = spec.get("paramRef") or {}, cells.UNSET
    if reference.get("name"):
        shown = f"{reference.get('namespace') or '*'}/{reference['name']}"
    elif reference.get("selector") is not None:
        shown = selectors.as_go_text(reference["selector"])
    return [cells.name(obj), spec.get("policyName", ""), shown, cells.age(obj, now)]
