"""Run a cluster's simulated nodes, as kubeshim up --simulated-nodes does.

  kubeshim simulated-nodes --data-dir DIR --count N

Nothing runs on them: pods get addresses and states by rules. Pods come here only if they tolerate the taint
kwok.x-k8s.io/node=fake:NoSchedule; a nodeSelector of type: kwok keeps them here. Annotations of pods say how they
behave, each with a duration such as 5s:

  simulation.kubeshim.example/start-after    until their containers run
  simulation.kubeshim.example/exit-after     until these exit (1s for pods of Jobs, else never)
  simulation.kubeshim.example/exit-code      with which code
  simulation.kubeshim.example/stop-after     how long these take to stop
"""

import argparse
import pathlib
import signal
import threading

from kubeshim.cli import component


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data-dir", type=pathlib.Path, required=True, help="the cluster's directory")
    parser.add_argument("--count", type=int, required=True, metavar="N", help="how many")


def run(options: argparse.Namespace) -> int:
    from kubeshim import supervisor
    from kubeshim.cluster import configuration, layout, simulation

    component.log_to_stderr()
    where = layout.Layout(options.data_dir)
    config = configuration.load(where.configuration)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    running = simulation.Simulation(config, where, options.count, supervisor.inherited_sockets())
    running.start()
    stop.wait()
    running.stop()
    return 0
