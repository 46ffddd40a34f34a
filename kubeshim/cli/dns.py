"""Tell how this machine's programs resolve the cluster's names, or see to it.

kubeshim dns                        what to write where
sudo kubeshim dns --install         a drop-in file for systemd-resolved; kubeshim down removes it
sudo kubeshim dns --uninstall       removes it now
"""

import argparse

from kubeshim.cli import output


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", default="kubeshim", help="name of the cluster (default: %(default)s)")
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--install", action="store_true", help="write the drop-in file for systemd-resolved")
    action.add_argument("--uninstall", action="store_true", help="remove it")


def run(options: argparse.Namespace) -> int:
    from kubeshim.cluster import configuration, layout, resolution

    path = layout.Layout.of(options.name).configuration
    try:
        config = configuration.load(path)
    except FileNotFoundError:
        return output.fail(f"no cluster {options.name!r}; start one with kubeshim up --name {options.name}")
    except PermissionError:
        return output.fail(f"{path} is readable by root alone: use sudo")
    try:
        if options.install:
            print(f"wrote {resolution.install(config)}")
        elif options.uninstall:
            print("removed" if resolution.remove(options.name) else "was not installed")
        else:
            print(resolution.advice(config), end="")
    except (resolution.ResolutionError, OSError) as error:
        return output.fail(error)
    return 0
