"""A served API server that looks after definitions, and helpers to define types in it."""

import itertools
import time

import gevent
import pytest

from kubeshim.control_plane.api_server.background import custom_resource_definitions

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_numbers = itertools.count()


def definition(group, plural="widgets", kind="Widget", scope="Namespaced", versions=None, **version):
    """A definition with one version ``v1``, unless ``versions`` are given."""
    one = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": SCHEMA}, **version}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group, "scope": scope, "names": {"plural": plural, "kind": kind, "shortNames": ["wd"]},
            "versions": versions or [one],
        },
    }  # fmt: skip


SCHEMA = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "required": ["size"],
            "properties": {
                "size": {"type": "integer", "minimum": 1, "maximum": 10},
                "color": {"type": "string", "default": "red", "enum": ["red", "green"]},
                "port": {"x-kubernetes-int-or-string": True},
                "tags": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
                "parts": {
                    "type": "array",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["name"],
                    "items": {
                        "type": "object",
                        "required": ["name"],
                        "properties": {"name": {"type": "string"}, "count": {"type": "integer", "default": 1}},
                    },
                },
                "raw": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                "template": {
                    "type": "object",
                    "x-kubernetes-embedded-resource": True,
                    "properties": {"spec": {"type": "object", "properties": {"a": {"type": "string"}}}},
                },
            },
        },
        "status": {
            "type": "object",
            "properties": {"replicas": {"type": "integer"}, "selector": {"type": "string"}},
        },
    },
}


class Types:
    """Defines types in a running server."""

    def __init__(self, running):
        self.running = running

    def define(self, **options):
        """Posts a definition in a group of its own; returns the group when it is established."""
        group = options.pop("group", None) or f"g{next(_numbers)}.example.com"
        body = definition(group, **options)
        made = self.running.ask("POST", CRDS, body)
        assert made.status == 201, made.body
        self.until(body["metadata"]["name"], "Established", "True")
        return group

    def until(self, name, kind, status):
        """Waits for a condition; returns it."""
        end = time.monotonic() + 60
        while time.monotonic() < end:
            crd = self.running.ask("GET", f"{CRDS}/{name}").body
            for condition in (crd.get("status") or {}).get("conditions") or ():
                if (condition["type"], condition["status"]) == (kind, status):
                    return condition
            gevent.sleep(0.005)
        raise AssertionError(crd)


@pytest.fixture(scope="session")
def types(running):
    running.call(lambda: gevent.spawn(custom_resource_definitions.run, running.server) and None)
    return Types(running)
