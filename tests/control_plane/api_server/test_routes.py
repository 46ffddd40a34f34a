"""Paths and methods that are there, and what is said of those that are not."""

import pytest

NO_PATH, NO_METHOD, NOBODY = "NotFound", "MethodNotAllowed", "404 page not found\n"
ITEM, POD = "/api/v1/namespaces/default", "/api/v1/namespaces/routes/pods/x"
CASES = [
    ("GET", "/api/v1/pods/", 200),
    ("GET", "//api/v1/pods", 200),
    ("GET", "/api/", 200),
    ("GET", "/apis/", 200),
    ("GET", "/version/", 200),
    ("GET", "/apis/apps/", 200),
    ("POST", "/apis/apps", 200),
    ("OPTIONS", "/", 200),
    ("POST", "/healthz", 200),
    ("GET", "/api/v1/nothings", NO_PATH),
    ("GET", "/api/v2", NO_PATH),
    ("GET", "/api/v2/pods", NO_PATH),
    ("GET", "/api//v1/pods", NO_PATH),
    ("GET", "/api/v1//pods", NO_PATH),
    ("GET", "/apis/apps/v2", NO_PATH),
    ("GET", "/apis/apps/v2/deployments", NO_PATH),
    ("GET", "/apis/apps/v1/nothings", NO_PATH),
    ("GET", "/version/x", NO_PATH),
    ("GET", "/api/v1/pods/x", NO_PATH),
    ("GET", "/api/v1/bindings", NO_PATH),
    ("GET", "/api/v1/namespaces/default/nodes", NO_PATH),
    ("GET", f"{POD}/nothing", NO_PATH),
    ("GET", f"{POD}/log/more", NO_PATH),
    ("GET", f"{POD}/status/more", NO_PATH),
    ("GET", "/api/v1/proxy/namespaces/routes/pods/x", NO_PATH),
    ("GET", "/api/v1/watch/pods/x", NO_PATH),
    ("GET", "/api/v1/watch/componentstatuses", NO_PATH),
    ("PUT", "/api", NO_METHOD),
    ("HEAD", "/api/v1", NO_METHOD),
    ("POST", "/version", NO_METHOD),
    ("POST", "/apis/apps/v1", NO_METHOD),
    ("POST", "/api/v1/pods", NO_METHOD),
    ("DELETE", "/api/v1/pods", NO_METHOD),
    ("DELETE", "/api/v1/namespaces", NO_METHOD),
    ("PUT", "/api/v1/nodes", NO_METHOD),
    ("HEAD", "/api/v1/pods", NO_METHOD),
    ("HEAD", ITEM, NO_METHOD),
    ("OPTIONS", ITEM, NO_METHOD),
    ("TRACE", ITEM, NO_METHOD),
    ("POST", ITEM, NO_METHOD),
    ("POST", f"{POD}/status", NO_METHOD),
    ("GET", f"{POD}/binding", NO_METHOD),
    ("DELETE", f"{POD}/log", NO_METHOD),
    ("POST", "/api/v1/watch/pods", NO_METHOD),
    ("POST", "/api/v1/componentstatuses", NO_METHOD),
    ("GET", "/nothing", NOBODY),
    ("GET", "/apis/nothing", NOBODY),
    ("GET", "/apis/nothing.example.com/v1/things", NOBODY),
    ("GET", "/healthz/", NOBODY),
    ("GET", "/healthz/nothing", NOBODY),
    ("GET", "/metrics/", NOBODY),
    ("GET", "/openapi/v3/nothing", NOBODY),
    ("GET", "/swagger.json", NOBODY),
    ("GET", "/logs", NOBODY),
]
STATUS = {
    NO_PATH: (404, "the server could not find the requested resource"),
    NO_METHOD: (405, "the server does not allow this method on the requested resource"),
}


@pytest.mark.parametrize(("method", "path", "expected"), CASES, ids=lambda value: str(value).strip())
def test_paths(running, method, path, expected):
    running.ask("POST", "/api/v1/namespaces", {"metadata": {"name": "default"}})
    answer = running.ask(method, path)
    if expected in STATUS:
        code, message = STATUS[expected]
        assert answer.status == code
        if method != "HEAD":
            assert answer.body == {
                "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message,
                "reason": expected, "details": {}, "code": code,
            }  # fmt: skip
    elif expected == NOBODY:
        assert (answer.status, answer.raw.decode()) == (404, NOBODY)
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    else:
        assert answer.status == expected


def test_a_watch_of_nothing(running):
    answer = running.ask("GET", "/api/v1/watch")
    assert (answer.status, answer.raw.decode()) == (
        500,
        'Internal Server Error: "/api/v1/watch": failed to create RequestInfo: unable to determine kind and namespace '
        "from url, /api/v1/watch\n",
    )


def test_what_cannot_be_watched(running):
    answer = running.ask("GET", "/api/v1/componentstatuses?watch=1")
    assert (answer.status, answer.body["message"]) == (
        405, 'watch is not supported on resources of kind "componentstatuses"'
    )  # fmt: skip
    assert answer.body["details"] == {"kind": "componentstatuses"}


@pytest.mark.parametrize("content_type", ["application/json", "application/yaml", "text/plain", ""])
def test_patches_name_their_kind(running, configmaps, content_type):
    running.ask("POST", configmaps, {"metadata": {"name": "a"}})
    refused = running.ask("PATCH", f"{configmaps}/a", {}, content_type)
    assert (refused.status, refused.body["reason"]) == (415, "UnsupportedMediaType")
    assert (refused.body["message"], refused.body["details"]) == ("415: Unsupported Media Type", {})


@pytest.mark.parametrize(
    ("path", "accept", "listed"),
    [
        ("", "image/png", "application/json, application/yaml, application/vnd.kubernetes.protobuf, "
         "application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch"),
        ("/a", "application/*", "application/json, application/yaml, application/vnd.kubernetes.protobuf"),
        ("/a", "image/png, */*;q=0.1", None),
        ("/a", "text/html,application/json;q=0.5", None),
        ("/a", "", None),
    ],
)  # fmt: skip
def test_forms_nobody_gives(running, configmaps, path, accept, listed):
    running.ask("POST", configmaps, {"metadata": {"name": "a"}})
    answer = running.ask("GET", configmaps + path, Accept=accept)
    if listed is None:
        assert answer.status == 200
        return
    assert (answer.status, answer.body["reason"]) == (406, "NotAcceptable")
    assert answer.body["message"] == f"406: Not Acceptable\n\nAvailable representations: {listed}"


@pytest.mark.parametrize(
    ("name", "why"), [("a%25b", "\"a%b\": may not contain '%'"), ("%2e%2e", "\"..\": may not be '..'")]
)
def test_names_no_object_can_have(running, configmaps, name, why):
    for method in ("GET", "DELETE"):
        refused = running.ask(method, f"{configmaps}/{name}")
        assert (refused.status, refused.body["message"]) == (400, f"Name parameter invalid: {why}")


def test_managers_are_printable(running, configmaps):
    refused = running.ask("POST", f"{configmaps}?fieldManager=%C3%A9%00", {"metadata": {"name": "a"}})
    text = 'fieldManager: Invalid value: "\u00e9\\x00": invalid character U+0000 (at position 2)'
    assert refused.body["message"] == f'CreateOptions.meta.k8s.io "" is invalid: {text}'
