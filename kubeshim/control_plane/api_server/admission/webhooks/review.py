"""The question that a webhook is asked, and what is an answer to it. Pure.

Source: ``admission.k8s.io/v1`` ``AdmissionReview``; what upstream's ``webhook/request`` demands of answers.
"""

import base64
import binascii
import dataclasses
from typing import Any

import orjson

from kubeshim.control_plane.api_server.admission import plugin
from kubeshim.machinery import errors, objects, resources

GROUP = "admission.k8s.io"
KNOWN = ("v1", "v1beta1")


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    allowed: bool
    result: dict[str, Any]
    """The ``Status`` of a refusal."""
    patch: list[Any] | None
    warnings: tuple[str, ...]


class BadAnswer(Exception):
    """It is none; the text says why."""


def question(
    attributes: plugin.Attributes, resource: resources.Resource, obj: objects.Object | None,
    old: objects.Object | None, uid: str,
) -> dict[str, Any]:  # fmt: skip
    """An ``AdmissionRequest``; ``resource`` and the objects are in the version that the webhook asked for."""
    own, part = attributes.resource, attributes.subresource
    return {
        "uid": uid,
        "kind": kind_of(resource, part, obj)._asdict(),
        "resource": resource.gvr._asdict(),
        **({"subResource": part} if part else {}),
        "requestKind": kind_of(own, part, attributes.object)._asdict(),
        "requestResource": own.gvr._asdict(),
        **({"requestSubResource": part} if part else {}),
        **({"name": attributes.name} if attributes.name else {}),
        **({"namespace": attributes.namespace} if attributes.namespace else {}),
        "operation": attributes.operation,
        "userInfo": user_info(attributes),
        "object": obj,
        "oldObject": old,
        "dryRun": attributes.dry_run,
        "options": attributes.options or None,
    }


def user_info(attributes: plugin.Attributes) -> dict[str, Any]:
    user = attributes.user
    found: dict[str, Any] = {"username": user.name}
    if user.uid:
        found["uid"] = user.uid
    if user.groups:
        found["groups"] = list(user.groups)
    if user.extra:
        found["extra"] = {key: list(values) for key, values in user.extra.items()}
    return found


def kind_of(resource: resources.Resource, part: str, obj: objects.Object | None) -> resources.GroupVersionKind:
    """Of what is sent: what a subresource takes, or the resource itself."""
    if obj is not None and part:
        group, version = resources.split_api_version(obj.get("apiVersion") or "")
        return resources.GroupVersionKind(group, version, str(obj.get("kind") or ""))
    return resource.gvk


def body(version: str, request: dict[str, Any]) -> bytes:
    return orjson.dumps({"kind": "AdmissionReview", "apiVersion": f"{GROUP}/{version}", "request": request})


def version_of(accepted: tuple[str, ...]) -> str:
    """The first of a webhook's review versions that is spoken here. Raises ``BadAnswer``."""
    for version in accepted:
        if version in KNOWN:
            return version
    raise BadAnswer("webhook does not accept known AdmissionReview versions (v1, v1beta1)")


def read(text: bytes, version: str, uid: str, *, mutating: bool) -> Answer:
    """Raises ``BadAnswer``."""
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError as problem:
        raise BadAnswer(f"couldn't get version/kind; json parse error: {problem}") from None
    if not isinstance(found, dict):
        raise BadAnswer("couldn't get version/kind; json parse error: expected an object")
    response = found.get("response")
    if not isinstance(response, dict):
        raise BadAnswer("webhook response was absent")
    patch_type, patch = response.get("patchType"), response.get("patch")
    if version == "v1":
        _check_v1(found, response, uid, mutating=mutating)
    elif mutating and patch and patch_type is None:
        patch_type = "JSONPatch"
    if not mutating:
        patch = None
    if patch and patch_type != "JSONPatch":
        raise BadAnswer(f"unsupported patch type {patch_type}")
    result = response.get("status")
    return Answer(
        bool(response.get("allowed")), dict(result) if isinstance(result, dict) else {},
        _operations(patch) if patch else None, tuple(map(str, response.get("warnings") or ())),
    )  # fmt: skip


def _check_v1(found: dict[str, Any], response: dict[str, Any], uid: str, *, mutating: bool) -> None:
    wanted, given = f"{GROUP}/v1, Kind=AdmissionReview", f"{found.get('apiVersion')}, Kind={found.get('kind')}"
    if wanted != given:
        raise BadAnswer(f"expected webhook response of {wanted}, got {given}")
    if response.get("uid") != uid:
        raise BadAnswer(f'expected response.uid="{uid}", got "{response.get("uid") or ""}"')
    patch, kind = response.get("patch"), response.get("patchType")
    if not mutating:
        for name, value in (("patch", patch), ("patchType", kind)):
            if value:
                raise BadAnswer(f"validating webhook may not return response.{name}")
        return
    if patch and kind is None:
        raise BadAnswer("webhook returned response.patch but not response.patchType")
    if not patch and kind is not None:
        raise BadAnswer("webhook returned response.patchType but not response.patch")
    if kind not in (None, "JSONPatch"):
        raise BadAnswer(f'webhook returned invalid response.patchType of "{kind}"')


def _operations(patch: str) -> list[Any]:
    try:
        found = orjson.loads(base64.b64decode(patch))
    except (binascii.Error, orjson.JSONDecodeError, ValueError) as problem:
        raise BadAnswer(f"response.patch cannot be read: {problem}") from None
    if not isinstance(found, list):
        raise BadAnswer("response.patch is no list of operations")
    return found


def refusal(name: str, result: dict[str, Any]) -> errors.APIStatusError:
    """What the client is told when a webhook says no."""
    said = f'admission webhook "{name}" denied the request'
    why = result.get("message") or result.get("reason")
    code = result.get("code") or 0
    status = {
        **result,
        "status": "Failure",
        "code": code if code >= 400 else 400,
        "message": f"{said}: {why}" if why else f"{said} without explanation",
    }
    return errors.from_status(status)
