"""Bring an image into a cluster.

kubeshim load image NAME[:TAG]     one that the local Docker engine has (nothing to do: nodes see it at once)
kubeshim load image FILE.tar       an archive made by docker save
"""

import argparse
import pathlib

from kubeshim.cli import output


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=["image"])
    parser.add_argument("images", nargs="+", metavar="NAME|FILE")
    parser.add_argument("--name", default="kubeshim", help="name of the cluster (default: %(default)s)")


def run(options: argparse.Namespace) -> int:
    from kubeshim.cluster import configuration, layout
    from kubeshim.node.container_runtime import engine_http, holders, runtime

    if options.name not in layout.existing():
        return output.fail(f"no cluster {options.name!r}; start one with kubeshim up --name {options.name}")
    engine = engine_http.Engine(configuration.load(layout.Layout.of(options.name).configuration).engine)
    for image in options.images:
        try:
            if pathlib.Path(image).is_file():
                holders.load_image(engine, pathlib.Path(image).read_bytes())
                print(f"loaded {image}")
            else:
                engine.call("GET", f"/images/{image}/json")
                print(f"{image} is in the local engine; the nodes see it")
        except engine_http.EngineError as error:
            hint = "; pull or build it first, or name a file made by docker save" if error.status == 404 else ""
            return output.fail(f"{image}: {error}{hint}")
        except (OSError, runtime.RuntimeFailure) as error:
            return output.fail(f"{image}: {error}")
    return 0
