"""``separable COMMAND …``: every tool of the project by one name.

A command's module is imported when it is asked for; its options are its own.
"""

from __future__ import annotations

from common import door

TYPE_CHECKING = False
if TYPE_CHECKING:
    # Not otherwise: until `door.begin`, an interrupt is a traceback.
    from collections.abc import Callable, Sequence
    from typing import NoReturn

    from common.tool import Parser

__all__ = ["COMMANDS", "main", "module_of", "script"]

COMMANDS = {
    "compile": ("sw.compile", "compile a network: cycles, memory and flash, layer by layer"),
    "run": ("sw.run", "run a network on pictures, on the simulated core or a board"),
    "stream": ("sw.stream.__main__", "run a network on a stream: folder, video, camera, pipe"),
    "bench": ("sw.bench.__main__", "say where every cycle of an inference goes"),
    "survey": ("sw.survey.__main__", "say of many networks which run, and what falls back"),
    "models": ("sw.models", "list public networks by name, and fetch them"),
    "quantize": ("sw.quantize.__main__", "make an int8 network of float weights"),
    "explore": ("sw.explore.__main__", "say which MobileNets fit, how fast, how accurate"),
    "boards": ("hw.boards", "list all boards, and what runs how fast on them"),
    "build": ("hw.build", "build a board's bitstream, and write it to the board"),
    "prove": ("hw.prove", "prove the core's blocks, each with covers and faults"),
    "selftest": ("hw.selftest.__main__", "measure a board with a bitstream of its own"),
    "pty": ("sim.pty", "simulate a board on a serial port, for the other commands"),
    "layer": ("sim.layer", "simulate a network layer by layer, through cocotb"),
    "vectors": ("sim.vectors", "compare the requantiser with random vectors"),
    "fuzz": ("sw.fuzz.__main__", "run random networks through everything"),
    "figures": ("sw.figures.__main__", "measure the documents' figures, and compare them"),
    "train": ("sw.training.train", "train the networks that ship"),
    "ship": ("sw.training.ship", "quantise them and write the files that ship"),
}
"""Module and purpose of each command, in the order in which ``--help`` lists them."""

OWN = ("-h", "--help", "--version")
"""Options that say something at once, whatever stands behind them."""

DESCRIPTION = "int8 MobileNet accelerators for small FPGAs, bit-exact with TensorFlow Lite."

EPILOGUE = """\
"separable COMMAND --help" shows the options of a command; all know -q and -v.

exit codes:
  0    done; whatever was compared is equal
  1    done, and something differs from the golden model or the reference
  2    not done: the last line says why, and what to do
  130  ended by Ctrl-C (SIGINT); 129 by SIGHUP, 143 by SIGTERM

The board is the one that --board names; without, the one that separable.toml
here or in a folder above names (board = "NAME"); without that, icebreaker.

completion, for bash and zsh:
    eval "$(register-python-argcomplete separable)"
"""


def module_of(command: str) -> str:
    """Return what ``python -m`` takes for a command, such as ``sw.bench``."""
    return COMMANDS[command][0].removesuffix(".__main__")


def _parser() -> Parser:
    """Return a parser that knows the names of all commands, and nothing of their options."""
    import argparse

    from common.tool import Parser

    parser = Parser(
        prog="separable", description=DESCRIPTION, epilog=EPILOGUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(
        metavar="COMMAND", title="commands", required=True, parser_class=argparse.ArgumentParser
    )
    for name, (_, purpose) in COMMANDS.items():
        commands.add_parser(name, help=purpose, add_help=False)
    return parser


def _overview(arguments: Sequence[str]) -> int:
    """Answer what is no command; the shell's completion of their names, too."""
    from difflib import get_close_matches

    from common import completion
    from common.errors import InputError
    from common.tool import COMMON, USER_ERROR

    parser = _parser()
    name = next((word for word in arguments if word not in COMMON), "")
    if name.startswith("-") and name not in OWN:
        raise InputError(
            f"separable itself has no option {name!r}; those of a command stand behind its name"
        )
    if name and name not in OWN:
        guess = get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean {guess[0]}? " if guess else ""
        raise InputError(f"there is no command {name!r}; {hint}separable --help lists them")
    if not arguments and not completion.asked():
        parser.print_help()
        return USER_ERROR
    parser.parse_args(arguments)
    return 0


def _chosen(arguments: Sequence[str]) -> Callable[[], int]:
    """Return what does the work."""
    import importlib

    from common import completion, tool

    words = completion.typed() if completion.asked() else arguments
    # Options in front of the command are the command's, but for those that say something at once.
    before = next((n for n, word in enumerate(words) if not word.startswith("-")), len(words))
    front, command = words[:before], words[before : before + 1]
    if not command or command[0] not in COMMANDS or not set(front) <= tool.COMMON:
        main = tool.command(lambda _: _overview(arguments))
        return lambda: main(None)
    if completion.asked():
        completion.skip(before + 1)
    module = importlib.import_module(COMMANDS[command[0]][0])
    tool.names[f"python -m {module_of(command[0])}"] = f"separable {command[0]}"
    rest = [*front, *words[before + 1 :]]
    return lambda: module.main(rest)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    import sys

    return _chosen(sys.argv[1:] if arguments is None else arguments)()


def script() -> NoReturn:
    """Run the command as all that this process does: what is installed as ``separable``."""
    import sys

    door.begin()
    # Here, and not inside: Python may lose an interrupt in the middle of an import.
    work = _chosen(sys.argv[1:])
    door.run(work)


if __name__ == "__main__":
    script()
