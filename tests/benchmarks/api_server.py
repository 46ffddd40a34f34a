"""One API server over TLS with RBAC and the embedded store: reads, writes, lists, patches.

Load comes from wrk with 32 keep-alive connections and a service account's token, as the figures of a genuine
kube-apiserver it is held against were taken. The floor is a WSGI application that does nothing on the same HTTP server,
over TLS as well, measured in the same run.
"""

import concurrent.futures
import http.client
import json
import multiprocessing
import pathlib
import re
import shutil
import socket
import ssl
import statistics
import subprocess
import tempfile
import time

from kubeshim import pki
from kubeshim.client import kinds, kubeconfig, rest
from kubeshim.control_plane.api_server import config
from kubeshim.machinery import errors, resources

CONNECTIONS = 32
SECONDS = 5
PODS = 5000
ROLES = resources.GroupVersionResource("rbac.authorization.k8s.io", "v1", "clusterroles")
BINDINGS = resources.GroupVersionResource("rbac.authorization.k8s.io", "v1", "clusterrolebindings")


def main():
    if shutil.which("wrk") is None:
        raise SystemExit("this benchmark needs wrk (apt-get install wrk)")
    with tempfile.TemporaryDirectory() as directory:
        measure(pathlib.Path(directory))


def measure(directory):
    port, floor_port = free_port(), free_port()
    files = pki.create_all(directory / "pki", server=f"https://127.0.0.1:{port}")
    processes = [
        multiprocessing.get_context("spawn").Process(target=serve, args=(directory, port), daemon=True),
        multiprocessing.get_context("spawn").Process(target=serve_nothing, args=(directory, floor_port), daemon=True),
    ]
    began = time.monotonic()
    processes[0].start()
    try:
        client = rest.Client(kubeconfig.load(str(files.kubeconfig("admin"))))
        wait(lambda: client.raw("GET", "/readyz"))
        print(f"ready                                 {time.monotonic() - began:8.2f} s")
        processes[1].start()
        wait(lambda: socket.create_connection(("127.0.0.1", floor_port), 1).close())
        token = prepare(client)
        floor = wrk(directory, floor_port, token, "/")
        show("floor: a WSGI application doing nothing", floor, floor)
        reads_and_writes(directory, port, token, floor)
        lists(directory, port, token, client)
        patches(client)
    finally:
        for process in processes:
            if process.pid:
                process.terminate()
                process.join(10)


def serve(directory, port):
    from kubeshim.control_plane.api_server import server

    files = pki.Files(directory / "pki")
    certificate, key = files.pair("apiserver")
    settings = config.Config(
        data_dir=directory, tls_certificate=str(certificate), tls_key=str(key), client_ca=str(files.ca),
        front_proxy_ca=str(files.front_proxy_ca), service_account_key=str(files.service_account_key),
        certificate_authority=str(files.ca), advertise_address="192.0.2.1", advertise_port=port,
    )  # fmt: skip
    server.run(settings, [socket.create_server(("127.0.0.1", port), backlog=512)])


def serve_nothing(directory, port):
    import gevent.event

    from kubeshim.wire import http_server, transport

    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "application/json")])
        return [b"{}"]

    certificate, key = pki.Files(directory / "pki").pair("apiserver")
    tls = transport.server_tls(transport.GEVENT, str(certificate), str(key))
    listener = socket.create_server(("127.0.0.1", port), backlog=512)
    http_server.Server(application, [listener], tls=tls, transport=transport.GEVENT).start()
    gevent.event.Event().wait()


def prepare(client):
    """A namespace, and the token of a service account that may do what is measured and no more."""
    wait(lambda: client.get(kinds.NAMESPACES, "default"))
    client.create(kinds.SERVICE_ACCOUNTS, {"metadata": {"name": "bench"}}, "default")
    client.create(kinds.SERVICE_ACCOUNTS, {"metadata": {"name": "default"}}, "default")
    rules = [{"apiGroups": [""], "resources": ["pods", "configmaps"], "verbs": ["*"]}]
    client.create(ROLES, {"metadata": {"name": "bench"}, "rules": rules})
    subject = {"kind": "ServiceAccount", "name": "bench", "namespace": "default"}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "bench"}
    client.create(BINDINGS, {"metadata": {"name": "bench"}, "subjects": [subject], "roleRef": role})
    client.create(kinds.CONFIG_MAPS, {"metadata": {"name": "bench"}, "data": {}}, "default")
    client.create(kinds.PODS, pod("bench"), "default")
    request = {"spec": {"expirationSeconds": 3600}}
    made = client.create(kinds.SERVICE_ACCOUNTS, request, "default", name="bench", subresource="token")
    return made["status"]["token"]


def pod(name):
    container = {
        "name": "web", "image": "nginx:1.27", "ports": [{"containerPort": 80}],
        "env": [{"name": f"VARIABLE_{number}", "value": "value " * 8} for number in range(30)],
        "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}},
    }  # fmt: skip
    return {"metadata": {"name": name, "labels": {"app": "web"}}, "spec": {"containers": [container]}}


