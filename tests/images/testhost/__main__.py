"""``/agnhost SUBCOMMAND [flags]``; without one, ``pause``."""

import os
import signal
import sys

from testhost import certificates, files, grpc_health, guestbook, names, netexec, servers, talking, webhook

COMMANDS = {
    "connect": talking.connect,
    "crd-conversion-webhook": webhook.convert,
    "dns-server-list": names.dns_server_list,
    "dns-suffix": names.dns_suffix,
    "entrypoint-tester": talking.entrypoint_tester,
    "etc-hosts": names.etc_hosts,
    "grpc-health-checking": grpc_health.main,
    "guestbook": guestbook.main,
    "inclusterclient": talking.in_cluster_client,
    "liveness": servers.liveness,
    "logs-generator": talking.logs_generator,
    "mounttest": files.mounttest,
    "netexec": netexec.main,
    "nettest": servers.nettest,
    "pause": talking.pause,
    "porter": servers.porter,
    "serve-hostname": servers.serve_hostname,
    "test-service-account-issuer-discovery": certificates.issuer_discovery,
    "test-webserver": servers.test_webserver,
    "webhook": webhook.main,
}


def main(arguments: list[str]) -> int:
    name, rest = (arguments[0], arguments[1:]) if arguments else ("pause", [])
    if name not in COMMANDS:
        print(f'Error: unknown command "{name}" for "app"', file=sys.stderr)
        return 1
    # as a Go program ends that says nothing of the signal, also as the first process of a container
    signal.signal(signal.SIGTERM, lambda *_: os._exit(2))
    return COMMANDS[name](rest) or 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
