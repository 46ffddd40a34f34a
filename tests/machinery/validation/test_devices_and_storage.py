"""Devices, CSI, certificates, ranges and migrations: bad objects and the genuine texts."""
# ruff: noqa: E501 (texts stand as they are sent)

import base64
import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import oid

from kubeshim import clock
from kubeshim.machinery.validation import (
    certificates,
    cluster_ranges,
    device_capacities,
    device_claims,
    device_slices,
    pod_certificates,
    storage,
    storage_classes,
    storage_migration,
)
from tests.machinery.validation import tables

ONE_OF = "exactly one of `exactly` or `firstAvailable` is required"
REFERENCE = "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'"
EXACT = {"deviceClassName": "c", "allocationMode": "ExactCount", "count": 1}


def texts(problems):
    return [str(problem) for problem in problems]


@pytest.mark.parametrize(
    ("devices", "expected"),
    [
        ({"requests": [{"name": "r", "exactly": EXACT}]}, []),
        ({"requests": [{"name": "r"}]}, [f"requests[0]: Required value: {ONE_OF}"]),
        (
            {"requests": [{"name": "r", "exactly": EXACT, "firstAvailable": [{"name": "a", **EXACT}]}]},
            [f"requests[0]: Invalid value: null: {ONE_OF}, but multiple fields are set"],
        ),
        (
            {"requests": [{"name": "r", "exactly": EXACT}, {"name": "r", "exactly": EXACT}]},
            ['requests[1]: Duplicate value: "r"'],
        ),
        (
            {"requests": [{"name": "r", "exactly": {"allocationMode": "All", "count": 2}}]},
            [
                "requests[0].exactly.deviceClassName: Required value",
                "requests[0].exactly.count: Invalid value: 2: must not be specified when allocationMode is 'All'",
            ],
        ),
        (
            {"requests": [{"name": "r", "exactly": {**EXACT, "count": 0, "selectors": [{}]}}]},
            [
                "requests[0].exactly.selectors[0].cel: Required value",
                "requests[0].exactly.count: Invalid value: 0: must be greater than zero",
            ],
        ),
        (
            {"requests": [{"name": f"r{number}", "exactly": EXACT} for number in range(33)]},
            ["requests: Too many: 33: must have at most 32 items"],
        ),
        (
            {"requests": [{"name": "r", "exactly": EXACT}], "constraints": [{"requests": ["x"], "matchAttribute": "a"}]},
            [
                f'constraints[0].requests[0]: Invalid value: "x": {REFERENCE}',
                'constraints[0].matchAttribute: Invalid value: "a": a fully qualified name must be a domain and a name separated by a slash',
            ],
        ),
        ({"config": [{}]}, ["config[0].opaque: Required value"]),
        (
            {"config": [{"opaque": {"driver": "d", "parameters": []}}]},
            ['config[0].opaque.parameters: Invalid value: "<value omitted>": must be a valid JSON object'],
        ),
    ],
)  # fmt: skip
def test_claims(devices, expected):
    found = device_claims.claim_create({"spec": {"devices": devices}})
    assert texts(found) == [f"spec.devices.{text}" for text in expected]


def slice_of(**changes):
    pool = {"name": "p", "resourceSliceCount": 1, "generation": 1}
    return {"spec": {"driver": "d.example.com", "pool": pool, "nodeName": "n", **changes}}


