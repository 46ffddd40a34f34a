"""The metrics API's OpenAPI v3 document, for ``kubectl explain``."""

from typing import Any

_PREFIX = "io.k8s.metrics.pkg.apis.metrics.v1beta1"
_PATH = "apis/metrics.k8s.io/v1beta1"
_QUANTITIES = {
    "type": "object",
    "description": "What is used, by resource: cpu in cores, memory in bytes of the working set.",
    "additionalProperties": {"type": "string"},
}
_COMMON = {
    "apiVersion": {"type": "string", "description": "The versioned schema of this representation of an object."},
    "kind": {"type": "string", "description": "The REST resource that this object represents."},
    "metadata": {"type": "object", "description": "Standard object's metadata."},
    "timestamp": {"type": "string", "format": "date-time", "description": "The end of the time that was measured."},
    "window": {"type": "string", "description": "How long was measured, up to timestamp."},
}


def _schema(kind: str, description: str, properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "description": description,
        "properties": properties,
        "x-kubernetes-group-version-kind": [{"group": "metrics.k8s.io", "version": "v1beta1", "kind": kind}],
    }


def _list(kind: str) -> dict[str, Any]:
    items = {
        "type": "array",
        "description": f"List of {kind}.",
        "items": {"$ref": f"#/components/schemas/{_PREFIX}.{kind}"},
    }
    properties = {name: _COMMON[name] for name in ("apiVersion", "kind", "metadata")} | {"items": items}
    return _schema(f"{kind}List", f"{kind}List is a list of {kind}.", properties)


_CONTAINER = {
    "type": "object",
    "description": "What one container uses.",
    "properties": {"name": {"type": "string", "description": "The container's name."}, "usage": _QUANTITIES},
}
_CONTAINERS = {
    "type": "array",
    "description": "All containers of the pod, measured over the same time.",
    "items": {"$ref": f"#/components/schemas/{_PREFIX}.ContainerMetrics"},
}
_SCHEMAS = {
    f"{_PREFIX}.ContainerMetrics": _CONTAINER,
    f"{_PREFIX}.NodeMetrics": _schema("NodeMetrics", "What a node uses.", {**_COMMON, "usage": _QUANTITIES}),
    f"{_PREFIX}.NodeMetricsList": _list("NodeMetrics"),
    f"{_PREFIX}.PodMetrics": _schema("PodMetrics", "What a pod uses.", {**_COMMON, "containers": _CONTAINERS}),
    f"{_PREFIX}.PodMetricsList": _list("PodMetrics"),
}


def _operation(action: str, kind: str, answer: str) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{_PREFIX}.{answer}"}}}
    return {
        "get": {
            "responses": {"200": {"description": "OK", "content": content}},
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": {"group": "metrics.k8s.io", "version": "v1beta1", "kind": kind},
        }
    }


DOCUMENT = {
    "openapi": "3.0.0",
    "info": {"title": "metrics-server", "version": "v1beta1"},
    "paths": {
        f"/{_PATH}/nodes": _operation("list", "NodeMetrics", "NodeMetricsList"),
        f"/{_PATH}/nodes/{{name}}": _operation("get", "NodeMetrics", "NodeMetrics"),
        f"/{_PATH}/pods": _operation("list", "PodMetrics", "PodMetricsList"),
        f"/{_PATH}/namespaces/{{namespace}}/pods": _operation("list", "PodMetrics", "PodMetricsList"),
        f"/{_PATH}/namespaces/{{namespace}}/pods/{{name}}": _operation("get", "PodMetrics", "PodMetrics"),
    },
    "components": {"schemas": _SCHEMAS},
}
INDEX = {"paths": {_PATH: {"serverRelativeURL": f"/openapi/v3/{_PATH}"}}}
