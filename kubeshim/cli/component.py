"""What the verbs that run a component share."""

import argparse
import contextlib
import gc
import logging
import os
import pathlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kubeshim.client import kubeconfig


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``--data-dir`` for a cluster that ``up`` made, ``--kubeconfig`` for any other."""
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--data-dir", type=pathlib.Path, help="the directory of a cluster that kubeshim up made")
    where.add_argument("--kubeconfig", type=pathlib.Path, metavar="FILE", help="how to reach an API server")


def add_health_address(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--health-address",
        type=_address,
        metavar="HOST:PORT",
        help="where to answer /healthz, /livez, /readyz, /metrics and /metrics/slis over plain HTTP (default: nowhere)",
    )


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def client(options: argparse.Namespace, identity: str) -> "kubeconfig.ClientConfig":
    """The kubeconfig given, or the component's own one in the cluster's directory."""
    from kubeshim.client import kubeconfig
    from kubeshim.cluster import layout

    path = options.kubeconfig or layout.Layout(options.data_dir).pki / f"{identity}.conf"
    return kubeconfig.load(str(path))


def log_to_stderr() -> None:
    """One line an entry, with time and level."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname).1s %(name)s: %(message)s"
    )


@contextlib.contextmanager
def loading() -> Iterator[None]:
    """While a component loads its code, which stays, nothing is searched for what could be freed."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@contextlib.contextmanager
def giving_way() -> Iterator[None]:
    """``loading``, with the processors left to the API server, without which the component can do nothing.

    Only a privileged process may take back what it gave.
    """
    privileged, before = os.geteuid() == 0, os.getpriority(os.PRIO_PROCESS, 0)
    if privileged:
        os.setpriority(os.PRIO_PROCESS, 0, min(before + 10, 19))
    try:
        with loading():
            yield
    finally:
        if privileged:
            os.setpriority(os.PRIO_PROCESS, 0, before)
