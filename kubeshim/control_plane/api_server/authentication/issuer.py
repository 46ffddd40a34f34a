"""OpenID discovery: how others verify this cluster's service-account tokens."""

from collections.abc import Sequence
from typing import Any

import orjson
from cryptography.hazmat.primitives.asymmetric import rsa

from kubeshim.control_plane.api_server import request
from kubeshim.machinery import jwt

CONFIGURATION = "/.well-known/openid-configuration"
KEYS = "/openid/v1/jwks"
_CACHE = ("Cache-Control", "public, max-age=3600")


class Documents:
    """The two documents, encoded once."""

    def __init__(self, issuer: str, server: str, keys: Sequence[rsa.RSAPublicKey]) -> None:
        """``server`` is ``https://HOST:PORT`` at which clients reach the keys."""
        configuration: dict[str, Any] = {
            "issuer": issuer,
            "jwks_uri": f"{server}{KEYS}",
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        }
        self._answers = {
            CONFIGURATION: ("application/json", orjson.dumps(configuration)),
            KEYS: ("application/jwk-set+json", orjson.dumps(jwt.key_set(list(keys)))),
        }

    def get(self, path: str) -> request.Response | None:
        """The answer to a GET of ``path``; None for other paths."""
        answer = self._answers.get(path)
        if answer is None:
            return None
        return request.Response(200, [("Content-Type", answer[0]), _CACHE], answer[1])
