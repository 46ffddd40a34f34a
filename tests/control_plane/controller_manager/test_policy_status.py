"""A validating policy is looked at once a generation, and its status says what was found."""

import pytest

from kubeshim.client import informer, kinds, recorder
from kubeshim.control_plane.controller_manager import config, controller
from kubeshim.control_plane.controller_manager.controllers import validatingadmissionpolicy_status
from tests import fake_api

POLICIES = kinds.VALIDATING_ADMISSION_POLICIES
DEPLOYMENT = {
    "type": "object",
    "properties": {"spec": {"type": "object", "properties": {"replicas": {"type": "integer"}}}},
    "x-kubernetes-group-version-kind": [{"group": "apps", "version": "v1", "kind": "Deployment"}],
}


def policy(name, expression, **status):
    rule = {"apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments"], "operations": ["*"]}
    spec = {"matchConstraints": {"resourceRules": [rule]}, "validations": [{"expression": expression}]}
    return {"metadata": {"name": name, "generation": 1}, "spec": spec, "status": status}


@pytest.fixture
def client():
    api = fake_api.FakeApi()
    api.discovery |= {
        "/apis/apps/v1": {"resources": [{"name": "deployments", "singularName": "deployment", "kind": "Deployment"}]},
        "/openapi/v3/apis/apps/v1": {"components": {"schemas": {"Deployment": DEPLOYMENT}}},
    }
    client = api.client()
    factory = informer.Factory(client)
    context = controller.Context(client, factory, config.Options(), lambda name: recorder.Recorder(client, name))
    made = validatingadmissionpolicy_status.ValidatingAdmissionPolicyStatusController(context)
    factory.start()
    made.start()
    yield client
    made.stop()
    factory.stop()
    client.close()
    api.stop()


def test_what_is_found_is_told(client):
    client.create(POLICIES, policy("seen", "object.nope == 1", observedGeneration=1))
    client.create(POLICIES, policy("good", "object.spec.replicas > 1"))
    client.create(POLICIES, policy("wrong", "object.replicas > 1"))
    status = lambda name: client.get(POLICIES, name).get("status")  # noqa: E731
    fake_api.eventually(lambda: all((status(name) or {}).get("observedGeneration") for name in ("good", "wrong")))
    assert status("good") == {"observedGeneration": 1, "typeChecking": {}}
    [warning] = status("wrong")["typeChecking"]["expressionWarnings"]
    assert warning["fieldRef"] == "spec.validations[0].expression"
    assert warning["warning"].startswith("apps/v1, Kind=Deployment: ERROR: <input>:1:7: undefined field 'replicas'\n")
    assert status("seen") == {"observedGeneration": 1}
