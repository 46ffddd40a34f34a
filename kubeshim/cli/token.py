"""Bootstrap tokens, with which other machines join the cluster.

kubeshim token create                           a new one; prints it
kubeshim token create --print-join-command      and what to type on the other machine
kubeshim token list
kubeshim token delete ID|TOKEN
kubeshim token generate                         one that no cluster knows yet
"""

import argparse
from typing import TYPE_CHECKING

from kubeshim.cli import output

if TYPE_CHECKING:
    from kubeshim.cluster import tokens


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=["create", "list", "delete", "generate"])
    parser.add_argument("tokens", nargs="*", metavar="TOKEN")
    parser.add_argument("--name", default="kubeshim", help="name of the cluster (default: %(default)s)")
    parser.add_argument("--ttl", default="24h", metavar="DURATION", help="0 for ever (default: %(default)s)")
    parser.add_argument("--description", default="", help="what it is for")
    parser.add_argument("--groups", default="", metavar="LIST", help="its bearer's groups (default: new nodes')")
    parser.add_argument("--usages", default="", metavar="LIST", help="of signing, authentication (default: both)")
    parser.add_argument("--print-join-command", action="store_true", help="print what the other machine has to run")


def run(options: argparse.Namespace) -> int:
    from kubeshim.cluster import api, configuration, tokens
    from kubeshim.machinery import bootstrap_tokens

    if options.what == "generate":
        print(bootstrap_tokens.generate())
        return 0
    try:
        these = tokens.Tokens(options.name)
        if options.what == "list":
            return _list(these)
        if options.what == "delete":
            if not options.tokens:
                return output.fail("kubeshim token delete needs the ID of a token; see kubeshim token list")
            for text in options.tokens:
                print(f'bootstrap token "{these.delete(text)}" deleted')
            return 0
        return _create(these, options)
    except (tokens.TokenFailed, configuration.ConfigurationError, api.APIError, OSError) as error:
        return output.fail(error)


def _create(these: "tokens.Tokens", options: argparse.Namespace) -> int:
    from kubeshim.cluster import configuration
    from kubeshim.machinery import bootstrap_tokens

    if len(options.tokens) > 1:
        return output.fail("one token at a time")
    seconds = 0.0 if options.ttl == "0" else configuration.seconds(options.ttl)
    made = these.create(
        options.tokens[0] if options.tokens else "",
        seconds=seconds,
        groups=tuple(options.groups.split(",")) if options.groups else (bootstrap_tokens.NODE_GROUP,),
        usages=tuple(options.usages.split(",")) if options.usages else bootstrap_tokens.USAGES,
        description=options.description,
    )
    print(these.join_command(made) if options.print_join_command else made.text)
    return 0


def _list(these: "tokens.Tokens") -> int:
    from kubeshim import clock
    from kubeshim.cluster import tokens

    print(f"{'TOKEN':<26}{'TTL':<12}{'EXPIRES':<23}{'USAGES':<25}{'DESCRIPTION':<30}EXTRA GROUPS")
    for token in these.list():
        row = tokens.row(token, clock.SYSTEM.now())
        print(f"{row.token:<26}{row.ttl:<12}{row.expires:<23}{row.usages:<25}{row.description:<30}{row.groups}")
    return 0
