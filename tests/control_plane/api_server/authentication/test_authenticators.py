import base64
import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from kubeshim import clock, pki
from kubeshim.control_plane.api_server import config as configuration
from kubeshim.control_plane.api_server import request
from kubeshim.control_plane.api_server.authentication import (
    authenticators,
    impersonation,
    issuer,
    service_accounts,
)
from kubeshim.control_plane.api_server.authorization import attributes as questions
from kubeshim.machinery import errors, jwt, legacy_tokens

ISSUER = "https://kubernetes.default.svc.cluster.local"


class Objects:
    def __init__(self):
        self.found = {}

    def put(self, plural, obj):
        self.found[plural, obj["metadata"].get("namespace", ""), obj["metadata"]["name"]] = obj

    def get(self, gvr, namespace, name):
        return self.found.get((gvr.resource, namespace, name))

    def list(self, gvr, namespace=""):
        return []


class Connection:
    def __init__(self, der=None):
        self.der = der

    def peer_certificate(self):
        return self.der


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return pki.create_all(tmp_path_factory.mktemp("pki"), server="https://127.0.0.1:6443")


@pytest.fixture
def world(files):
    class World:
        clock = clock.FakeClock(clock.SYSTEM.now())
        objects = Objects()
        config = configuration.Config(
            files.directory,
            client_ca=str(files.ca),
            front_proxy_ca=str(files.front_proxy_ca),
            service_account_key=str(files.service_account_key),
        )
        key = jwt.load_private_key(files.service_account_key.read_bytes())

    world = World()
    world.who = authenticators.Authenticators(world.config, world.objects, time_source=world.clock)
    world.account = {"metadata": {"namespace": "shop", "name": "cart", "uid": "u1"}}
    world.pod = {"metadata": {"namespace": "shop", "name": "p", "uid": "u2"}}
    world.node = {"metadata": {"name": "n", "uid": "u3"}}
    world.objects.put("serviceaccounts", world.account)
    world.objects.put("pods", world.pod)

    def token(**options):
        options = {"issuer": ISSUER, "audiences": [ISSUER], "now": world.clock.now(), "seconds": 600} | options
        return jwt.sign(service_accounts.claims(world.account, **options), world.key)

    world.token = token
    return world


def ask(headers=None, der=None, listed=None):
    headers = headers or {}
    environ = {"wire.connection": Connection(der), "wire.header_list": listed or list(headers.items())}
    return request.Request("GET", "/api", {}, headers, b"", environ, request.RequestInfo("/api", "get"))


def bearer(token):
    return ask({"authorization": f"Bearer {token}"})


def der(ca, *arguments, **options):
    pem, _ = ca.issue(*arguments, **options)
    return x509.load_pem_x509_certificate(pem).public_bytes(serialization.Encoding.DER)


@pytest.fixture(scope="module")
def authority(files):
    return pki.Authority.load(files.ca, files.ca_key)


@pytest.fixture(scope="module")
def proxy_authority(files):
    return pki.Authority.load(files.front_proxy_ca, files.directory / "front-proxy-ca.key")


def test_a_client_certificate_names_user_and_groups(world, authority):
    user = world.who.authenticate(ask(der=der(authority, "system:node:a", ("system:nodes",))))
    assert (user.name, user.groups) == ("system:node:a", ("system:nodes", "system:authenticated"))
    assert user.extra["authentication.kubernetes.io/credential-id"][0].startswith("X509SHA256=")


def test_certificates_that_name_nobody(world, authority, proxy_authority):
    stranger = pki.Authority.create("kubernetes")
    for certificate in (
        der(authority, "server", usages=("server",)),
        der(stranger, "admin", ("system:masters",)),
        der(proxy_authority, "admin", ("system:masters",)),
    ):
        assert world.who.authenticate(ask(der=certificate)) == request.ANONYMOUS
    expired = der(authority, "alice", days=1)
    assert world.who.authenticate(ask(der=expired)).name == "alice"
    world.clock.step(2 * 86400)
    assert world.who.authenticate(ask(der=expired)) == request.ANONYMOUS


def test_a_front_proxy_is_believed_and_nobody_else(world, authority, proxy_authority):
    headers = [
        ("x-remote-user", "bob"),
        ("x-remote-group", "a,b"),
        ("x-remote-group", "c"),
        ("x-remote-extra-k%2f1", "v"),
    ]
    user = world.who.authenticate(ask(dict(headers), der(proxy_authority, "front-proxy-client"), headers))
    assert (user.name, user.groups) == ("bob", ("a,b", "c", "system:authenticated"))
    assert user.extra == {"k/1": ("v",)}
    assert world.who.authenticate(ask(dict(headers), der(proxy_authority, "other"), headers)) == request.ANONYMOUS
    assert world.who.authenticate(ask(dict(headers), der(authority, "alice"), headers)).name == "alice"


