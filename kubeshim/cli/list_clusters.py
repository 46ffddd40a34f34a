"""The clusters on this machine, one a line: name, whether it runs, API server, ranges."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    del parser


def run(options: argparse.Namespace) -> int:
    del options
    from kubeshim.cluster import configuration, layout, processes

    names = layout.existing()
    if not names:
        print("no clusters; start one with kubeshim up")
        return 0
    print(f"{'NAME':<24}{'STATE':<10}{'API SERVER':<28}{'PODS':<20}SERVICES")
    for name in names:
        where = layout.Layout.of(name)
        config = configuration.load(where.configuration)
        running = processes.running(where).get("supervisor" if config.joined else "api-server", False)
        server = config.joined.server if config.joined else f"https://127.0.0.1:{config.port}"
        print(
            f"{name:<24}{'running' if running else 'stopped':<10}{server:<28}"
            f"{config.ranges.pods!s:<20}{config.ranges.services}"
        )
    return 0
