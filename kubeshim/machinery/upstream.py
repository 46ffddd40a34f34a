"""Upstream's OpenAPI definitions, restored from the form in which the kubernetes-validate package ships them.

The package altered them for JSON Schema validators. Undone here:

* ``type: [T, "null"]`` is ``T`` again;
* the ``enum`` that pins ``apiVersion`` and ``kind`` of top-level kinds is gone;
* Quantity, which had become string-or-number, and IntOrString, which had lost its ``int-or-string`` format,
  have the form of their OpenAPI version;
* references point to ``#/definitions/`` (v2) or ``#/components/schemas/`` (v3);
* the values of enumerations, which servers publish but upstream's files do not hold, are put in (``facts/enums.yaml``).

The versions differ: v2 has no ``default`` anywhere and puts ``description`` next to ``$ref``; v3 wraps a
reference that has company in ``allOf`` and carries defaults. The generator upstream gives each value that Go
cannot leave out its zero value as default; whether a Go field is a pointer is not in the data, so here the ones
that are known get it: items, map values, required fields, and metadata, spec and status of top-level kinds.

The package is read as data and never imported: importing it costs more than parsing the file.
"""

import functools
import importlib.resources
import importlib.util
import pathlib
from typing import Any

import orjson

from kubeshim import fast_yaml

_FILE = "kubernetes-json-schema/v1.37.0-local/_definitions.json"
_REFERENCE = "#/$defs/"

QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"

_QUANTITY_TEXT = (
    "An exact number with an optional suffix, written as a decimal (`0.5`), with a decimal exponent (`1e3`), a decimal "
    "suffix (`m`, `k`, `M`, `G`, `T`, `P`, `E`) or a binary one (`Ki`, `Mi`, `Gi`, `Ti`, `Pi`, `Ei`). The server keeps "
    "the value and rewrites it to its canonical form: no precision is lost, no fractional digits remain, and the "
    "exponent or suffix is as large as possible."
)
_INT_OR_STRING_TEXT = (
    "A value that is either an integer or a string. In JSON and YAML it is written as the one or the other; a field "
    "of this type takes for example a port's number or its name."
)

_PREFIX = "io.k8s.api.core.v1."
EXPLICIT_DEFAULTS: dict[tuple[str, str], Any] = {
    (_PREFIX + "AzureDiskVolumeSource", "cachingMode"): "ReadWrite",
    (_PREFIX + "AzureDiskVolumeSource", "fsType"): "ext4",
    (_PREFIX + "AzureDiskVolumeSource", "kind"): "Shared",
    (_PREFIX + "AzureDiskVolumeSource", "readOnly"): False,
    (_PREFIX + "ConfigMapEnvSource", "name"): "",
    (_PREFIX + "ConfigMapKeySelector", "name"): "",
    (_PREFIX + "ConfigMapProjection", "name"): "",
    (_PREFIX + "ConfigMapVolumeSource", "name"): "",
    (_PREFIX + "ContainerPort", "protocol"): "TCP",
    (_PREFIX + "GRPCAction", "service"): "",
    (_PREFIX + "ISCSIPersistentVolumeSource", "iscsiInterface"): "default",
    (_PREFIX + "ISCSIVolumeSource", "iscsiInterface"): "default",
    (_PREFIX + "LocalObjectReference", "name"): "",
    (_PREFIX + "RBDPersistentVolumeSource", "keyring"): "/etc/ceph/keyring",
    (_PREFIX + "RBDPersistentVolumeSource", "pool"): "rbd",
    (_PREFIX + "RBDPersistentVolumeSource", "user"): "admin",
    (_PREFIX + "RBDVolumeSource", "keyring"): "/etc/ceph/keyring",
    (_PREFIX + "RBDVolumeSource", "pool"): "rbd",
    (_PREFIX + "RBDVolumeSource", "user"): "admin",
    (_PREFIX + "ScaleIOPersistentVolumeSource", "fsType"): "xfs",
    (_PREFIX + "ScaleIOPersistentVolumeSource", "storageMode"): "ThinProvisioned",
    (_PREFIX + "ScaleIOVolumeSource", "fsType"): "xfs",
    (_PREFIX + "ScaleIOVolumeSource", "storageMode"): "ThinProvisioned",
    (_PREFIX + "SecretEnvSource", "name"): "",
    (_PREFIX + "SecretKeySelector", "name"): "",
    (_PREFIX + "SecretProjection", "name"): "",
    (_PREFIX + "ServicePort", "protocol"): "TCP",
}
"""Defaults that upstream declares on a field; the package has lost them, and apply needs those of merge keys."""

_ZERO = {"string": "", "integer": 0, "number": 0, "boolean": False}


def read() -> dict[str, Any]:
    """The definitions as shipped, by name. A fresh copy each time: 1.8 MB of text, about 10 ms."""
    spec = importlib.util.find_spec("kubernetes_validate")
    if spec is None or spec.origin is None:
        raise RuntimeError(
            "the package kubernetes-validate is not installed: pip install 'kubernetes-validate>=1.37,<1.38'"
        )
    path = pathlib.Path(spec.origin).parent / _FILE
    definitions: dict[str, Any] = orjson.loads(path.read_bytes())["$defs"]
    return definitions


def v2(shipped: dict[str, Any] | None = None) -> dict[str, Any]:
    """The ``definitions`` of an OpenAPI v2 document."""
    source = shipped if shipped is not None else read()
    return {name: _definition_v2(name, node) for name, node in source.items()}


def v3(shipped: dict[str, Any] | None = None) -> dict[str, Any]:
    """The ``components.schemas`` of an OpenAPI v3 document, of all group-versions together."""
    source = shipped if shipped is not None else read()
    return {name: _definition_v3(name, node, source) for name, node in source.items()}