def test_a_bound_token(world):
    user = world.who.authenticate(bearer(world.token(pod=world.pod, node=world.node)))
    assert user.name == "system:serviceaccount:shop:cart"
    assert user.groups == ("system:serviceaccounts", "system:serviceaccounts:shop", "system:authenticated")
    assert user.uid == "u1"
    assert user.extra["authentication.kubernetes.io/pod-name"] == ("p",)
    assert user.extra["authentication.kubernetes.io/node-uid"] == ("u3",)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"issuer": "https://other"}, "invalid bearer token"),
        ({"seconds": -61}, "[invalid bearer token, service account token has expired]"),
        (
            {"audiences": ["vault"]},
            f'[invalid bearer token, token audiences ["vault"] is invalid for the target audiences ["{ISSUER}"]]',
        ),
        (
            {"pod": {"metadata": {"name": "gone", "uid": "x"}}},
            "[invalid bearer token, service account token has been invalidated]",
        ),
        (
            {"pod": {"metadata": {"name": "p", "uid": "old"}}},
            "[invalid bearer token, pod UID (u2) does not match service account pod ref claim (old)]",
        ),
        (
            {"node": {"metadata": {"name": "n", "uid": "u3"}}},
            "[invalid bearer token, service account token has been invalidated]",
        ),
    ],
)
def test_tokens_that_are_no_good(world, options, error):
    token = world.token(**options)
    assert world.who.authenticate(bearer(token)) is None
    assert world.who.token(token).error == error


@pytest.mark.parametrize(
    "spoil",
    [
        lambda token: token[:-8] + "AAAAAAAA",
        lambda token: jwt.encode_segment(b'{"alg":"none"}') + "." + token.split(".")[1] + ".",
        lambda token: token + ".x",
        lambda token: "garbage",
    ],
)
def test_forged_tokens(world, spoil):
    assert world.who.authenticate(bearer(spoil(world.token()))) is None


def test_audiences_are_the_reviewers_choice(world):
    token = world.token(audiences=["vault", ISSUER])
    assert world.who.token(token, ["vault", "other"]).audiences == ("vault",)
    assert world.who.token(token).audiences == (ISSUER,)


def test_a_known_token_is_forgotten_with_what_it_is_bound_to(world):
    token = world.token(pod=world.pod)
    assert world.who.authenticate(bearer(token)) is world.who.authenticate(bearer(token))
    del world.objects.found["pods", "shop", "p"]
    world.who.service_accounts.forget("u2")
    assert world.who.authenticate(bearer(token)) is None


def test_what_is_remembered_grows_stale(world):
    token = world.token()
    assert world.who.authenticate(bearer(token))
    del world.objects.found["serviceaccounts", "shop", "cart"]
    world.clock.step(11)
    assert world.who.token(token).error == '[invalid bearer token, serviceaccounts "cart" not found]'


def test_a_token_outlives_its_objects_deletion_by_the_leeway(world):
    token = world.token(pod=world.pod)
    world.pod["metadata"]["deletionTimestamp"] = clock.rfc3339(world.clock.now())
    assert world.who.authenticate(bearer(token))
    world.clock.step(70)
    assert world.who.authenticate(bearer(token)) is None


def legacy_token(world):
    claims = {
        "iss": "kubernetes/serviceaccount",
        "sub": "system:serviceaccount:shop:cart",
        "kubernetes.io/serviceaccount/namespace": "shop",
        "kubernetes.io/serviceaccount/secret.name": "s",
        "kubernetes.io/serviceaccount/service-account.name": "cart",
        "kubernetes.io/serviceaccount/service-account.uid": "u1",
    }
    token = jwt.sign(claims, world.key)
    metadata = {"namespace": "shop", "name": "s", "uid": "u9", "labels": {}}
    return token, {"metadata": metadata, "data": {"token": base64.b64encode(token.encode()).decode()}}


def test_a_legacy_token_lives_in_its_secret(world):
    token, secret = legacy_token(world)
    assert world.who.authenticate(bearer(token)) is None
    world.objects.put("secrets", secret)
    assert world.who.authenticate(bearer(token)).name == "system:serviceaccount:shop:cart"


