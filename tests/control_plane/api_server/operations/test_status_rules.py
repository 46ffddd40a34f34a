"""What the status of some kinds may become, over HTTP."""

import pytest

from tests.control_plane.api_server.operations import certificates

SAMPLES = certificates.replacements()


@pytest.fixture(scope="module")
def request_path(secure):
    path = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
    spec = {"signerName": "example.com/s", "usages": ["client auth"], "request": SAMPLES["CSR"]}
    assert secure.ask("POST", path, {"metadata": {"name": "r"}, "spec": spec}).status == 201
    return f"{path}/r"


def refusal(answer):
    return answer.status, answer.body.get("message", "").partition("is invalid: ")[2]


APPROVED = {"type": "Approved", "status": "True"}


@pytest.mark.parametrize(
    ("conditions", "complaint"),
    [
        ([{"type": "Approved"}], "status.conditions[0].status: Required value"),
        (
            [{"type": "Approved", "status": "False"}],
            'status.conditions[0].status: Unsupported value: "False": supported values: "True"',
        ),
        ([{"status": "True"}], "status.conditions[0].type: Required value"),
        ([APPROVED, APPROVED], 'status.conditions[1].type: Duplicate value: "Approved"'),
        (
            [APPROVED, {"type": "Denied", "status": "True"}],
            'status.conditions: Invalid value: "Denied": Approved and Denied conditions are mutually exclusive',
        ),
    ],
)
def test_what_no_approval_says(secure, request_path, conditions, complaint):
    found = secure.ask("GET", request_path).body
    found["status"] = {"conditions": conditions}
    assert refusal(secure.ask("PUT", f"{request_path}/approval", found)) == (422, complaint)


def test_only_the_approval_door_approves(secure, request_path):
    found = secure.ask("GET", request_path).body
    approved = {"type": "Approved", "status": "True", "reason": "R", "message": "m"}
    found["status"] = {"conditions": [approved]}
    text = 'status.conditions: Forbidden: updates may not add a condition of type "Approved"'
    assert refusal(secure.ask("PUT", f"{request_path}/status", found)) == (422, text)
    changed = secure.ask("PUT", f"{request_path}/approval", found)
    assert changed.status == 200
    assert changed.body["status"]["conditions"][0]["lastUpdateTime"]
    changed.body["status"]["certificate"] = "eA=="
    text = 'status.certificate: Invalid value: "<certificate data>": must contain at least one CERTIFICATE PEM block'
    assert refusal(secure.ask("PUT", f"{request_path}/status", changed.body)) == (422, text)
    changed.body["status"] |= {"certificate": certificates.text(SAMPLES["CA"].encode()), "conditions": []}
    text = 'status.conditions: Forbidden: updates may not remove a condition of type "Approved"'
    assert refusal(secure.ask("PUT", f"{request_path}/status", changed.body)) == (422, text)
    changed.body["status"]["conditions"] = [approved]
    issued = secure.ask("PUT", f"{request_path}/status", changed.body)
    assert issued.status == 200, issued.body
    issued.body["status"]["certificate"] += ""
    issued.body["status"].pop("certificate")
    text = "status.certificate: Forbidden: updates may not modify existing certificate content"
    assert refusal(secure.ask("PUT", f"{request_path}/status", issued.body)) == (422, text)


def test_taints_of_devices_are_dated(secure):
    path = "/apis/resource.k8s.io/v1/devicetaintrules"
    rule = {"metadata": {"name": "t"}, "spec": {"taint": {"key": "example.com/t", "effect": "NoSchedule"}}}
    made = secure.ask("POST", path, rule).body
    assert made["spec"]["taint"]["timeAdded"]
    made["spec"]["taint"] |= {"timeAdded": "2020-01-01T00:00:00Z"}
    kept = secure.ask("PUT", f"{path}/t", made).body
    assert kept["spec"]["taint"]["timeAdded"] == "2020-01-01T00:00:00Z"
    kept["spec"]["taint"]["effect"] = "NoExecute"
    assert secure.ask("PUT", f"{path}/t", kept).body["spec"]["taint"]["timeAdded"] > "2020-01-01T00:00:00Z"


def test_what_a_migration_has_achieved_stays(secure):
    path = "/apis/storagemigration.k8s.io/v1/storageversionmigrations"
    spec = {"resource": {"group": "apps", "resource": "deployments"}}
    made = secure.ask("POST", path, {"metadata": {"name": "m"}, "spec": spec}).body
    done = {"type": "Succeeded", "status": "True", "reason": "R", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    made["status"] = {"conditions": [{**done, "message": ""}], "resourceVersion": "12"}
    changed = secure.ask("PUT", f"{path}/m/status", made)
    assert changed.status == 200, changed.body
    changed.body["status"]["resourceVersion"] = "13"
    text = 'status.resourceVersion: Invalid value: "13": field is immutable'
    assert refusal(secure.ask("PUT", f"{path}/m/status", changed.body)) == (422, text)
