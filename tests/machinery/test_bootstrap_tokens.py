import base64
import datetime
import hashlib
import hmac
import json

import pytest

from kubeshim.machinery import bootstrap_tokens as tokens

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
GOOD = tokens.Token("abcdef", "0123456789abcdef", tokens.USAGES, (tokens.NODE_GROUP,), "", "why")


@pytest.mark.parametrize("text", ["abcdef", "abcdef.", "ABCDEF.0123456789abcdef", "abcdef.0123456789abcdef0", ""])
def test_what_is_no_token(text):
    with pytest.raises(ValueError, match="not a bootstrap token"):
        tokens.parse(text)


def test_new_tokens_are_tokens():
    assert tokens.parse(tokens.generate()) != tokens.parse(tokens.generate())


def test_a_token_and_its_secret():
    secret = tokens.secret_of(GOOD)
    assert secret["metadata"] == {"name": "bootstrap-token-abcdef", "namespace": "kube-system"}
    plain = {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}
    assert plain == {
        "token-id": "abcdef",
        "token-secret": "0123456789abcdef",
        "usage-bootstrap-signing": "true",
        "usage-bootstrap-authentication": "true",
        "auth-extra-groups": "system:bootstrappers:kubeadm:default-node-token",
        "description": "why",
    }
    assert tokens.of_secret(secret) == GOOD


@pytest.mark.parametrize(
    "change",
    [
        {"type": "Opaque"},
        {"metadata": {"name": "bootstrap-token-other1"}},
        {"data": {"token-id": "YWJjZGVm"}},  # no secret half
        {"data": {**tokens.secret_of(GOOD)["data"], "token-id": "!"}},
    ],
)
def test_secrets_that_are_no_token(change):
    assert tokens.of_secret({**tokens.secret_of(GOOD), **change}) is None


@pytest.mark.parametrize(
    ("expiration", "left", "expired"),
    [
        ("", None, False),
        ("2026-01-01T00:01:00Z", 60.0, False),
        ("2026-01-01T00:00:00Z", 0.0, True),
        ("2025-12-31T23:59:00+00:00", -60.0, True),
        ("soon", 0.0, True),
    ],
)
def test_when_a_token_ends(expiration, left, expired):
    assert tokens.seconds_left(expiration, NOW) == left
    assert tokens.Token("abcdef", "x", expiration=expiration).is_expired(NOW) is expired


@pytest.mark.parametrize(
    ("group", "good"),
    [
        ("system:bootstrappers:kubeadm:default-node-token", True),
        ("system:bootstrappers:", False),
        ("system:masters", False),
        ("system:bootstrappers:Upper", False),
    ],
)
def test_groups(group, good):
    assert tokens.is_group(group) is good


def test_signatures_are_detached_jws():
    """Compared with the computation as RFC 7515 writes it down."""
    signature = tokens.sign("content", "abcdef", "secret")
    header, middle, given = signature.split(".")
    assert middle == ""
    assert json.loads(base64.urlsafe_b64decode(header + "==")) == {"alg": "HS256", "kid": "abcdef"}
    text = header.encode() + b"." + base64.urlsafe_b64encode(b"content").rstrip(b"=")
    expected = base64.urlsafe_b64encode(hmac.new(b"secret", text, hashlib.sha256).digest()).rstrip(b"=").decode()
    assert given == expected


@pytest.mark.parametrize(
    ("document", "signature", "identifier", "secret", "good"),
    [
        ("content", tokens.sign("content", "abcdef", "secret"), "abcdef", "secret", True),
        ("Content", tokens.sign("content", "abcdef", "secret"), "abcdef", "secret", False),
        ("content", tokens.sign("content", "abcdef", "secret"), "abcdef", "Secret", False),
        ("content", tokens.sign("content", "abcdef", "secret"), "fedcba", "secret", False),
        ("content", "e30..", "abcdef", "secret", False),
        ("content", "", "abcdef", "secret", False),
        ("content", tokens.sign("content", "abcdef", "secret").replace("..", ".x."), "abcdef", "secret", False),
    ],
)
def test_verification(document, signature, identifier, secret, good):
    assert tokens.verify(document, signature, identifier, secret) is good


def test_cluster_info_carries_just_the_tokens_signatures():
    info = {"data": {"kubeconfig": "doc", "jws-kubeconfig-gone00": "x", "other": "kept"}}
    data = tokens.signed(info, [GOOD])
    assert set(data) == {"kubeconfig", "other", "jws-kubeconfig-abcdef"}
    assert tokens.verify("doc", data["jws-kubeconfig-abcdef"], "abcdef", GOOD.secret)
    assert tokens.signed({"data": {"other": "x"}}, [GOOD]) is None