PLACE = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"devices": [{"name": "d"}]}, []),
        ({"nodeName": None}, [f"spec: Required value: {PLACE}"]),
        (
            {"allNodes": True},
            [f'spec: Invalid value: "{{`nodeName`, `allNodes`}}": {PLACE}, but multiple fields are set'],
        ),
        ({"driver": ""}, ["spec.driver: Required value"]),
        (
            {"pool": {"name": "p", "generation": -1}},
            [
                "spec.pool.resourceSliceCount: Invalid value: 0: must be greater than zero",
                "spec.pool.generation: Invalid value: -1: must be greater than or equal to zero",
            ],
        ),
        (
            {"devices": [{"name": "d", "attributes": {"a": {}, "b": {"version": "1.0"}}}]},
            [
                'spec.devices[0].attributes[a]: Invalid value: "": exactly one value must be specified',
                'spec.devices[0].attributes[b].version: Invalid value: "1.0": must be a string compatible with semver.org spec 2.0.0',
            ],
        ),
        (
            {"devices": [{"name": "d", "taints": [{"key": "k", "effect": "PreferNoSchedule"}]}]},
            [
                'spec.devices[0].taints[0].effect: Unsupported value: "PreferNoSchedule": supported values: "NoExecute", "NoSchedule", "None"'
            ],
        ),
        (
            {"devices": [{"name": "d", "nodeName": "n"}]},
            [
                "spec.devices[0]: Invalid value: null: `nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true in the ResourceSlice spec"
            ],
        ),
        (
            {"devices": [{"name": "d", "bindingConditions": ["a"]}]},
            [
                "spec.devices[0].bindingFailureConditions: Invalid value: null: bindingFailureConditions are required to use bindingConditions"
            ],
        ),
    ],
)  # fmt: skip
def test_slices(changes, expected):
    assert texts(device_slices.resource_slice(slice_of(**changes))) == expected


def test_what_of_devices_never_changes():
    old, new = slice_of(), slice_of(driver="e.example.com", nodeName="m")
    found = texts(device_slices.resource_slice(new, old))
    assert found == [
        'spec.driver: Invalid value: "e.example.com": field is immutable',
        'spec.nodeName: Invalid value: "m": field is immutable',
    ]
    opaque = {"opaque": {"driver": "d", "parameters": {"b": 1, "a": 2}}}
    assert texts(device_claims.claim_update({"spec": {"devices": {"config": [opaque]}}}, {})) == [
        'spec: Invalid value: {"Devices":{"Requests":null,"Constraints":null,"Config":[{"Requests":null,"Opaque":'
        '{"Driver":"d","Parameters":{"b":1,"a":2}}}]}}: field is immutable'
    ]


BAD_TAINT = {"key": "k", "effect": "PreferNoSchedule"}
EFFECTS = 'effect: Unsupported value: "PreferNoSchedule": supported values: "NoExecute", "NoSchedule", "None"'
POLICY = {"a": {"value": "1", "requestPolicy": {}}}


@pytest.mark.parametrize(
    ("check", "before", "after", "expected"),
    [
        (device_slices.resource_slice, {"taints": [BAD_TAINT]}, {"taints": [BAD_TAINT], "allNodes": False}, [
            "spec.devices[0]: Invalid value: null: `nodeName`, `nodeSelector` and `allNodes` can only be set if "
            "`perDeviceNodeSelection` is set to true in the ResourceSlice spec",
        ]),
        (device_slices.resource_slice, {"taints": [BAD_TAINT]}, {"taints": [BAD_TAINT | {"value": "v"}]}, [
            f"spec.devices[0].taints[0].{EFFECTS}",
        ]),
        (device_slices.resource_slice, {"capacity": POLICY}, {"capacity": POLICY}, []),
        (device_slices.resource_slice, {}, {"capacity": POLICY}, [
            "spec.devices[0].capacity[a].requestPolicy: Forbidden: allowMultipleAllocations must be true",
        ]),
        (device_slices.taint_rule, {"taint": BAD_TAINT}, {"taint": BAD_TAINT | {"value": "v"}}, []),
        (device_slices.taint_rule, {"taint": {"key": "k"}}, {"taint": BAD_TAINT}, [f"spec.taint.{EFFECTS}"]),
        (device_claims.device_class, {"selectors": [{"cel": {"expression": "("}}]},
         {"selectors": [{"cel": {"expression": "("}}], "extendedResourceName": "x"},
         ['spec.extendedResourceName: Invalid value: "x": must be a valid extended resource name']),
    ],
)  # fmt: skip
def test_what_is_as_it_was_is_not_judged_again(check, before, after, expected):
    if check is device_slices.resource_slice:
        old, new = (slice_of(devices=[{"name": "d", **device}]) for device in (before, after))
    else:
        old, new = {"spec": before}, {"spec": after}
    assert texts(check(new, old)) == expected


