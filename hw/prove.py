"""``python -m hw.prove``: formal proofs of the core's blocks.

    python -m hw.prove
    python -m hw.prove --list
    python -m hw.prove ring loader --json proofs.json

Each proof runs with covers, which show that its assumptions can be met, and with faults, which it
has to disprove.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common import door, files, progress, terminal, tool
from common.errors import InputError
from common.tables import Table, add_figures, add_names, add_text, new_table

if TYPE_CHECKING:
    from hw.proofs.proof import Proof
    from hw.proofs.run import Result
    from hw.proofs.solver import Answer

__all__ = ["main"]

CYCLES = 12
"""Cycles of a counterexample that are printed, the last ones."""


def _proofs() -> Mapping[str, Proof]:
    """Return all proofs by name."""
    # Not every call needs them, and Amaranth with them.
    from hw.proofs.catalogue import PROOFS

    return PROOFS


def _parser() -> tool.Parser:
    parser = tool.Parser(
        prog="python -m hw.prove", description="Formal proofs of the core's blocks.",
    )
    names = parser.add_argument(
        "names", metavar="NAME", nargs="*", help="a proof (default: all that are quick)"
    )
    names.completer = lambda **_: list(_proofs())  # type: ignore[attr-defined]  # argcomplete's
    parser.add_argument("--list", action="store_true", help="show the proofs and run none")
    parser.add_argument(
        "--markdown", action="store_true", help="show them as the table of docs/proofs.md"
    )
    parser.add_argument("--all", action="store_true", help="run those that take long as well")
    parser.add_argument(
        "--output", metavar="DIR", type=Path, default=Path("build/proofs"),
        help="folder for designs, logs and waves (default: build/proofs)",
    )
    parser.add_argument("--json", metavar="FILE", help="write the results as JSON")
    return parser


def _chosen(names: Sequence[str], *, everything: bool) -> list[Proof]:
    known = _proofs()
    for name in names:
        if name not in known:
            raise InputError(f"there is no proof {name!r}; known: {', '.join(known)}")
    if names:
        return [known[name] for name in dict.fromkeys(names)]
    return [proof for proof in known.values() if everything or not proof.long]


def _listing(proofs: Sequence[Proof]) -> Table:
    table = new_table(("proof",))
    add_text(table, "what it proves")
    add_names(table, "reach", "run")
    for proof in proofs:
        table.add_row(proof.name, proof.what, proof.reach, "named" if proof.long else "always")
    return table


def _markdown(proofs: Sequence[Proof]) -> str:
    headers = ("proof", "what it proves", "reach", "faults that it finds")
    lines = [f"| {' | '.join(headers)} |", "| --- | --- | --- | --- |"]
    lines += [
        f"| `{proof.name}` | {proof.what} | {proof.reach} | "
        f"{'; '.join(fault.name for fault in proof.faults)} |"
        for proof in proofs
    ]
    return "\n".join(lines)


def _table(results: Sequence[Result]) -> None:
    table = new_table(("proof", "reach", "result"))
    add_figures(table, "covers", "faults", "seconds")
    for result in results:
        covers = len(result.covers)
        faults = len(result.faults)
        table.add_row(
            result.proof.name, result.proof.reach, result.answer.verdict,
            f"{covers - len(result.unreached)} of {covers}",
            f"{faults - len(result.unfound)} of {faults}", f"{result.seconds:.1f}",
        )
    terminal.console().print(table)


def _counterexample(name: str, answer: Answer, waves: Path) -> None:
    """Print the last cycles of a trace."""
    assert answer.trace is not None
    signals = answer.trace.named
    first = max(answer.trace.cycles - CYCLES, 0)
    cycles = [str(cycle) for cycle in range(first, answer.trace.cycles)]
    title = f"{name}: {', '.join(answer.failed)}; cycles from reset, {waves}"
    table = new_table(("signal",), cycles, title=title, give_way=cycles)
    for signal, values in signals.items():
        table.add_row(signal, *(f"{value:x}" for value in values[first:]))
    terminal.console().print(table)


def _complaints(result: Result, folder: Path) -> None:
    """Say what is not as it must be."""
    name, answer = result.proof.name, result.answer
    if answer.verdict == "disproved":
        _counterexample(name, answer, folder / name / "proof.vcd")
    elif answer.verdict == "undecided":
        print(f"{name}: not decided by an induction of {result.proof.steps} cycles, which fails at "
              f"{', '.join(answer.failed)}")
    if not result.covers or not result.faults:
        print(f"{name}: without a cover or without a fault, it says nothing")
    for cover in result.unreached:
        print(f"{name}: cover {cover} is not reached in {result.proof.cover_steps} cycles: "
              "what is assumed may contradict itself")
    for fault in result.unfound:
        print(f"{name}: the fault {fault!r} is not disproved: the claims say too little")


def _run(options: Any) -> int:
    proofs = _chosen(options.names, everything=options.all)
    files.check_outputs([options.json])
    if options.list or options.markdown:
        shown = proofs if options.names else list(_proofs().values())
        if options.markdown:
            print(_markdown(shown))
        else:
            terminal.console().print(_listing(shown))
        return 0
    from hw.proofs.run import check

    results = []
    for proof in progress.each(proofs, "proofs", total=len(proofs), unit="proofs",
                               name=lambda proof: proof.name):
        results.append(check(proof, options.output))
    _table(results)
    for result in results:
        _complaints(result, options.output)
    if options.json:
        files.write_json(options.json, {"proofs": [result.as_json() for result in results]})
    return 0 if all(result.good for result in results) else tool.VERIFICATION_FAILED


@tool.command
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command-line tool."""
    return _run(_parser().parse_args(arguments))


if __name__ == "__main__":
    door.run(main)