def reads_and_writes(directory, port, token, floor):
    show("GET pod", wrk(directory, port, token, "/api/v1/namespaces/default/pods/bench"), floor)
    path = "/api/v1/namespaces/default/configmaps"
    made = wrk(directory, port, token, path, {"metadata": {"name": "NAME"}, "data": {"key": "value"}})
    show("create ConfigMap", made, floor)
    made = wrk(directory, port, token, "/api/v1/namespaces/default/pods", pod("NAME"))
    show("create Pod", made, floor)


def lists(directory, port, token, client):
    """Of ``PODS`` pods; and what reads of one pod feel of it."""
    fill(client)
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=ssl._create_unverified_context())
    headers = {"Authorization": f"Bearer {token}", "User-Agent": "bench"}

    def get(path, **more):
        began = time.perf_counter()
        connection.request("GET", path, headers={**headers, **more})
        body = connection.getresponse().read()
        return time.perf_counter() - began, len(body)

    path = "/api/v1/namespaces/bench/pods"
    taken = [get(path) for _ in range(9)]
    seconds = statistics.median(entry[0] for entry in taken)
    print(f"LIST {PODS} pods ({taken[0][1] / 1e6:.0f} MB)              {seconds:8.3f} s    worst {max(taken)[0]:.3f} s")
    taken = [get(path, Accept="application/vnd.kubernetes.protobuf") for _ in range(9)]
    seconds = statistics.median(entry[0] for entry in taken)
    print(
        f"… in protobuf ({taken[0][1] / 1e6:.0f} MB)                  {seconds:8.3f} s    the first {taken[0][0]:.3f} s"
    )
    began = time.perf_counter()
    for _ in range(40):
        get(path + "?limit=500")
    print(f"LIST 500 pods                         {40 / (time.perf_counter() - began):8.0f} /s")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        one = "/api/v1/namespaces/default/pods/bench"
        beside = pool.submit(wrk, directory, port, token, one, None, 4)
        count = 0
        while not beside.done():
            get(path)
            count += 1
        result = beside.result()
    print(f"GET pod while {count / SECONDS:.0f} such LISTs/s run           p99 {result['p99']:6.1f} ms")


def fill(client):
    client.create(kinds.NAMESPACES, {"metadata": {"name": "bench"}})
    client.create(kinds.SERVICE_ACCOUNTS, {"metadata": {"name": "default"}}, "bench")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: client.create(kinds.PODS, pod(f"pod-{number}"), "bench"), range(PODS)))


def patches(client):
    """Merge patches of one object by eight clients."""

    def patch(number):
        body = {"data": {"key": str(number)}}
        try:
            client.patch(kinds.CONFIG_MAPS, "bench", body, "default")
        except errors.Conflict:
            return False
        return True

    began = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        done = list(pool.map(patch, range(1000)))
    rate = len(done) / (time.perf_counter() - began)
    print(f"merge patch of one object, 8 clients  {rate:8.0f} /s   conflicts {done.count(False)}")


def wrk(directory, port, token, path, body=None, connections=CONNECTIONS):
    """Rate and latencies; with ``body`` a POST whose ``NAME`` is a new name each time."""
    script = directory / "load.lua"
    text = json.dumps(json.dumps(body)) if body else '""'
    script.write_text(
        f"""
        local count, id = 0, tostring(os.time() % 100000) .. tostring(math.random(1, 1000000))
        local body = {text}
        wrk.headers["Authorization"] = "Bearer {token}"
        wrk.headers["User-Agent"] = "wrk"
        if body ~= "" then
          wrk.method = "POST"
          wrk.headers["Content-Type"] = "application/json"
          request = function()
            count = count + 1
            return wrk.format(nil, nil, nil, (body:gsub("NAME", "n" .. id .. "-" .. count)))
          end
        end
        """
    )
    url = f"https://127.0.0.1:{port}{path}"
    command = ["wrk", "-t1", f"-c{connections}", f"-d{SECONDS}s", "--latency", "-s", str(script), url]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in told:
        raise SystemExit(f"{path}: {told}")
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", told)[1])
    return {"rate": rate, "p50": milliseconds(told, "50%"), "p99": milliseconds(told, "99%")}


def milliseconds(told, percentile):
    number, unit = re.search(re.escape(percentile) + r"\s+([\d.]+)(us|ms|s)", told).groups()
    return float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


def show(name, result, floor):
    print(
        f"{name:38}{result['rate']:8.0f} /s   p50 {result['p50']:6.1f} ms   p99 {result['p99']:6.1f} ms"
        f"   {result['rate'] / floor['rate']:5.2f} of the floor"
    )


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()[1]


def wait(condition, seconds=20):
    end = time.monotonic() + seconds
    while True:
        try:
            return condition()
        except (OSError, errors.APIStatusError):
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


if __name__ == "__main__":
    main()
