"""What Go's scheme says of an object that is not of the kind a handler expects.

Upstream decodes an object as what it says it is and then converts it into the handler's internal type. So there are two
refusals: for kinds that nobody knows, and for those that cannot be converted.
"""

from kubeshim.machinery import resources, schemas

_UNSERVED = frozenset({resources.GroupVersionKind("apiextensions.k8s.io", "v1beta1", "CustomResourceDefinition")})
"""Kinds that are known still, and served no more."""
_NAME = 'in scheme "pkg/api/legacyscheme/scheme.go:30"'


def refusal(api_version: str, kind: str, expected: resources.GroupVersionKind) -> str:
    """Empty where the object is of that kind, be it in another version."""
    group, version = resources.split_api_version(api_version)
    said = resources.GroupVersionKind(group, version, kind)
    if schemas.definitions().name(said) is None and said != expected and said not in _UNSERVED:
        return f'no kind "{kind}" is registered for version "{api_version}" {_NAME}'
    if (_package(said), kind) != (_package(expected), expected.kind):
        return f"converting ({version}.{kind}) to ({_package(expected)}.{expected.kind}): unknown conversion"
    return ""


def _package(gvk: resources.GroupVersionKind) -> str:
    """The Go package of the internal type. Events of both groups are one type."""
    if gvk.group == "events.k8s.io":
        return "core"
    return gvk.group.partition(".")[0] or "core"
