"""How nodes get in: tokens sign and end, certificate requests are recognized."""

import base64
import datetime
import ipaddress

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from kubeshim import clock
from kubeshim.client import informer, kinds, recorder
from kubeshim.control_plane.controller_manager import certificate_approval as approval
from kubeshim.control_plane.controller_manager import config, controller, manager
from kubeshim.control_plane.controller_manager.controllers import (
    bootstrap_signer,
    legacy_token_cleaner,
    token_cleaner,
)
from kubeshim.machinery import bootstrap_tokens, joining, jwt, legacy_tokens, objects
from tests import fake_api

CLIENT_USAGES, SERVER_USAGES = ["digital signature", "client auth"], ["digital signature", "server auth"]


def request(signer, requester, common, organization, usages, dns=(), ips=(), uris=()):
    subject = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization)] if organization else []
    subject.append(x509.NameAttribute(NameOID.COMMON_NAME, common))
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(subject))
    names = [x509.DNSName(name) for name in dns] + [x509.UniformResourceIdentifier(uri) for uri in uris]
    names += [x509.IPAddress(ipaddress.ip_address(address)) for address in ips]
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    pem = builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    encoded = base64.b64encode(pem.public_bytes(serialization.Encoding.PEM)).decode()
    return {"spec": {"request": encoded, "signerName": signer, "username": requester, "usages": list(usages)}}


JOINED = {
    "metadata": {"name": "n1", "annotations": {joining.JOINED: "192.0.2.7"}},
    "spec": {"podCIDR": "10.244.7.0/24"},
}
LOCAL = {"metadata": {"name": "n1"}, "spec": {"podCIDR": "10.244.7.0/24"}}
N1, BOOT = "system:node:n1", "system:bootstrap:abcdef"
KUBELET, CLIENT, SERVING = approval.CLIENT_KUBELET, approval.CLIENT, approval.SERVING


@pytest.mark.parametrize(
    ("asked", "node", "expected"),
    [
        (request(KUBELET, N1, N1, "system:nodes", CLIENT_USAGES), None, ["selfnodeclient", "nodeclient"]),
        (request(KUBELET, BOOT, N1, "system:nodes", CLIENT_USAGES), None, ["nodeclient"]),
        (request(KUBELET, BOOT, N1, "system:masters", CLIENT_USAGES), None, []),
        (request(KUBELET, BOOT, "admin", "system:nodes", CLIENT_USAGES), None, []),
        (request(KUBELET, BOOT, N1, "system:nodes", SERVER_USAGES), None, []),
        (request(KUBELET, BOOT, N1, "system:nodes", CLIENT_USAGES, dns=["n1"]), None, []),
        (request(CLIENT, BOOT, N1, "system:nodes", CLIENT_USAGES), None, []),
        (request(CLIENT, N1, "kubeshim:node-agent:n1", joining.AGENT_GROUP, CLIENT_USAGES), None, ["nodeagentclient"]),
        (request(CLIENT, N1, "kubeshim:node-agent:n2", joining.AGENT_GROUP, CLIENT_USAGES), None, []),
        (request(CLIENT, BOOT, "kubeshim:node-agent:n1", joining.AGENT_GROUP, CLIENT_USAGES), None, []),
        (request(CLIENT, N1, "kubeshim:node-agent:n1", "system:masters", CLIENT_USAGES), None, []),
        (
            request(SERVING, N1, N1, "system:nodes", SERVER_USAGES, ["n1"], ["10.244.7.2"]),
            JOINED,
            ["selfnodeserver"],
        ),
        (request(SERVING, N1, N1, "system:nodes", SERVER_USAGES, ["n1"], ["10.244.7.2"]), LOCAL, []),
        (request(SERVING, N1, N1, "system:nodes", SERVER_USAGES, ["n1"], ["10.244.7.2"]), None, []),
        (request(SERVING, N1, N1, "system:nodes", SERVER_USAGES, ["n1"], ["10.244.8.2"]), JOINED, []),
        (request(SERVING, N1, N1, "system:nodes", SERVER_USAGES, ["n2"], ["10.244.7.2"]), JOINED, []),
        (request(SERVING, N1, N1, "system:nodes", SERVER_USAGES, ["n1"], ["10.244.7.2"], ["a:b"]), JOINED, []),
        (request(SERVING, "eve", N1, "system:nodes", SERVER_USAGES, ["n1"], ["10.244.7.2"]), JOINED, []),
        (request(SERVING, N1, N1, "system:nodes", CLIENT_USAGES, ["n1"], ["10.244.7.2"]), JOINED, []),
    ],
)
def test_requests_that_are_recognized(asked, node, expected):
    this = approval.wish(asked)
    assert [one.subresource for one in approval.RECOGNIZERS if one.recognize(this, node)] == expected


