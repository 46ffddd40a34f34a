"""The list of operations a server has, by the type of object they are about, and how to call one by name.

/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale   GET  read_namespaced_deployment_scale
  → family apps/v1/deployments, method of AppsV1Api
"""

import csv
import dataclasses
import importlib.resources
import inspect
import json
import pathlib
import re
from typing import Any

import kubernetes
import yaml


@dataclasses.dataclass(frozen=True, slots=True)
class Operation:
    path: str
    method: str
    name: str

    @property
    def group_version(self) -> tuple[str, str]:
        parts = self.path.strip("/").split("/")
        return ("", parts[1]) if parts[0] == "api" else (parts[1], parts[2])

    @property
    def place(self) -> list[str]:
        """The path after group and version, without the namespace it is in."""
        parts = self.path.strip("/").split("/")[2 if self.path.startswith("/api/") else 3 :]
        return parts[2:] if parts[:2] == ["namespaces", "{namespace}"] else parts

    @property
    def family(self) -> str:
        group, version = self.group_version
        return "/".join(filter(None, (group, version, self.place[0].replace("{plural}", "*"))))


def general_availability() -> list[Operation]:
    text = importlib.resources.files("kubeshim.schemas").joinpath("facts/operations.tsv").read_text()
    rows = csv.DictReader(text.splitlines(), delimiter="\t")
    return [Operation(row["path"], row["method"], row["operation"]) for row in rows if row["level"] == "ga"]


def families() -> dict[str, list[Operation]]:
    """The operations on objects, by type."""
    found: dict[str, list[Operation]] = {}
    for operation in general_availability():
        if re.match(r"/(api|apis/[^/{]+)/v\w+/[^/]", operation.path):
            found.setdefault(operation.family, []).append(operation)
    return found


def api(client: kubernetes.client.ApiClient, group: str, version: str) -> Any:
    stem = group.removesuffix(".k8s.io").replace(".k8s.io", "") or "core"
    words = [word.capitalize() for word in [*stem.split("."), version] if word]
    return getattr(kubernetes.client, "".join(words) + "Api")(client)


def call(client: kubernetes.client.ApiClient, operation: Operation, **known: Any) -> Any:
    """``(data, status, headers)`` of the official method, given those of ``known`` that it takes."""
    method = getattr(api(client, *operation.group_version), operation.name + "_with_http_info")
    accepted = inspect.signature(method).parameters
    arguments = {name: value for name, value in known.items() if name in accepted}
    missing = [name for name, p in accepted.items() if p.default is p.empty and name not in arguments]
    assert not missing, f"{operation.name} needs {missing}"
    return method(**arguments)


def samples(replacements: dict[str, Any]) -> dict[str, Any]:
    """``samples.yaml``, texts that begin with ``$`` filled in."""
    return filled(yaml.safe_load((pathlib.Path(__file__).parent / "samples.yaml").read_bytes()), replacements)


def filled(value: Any, replacements: dict[str, Any]) -> Any:
    if isinstance(value, str) and value.startswith("$"):
        return json.loads(json.dumps(replacements[value[1:]]))
    if isinstance(value, dict):
        return {key: filled(item, replacements) for key, item in value.items()}
    return [filled(item, replacements) for item in value] if isinstance(value, list) else value
