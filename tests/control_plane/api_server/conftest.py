"""An API server in a thread of its own, over each store, and a bare HTTP client for it."""

import http.client
import itertools
import json
import pathlib
import socket
import threading
import types

import gevent
import pytest

from kubeshim.control_plane.api_server import config, request, server
from kubeshim.control_plane.api_server.authorization import attributes


class AnyoneIsAdmin:
    """Authenticates and authorizes everybody as a cluster administrator."""

    def authenticate(self, asked):
        return request.UserInfo("admin", ("system:masters", "system:authenticated"))

    def metrics(self):
        return iter(())

    def authorize(self, question):
        return attributes.Decision(attributes.Verdict.ALLOW)


class Running:
    """A served ``server.Server``; ``call`` runs a function in its loop."""

    def __init__(self, store, directory, **options):
        self.config = config.Config(
            pathlib.Path(directory), store=store, authorization_mode="AlwaysAllow", background=False, **options
        )
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        self._ready, self._stop = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(60)

    def _run(self):
        self.server = server.Server(self.config, server.open_store(self.config))
        self.server.start(authenticator=AnyoneIsAdmin(), authorizer=AnyoneIsAdmin())
        listening = server.serve(self.server, [self.listener])
        self._jobs = []
        self._wake = gevent.get_hub().loop.async_()
        self._wake.start(self._work)
        self._ready.set()
        while not self._stop.is_set():
            gevent.sleep(0.01)
        self.server.stop()
        listening.stop(grace=0.5)
        self.server.store.close()
        gevent.sleep(0.02)

    def _work(self):
        while self._jobs:
            gevent.spawn(self._jobs.pop(0))

    def call(self, function, *arguments):
        done, outcome = threading.Event(), []

        def job():
            try:
                outcome.append(function(*arguments))
            finally:
                done.set()

        self._jobs.append(job)
        self._wake.send()
        assert done.wait(60)
        return outcome[0]

    def close(self):
        self._stop.set()
        self._thread.join(60)
        self.listener.close()

    def connection(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def ask(self, method, path, body=None, content_type="application/json", **headers):
        """``(status, parsed body)``; ``.headers`` and ``.raw`` on the first."""
        connection = self.connection()
        sent = {"User-Agent": "test/1", **{name.replace("_", "-"): value for name, value in headers.items()}}
        if body is not None:
            sent["Content-Type"] = content_type
            body = body if isinstance(body, (bytes, str)) else json.dumps(body)
        connection.request(method, path, body, sent)
        answer = connection.getresponse()
        raw = answer.read()
        connection.close()
        kind = answer.headers.get("Content-Type") or ""
        readable = kind.startswith("application/json") and raw and method != "HEAD"
        readable = readable and not ("watch=1" in path and answer.status == 200)  # a stream of documents
        parsed = json.loads(raw) if readable and "Content-Encoding" not in answer.headers else raw
        return types.SimpleNamespace(status=answer.status, body=parsed, headers=answer.headers, raw=raw)

    def watch(self, path):
        """The events of a watch until it ends (give ``timeoutSeconds`` or read a few)."""
        connection = self.connection()
        connection.request("GET", path, headers={"User-Agent": "test/1"})
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        try:
            for line in answer:
                yield json.loads(line)
        finally:
            connection.close()


_numbers = itertools.count()


@pytest.fixture(scope="session", params=["memory", "sqlite"])
def running(request, tmp_path_factory):
    directory = tmp_path_factory.mktemp(request.param)
    made = Running("memory:" if request.param == "memory" else f"sqlite:{directory / 'state.db'}", directory)
    yield made
    made.close()


@pytest.fixture
def namespace(running):
    """A fresh namespace."""
    name = f"test-{next(_numbers)}"
    answer = running.ask("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    assert answer.status == 201, answer.body
    return name


@pytest.fixture
def configmaps(namespace):
    """The path of the namespace's config maps."""
    return f"/api/v1/namespaces/{namespace}/configmaps"
