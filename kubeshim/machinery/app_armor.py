"""AppArmor profiles in annotations, where they were before there was a field for them."""

from typing import Any

from kubeshim.machinery import objects

ANNOTATION = "container.apparmor.security.beta.kubernetes.io/"
_TYPES = {"unconfined": "Unconfined", "runtime/default": "RuntimeDefault"}
_LOCAL = "localhost/"
_LONGEST = 4095
_CONTAINERS = ("initContainers", "containers", "ephemeralContainers")


def fill_fields(pod: objects.Object) -> None:
    """Gives the containers of a new pod the profiles that only annotations name; changes it in place."""
    for container, _, profile in _annotated(pod):
        if profile is not None and profile != _of_pod(pod):
            container["securityContext"] = {**(container.get("securityContext") or {}), "appArmorProfile": profile}


def warnings(pod: objects.Object) -> list[str]:
    """Before ``fill_fields``: what annotations say that a field should."""
    return [
        f'metadata.annotations[{key}]: deprecated since v1.30; use the "appArmorProfile" field instead'
        for _, key, profile in _annotated(pod)
        if profile is None or profile != _of_pod(pod)
    ]


def _annotated(pod: objects.Object) -> list[tuple[dict[str, Any], str, dict[str, Any] | None]]:
    """Containers without the field but with the annotation: it, its key and the profile it means."""
    annotations = objects.annotations(pod)
    spec = pod.get("spec") or {}
    if not any(key.startswith(ANNOTATION) for key in annotations) or objects.dig(spec, "os", "name") == "windows":
        return []
    return [
        (container, key, _profile(annotations[key]))
        for field in _CONTAINERS
        for container in spec.get(field) or ()
        if (key := ANNOTATION + (container.get("name") or "")) in annotations
        and (container.get("securityContext") or {}).get("appArmorProfile") is None
    ]


def _of_pod(pod: objects.Object) -> Any:
    return objects.dig(pod, "spec", "securityContext", "appArmorProfile")


def _profile(annotation: str) -> dict[str, Any] | None:
    if annotation in _TYPES:
        return {"type": _TYPES[annotation]}
    name = annotation.removeprefix(_LOCAL)
    if name == annotation or not name or name != name.strip() or len(name.encode()) > _LONGEST:
        return None
    return {"type": "Localhost", "localhostProfile": name}
