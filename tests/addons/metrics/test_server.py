"""The metrics API as the API server meets it: paths, selectors handed on, forms, and who gets in."""

import http.client
import json
import socket
import ssl

import pytest

from kubeshim import pki
from kubeshim.addons.metrics import rates, server

USED = rates.Usage(1_000_000, 1 << 20, 1000.0, 15.0)
NODE = {"metadata": {"name": "n1", "labels": {"zone": "a"}}}
POD = {"metadata": {"name": "p", "namespace": "shop"}}


class View:
    def node_objects(self, labels, fields):
        return [NODE] if (labels, fields) in (("", ""), ("zone=a", ""), ("", "metadata.name=n1")) else []

    def running_pods(self, namespace, labels, fields):
        return [POD] if namespace in ("", "shop") and fields in ("", "metadata.name=p") else []


class Figures:
    def usage(self, oldest=15.0):
        return {"n1": rates.NodeUsage(USED, {("shop", "p"): {"main": USED}})}


@pytest.fixture(scope="module")
def ask(tmp_path_factory):
    files = pki.create_all(tmp_path_factory.mktemp("pki"), server="https://127.0.0.1")
    certificate, key = files.pair("metrics-server")
    context = server.tls_context(str(certificate), str(key), str(files.front_proxy_ca))
    listening = socket.create_server(("127.0.0.1", 0))
    serving = server.MetricsServer(View(), [listening], context, Figures())
    serving.start()

    def ask(path, accept="application/json", who="front-proxy-client", method="GET"):
        trust = ssl.create_default_context(cafile=str(files.ca))
        trust.check_hostname = False
        if who:
            trust.load_cert_chain(*files.pair(who))
        connection = http.client.HTTPSConnection("127.0.0.1", listening.getsockname()[1], context=trust, timeout=60)
        try:
            connection.request(method, path, headers={"Accept": accept})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    yield ask
    serving.stop()
    listening.close()


BASE = "/apis/metrics.k8s.io/v1beta1"


@pytest.mark.parametrize(
    ("path", "kind", "names"),
    [
        (f"{BASE}/nodes", "NodeMetricsList", ["n1"]),
        (f"{BASE}/nodes?labelSelector=zone%3Da", "NodeMetricsList", ["n1"]),
        (f"{BASE}/nodes?labelSelector=zone%3Db", "NodeMetricsList", []),
        (f"{BASE}/pods", "PodMetricsList", ["p"]),
        (f"{BASE}/namespaces/shop/pods", "PodMetricsList", ["p"]),
        (f"{BASE}/namespaces/other/pods", "PodMetricsList", []),
    ],
)
def test_lists(ask, path, kind, names):
    status, found = ask(path)
    assert (status, found["kind"], [item["metadata"]["name"] for item in found["items"]]) == (200, kind, names)


def test_single_ones_tables_and_refusals(ask):
    assert ask(f"{BASE}/nodes/n1")[1]["usage"] == {"cpu": "1m", "memory": "1Mi"}
    assert ask(f"{BASE}/namespaces/shop/pods/p")[1]["containers"][0]["name"] == "main"
    table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
    assert ask(f"{BASE}/nodes", table)[1]["rows"][0]["cells"] == ["n1", "1m", "1Mi", "15s"]
    status, refusal = ask(f"{BASE}/namespaces/shop/pods/x")
    assert (status, refusal["message"]) == (404, 'pods.metrics.k8s.io "shop/x" not found')
    assert ask(f"{BASE}/nodes/x")[1]["message"] == 'nodes.metrics.k8s.io "x" not found'
    assert ask(f"{BASE}/nodes", method="DELETE")[0] == 405
    assert ask(f"{BASE}/nodes?watch=true")[0] == 405


def test_discovery(ask):
    assert [entry["kind"] for entry in ask(BASE)[1]["resources"]] == ["NodeMetrics", "PodMetrics"]
    assert ask("/openapi/v3")[1]["paths"]["apis/metrics.k8s.io/v1beta1"]


@pytest.mark.parametrize("who", ["", "apiserver-kubelet-client"])
def test_only_the_front_proxy_gets_in(ask, who):
    with pytest.raises((ssl.SSLError, OSError)):
        ask(BASE, who=who)
