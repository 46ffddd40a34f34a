"""Discovery, OpenAPI, version, health, metrics; and types that come and go while serving."""

import json
import re
from concurrent import futures

import gevent
import pytest

from kubeshim.control_plane.api_server import metrics, request, request_info
from kubeshim.machinery import resources

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


def test_discovery_in_both_forms(running):
    legacy = running.ask("GET", "/apis", Accept="application/json")
    assert legacy.body["kind"] == "APIGroupList"
    new = running.ask("GET", "/apis", Accept=f"{AGGREGATED},application/json")
    assert json.loads(new.raw)["kind"] == "APIGroupDiscoveryList"
    assert new.headers["Content-Type"] == AGGREGATED
    assert new.headers["Vary"] == "Accept"
    assert running.ask("GET", "/api").body["versions"] == ["v1"]
    assert running.ask("GET", "/apis/apps").body["preferredVersion"]["version"] == "v1"
    assert running.ask("GET", "/apis/apps/v1").body["groupVersion"] == "apps/v1"


@pytest.mark.parametrize(
    ("path", "accept"),
    [
        ("/api", AGGREGATED),
        ("/apis", AGGREGATED),
        ("/openapi/v2", "*/*"),
        ("/openapi/v3", "*/*"),
        ("/openapi/v3/api/v1", "*/*"),
    ],
)
def test_documents_are_not_sent_twice(running, path, accept):
    first = running.ask("GET", path, Accept=accept)
    assert first.status == 200
    again = running.ask("GET", path, Accept=accept, If_None_Match=first.headers["ETag"])
    assert (again.status, again.raw) == (304, b"")


@pytest.mark.parametrize("path", ["/api", "/apis", "/apis/apps", "/api/v1", "/version", "/"])
def test_the_old_form_has_no_tag(running, path):
    headers = running.ask("GET", path).headers
    assert (headers["ETag"], headers["Vary"], headers["Cache-Control"]) == (None, None, "no-cache, private")


def test_the_beta_of_the_aggregated_form_is_gone(running):
    beta = AGGREGATED.replace("v=v2", "v=v2beta1")
    assert running.ask("GET", "/apis", Accept=f"{beta},application/json").body["kind"] == "APIGroupList"
    assert running.ask("GET", "/apis", Accept=beta).status == 406


def test_version(running):
    version = running.ask("GET", "/version").body
    assert (version["major"], version["minor"]) == ("1", "37")
    assert version["gitVersion"].startswith("v1.37.")


@pytest.mark.parametrize(
    ("accept", "status", "kind"),
    [
        ("", 200, "text/plain; charset=utf-8"),
        ("*/*", 200, "text/plain"),
        ("application/json", 406, "application/json"),
        ("application/json;g=config.k8s.io;v=v1beta1;as=Statusz", 200, "application/json"),
        ("application/yaml;g=config.k8s.io;v=v1alpha1;as=Statusz", 200, "application/yaml"),
    ],
)
def test_statusz(running, accept, status, kind):
    answer = running.ask("GET", "/statusz", Accept=accept)
    assert (answer.status, answer.headers["Content-Type"]) == (status, kind)
    assert ("Warning" in answer.headers) == ("v1alpha1" in accept)
    if kind.startswith("text"):
        lines = answer.raw.decode().splitlines()
        assert lines[1] == "apiserver statusz"
        assert lines[-2:] == ["Emulation version: 1.37", "Paths: /healthz /livez /metrics /readyz /statusz /version"]
    elif "v1beta1" in accept:
        told = (answer.body["metadata"]["name"], answer.body["binaryVersion"], answer.body["emulationVersion"])
        assert told == ("apiserver", "1.37.0", "1.37")


def test_openapi_v2_for_old_clients(running):
    protobuf = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
    answer = running.ask("GET", "/openapi/v2", Accept=protobuf)
    assert (answer.status, answer.raw[:1]) == (200, b"\n")
    assert running.ask("GET", "/openapi/v2", Accept="application/json").body["swagger"] == "2.0"
    assert running.ask("GET", "/openapi/v2", Accept="*/*").body["swagger"] == "2.0"


