"""What ``up`` and ``status`` ask of the API server, over the standard library's HTTP client.

(The components' own client costs a tenth of a second to import; ``up`` is timed.)
"""

import base64
import http.client
import json
import pathlib
import ssl
import tempfile
import time
from collections.abc import Iterator
from typing import Any


class APIError(Exception):
    """The server answered with something other than success, or not at all (status 0)."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class API:
    """One administrator's connection, made from a kubeconfig with its certificate inside."""

    def __init__(self, kubeconfig: pathlib.Path, port: int, timeout: float = 10.0) -> None:
        from kubeshim import fast_yaml

        document = fast_yaml.load(kubeconfig.read_text())
        cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
        self._context = ssl.create_default_context(
            cadata=base64.b64decode(cluster["certificate-authority-data"]).decode()
        )
        with tempfile.NamedTemporaryFile() as file:  # 0600; the ssl module takes key pairs only from files
            file.write(base64.b64decode(user["client-certificate-data"]) + base64.b64decode(user["client-key-data"]))
            file.flush()
            self._context.load_cert_chain(file.name)
        self._port, self._timeout = port, timeout

    def _request(self, method: str, path: str, body: Any, kind: str, timeout: float) -> http.client.HTTPResponse:
        connection = http.client.HTTPSConnection("127.0.0.1", self._port, timeout=timeout, context=self._context)
        payload = None if body is None else json.dumps(body).encode()
        try:
            connection.request(method, path, payload, {"Content-Type": kind, "User-Agent": "kubeshim-up"})
            response = connection.getresponse()
        except OSError as error:
            raise APIError(0, f"the API server does not answer at 127.0.0.1:{self._port}: {error}") from error
        if response.status >= 400:
            data = response.read()
            try:
                message = json.loads(data)["message"]
            except (ValueError, KeyError, TypeError):
                message = data.decode(errors="replace")
            raise APIError(response.status, message)
        return response

    def call(self, method: str, path: str, body: Any = None, *, kind: str = "application/json") -> Any:
        response = self._request(method, path, body, kind, self._timeout)
        data = response.read()
        if response.headers.get("Content-Type", "").startswith("application/json"):
            return json.loads(data)
        return data.decode(errors="replace")

    def apply(self, path: str, obj: dict[str, Any]) -> None:
        """Server-side apply as field manager ``kubeshim``."""
        self.call("PATCH", f"{path}?fieldManager=kubeshim&force=true", obj, kind="application/apply-patch+yaml")

    def watch(self, path: str, seconds: float) -> Iterator[dict[str, Any]]:
        """Events of a watch, starting with what is there, for at most that long.

        One that ends before, because the server begins anew, is opened again, and starts with what is there then.
        """
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                yield from self._watch(path, left, deadline)
            except APIError as error:
                if 400 <= error.status < 500 and error.status != 429:
                    raise
            except (OSError, http.client.HTTPException, ValueError):
                continue  # the connection broke, in the middle of an event perhaps
            time.sleep(0.02)

    def _watch(self, path: str, seconds: float, deadline: float) -> Iterator[dict[str, Any]]:
        url = f"{path}{'&' if '?' in path else '?'}watch=true"
        response = self._request("GET", url, None, "", seconds)
        try:
            while time.monotonic() < deadline and (line := response.readline()):
                event: dict[str, Any] = json.loads(line)
                if event["type"] == "ERROR":
                    return
                yield event
        finally:
            response.close()

    def wait_ready(self, seconds: float) -> None:
        """Returns when ``/readyz`` says ok. The connection queues at the listening socket until the server is up."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                self._request("GET", "/readyz", None, "", max(0.1, deadline - time.monotonic())).read()
                return
            except APIError as error:
                if time.monotonic() > deadline:
                    raise APIError(
                        error.status, f"the API server is not ready after {seconds:.0f} s: {error}"
                    ) from error
                time.sleep(0.02)