def test_the_use_of_legacy_tokens_is_followed(world):
    days = []
    world.who = authenticators.Authenticators(
        world.config, world.objects, legacy_token_used=lambda secret, day: days.append(day), time_source=world.clock
    )
    token, secret = legacy_token(world)
    world.objects.put("secrets", secret)
    world.account.pop("secrets", None)
    asked = bearer(token)
    assert world.who.authenticate(asked)
    today = str(world.clock.now().date())
    assert (days, asked.warnings) == ([today], [])
    secret["metadata"]["labels"][legacy_tokens.LAST_USED] = today
    world.account["secrets"] = [{"name": "s"}]
    world.clock.step(11)
    asked = bearer(token)
    assert world.who.authenticate(asked)
    assert days == [today]
    assert asked.warnings[0].startswith("Use tokens from the TokenRequest API")
    secret["metadata"]["labels"][legacy_tokens.INVALID_SINCE] = today
    world.clock.step(11)
    assert "secret shop/s for service account shop/cart has been marked invalid" in world.who.token(token).error


def test_bootstrap_tokens(world):
    def data(**values):
        return {key.replace("_", "-"): base64.b64encode(value.encode()).decode() for key, value in values.items()}

    secret = {
        "metadata": {"namespace": "kube-system", "name": "bootstrap-token-abcdef"},
        "type": "bootstrap.kubernetes.io/token",
        "data": data(
            token_id="abcdef", token_secret="0123456789abcdef", usage_bootstrap_authentication="true",
            auth_extra_groups="system:bootstrappers:kubeadm:default-node-token",
        ),
    }  # fmt: skip
    world.objects.put("secrets", secret)
    user = world.who.authenticate(bearer("abcdef.0123456789abcdef"))
    assert user.name == "system:bootstrap:abcdef"
    assert user.groups[:2] == ("system:bootstrappers", "system:bootstrappers:kubeadm:default-node-token")
    assert world.who.authenticate(bearer("abcdef.0123456789abcdee")) is None
    secret["data"] |= data(expiration=clock.rfc3339(world.clock.now() - datetime.timedelta(seconds=1)))
    assert world.who.authenticate(bearer("abcdef.0123456789abcdef")) is None


def test_a_token_in_a_websocket_protocol(world):
    protocol = authenticators.SOCKET_PREFIX + jwt.encode_segment(world.token().encode())
    asked = ask({"upgrade": "websocket", "sec-websocket-protocol": f"v5.channel.k8s.io, {protocol}"})
    assert world.who.authenticate(asked).name == "system:serviceaccount:shop:cart"
    assert authenticators.without_token(asked.headers["sec-websocket-protocol"]) == "v5.channel.k8s.io"


class Allow:
    def __init__(self, *allowed):
        self.allowed = allowed

    def authorize(self, asked):
        key = f"{asked.resource}/{asked.subresource}/{asked.name}".replace("//", "/")
        return questions.Decision(questions.Verdict.ALLOW) if key in self.allowed else questions.NO_OPINION


def impersonate(allowed, *headers):
    asked = ask(dict(headers), listed=list(headers))
    asked.user = request.UserInfo("admin")
    impersonation.Impersonation().apply(asked, Allow(*allowed))
    return asked.user


def test_impersonation_takes_every_part_of_the_identity():
    user = impersonate(
        ("users/bob", "groups/dev", "userextras/scopes/view"),
        ("impersonate-user", "bob"), ("impersonate-group", "dev"), ("impersonate-extra-scopes", "view"),
    )  # fmt: skip
    assert (user.name, user.groups, user.extra) == ("bob", ("dev", "system:authenticated"), {"scopes": ("view",)})
    account = impersonate(("serviceaccounts/cart",), ("impersonate-user", "system:serviceaccount:shop:cart"))
    assert account.groups == ("system:serviceaccounts", "system:serviceaccounts:shop", "system:authenticated")
    with pytest.raises(errors.BadRequest) as caught:
        impersonate((), ("impersonate-group", "dev"))
    assert caught.value.message == (
        'requested &user.DefaultInfo{Name:"", UID:"", Groups:[]string{"dev"}, Extra:map[string][]string(nil)} without '
        "impersonating a user name"
    )


class Rules:
    """Allows what is written ``verb group/resource/subresource name``; keeps what it was asked."""

    def __init__(self, *allowed):
        self.allowed, self.asked = allowed, []

    def authorize(self, asked):
        text = f"{asked.verb} {asked.group}/{asked.resource}/{asked.subresource} {asked.name}"
        self.asked.append(text)
        allowed = text in self.allowed or f"{asked.verb} *" in self.allowed or "*" in self.allowed
        return questions.Decision(questions.Verdict.ALLOW) if allowed else questions.NO_OPINION