def test_health(running):
    assert running.ask("GET", "/readyz").raw == b"ok"
    verbose = running.ask("GET", "/livez?verbose").raw.decode()
    assert verbose.startswith("[+]ping ok\n")
    assert verbose.endswith("livez check passed\n")
    assert running.ask("GET", "/healthz/ping").raw == b"ok"
    excluded = running.ask("GET", "/readyz?verbose&exclude=etcd&exclude=none").raw.decode()
    assert "[+]etcd excluded: ok\n" in excluded
    assert 'warn: some health checks cannot be excluded: no matches for "none"\n' in excluded

    def fail():
        raise RuntimeError("secret reason")

    running.server.health.ready["broken"] = fail
    answer = running.ask("GET", "/readyz")
    del running.server.health.ready["broken"]
    assert answer.status == 500
    assert b"[-]broken failed: reason withheld\n" in answer.raw
    assert b"secret" not in answer.raw


def test_service_level_indicators(running):
    running.ask("GET", "/livez/ping")
    answer = running.ask("GET", "/metrics/slis")
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = answer.raw.decode().splitlines()
    assert 'kubernetes_healthcheck{name="ping",type="livez"} 1' in lines
    assert any(
        line.startswith('kubernetes_healthchecks_total{name="ping",status="success",type="livez"} ') for line in lines
    )


def test_metrics(running, configmaps):
    running.ask("GET", configmaps)
    running.ask("GET", "/livez")
    running.ask("POST", f"{configmaps}?dryRun=All", {"metadata": {"name": "counted"}})
    answer = running.ask("GET", "/metrics")
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    text = answer.raw.decode()
    where = 'group="",resource="configmaps",scope="{}",subresource="",verb="{}",version="v1"'
    read, written = where.format("namespace", "LIST"), where.format("resource", "POST")
    assert f'apiserver_request_total{{code="200",component="apiserver",dry_run="",{read}}} ' in text
    assert f'apiserver_request_total{{code="201",component="apiserver",dry_run="All",{written}}} 1\n' in text
    assert f'apiserver_request_duration_seconds_bucket{{component="apiserver",dry_run="",{read},le="+Inf"}} ' in text
    assert f'apiserver_request_sli_duration_seconds_count{{component="apiserver",{read}}} ' in text
    assert f'apiserver_response_sizes_bucket{{component="apiserver",{read},le="1e+06"}} ' in text
    assert 'code="200",component="",dry_run="",group="",resource="",scope="",subresource="/livez",verb="GET",' in text
    of_plugin = 'name="NamespaceLifecycle",operation="CREATE",rejected="false",type="admit"'
    assert f"apiserver_admission_controller_admission_duration_seconds_count{{{of_plugin}}} " in text
    of_all = 'operation="CREATE",rejected="false",type="validate"'
    assert f"apiserver_admission_step_admission_duration_seconds_count{{{of_all}}} " in text
    assert 'apiserver_storage_size_bytes{storage_cluster_id="etcd-0"} ' in text
    assert re.search('^apiserver_resource_objects{group="",resource="namespaces"} [1-9]', text, re.MULTILINE)
    assert re.search('^kubernetes_build_info{.*git_version="v1.37.0', text, re.MULTILINE)
    assert re.search("^process_resident_memory_bytes [1-9]", text, re.MULTILINE)
    named = re.findall("^# TYPE ([^ ]*)", text, re.MULTILINE)
    assert named == re.findall("^# HELP ([^ ]*) .", text, re.MULTILINE)
    assert len(named) == len(set(named))


@pytest.mark.parametrize(
    ("method", "content_type", "path", "verb"),
    [
        ("GET", "", "/api/v1/pods", "LIST"),
        ("GET", "", "/api/v1/namespaces/n/pods/p", "GET"),
        ("GET", "", "/api/v1/watch/pods", "WATCH"),
        ("POST", "", "/api/v1/namespaces/n/pods", "POST"),
        ("PUT", "", "/api/v1/namespaces/n/pods/p/status", "PUT"),
        ("PATCH", "application/merge-patch+json", "/api/v1/namespaces/n/pods/p", "PATCH"),
        ("PATCH", "application/apply-patch+yaml", "/api/v1/namespaces/n/pods/p", "APPLY"),
        ("DELETE", "", "/api/v1/namespaces/n/pods", "DELETECOLLECTION"),
        ("DELETE", "", "/api/v1/namespaces/n/pods/p", "DELETE"),
        ("GET", "", "/api/v1/namespaces/n/pods/p/exec", "CONNECT"),
        ("GET", "", "/api/v1/namespaces/n/pods/p/log", "GET"),
        ("GET", "", "/healthz", "GET"),
    ],
)
def test_verbs_of_metrics(method, content_type, path, verb):
    info = request_info.parse(method, path, {})
    asked = request.Request(method, path, {}, {"content-type": content_type}, b"", {}, info)
    assert metrics.verb(asked) == verb


