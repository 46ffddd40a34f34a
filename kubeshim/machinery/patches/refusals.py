"""The 422 for a patch whose result does not fit its type or has fields that do not exist."""

import json

from kubeshim.machinery import errors, go_text, objects, resources, scheme


def unfit(shown: str, why: str) -> errors.Invalid:
    """`` "" is invalid: patch: Invalid value: "…": json: cannot unmarshal …``.

    ``shown`` is the patched document for JSON and merge patches, the patch itself for strategic ones.
    """
    problem = errors.FieldError("patch", "FieldValueInvalid", f"Invalid value: {_quoted(shown)}: {why}")
    return errors.invalid("", "", "", [problem])


def check_kind(patched: objects.Object, gvk: resources.GroupVersionKind) -> None:
    """A patch may not make another kind of an object. Raises ``errors.BadRequest`` with what Go's decoder says."""
    api_version, kind = patched.get("apiVersion") or gvk.group_version, patched.get("kind") or gvk.kind
    if why := scheme.refusal(api_version, kind, gvk):
        raise errors.BadRequest(why)
    if api_version != gvk.group_version:
        raise errors.BadRequest(
            f"the API version in the data ({api_version}) does not match the expected API version ({gvk.group_version})"
        )
    patched["apiVersion"], patched["kind"] = api_version, kind


def shown_map(patch: object) -> str:
    """A strategic patch as Go prints the map it decoded it into."""
    return go_text.value(patch)


def _quoted(text: str) -> str:
    """Go's ``%q``, for JSON and printed maps."""
    return json.dumps(text, ensure_ascii=False)