def test_what_is_no_request():
    with pytest.raises(ValueError):
        approval.wish({"spec": {"request": base64.b64encode(b"x").decode()}})


@pytest.fixture
def world():
    api = fake_api.FakeApi()
    client = api.client()
    started = []

    def run(kind, time_source=clock.SYSTEM):
        recorders = lambda component: recorder.Recorder(client, component)  # noqa: E731
        factory = informer.Factory(client)
        made = kind(controller.Context(client, factory, config.Options(), recorders, time_source))
        made.start()
        started.append(made)
        return made

    yield client, run
    for one in started:
        one.stop()
    client.close()
    api.stop()


def token(identifier, **fields):
    fields = {"usages": bootstrap_tokens.USAGES, **fields}
    return bootstrap_tokens.secret_of(bootstrap_tokens.Token(identifier, "0123456789abcdef", **fields))


def later(seconds):
    return clock.rfc3339(clock.SYSTEM.now() + datetime.timedelta(seconds=seconds))


def test_cluster_info_is_signed_by_the_tokens_there_are(world):
    client, run = world
    client.create(kinds.SECRETS, token("aaaaaa"))
    client.create(kinds.SECRETS, token("bbbbbb", usages=("authentication",)))
    client.create(kinds.SECRETS, token("cccccc", expiration=later(-1)))
    metadata = {"name": "cluster-info", "namespace": "kube-public"}
    client.create(
        kinds.CONFIG_MAPS,
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"kubeconfig": "doc"}},
    )
    run(bootstrap_signer.BootstrapSignerController)

    def signatures():
        data = client.get(kinds.CONFIG_MAPS, "cluster-info", "kube-public")["data"]
        return {key.removeprefix("jws-kubeconfig-") for key in data if key.startswith("jws-")}

    fake_api.eventually(lambda: signatures() == {"aaaaaa"})
    client.create(kinds.SECRETS, token("dddddd", expiration=later(600)))
    fake_api.eventually(lambda: signatures() == {"aaaaaa", "dddddd"})
    client.delete(kinds.SECRETS, "bootstrap-token-aaaaaa", "kube-system")
    fake_api.eventually(lambda: signatures() == {"dddddd"})


def test_tokens_end(world):
    client, run = world
    for identifier, expiration in (("aaaaaa", later(-5)), ("bbbbbb", later(3600)), ("cccccc", ""), ("dddddd", "x")):
        client.create(kinds.SECRETS, token(identifier, expiration=expiration))
    run(token_cleaner.TokenCleanerController)

    def left():
        return {secret["metadata"]["name"][-6:] for secret in client.list(kinds.SECRETS, "kube-system")["items"]}

    fake_api.eventually(lambda: left() == {"bbbbbb", "cccccc"})


DAY = datetime.timedelta(days=1)