def test_the_status_of_a_claim():
    spec = {"devices": {"requests": [{"name": "r", "exactly": EXACT}]}}
    result = {"request": "r", "driver": "d", "pool": "p", "device": "x"}
    user = {"resource": "pods", "name": "p", "uid": "u"}
    old = {"spec": spec, "status": {}}

    def judged(**status):
        return texts(device_claims.claim_status({"spec": spec, "status": status}, old))

    given = {"devices": {"results": [result]}}
    assert judged(allocation=given, reservedFor=[user]) == []
    assert judged(reservedFor=[user]) == [
        "status.reservedFor: Forbidden: may not be specified when `allocated` is not set"
    ]
    other = {**result, "device": "y"}
    assert judged(allocation=given, devices=[other]) == [
        'status.devices[0]: Invalid value: "d/p/y": must be an allocated device in the claim'
    ]
    assert judged(allocation={"devices": {"results": [{**result, "request": "s"}]}}) == [
        f'status.allocation.devices.results[0].request: Invalid value: "s": {REFERENCE}'
    ]


DRIVER = {"attachRequired": True, "podInfoOnMount": False, "storageCapacity": False}
SOURCE = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"


@pytest.mark.parametrize(
    ("check", "obj", "expected"),
    [
        (storage.csi_driver, {"spec": DRIVER}, []),
        (
            storage.csi_driver,
            {"spec": {"podInfoOnMount": True, "storageCapacity": True, "fsGroupPolicy": "x"}},
            [
                "spec.attachedRequired: Required value",
                'spec.fsGroupPolicy: Unsupported value: "x": supported values: "File", "None", "ReadWriteOnceWithFSType"',
            ],
        ),
        (
            storage.csi_driver,
            {"spec": {**DRIVER, "tokenRequests": [{"audience": "a", "expirationSeconds": 1}, {"audience": "a"}]}},
            [
                "spec.tokenRequests[0].expirationSeconds: Invalid value: 1: may not specify a duration less than 10 minutes",
                'spec.tokenRequests[1].audience: Duplicate value: "a"',
            ],
        ),
        (
            storage.csi_node,
            {"spec": {"drivers": [{"name": "d", "nodeID": "n"}, {"name": "d", "allocatable": {"count": -1}}]}},
            [
                "spec.drivers[1].nodeID: Required value",
                "spec.drivers[1].allocatable.count: Invalid value: -1: must be greater than or equal to 0",
                'spec.drivers[1].name: Duplicate value: "d"',
            ],
        ),
        (storage.attachment, {"spec": {"attacher": "a", "nodeName": "n"}}, [f"spec.source: Required value: {SOURCE}"]),
        (
            storage_classes.attributes_class,
            {"driverName": "d"},
            ["parameters: Required value: must contain at least one key/value pair"],
        ),
        (cluster_ranges.service_cidr, {"spec": {}}, ["spec.cidrs: Required value: at least one CIDR required"]),
        (
            cluster_ranges.service_cidr,
            {"spec": {"cidrs": ["10.0.0.0/8", "11.0.0.0/8"]}},
            [
                'spec.cidrs: Invalid value: ["10.0.0.0/8","11.0.0.0/8"]: may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64'
            ],
        ),
        (cluster_ranges.address, {"spec": {}}, ["spec.parentRef: Required value"]),
        (
            cluster_ranges.address,
            {"spec": {"parentRef": {"resource": "services"}}},
            ["spec.parentRef.name: Required value"],
        ),
        (
            storage_migration.migration,
            {"spec": {"resource": {}}},
            ["spec.resource.resource: Required value: resource is required to be set"],
        ),
    ],
)  # fmt: skip
def test_storage_ranges_and_migrations(check, obj, expected):
    assert texts(check(obj)) == expected


