"""Subcommands that wait, talk or dial."""

import datetime
import random
import signal
import socket
import sys
import time

from testhost import web


def pause(arguments):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGINT, lambda *_: sys.exit(0))
    print("Paused", flush=True)
    while True:
        signal.pause()


def entrypoint_tester(arguments):
    print(f"[{' '.join([sys.argv[0], 'entrypoint-tester', *arguments])}]")


def connect(arguments):
    options = web.flags(arguments, positional=1, timeout="0", protocol="tcp", udp_data="hostname", sctp_data="hostname")

    def fail(text):
        print(text, file=sys.stderr)
        return 1

    host, _, port = options.positional[0].rpartition(":")
    if not port.isdigit():
        return fail(f"UNKNOWN: address {options.positional[0]}: missing port in address")
    kinds = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM, "sctp": socket.SOCK_STREAM}
    if options.protocol not in kinds:
        return fail(f"Unsupported protocol {options.protocol}")
    try:
        family, _, _, _, address = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)[0]
    except OSError as error:
        return fail(f"DNS: {error}")
    protocol = socket.IPPROTO_SCTP if options.protocol == "sctp" else 0
    try:
        with socket.socket(family, kinds[options.protocol], protocol) as sock:
            sock.settimeout(web.duration(options.timeout) or None)
            sock.connect(address)
            if options.protocol != "tcp":
                data = options.udp_data if options.protocol == "udp" else options.sctp_data
                sock.send(f"{data}\n".encode())
                if not sock.recv(1024):
                    return fail("OTHER: No data received from the server.")
    except TimeoutError:
        return fail("TIMEOUT")
    except ConnectionRefusedError:
        return fail("REFUSED")
    except OSError as error:
        return fail(f"OTHER: {error}")
    return 0


def logs_generator(arguments):
    arguments = [{"-t": "--log-lines-total", "-d": "--run-duration"}.get(word, word) for word in arguments]
    options = web.flags(arguments, log_lines_total=0, run_duration="0")
    seconds = web.duration(options.run_duration)
    if options.log_lines_total <= 0 or seconds <= 0:
        print("Invalid total number of lines or duration", file=sys.stderr)
        return 255
    letters = "bcdfghjklmnpqrstvwxz2456789"
    for number in range(options.log_lines_total):
        method = random.choice(("GET", "POST", "PUT"))
        space, pod = random.choice(("kube-system", "default", "ns")), "".join(random.choices(letters, k=4))
        stamp = datetime.datetime.now().strftime("I%m%d %H:%M:%S.%f")
        path = f"/api/v1/namespaces/{space}/pods/{pod}"
        line = f"{number} {method} {path} {random.randrange(200, 600)}"
        print(f"{stamp}       1 logs_generator.go:76] {line}", file=sys.stderr, flush=True)
        time.sleep(seconds / options.log_lines_total)
    return 0


def in_cluster_client(arguments):
    """Asks the API server for its health every few seconds with the pod's own token, and says how it went."""
    import http.client
    import os
    import ssl

    options = web.flags(arguments, poll_interval=10)
    where = "/var/run/secrets/kubernetes.io/serviceaccount/"
    while True:
        with open(where + "token") as file:
            token = file.read()
        print(f"calling /healthz with token of {len(token)} characters", flush=True)
        context = ssl.create_default_context(cafile=where + "ca.crt")
        host, port = os.environ["KUBERNETES_SERVICE_HOST"], int(os.environ["KUBERNETES_SERVICE_PORT"])
        connection = http.client.HTTPSConnection(host, port, context=context, timeout=10)
        try:
            connection.request("GET", "/healthz", headers={"Authorization": f"Bearer {token}"})
            answer = connection.getresponse()
            text = answer.read().decode()
            print(f"authz_header={'ok' if answer.status == 200 else answer.status} {text}", flush=True)
        except OSError as error:
            print(f"status=failed {error}", flush=True)
        finally:
            connection.close()
        time.sleep(options.poll_interval)
