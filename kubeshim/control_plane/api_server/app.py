"""The WSGI application: environ → ``Request`` → filters → dispatch → ``Response``.

A Flask application whose dispatch is our own: one catch-all in place of a URL map. Flask's request context, map and
hooks would cost several times what the rest of a GET does; what remains of Flask is what is useful around an
application (test client, configuration, command line).
"""

from collections.abc import Callable, Iterable
from http import client as http_codes
from typing import TYPE_CHECKING, Any
from urllib import parse

import flask

from kubeshim.control_plane.api_server import dispatch, filters, request, request_info

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers

_STATUS = {code: f"{code} {text}" for code, text in http_codes.responses.items()}


class App(flask.Flask):
    """Answers for one ``Server``."""

    def __init__(self, server: "servers.Server") -> None:
        super().__init__(__name__, static_folder=None)
        self._server = server
        self._answer = filters.chain(dispatch.dispatch)

    def wsgi_app(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        asked = _request(environ)
        answer = self._answer(asked, self._server)
        if answer.takeover is not None:
            sock, buffered = environ["wire.connection"].hijack()
            try:
                answer.takeover(sock, buffered)
            finally:
                sock.close()
            return ()
        start_response(_STATUS.get(answer.status) or f"{answer.status} Unknown", answer.headers)
        body = answer.body
        return (body,) if isinstance(body, bytes) else body

    __call__ = wsgi_app


def _request(environ: dict[str, Any]) -> request.Request:
    """The body is read when a request has passed the filters (``dispatch``): it stays empty until then."""
    method = environ["REQUEST_METHOD"]
    path = environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace")
    text = environ.get("QUERY_STRING", "")
    query = parse.parse_qs(text, keep_blank_values=True) if text else {}
    headers = environ.get("wire.headers") or _headers(environ)
    info = request_info.parse(method, path, query)
    return request.Request(method, path, query, headers, b"", environ, info)


def _headers(environ: dict[str, Any]) -> dict[str, str]:
    """For other WSGI servers and test clients."""
    found = {key[5:].replace("_", "-").lower(): value for key, value in environ.items() if key.startswith("HTTP_")}
    for key in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(key):
            found[key.replace("_", "-").lower()] = environ[key]
    return found