@pytest.mark.parametrize(
    ("check", "new", "old", "expected"),
    [
        (
            storage_classes.attributes_class_change,
            {"driverName": "a", "parameters": {"k": "v"}},
            {"driverName": "b"},
            [
                "driverName: Forbidden: updates to driverName are forbidden.",
                "parameters: Forbidden: updates to parameters are forbidden.",
            ],
        ),
        (
            storage.storage_capacity_update,
            {"storageClassName": "a"},
            {"storageClassName": "b"},
            ['storageClassName: Invalid value: "a": field is immutable'],
        ),
        (
            storage.csi_node_update,
            {"spec": {"drivers": [{"name": "d", "nodeID": "n", "allocatable": {"count": 3}}]}},
            {"spec": {"drivers": [{"name": "d", "nodeID": "n"}]}},
            [],
        ),
        (
            cluster_ranges.service_cidr_update,
            {"spec": {"cidrs": ["10.0.0.0/8"]}},
            {"spec": {"cidrs": ["11.0.0.0/8"]}},
            ['spec.cidrs[0]: Invalid value: "10.0.0.0/8": field is immutable'],
        ),
    ],
)  # fmt: skip
def test_updates(check, new, old, expected):
    assert texts(check(new, old)) == expected


KEY = ec.generate_private_key(ec.SECP256R1())
NOW = datetime.datetime.now(datetime.UTC).replace(microsecond=0)


@pytest.fixture
def present(monkeypatch):
    """What is issued must be issued now, and this module may have been imported long ago."""
    monkeypatch.setitem(globals(), "NOW", datetime.datetime.now(datetime.UTC).replace(microsecond=0))


def named(name):
    return x509.Name([x509.NameAttribute(oid.NameOID.COMMON_NAME, name)])