def test_every_answer_has_an_audit_id(running):
    assert running.ask("GET", "/version").headers["Audit-Id"]
    assert running.ask("GET", "/api/v1/nothings", Audit_ID="mine").headers["Audit-Id"] == "mine"


@pytest.mark.parametrize(
    ("path", "accept", "status", "content_type"),
    [
        ("/openapi/v2", "application/com.github.proto-openapi.spec.v2@v1.0+protobuf", 200, "v2.v1.0"),
        ("/openapi/v2", "text/plain", 406, None),
        ("/openapi/v2", "application/json;q=0.1, application/com.github.proto-openapi.spec.v2.v1.0+protobuf", 200,
         "v2.v1.0"),
        ("/openapi/v3/version", "application/com.github.proto-openapi.spec.v3@v1.0+protobuf", 200, "v3.v1.0"),
        ("/openapi/v3/version", "application/com.github.proto-openapi.spec.v3.v1.0+protobuf", 200, "v3.v1.0"),
        ("/openapi/v3/version", "*/*", 200, "json"),
        ("/openapi/v3/version", "application/yaml", 406, None),
        ("/openapi/v3/nonsense", "*/*", 404, "text/plain"),
    ],
)  # fmt: skip
def test_forms_of_openapi(running, path, accept, status, content_type):
    answer = running.ask("GET", path, Accept=accept)
    assert answer.status == status
    assert (content_type or "") in (answer.headers["Content-Type"] or "")


def test_an_openapi_digest_is_an_address(running):
    url = running.ask("GET", "/openapi/v3").body["paths"]["apis/apps/v1"]["serverRelativeURL"]
    digest = url.partition("?hash=")[2]
    kept = running.ask("GET", url)
    assert (kept.status, kept.headers["ETag"]) == (200, f'"{digest}"')
    assert kept.headers["Cache-Control"] == "public, immutable"
    assert kept.headers["Expires"]
    assert running.ask("GET", url, If_None_Match=f'"x", W/"{digest}"').status == 304
    plain = running.ask("GET", "/openapi/v3/apis/apps/v1")
    assert plain.headers["Cache-Control"] == "no-cache, private"
    moved = running.ask("GET", "/openapi/v3/apis/apps/v1?hash=OLD")
    assert (moved.status, moved.headers["Location"]) == (301, url)


@pytest.mark.parametrize("path", ["/openapi/v3", "/openapi/v3/apis/later.example/v1", "/openapi/v2"])
def test_openapi_is_of_the_moment_it_was_asked_for(running, monkeypatch, path):
    """A thread builds it; a type that comes in that time has the next one."""
    server = running.server
    registry, openapi = server.registry, server.custom_openapi
    here = resources.Resource("later.example", "v1", "widgets", "Widget", True, ("get",), strategy="custom")
    later = resources.Resource("later.example", "v1", "gadgets", "Gadget", True, ("get",), strategy="custom")
    running.call(lambda: registry.add(here))
    in_thread = server.in_thread

    def slow(work):
        def between():
            openapi[later.gvk] = {"type": "object"}
            registry.add(later)

        between()
        return in_thread(work)

    try:
        before = running.ask("GET", path).raw
        running.call(lambda: registry.remove(resources.GroupVersionResource("other.example", "v1", "none")))
        monkeypatch.setattr(server, "in_thread", slow)
        meanwhile = running.ask("GET", path)
        monkeypatch.undo()
        assert (meanwhile.status, meanwhile.raw) == (200, before)
        assert running.ask("GET", path).raw != before
    finally:
        monkeypatch.undo()
        openapi.pop(later.gvk, None)
        running.call(lambda: registry.remove(here.gvr, later.gvr))


def test_many_who_ask_after_a_change_have_a_document_built_once(running, monkeypatch):
    server, built = running.server, []
    running.call(lambda: server.registry.remove(resources.GroupVersionResource("other.example", "v1", "none")))
    in_thread, busy = server.in_thread, server.metrics.in_flight

    def slow(work):
        built.append(work)
        while busy["readOnly"] < 3:
            gevent.sleep(0.005)
        return in_thread(work)

    monkeypatch.setattr(server, "in_thread", slow)
    with futures.ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda _: running.ask("GET", "/openapi/v2"), range(3)))
    assert {answer.status for answer in answers} == {200}
    assert len({answer.raw for answer in answers}) == len(built) == 1