def reference(node: dict[str, Any]) -> str:
    """The definition a node of the shipped form refers to, or ``""``."""
    return str(node.get("$ref", "")).removeprefix(_REFERENCE)


def _definition_v2(name: str, node: dict[str, Any]) -> dict[str, Any]:
    if name == QUANTITY:
        return {"description": _QUANTITY_TEXT, "type": "string"}
    if name == INT_OR_STRING:
        return {"description": _INT_OR_STRING_TEXT, "format": "int-or-string", "type": "string"}
    return _with_enumerations(name, _node_v2(_unpinned(node)))


def _definition_v3(name: str, node: dict[str, Any], source: dict[str, Any]) -> dict[str, Any]:
    if name == QUANTITY:
        return {"description": _QUANTITY_TEXT, "oneOf": [{"type": "string"}, {"type": "number"}]}
    if name == INT_OR_STRING:
        forms = [{"type": "integer"}, {"type": "string"}]
        return {"description": _INT_OR_STRING_TEXT, "format": "int-or-string", "oneOf": forms}
    restored = _node_v3(_unpinned(node), source)
    for field, child in restored.get("properties", {}).items():
        if (name, field) in EXPLICIT_DEFAULTS:
            child["default"] = EXPLICIT_DEFAULTS[name, field]
        elif field in node.get("required", ()) or _is_part_of_kind(node, field):
            _add_zero(child, node["properties"][field], source)
    return _with_enumerations(name, restored)


def _with_enumerations(name: str, restored: dict[str, Any]) -> dict[str, Any]:
    """Adds ``enum`` to the fields that have one, and to their description the sentence servers add."""
    for field, values in _enumerations().get(name, {}).items():
        child = restored["properties"][field.removesuffix("[]")]
        told = "\n".join(f' - `"{value}"`' for value in values)
        child["description"] = f"{child.get('description', '')}\n\nPossible enum values:\n{told}"
        (child["items"] if field.endswith("[]") else child)["enum"] = values
    return restored


@functools.cache
def _enumerations() -> dict[str, dict[str, list[str]]]:
    """Values by definition and field; ``[]`` after the field means its items."""
    file = importlib.resources.files("kubeshim.schemas") / "facts" / "enums.yaml"
    groups = fast_yaml.load(file.read_bytes())
    found: dict[str, dict[str, list[str]]] = {}
    for group, fields in groups.items():
        for path, values in fields.items():
            definition, field = path.split(".")
            found.setdefault(f"io.k8s.api.{group}.{definition}", {})[field] = values
    return found


def _is_part_of_kind(node: dict[str, Any], field: str) -> bool:
    return field in ("metadata", "spec", "status") and "x-kubernetes-group-version-kind" in node


def _unpinned(node: dict[str, Any]) -> dict[str, Any]:
    """Without the enumerations that tie a top-level kind to its name."""
    if "x-kubernetes-group-version-kind" not in node or "properties" not in node:
        return node
    properties = dict(node["properties"])
    for field in ("apiVersion", "kind"):
        if field in properties:
            properties[field] = {key: value for key, value in properties[field].items() if key != "enum"}
    return {**node, "properties": properties}


def type_of(node: dict[str, Any]) -> str:
    """The one type of a shipped node, ``""`` where it has none."""
    declared = node.get("type", "")
    if isinstance(declared, list):
        return str(next(entry for entry in declared if entry != "null"))
    return str(declared)


def _node_v2(node: dict[str, Any]) -> dict[str, Any]:
    restored = {key: value for key, value in node.items() if key != "default"}
    if "$ref" in node:
        restored["$ref"] = "#/definitions/" + reference(node)
    return _with_children(node, restored, _node_v2)


def _node_v3(node: dict[str, Any], source: dict[str, Any]) -> dict[str, Any]:
    restored = dict(node)
    if "$ref" in node:
        target = {"$ref": "#/components/schemas/" + reference(node)}
        if len(node) == 1:
            return target
        del restored["$ref"]
        restored["allOf"] = [target]
    restored = _with_children(node, restored, lambda child: _node_v3(child, source))
    for slot in ("items", "additionalProperties"):
        if isinstance(node.get(slot), dict):
            restored[slot] = _add_zero(restored[slot], node[slot], source)
    return restored


def _with_children(node: dict[str, Any], restored: dict[str, Any], restore: Any) -> dict[str, Any]:
    if "type" in node:
        restored["type"] = type_of(node)
    if "properties" in node:
        restored["properties"] = {field: restore(child) for field, child in node["properties"].items()}
    for slot in ("items", "additionalProperties"):
        if isinstance(node.get(slot), dict):
            restored[slot] = restore(node[slot])
    return restored


def _add_zero(child: dict[str, Any], shipped: dict[str, Any], source: dict[str, Any]) -> dict[str, Any]:
    """Gives ``child`` the default of a Go value that cannot be absent; a bare reference becomes ``allOf``."""
    name = reference(shipped)
    if name:
        if type_of(source[name]) != "object":
            return child
        zero: Any = {}
    elif shipped.get("format") in ("byte", "date-time") or type_of(shipped) not in _ZERO:
        return child
    else:
        zero = _ZERO[type_of(shipped)]
    if "$ref" in child:
        child["allOf"] = [{"$ref": child.pop("$ref")}]
    child["default"] = zero
    return child


def descriptions(fields: tuple[str, ...]) -> dict[str, str]:
    """The texts of some fields, named ``core.v1.PodStatus.podIP`` or ``meta.name``."""
    source = read()
    found = {}
    for field in fields:
        definition, _, name = field.rpartition(".")
        full = OBJECT_META if definition == "meta" else f"io.k8s.api.{definition}"
        found[field] = str(source[full]["properties"][name].get("description", ""))
    return found
