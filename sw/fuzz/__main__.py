"""``python -m sw.fuzz networks|around|mutants``: random networks, and damaged files, to the end."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import boards
from common import door, progress
from common.errors import InputError
from common.files import check_folder, check_outputs, write_json
from common.terminal import console
from common.tool import VERIFICATION_FAILED, Parser, command, complain
from sw.fuzz.campaign import Campaign, outcome_table, reason_table
from sw.fuzz.judge import check_available
from sw.fuzz.trial import CAMPAIGNS
from sw.fuzz.verdict import FAILURES
from sw.fuzz.workers import Worker

__all__ = ["main"]


def _parser() -> Parser:
    parser = Parser(
        prog="python -m sw.fuzz",
        description="Random networks (around: of the operators around the core's), and files with "
        "changed fields and bytes, through LiteRT, the "
        "golden model, the compiler, the functional model and the simulated core, which have to "
        "agree in every tensor and every cycle. Exits with 1 if anything differs, fails or hangs.",
    )
    parser.add_argument("campaign", choices=sorted(CAMPAIGNS), nargs="?", default="networks",
                        help="what is examined (default: networks)")
    parser.add_argument("--seed", type=int, default=0, metavar="N",
                        help="the first number; every number is one file (default: 0)")
    parser.add_argument("--count", type=int, default=100, metavar="N",
                        help="how many (default: 100)")
    parser.add_argument("--jobs", type=int, default=1, metavar="N",
                        help="files examined at the same time (default: 1)")
    boards.add_option(parser)
    parser.add_argument("--state", type=Path, metavar="FILE",
                        help="JSON lines of what is done: what is in it is not done again")
    parser.add_argument("--keep", type=Path, metavar="DIR",
                        help="keep files that fail in this folder, as they are and shrunk")
    parser.add_argument("--json", metavar="FILE", help="write the report as JSON")
    parser.add_argument("--reproduce", type=int, metavar="SEED",
                        help="examine one number, and say everything about it")
    return parser


@command
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command-line tool."""
    options = _parser().parse_args(arguments)
    boards.get(options.board)
    check_outputs((options.json,), () if options.state is None else (str(options.state),))
    if options.state is not None:
        check_folder(options.state.parent)
    if options.keep is not None:
        check_folder(options.keep)
    check_available()
    if options.count < 1 or options.jobs < 1 or options.seed < 0:
        raise InputError("--count and --jobs must be at least 1, --seed at least 0")
    if options.reproduce is not None:
        return _reproduce(options.campaign, options.reproduce, options.board)
    campaign = Campaign(
        name=options.campaign, first=options.seed, count=options.count, board=options.board,
        state=options.state, keep=options.keep,
    )
    interrupted = False
    try:
        campaign.run(options.jobs)
    except KeyboardInterrupt:
        interrupted = True
    output = console()
    if campaign.done:
        output.print(outcome_table(campaign))
    if campaign.reasons:
        output.print(reason_table(campaign))
    if options.json:
        write_json(options.json, campaign.to_json())
    for failure in campaign.failures:
        output.print(f"--reproduce {failure['number']}: {failure['outcome']}, {failure['reason']}")
    if interrupted:
        complain("interrupted" + ("; the same command goes on" if options.state else ""))
        return door.INTERRUPTED
    return VERIFICATION_FAILED if campaign.failures else 0


def _reproduce(name: str, number: int, board: str) -> int:
    trial = CAMPAIGNS[name](number)
    output = console()
    output.print(json.dumps(trial.to_json(), indent=1))
    worker = Worker(board)
    try:
        with progress.stage(f"examining {name} {number}"):
            verdict = worker.examine(trial)
    finally:
        worker.close()
    for key, value in verdict.to_json().items():
        output.print(f"{key:8} {value}")
    return VERIFICATION_FAILED if verdict.outcome in FAILURES else 0


if __name__ == "__main__":
    door.run(main)
