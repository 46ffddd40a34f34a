"""What things are called in OpenAPI documents: operations, tags and definitions."""

from kubeshim.machinery import resources, schemas


def _words(group: str) -> list[str]:
    """``rbac.authorization.k8s.io`` → ``["Rbac", "Authorization"]``; the core group is ``["Core"]``."""
    parts = (group or "core").removesuffix(".k8s.io").replace("-", ".").split(".")
    return [part[:1].upper() + part[1:] for part in parts]


def group_version(group: str, version: str) -> str:
    """``AppsV1``, ``CoreV1``, ``RbacAuthorizationV1beta1``: the middle of an operation's id."""
    return "".join(_words(group)) + version[:1].upper() + version[1:]


def group_name(group: str) -> str:
    """``Apps``, ``RbacAuthorization``."""
    return "".join(_words(group))


def tag(group: str, version: str = "") -> str:
    """``apps_v1``, ``rbacAuthorization_v1``, and without a version the group's own."""
    words = "".join(_words(group))
    name = words[:1].lower() + words[1:]
    return f"{name}_{version}" if version else name


def definition(gvk: resources.GroupVersionKind) -> str:
    """The definition of a kind: upstream's name, or for a custom one ``com.example.v1.Widget``."""
    return schemas.definitions().name(gvk) or custom_definition(gvk)


def custom_definition(gvk: resources.GroupVersionKind) -> str:
    return ".".join([*reversed(gvk.group.split(".")), gvk.version, gvk.kind])
