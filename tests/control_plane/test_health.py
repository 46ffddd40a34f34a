"""What is told of health checks, and where the control plane's components without a server tell it."""

from kubeshim.control_plane import health
from kubeshim.wire import slis

SAID = """\
# HELP kubernetes_healthcheck Whether a check was passed when it was last made.
# TYPE kubernetes_healthcheck gauge
kubernetes_healthcheck{name="a",type="healthz"} 0
kubernetes_healthcheck{name="a",type="readyz"} 1
# HELP kubernetes_healthchecks_total Checks made, by what came of them.
# TYPE kubernetes_healthchecks_total counter
kubernetes_healthchecks_total{name="a",status="error",type="healthz"} 1
kubernetes_healthchecks_total{name="a",status="success",type="healthz"} 2
kubernetes_healthchecks_total{name="a",status="success",type="readyz"} 1
"""


def test_the_last_result_and_how_many_there_were():
    found = slis.Slis()
    assert found.text() == ""
    for kind, ok in (("healthz", True), ("healthz", True), ("healthz", False), ("readyz", True)):
        found.observe("a", kind, ok)
    assert found.text() == SAID


def test_pages_of_a_component():
    well = {"a": True}
    pages = health.Pages({"a": lambda: well["a"]}, lambda: "x 1\n")
    assert pages.get("/healthz") == (200, health.PLAIN, "ok")
    assert pages.get("/livez/a")[0] == 200
    assert pages.get("/livez/b")[0] == 404
    well["a"] = False
    assert pages.get("/readyz") == (500, health.PLAIN, "not ok: a")
    assert pages.get("/metrics")[2] == "x 1\n"
    assert 'kubernetes_healthcheck{name="a",type="readyz"} 0' in pages.get("/metrics/slis")[2]
    assert pages.get("/other")[0] == 404
