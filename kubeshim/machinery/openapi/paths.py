"""Operations written as the ``paths`` of an OpenAPI document, in either version."""

import re
from collections.abc import Iterable
from typing import Any

from kubeshim.machinery.openapi import operations, parameters

_VARIABLE = re.compile(r"{(\w+)}")
_TEXTS = {200: "OK", 201: "Created", 202: "Accepted"}


def v2(found: Iterable[operations.Operation]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The ``paths``, and the ``parameters`` they refer to.

    Clients older than shared parameters look at those of PATCH operations for what the server can do, and
    do not follow references: there they are written out.
    """
    paths: dict[str, Any] = {}
    shared: dict[str, Any] = {}

    def refer(parameter: parameters.Parameter) -> dict[str, Any]:
        name = parameters.shared_name(parameter)
        shared.setdefault(name, parameters.as_v2(parameter))
        return {"$ref": f"#/parameters/{name}"}

    for operation in found:
        item = paths.setdefault(operation.path, {})
        if "parameters" not in item and (of_path := _path_parameters(operation)):
            item["parameters"] = [refer(parameter) for parameter in of_path]
        node = _common(operation)
        node["consumes"] = list(operation.consumes)
        node["produces"] = list(operation.produces)
        node["schemes"] = ["https"]
        own: list[dict[str, Any]] = []
        if operation.body:
            body = {"in": "body", "name": "body", "schema": {"$ref": f"#/definitions/{operation.body}"}}
            own.append({**body, "required": True} if operation.body_required else body)
        wanted = [parameters.QUERY[name] for name in operation.query]
        own += [parameters.as_v2(p) for p in wanted] if operation.method == "patch" else [refer(p) for p in wanted]
        if own:
            node["parameters"] = own
        node["responses"] = {
            **{
                str(code): {"description": _TEXTS[code], "schema": _schema(name, "#/definitions/")}
                for code, name in operation.responses
            },
            "401": {"description": "Unauthorized"},
        }
        item[operation.method] = node
    return dict(sorted(paths.items())), dict(sorted(shared.items()))


def v3(found: Iterable[operations.Operation]) -> dict[str, Any]:
    """The ``paths`` of a v3 document."""
    paths: dict[str, Any] = {}
    for operation in found:
        item = paths.setdefault(operation.path, {})
        if "parameters" not in item and (of_path := _path_parameters(operation)):
            item["parameters"] = [parameters.as_v3(parameter) for parameter in of_path]
        node = _common(operation)
        if operation.query:
            node["parameters"] = [parameters.as_v3(parameters.QUERY[name]) for name in operation.query]
        if operation.body:
            schema = {"schema": _schema(operation.body, "#/components/schemas/")}
            body: dict[str, Any] = {"content": dict.fromkeys(operation.consumes, schema)}
            node["requestBody"] = {**body, "required": True} if operation.body_required else body
        node["responses"] = {
            **{str(code): _response_v3(operation, code, name) for code, name in operation.responses},
            "401": {"description": "Unauthorized"},
        }
        item[operation.method] = node
    return dict(sorted(paths.items()))


def _response_v3(operation: operations.Operation, code: int, name: str) -> dict[str, Any]:
    schema = {"schema": _schema(name, "#/components/schemas/")}
    return {"description": _TEXTS[code], "content": dict.fromkeys(operation.produces, schema)}


def _common(operation: operations.Operation) -> dict[str, Any]:
    node: dict[str, Any] = {
        "description": operation.description,
        "operationId": operation.operation_id,
        "tags": [operation.tag],
    }
    if operation.action:
        node["x-kubernetes-action"] = operation.action
    if operation.gvk:
        node["x-kubernetes-group-version-kind"] = operation.gvk._asdict()
    return node


def _path_parameters(operation: operations.Operation) -> list[parameters.Parameter]:
    kind = operation.gvk.kind if operation.gvk else ""
    variables = [parameters.path(name, kind) for name in sorted(_VARIABLE.findall(operation.path))]
    return variables + [parameters.QUERY[name] for name in operation.shared]


def _schema(name: str, prefix: str) -> dict[str, Any]:
    return {"type": "string"} if name == "string" else {"$ref": prefix + name}
