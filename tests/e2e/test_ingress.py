"""The Ingress controller with curl: hosts, paths, TLS, published ports, changes live, and away without trace."""

import json
import re
import subprocess

import pytest

from kubeshim.cluster import host
from tests.e2e.conftest import EXAMPLES, directory, eventually, kubeshim, start

NAME = "e2e-ingress"
LOAD = 'for i in $(seq 150); do curl -s -o /dev/null -m 60 -w "%{http_code}\\n" -H "Host: $1" "$2"; done'
ROUTES = [
    ("shop.example", "/", "web version 1 shop"),
    ("eu.news.example", "/", "web version 2 news"),
    ("shop.example", "/healthz", "ok"),
]


@pytest.fixture(scope="module")
def site(tmp_path_factory, kubectl_path, images):
    """A cluster with the example's Ingress: (cluster, address, published port, certificate)."""
    where = tmp_path_factory.mktemp("ingress")
    port = host.free_port(18080)
    running = start(NAME, where, kubectl_path, "--publish", f"{port}:80")
    try:
        certificate = make_certificate(where, "shop.example")
        files = [f"--cert={certificate}", f"--key={certificate.with_suffix('.key')}"]
        running.kubectl("create", "secret", "tls", "shop-tls", *files)
        running.kubectl("apply", "-f", str(EXAMPLES / "03-ingress"))
        for name in ("shop", "news"):
            running.kubectl("rollout", "status", f"deployment/{name}", "--timeout=180s")
        path = "jsonpath={.status.loadBalancer.ingress[0].ip}"
        running.kubectl("wait", "ingress/site", "--for", path, "--timeout=180s")
        address = running.out("get", "ingress", "site", "-o", path)
        for name, path, _ in ROUTES:  # the controller hears of each Service's endpoints by themselves
            for base in (address, f"127.0.0.1:{port}"):
                eventually(lambda at=f"http://{base}{path}", name=name: curl(at, name)[0] == 200)
        # and of the Secret
        eventually(lambda: curl("https://shop.example/", "", *by_tls(address), "--cacert", str(certificate))[0] == 200)
        yield running, address, port, certificate
    finally:
        done = kubeshim("down", "--name", NAME, "--kubeconfig", str(running.kubeconfig))
        assert "warning" not in done.stderr, done.stderr
        assert not directory(NAME).exists()
        assert not haproxies()


def by_tls(address):
    """Options by which curl finds the names there."""
    return ["--resolve", f"shop.example:443:{address}", "--resolve", f"a.news.example:443:{address}"]


def make_certificate(where, name):
    certificate = where / "tls.crt"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-days", "2", "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"]
    command += ["-out", str(certificate), "-keyout", str(certificate.with_suffix(".key"))]
    subprocess.run(command, check=True, capture_output=True)
    return certificate


def curl(url, name="", *options):
    """(status, body); status 0 where there was no answer."""
    command = ["curl", "--silent", "--noproxy", "*", "--max-time", "60", "--write-out", "\n%{http_code}", *options, url]
    if name:
        command += ["--header", f"Host: {name}"]
    body, _, status = subprocess.run(command, capture_output=True, text=True, check=False).stdout.rpartition("\n")
    return int(status), body


def haproxies():
    """Processes that run on this cluster's files."""
    found = subprocess.run(["ps", "-ww", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout
    return re.findall(rf"^ *(\d+) \S*haproxy .*/{NAME}/ingress/", found, re.M)


@pytest.mark.parametrize(("name", "path", "wanted"), ROUTES)
def test_hosts_and_paths(site, name, path, wanted):
    _, address, port, _ = site
    for base in (f"http://{address}", f"http://127.0.0.1:{port}"):
        status, body = curl(base + path, name)
        assert (status, body.startswith(wanted)) == (200, True)


@pytest.mark.parametrize("name", ["news.example", "a.b.news.example", "nobody.example"])
def test_no_rule_is_404(site, name):
    _, address, _, _ = site
    assert curl(f"http://{address}/", name) == (404, "default backend - 404")


def test_tls_by_server_name(site):
    _, address, _, certificate = site
    to = by_tls(address)
    status, body = curl("https://shop.example/", "", *to, "--cacert", str(certificate))
    assert (status, body.startswith("web version 1")) == (200, True)
    assert curl("https://a.news.example/", "", *to, "--cacert", str(certificate))[0] == 0
    assert curl("https://a.news.example/", "", *to, "--insecure")[0] == 200


def test_the_class_is_the_default_and_shows_in_kubectl(site):
    cluster, address, _, _ = site
    row = cluster.out("get", "ingress", "site", "--no-headers").split()
    assert row[:5] == ["site", "kubeshim", "shop.example,*.news.example", address, "80,"]


def test_changes_are_taken_and_problems_told(site):
    cluster, address, _, _ = site
    cluster.kubectl("create", "ingress", "late", "--rule=late.example/*=shop:http", "--rule=lost.example/*=nothing:80")
    eventually(lambda: curl(f"http://{address}/", "late.example")[0] == 200)
    assert curl(f"http://{address}/", "lost.example")[0] == 503
    cluster.kubectl("wait", "ingress/late", "--for", "jsonpath={.status.loadBalancer.ingress[0].ip}", "--timeout=180s")
    assert eventually(
        lambda: cluster.out("get", "events", "--field-selector", "reason=BackendUnavailable", "-o", "name")
    )
    cluster.kubectl("delete", "ingress", "late")
    eventually(lambda: curl(f"http://{address}/", "late.example")[0] == 404)


def test_nothing_is_lost_while_pods_and_the_controller_come_and_go(site):
    cluster, address, _, _ = site
    load = subprocess.Popen(
        ["sh", "-c", LOAD, "sh", "eu.news.example", f"http://{address}/"],
        stdout=subprocess.PIPE,
        text=True,
    )
    cluster.kubectl("scale", "deployment/news", "--replicas=3")
    before = cluster.kill("ingress")
    cluster.kubectl("rollout", "status", "deployment/news", "--timeout=180s")
    statuses, _ = load.communicate(timeout=600)
    assert set(statuses.split()) == {"200"}
    eventually(lambda: cluster.component_pid("ingress") not in (0, before))
    eventually(lambda: len(haproxies()) == 2)  # one master and its worker: the earlier ones have finished


def test_stopping_the_node_ends_it_and_starting_brings_it_back(site):
    cluster, address, _, _ = site
    node = json.loads(cluster.out("get", "nodes", "-o", "json"))["items"][0]["metadata"]["name"]
    kubeshim("node", "stop", node, "--name", NAME)
    eventually(lambda: not haproxies())
    kubeshim("node", "start", node, "--name", NAME)
    eventually(lambda: curl(f"http://{address}/", "shop.example")[0] == 200)


def test_dns_instructions_name_a_server_that_answers_this_machine(site):
    said = kubeshim("dns", "--name", NAME).stdout
    server = re.search(r"^ *DNS=(\S+)$", said, re.M).group(1)
    command = ["busybox", "nslookup", "-type=a", "shop.default.svc.cluster.local", server]
    cluster, _, _, _ = site
    address = cluster.get("service", "shop")["spec"]["clusterIP"]

    def answer():
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=180).stdout

    eventually(lambda: address in answer())
