"""Owners of custom objects' fields who wrote in another version."""

import json

from tests.control_plane.api_server.custom_resources.conftest import CRDS
from tests.control_plane.api_server.custom_resources.test_definitions import gone, version
from tests.control_plane.api_server.test_owners_of_versions import APPLY, MERGE, owners


def test_versions_that_are_served_no_more(types, namespace):
    """Their owners lose fields all the same; what cannot be converted leaves the record alone, and is not applied."""
    ask = types.running.ask
    group = types.define(versions=[version("v1"), version("v2", storage=True)])
    name = f"/apis/{group}/v2/namespaces/{namespace}/widgets/a"

    def merge(manager, spec):
        return ask("PATCH", f"{name}?fieldManager={manager}", {"spec": spec}, MERGE)

    body = {"apiVersion": f"{group}/v1", "kind": "Widget", "metadata": {"name": "a"}, "spec": {"x": 1, "y": 1, "z": 1}}
    made = ask("POST", f"/apis/{group}/v1/namespaces/{namespace}/widgets?fieldManager=a", body)
    first, second = ("a", f"{group}/v1"), ("b", f"{group}/v2")
    assert owners(made) == {first: [".", "f:x", "f:y", "f:z"]}
    assert owners(merge("b", {"x": 2})) == {first: [".", "f:y", "f:z"], second: ["f:x"]}
    crd = ask("GET", f"{CRDS}/widgets.{group}").body
    crd["spec"]["versions"][0]["served"] = False
    assert ask("PUT", f"{CRDS}/widgets.{group}", crd).status == 200
    gone(types.running, f"/apis/{group}/v1")
    taken = merge("b", {"y": 2})
    assert owners(taken) == {first: [".", "f:z"], second: ["f:x", "f:y"]}
    webhook = {"clientConfig": {"url": "https://127.0.0.1:1/"}, "conversionReviewVersions": ["v1"]}
    change = {"spec": {"conversion": {"strategy": "Webhook", "webhook": webhook}}}
    assert ask("PATCH", f"{CRDS}/widgets.{group}", change, MERGE).status == 200
    written = merge("b", {"z": 2}).body
    assert written["spec"] == {"x": 2, "y": 2, "z": 2}
    assert written["metadata"]["managedFields"] == taken.body["metadata"]["managedFields"]
    config = {"apiVersion": f"{group}/v2", "kind": "Widget", "metadata": {"name": "a"}, "spec": {"z": 4}}
    refused = ask("PATCH", f"{name}?fieldManager=c&force=true", json.dumps(config), APPLY)
    assert (refused.status, refused.body.get("reason")) == (500, None)
    start = f"failed to convert old object: conversion for {group}/v2, Kind=Widget failed: conversion webhook for "
    assert refused.body["message"].startswith(start), refused.body["message"]
