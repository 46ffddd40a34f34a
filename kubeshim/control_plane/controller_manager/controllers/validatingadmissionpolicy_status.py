"""Tells in a ValidatingAdmissionPolicy's status what its expressions get wrong about the types they are for.

A policy is looked at once a generation, against the types that are served then; what is not there yet is left out.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from kubeshim.client import kinds
from kubeshim.control_plane.controller_manager import controller
from kubeshim.machinery import errors, objects, resources
from kubeshim.machinery.objects import Object
from kubeshim.machinery.openapi import resolving


class ValidatingAdmissionPolicyStatusController(controller.Controller):
    name = "validatingadmissionpolicy-status"
    workers = 1

    def register(self) -> None:
        self._policies = self.watch(kinds.VALIDATING_ADMISSION_POLICIES)

    def sync(self, key: str) -> None:
        policy = self._policies.get(key)
        if policy is None:
            return
        generation = policy["metadata"].get("generation") or 0
        if generation <= objects.dig(policy, "status", "observedGeneration", default=0):
            return
        from kubeshim.machinery.cel import type_checking  # the engine is loaded with the first policy

        cluster = _Cluster(self)
        found = type_checking.warnings(policy.get("spec") or {}, cluster.kinds_for, cluster.schema_of)
        checked = {"expressionWarnings": found} if found else {}
        self.client.patch(
            kinds.VALIDATING_ADMISSION_POLICIES,
            key,
            {
                "apiVersion": kinds.VALIDATING_ADMISSION_POLICIES.group_version,
                "kind": "ValidatingAdmissionPolicy",
                "metadata": {"name": key},
                "status": {"observedGeneration": generation, "typeChecking": checked},
            },
            kind="apply",
            subresource="status",
            fieldManager=f"{self.name}-controller",
            force=True,
        )


class _Cluster:
    """The types that are served, asked for when needed and kept for one policy."""

    def __init__(self, owner: controller.Controller) -> None:
        self._client = owner.client
        self._documents: dict[str, Object] = {}

    def kinds_for(self, group: str, version: str, resource: str) -> Iterator[resources.GroupVersionKind]:
        """Without a group any will do, as long as it has that version."""
        groups = [group, *(self._groups_with(version) if not group else ())]
        for each in dict.fromkeys(groups):
            for found in self._get(_path(each, version)).get("resources") or ():
                if resource in (found["name"], found.get("singularName")):
                    yield resources.GroupVersionKind(each, version, found["kind"])

    def schema_of(self, kind: resources.GroupVersionKind) -> Mapping[str, Any] | None:
        document = self._get(f"/openapi/v3{_path(kind.group, kind.version)}")
        return resolving.schema_of(document, kind.group, kind.version, kind.kind)

    def _groups_with(self, version: str) -> Iterator[str]:
        for group in self._get("/apis").get("groups") or ():
            if any(each["version"] == version for each in group["versions"]):
                yield group["name"]

    def _get(self, path: str) -> Object:
        if path not in self._documents:
            try:
                answer = self._client.raw("GET", path, headers={"Accept": "application/json"})
                self._documents[path] = orjson.loads(answer.data)
            except (errors.NotFound, errors.ServiceUnavailable):
                self._documents[path] = {}
        return self._documents[path]


def _path(group: str, version: str) -> str:
    return f"/apis/{group}/{version}" if group else f"/api/{version}"