def certificate(authority, key=KEY, hours=24):
    made = x509.CertificateBuilder().subject_name(named("a")).issuer_name(named("a")).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(NOW).not_valid_after(NOW + datetime.timedelta(hours=hours))
    made = made.add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    return made.sign(KEY, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def bundle(text, name="b", signer=""):
    spec = {"trustBundle": text, **({"signerName": signer} if signer else {})}
    obj = {"metadata": {"name": name}, "spec": spec}
    return texts(certificates.trust_bundle(obj) + certificates.trust_bundle_create(obj))


def test_trust_bundles():
    anchor, path = certificate(authority=True), 'spec.trustBundle: Invalid value: "<value omitted>": '
    assert bundle(anchor) == []
    assert bundle("junk") == [path + "at least one trust anchor must be provided"]
    assert bundle(certificate(authority=False)) == [path + "entry 0 does not have the CA bit set"]
    assert bundle(anchor + anchor) == [path + "duplicate trust anchor (indices [0 1])"]
    assert bundle(anchor, "example.com:s:b", "example.com/s") == []
    assert bundle(anchor, "b", "example.com/s") == [
        'metadata.name: Invalid value: "b": ClusterTrustBundle for signerName example.com/s must be named with prefix example.com:s:'
    ]
    assert bundle(anchor, "a:b") == [
        'metadata.name: Invalid value: "a:b": ClusterTrustBundle without signer name must not have ":" in its name'
    ]


def request():
    made = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(KEY, hashes.SHA256())
    return base64.b64encode(made.public_bytes(serialization.Encoding.DER)).decode()


def test_signing_requests():
    found = texts(certificates.signing_request({"spec": {"request": "eA==", "signerName": "x", "usages": ["y"]}}))
    assert found[0] == 'spec.request: Invalid value: "eA==": PEM block type must be CERTIFICATE REQUEST'
    assert found[1].startswith('spec.usages[0]: Unsupported value: "y": supported values: "any", "cert sign"')
    assert found[2] == (
        "spec.signerName: Invalid value: \"x\": must be a fully qualified domain and path of the form 'example.com/signer-name'"
    )


def issued(**changes):
    """The status a signer writes, and what is said of it."""
    spec = {"stubPKCS10Request": request(), "maxExpirationSeconds": 86400}
    condition = {
        "type": "Issued", "status": "True", "reason": "R", "message": "", "lastTransitionTime": clock.rfc3339(NOW),
    }  # fmt: skip
    status = {
        "conditions": [condition], "certificateChain": certificate(authority=False),
        "notBefore": clock.rfc3339(NOW), "notAfter": clock.rfc3339(NOW + datetime.timedelta(hours=24)),
        "beginRefreshAt": clock.rfc3339(NOW + datetime.timedelta(hours=12)), **changes,
    }  # fmt: skip
    status = {key: value for key, value in status.items() if value is not None}
    return texts(pod_certificates.status({"spec": spec, "status": status}, {"spec": spec}))


@pytest.mark.usefixtures("present")
def test_certificates_for_pods():
    assert issued() == []
    early = clock.rfc3339(NOW + datetime.timedelta(minutes=1))
    assert issued(beginRefreshAt=early) == [
        f'status.beginRefreshAt: Invalid value: "{early}": must be at least 10 minutes after status.notBefore'
    ]
    assert issued(notBefore=None) == [
        "status.notBefore: Required value: must be present and consistent with the issued certificate"
    ]
    other = certificate(authority=False, key=ec.generate_private_key(ec.SECP256R1()))
    assert issued(certificateChain=other)[0].endswith("leaf certificate was not issued to the requested public key")
    assert issued(certificateChain=certificate(authority=False, hours=48))[0].startswith("status.notAfter")
    assert issued(conditions=[])[0] == (
        'status: Invalid value: status is immutable unless transitioning to "Issued", "Denied", or "Failed"'
    )
    denied = {"type": "Denied", "status": "False", "reason": "R", "lastTransitionTime": clock.rfc3339(NOW)}
    assert issued(conditions=[denied]) == [
        'status.conditions.[0].status: Unsupported value: "False": supported values: "True"'
    ]


POLICIES = """
{}
{default: "1", validValues: ["1", "2"], validRange: {min: "1"}}
    c.requestPolicy: Forbidden: exactly one policy can be specified, cannot specify "validValues" and "validRange" at the same time
{validValues: ["1"]}
    c.requestPolicy.default: Required value: required when validValues is defined
{default: "3", validValues: ["2", "1", "2", "9"]}
    c.requestPolicy.validValues[1]: Invalid value: "1": values must be sorted in ascending order
    c.requestPolicy.validValues[3]: Invalid value: "9": option is larger than capacity value: 8
    c.requestPolicy.validValues[2]: Duplicate value: "2"
    c.requestPolicy.validValues: Invalid value: "3": default value is not valid according to the requestPolicy
{default: "1", validRange: {}}
    c.requestPolicy.validRange.min: Required value: required when validRange is defined
{default: "1", validRange: {min: "2", max: "9"}}
    c.requestPolicy.validRange.default: Invalid value: "1": default is less than min: 2
    c.requestPolicy.validRange.max: Invalid value: "9": max is larger than capacity value: 8
{default: "2", validRange: {min: "2", max: "8", step: "2"}}
{default: "2", validRange: {min: "2", step: "0"}}
    c.requestPolicy.validRange.step: Invalid value: "0": must be greater than zero
{default: "3", validRange: {min: "2", max: "7", step: "2"}}
    c.requestPolicy.validRange.step: Invalid value: "3": value is not a multiple of a given step (2) from (2)
    c.requestPolicy.validRange.step: Invalid value: "7": value is not a multiple of a given step (2) from (2)
{default: "2", validRange: {min: "2", step: "7"}}
    c.requestPolicy.validRange.step: Invalid value: "7": one step 9 is larger than capacity value: 8
"""


@pytest.mark.parametrize(("policy", "expected"), tables.rows(POLICIES))
def test_capacities(policy, expected):
    found = device_capacities.validate({"value": "8", "requestPolicy": policy}, "c", True)
    assert tables.texts(found) == expected
