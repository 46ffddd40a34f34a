"""How this machine's own programs resolve the cluster's names: by sending them, and no others, to the cluster's DNS.

The Service address of the cluster's DNS is routed from this machine as any Service's is; what is missing is that the
resolver asks there. For systemd-resolved that is a drop-in file, which ``install`` writes and ``remove`` takes away
again; for others ``advice`` has the lines.
"""

import pathlib
import subprocess

from kubeshim.cluster import configuration

DROP_INS = pathlib.Path("/etc/systemd/resolved.conf.d")
RUNNING = pathlib.Path("/run/systemd/resolve")
"""Exists while systemd-resolved runs."""


class ResolutionError(Exception):
    """The drop-in cannot be installed; the message says why and what to do instead."""


def drop_in_path(name: str, directory: pathlib.Path | None = None) -> pathlib.Path:
    return (directory or DROP_INS) / f"kubeshim-{name}.conf"


def drop_in(config: configuration.Configuration) -> str:
    """The file's text. ``~`` makes the domain a route: names of other domains go where they went before."""
    return (
        f"# Names of the kubeshim cluster {config.name}; kubeshim down removes this file.\n"
        "[Resolve]\n"
        f"DNS={config.ranges.dns_service}\n"
        f"Domains=~{config.domain}\n"
        "DNSSEC=no\n"
    )


def advice(config: configuration.Configuration) -> str:
    """For people: what to write where, by the resolver they have."""
    name, domain, server = config.name, config.domain, config.ranges.dns_service
    others = (
        "which forwards other names"
        if config.upstream_dns
        else "but then no other names resolve, since this cluster was started with upstreamDNS off"
    )
    return f"""\
The DNS server of cluster {name!r} is {server}; it answers this machine, too:

  dig @{server} kubernetes.default.svc.{domain}

To have every program of this machine resolve *.svc.{domain}:

systemd-resolved    sudo kubeshim dns --name {name} --install     (removed by kubeshim down), which writes
                    {drop_in_path(name)}:

{_indented(drop_in(config))}
dnsmasq             a line of its configuration:

                    server=/{domain}/{server}

neither             the first line of /etc/resolv.conf, {others}:

                    nameserver {server}
"""


def _indented(text: str) -> str:
    return "".join(f"                    {line}\n" for line in text.splitlines())


def install(
    config: configuration.Configuration, directory: pathlib.Path | None = None, running: pathlib.Path | None = None
) -> pathlib.Path:
    """Writes the drop-in and has systemd-resolved read it."""
    if not (running or RUNNING).is_dir():
        raise ResolutionError("systemd-resolved does not run on this machine; kubeshim dns tells other ways")
    path = drop_in_path(config.name, directory)
    for other in path.parent.glob("kubeshim-*.conf"):
        if other != path and f"Domains=~{config.domain}\n" in other.read_text():
            raise ResolutionError(
                f"{other} sends {config.domain} to another cluster; remove it, or start this one with another "
                "networking.dnsDomain"
            )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(drop_in(config))
    path.chmod(0o644)  # systemd-resolved is not root
    reload_resolver()
    return path


def remove(name: str, directory: pathlib.Path | None = None) -> bool:
    """Whether there was a drop-in."""
    path = drop_in_path(name, directory)
    if not path.exists():
        return False
    path.unlink()
    reload_resolver()
    return True


def reload_resolver() -> None:
    """Where systemd is in charge. Raises ``OSError`` where it does not obey."""
    if not pathlib.Path("/run/systemd/system").is_dir():
        return
    command = ["systemctl", "try-reload-or-restart", "systemd-resolved"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    if done.returncode:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")
