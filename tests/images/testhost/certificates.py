"""``test-service-account-issuer-discovery``: verifies the pod's token with what its issuer publishes."""

import base64
import hashlib
import json
import ssl
import sys
import time
import urllib.request

from testhost import web

ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount/"
_SHA256 = bytes.fromhex("3031300d060960864801650304020105000420")


def issuer_discovery(arguments):
    options = web.flags(arguments, token_path="", audience="", in_cluster_discovery=False)
    with open(options.token_path) as file:
        token = file.read().strip()
    head, body, signature = token.split(".")
    claims = json.loads(decode(body))
    print(f"OK: Got token\nvalidating with in-cluster discovery\nOK: got issuer {claims['iss']}", flush=True)
    discovery = fetch(claims["iss"].rstrip("/") + "/.well-known/openid-configuration")
    if discovery["issuer"] != claims["iss"]:
        return fail(f"issuer is {discovery['issuer']}, not {claims['iss']}")
    keys = fetch(discovery["jwks_uri"])["keys"]
    wanted = json.loads(decode(head)).get("kid")
    chosen = [key for key in keys if key.get("kid") == wanted]
    if not chosen or not verified(chosen[0], f"{head}.{body}".encode(), decode(signature)):
        return fail("failed to verify signature")
    audience = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
    if options.audience not in audience or claims["exp"] < time.time():
        return fail(f"token is for {audience} until {claims['exp']}")
    print("OK: Validated signature on JWT\nOK: Got valid claims from token!", flush=True)
    return 0


def fail(text):
    print(text, file=sys.stderr)
    return 1


def decode(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def fetch(url):
    with open(ACCOUNT + "token") as file:
        headers = {"Authorization": f"Bearer {file.read().strip()}"}
    handlers = urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=ACCOUNT + "ca.crt"))
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), handlers)
    with opener.open(urllib.request.Request(url, headers=headers), timeout=10) as answer:
        return json.loads(answer.read())


def verified(key, text, signature):
    """RS256: the signature's power must be the padded digest."""
    modulus, exponent = (int.from_bytes(decode(key[name]), "big") for name in ("n", "e"))
    size = (modulus.bit_length() + 7) // 8
    tail = _SHA256 + hashlib.sha256(text).digest()
    expected = b"\0\1" + b"\xff" * (size - len(tail) - 3) + b"\0" + tail
    return pow(int.from_bytes(signature, "big"), exponent, modulus).to_bytes(size, "big") == expected