AUTH, BOB = "authentication.k8s.io", ("impersonate-user", "bob")
NODE, CART = ("impersonate-user", "system:node:n1"), ("impersonate-user", "system:serviceaccount:shop:cart")
ON = "impersonate-on:user-info:get *"
AGENT = request.UserInfo("system:serviceaccount:x:agent", extra={"authentication.kubernetes.io/node-name": ("n1",)})


@pytest.mark.parametrize(
    ("allowed", "requester", "headers", "groups"),
    [
        ([ON, f"impersonate:user-info {AUTH}/users/ bob"], "admin", [BOB], ("system:authenticated",)),
        (["*"], "admin", [NODE], ("system:nodes", "system:authenticated")),
        (["*"], "admin", [NODE, ("impersonate-group", "g")], ("g", "system:authenticated")),
        (["impersonate *"], "admin", [NODE], ("system:authenticated",)),
        (["*"], "admin", [BOB, ("impersonate-group", "system:masters")], ("system:masters", "system:authenticated")),
        (["impersonate-on:associated-node:get *", f"impersonate:associated-node {AUTH}/nodes/ *"], AGENT, [NODE],
         ("system:nodes", "system:authenticated")),
        (["impersonate-on:serviceaccount:get *", f"impersonate:serviceaccount {AUTH}/serviceaccounts/ cart"], "admin",
         [CART], ("system:serviceaccounts", "system:serviceaccounts:shop", "system:authenticated")),
        ([ON, f"impersonate:user-info {AUTH}/users/ bob", f"impersonate:user-info {AUTH}/groups/ *"], "admin",
         [BOB, *(("impersonate-group", name) for name in "abcd")], (*"abcd", "system:authenticated")),
    ],
)  # fmt: skip
def test_ways_to_impersonate(allowed, requester, headers, groups):
    asked = ask(dict(headers), listed=list(headers))
    asked.user = requester if isinstance(requester, request.UserInfo) else request.UserInfo(requester)
    impersonation.Impersonation().apply(asked, Rules(*allowed))
    assert (asked.user.name, asked.user.groups) == (headers[0][1], groups)


@pytest.mark.parametrize(
    ("allowed", "headers", "message"),
    [
        ([], [BOB], 'forbidden: User "admin" cannot impersonate-on:user-info:get path "/api"'),
        ([ON], [BOB], f'users.{AUTH} "bob" is forbidden: User "admin" cannot impersonate:user-info resource "users" in '
                      f'API group "{AUTH}" at the cluster scope'),
        ([ON, f"impersonate:user-info {AUTH}/users/ bob"], [BOB, ("impersonate-extra-scopes", "view")],
         f'userextras.{AUTH} is forbidden: User "admin" cannot impersonate:user-info resource "userextras" in API '
         f'group "{AUTH}" at the cluster scope: impersonating an invalid key in extra is not allowed: extra.key: '
         'Invalid value: "scopes": must be a domain-prefixed path (such as "acme.io/foo")'),
        ([ON, f"impersonate:user-info {AUTH}/users/ bob"], [BOB, ("impersonate-group", "system:masters")],
         f'groups.{AUTH} "system:masters" is forbidden: User "admin" cannot impersonate:user-info resource "groups" in '
         f'API group "{AUTH}" at the cluster scope: impersonating the system:masters group is not allowed'),
        (["impersonate-on:associated-node:get *", "impersonate:associated-node *"], [NODE],
         'forbidden: User "admin" cannot impersonate-on:arbitrary-node:get path "/api"'),
    ],
)  # fmt: skip
def test_who_may_not_impersonate(allowed, headers, message):
    asked = ask(dict(headers), listed=list(headers))
    asked.user = request.UserInfo("admin")
    with pytest.raises(errors.Forbidden) as caught:
        impersonation.Impersonation().apply(asked, Rules(*allowed))
    assert caught.value.message == message


def test_the_way_that_worked_is_tried_first():
    door, rules = impersonation.Impersonation(), Rules("impersonate *")
    for _ in range(2):
        asked = ask(dict([BOB]), listed=[BOB])
        asked.user = request.UserInfo("admin")
        door.apply(asked, rules)
    assert rules.asked == ["impersonate-on:user-info:get // ", "impersonate /users/ bob", "impersonate /users/ bob"]


def test_others_can_verify_our_tokens(world):
    documents = issuer.Documents(ISSUER, "https://10.0.0.1:6443", world.who.public_keys)
    assert b'"jwks_uri":"https://10.0.0.1:6443/openid/v1/jwks"' in documents.get(issuer.CONFIGURATION).body
    assert jwt.key_id(world.who.public_keys[0]).encode() in documents.get(issuer.KEYS).body
    assert documents.get("/openid/v1/other") is None
