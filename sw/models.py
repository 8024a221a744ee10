"""``python -m sw.models``: public networks by name.

    python -m sw.models list
    python -m sw.models get vww_96_int8
"""

from collections.abc import Sequence
from typing import Any

from common import door, files, terminal, tool
from common.errors import InputError
from common.tables import add_figures, add_names, add_text, new_table
from sw.networks.published import NETWORKS, find, where

__all__ = ["main"]


def _list(options: Any) -> None:
    files.check_outputs([options.json])
    table = new_table(("network",), give_way=("from", "licence"))
    add_text(table, "what")
    add_names(table, "licence", "from")
    add_text(table, "here")
    add_figures(table, "KB")
    entries = []
    for network in NETWORKS.values():
        path = where(network)
        size = f"{network.size / 1024:,.0f}"
        table.add_row(
            network.name, network.summary, network.licence, network.repository, path or "no", size
        )
        entries.append(
            {
                "name": network.name,
                "summary": network.summary,
                "bytes": network.size,
                "sha256": network.sha256,
                "licence": network.licence,
                "addresses": list(network.addresses),
                "path": path or None,
            }
        )
    terminal.console().print(table)
    if options.json:
        files.write_json(options.json, {"networks": entries})


def _get(options: Any) -> None:
    for name in options.names:
        if name not in NETWORKS:
            raise InputError(
                f"there is no known network {name!r}; known: {', '.join(NETWORKS)}"
            )
    for name in options.names:
        print(find(name), flush=True)


def _parser() -> tool.Parser:
    parser = tool.Parser(prog="python -m sw.models", description="Public networks by name.")
    commands = parser.add_subparsers(dest="command", required=True, parser_class=tool.Parser)
    listing = commands.add_parser("list", help="show the networks and which are here")
    listing.add_argument("--json", metavar="FILE", help="write the list as JSON")
    listing.set_defaults(run=_list)
    getting = commands.add_parser("get", help="fetch networks into the cache, print their paths")
    names = getting.add_argument("names", metavar="NAME", nargs="+", help="a network's name")
    names.completer = lambda **_: list(NETWORKS)  # type: ignore[attr-defined]  # argcomplete's
    getting.set_defaults(run=_get)
    return parser


@tool.command
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command-line tool."""
    options = _parser().parse_args(arguments)
    options.run(options)
    return 0


if __name__ == "__main__":
    door.run(main)