def test_tokens_that_came_unasked_and_are_not_used_are_marked_and_deleted_a_year_later(world):
    client, run = world
    now = clock.SYSTEM.now() + 800 * DAY
    days = {"long ago": now - 366 * DAY, "a year ago": now - 365 * DAY, "today": now}
    dates = {said: str(moment.date()) for said, moment in days.items()}
    secrets = {  # name: (account it names, last used, invalid since)
        "never-used": ("old", None, None), "long-unused": ("old", "long ago", None),
        "used": ("old", "a year ago", None), "strange-label": ("old", "soon", None),
        "strange-mark": ("old", None, "soon"), "unlisted": ("old", None, None),
        "of-another": ("new", None, None), "of-nobody": ("nobody", None, None), "mounted": ("old", None, None),
        "invalid": ("old", None, "a year ago"), "over": ("old", "long ago", "long ago"),
    }  # fmt: skip
    for name, (account, *labels) in secrets.items():
        keys = (legacy_tokens.LAST_USED, legacy_tokens.INVALID_SINCE)
        labels = {key: dates.get(said, said) for key, said in zip(keys, labels, strict=True) if said}
        metadata = {"name": name, "labels": labels, "annotations": {legacy_tokens.ACCOUNT_NAME: account}}
        client.create(kinds.SECRETS, {"metadata": metadata, "type": legacy_tokens.SECRET_TYPE}, "x")
    listed = [{"name": name} for name in secrets if name != "unlisted"]
    client.create(kinds.SERVICE_ACCOUNTS, {"metadata": {"name": "old"}, "secrets": listed}, "x")
    client.create(kinds.SERVICE_ACCOUNTS, {"metadata": {"name": "new"}}, "x")
    mount = {"name": "token", "secret": {"secretName": "mounted"}}
    client.create(kinds.PODS, {"metadata": {"name": "a"}, "spec": {"containers": [], "volumes": [mount]}}, "x")
    cleaner = run(legacy_token_cleaner.LegacyTokenCleanerController, clock.FakeClock(now))

    def left():
        return {
            objects.name(one): objects.labels(one).get(legacy_tokens.INVALID_SINCE)
            for one in client.list(kinds.SECRETS, "x")["items"]
        }

    before = left()
    tracking = {"metadata": {"name": legacy_tokens.TRACKING}, "data": {"since": dates["a year ago"]}}
    tracking = client.create(kinds.CONFIG_MAPS, tracking, "kube-system")
    assert cleaner.sync("day") == 86400
    assert left() == before, "uses were not written down for long enough"
    client.update(kinds.CONFIG_MAPS, {**tracking, "data": {"since": dates["long ago"]}})
    cleaner.sync("day")
    marked = dict.fromkeys(("never-used", "long-unused", "strange-mark"), dates["today"])
    del before["over"]
    assert left() == {**before, **marked}


def test_secrets_are_filled_with_tokens_and_go_with_their_account():
    server = fake_api.FakeApi()
    client = server.client()
    pem = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    options = config.Options(root_ca=b"CA", service_account_private_key=pem)
    running = manager.Manager(
        server.client(), config.Config(client.config, options, controllers=("serviceaccount-token",))
    )
    client.create(kinds.SERVICE_ACCOUNTS, {"metadata": {"name": "robot"}}, "x")
    for name, account in (("kept", "robot"), ("strange", "nobody")):
        annotations = {legacy_tokens.ACCOUNT_NAME: account}
        made = {"metadata": {"name": name, "annotations": annotations}, "type": legacy_tokens.SECRET_TYPE}
        client.create(kinds.SECRETS, made, "x")
    running.start()
    try:
        data = fake_api.eventually(lambda: client.get(kinds.SECRETS, "kept", "x").get("data"))
        said = jwt.Verifier(jwt.load_public_keys(pem)).verify(base64.b64decode(data["token"]).decode())
        assert said["sub"] == "system:serviceaccount:x:robot"
        assert (base64.b64decode(data["ca.crt"]), base64.b64decode(data["namespace"])) == (b"CA", b"x")
        client.delete(kinds.SERVICE_ACCOUNTS, "robot", "x")
        fake_api.eventually(lambda: not client.list(kinds.SECRETS, "x")["items"])
    finally:
        running.stop()
        client.close()
        server.stop()
