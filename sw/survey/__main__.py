"""Survey many networks: which of them run on a board, what falls back to the host, whether exactly.

Every file is compiled.  With a random input LiteRT's reference kernels, the golden model and the
simulated core run it, and all tensors have to be equal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import boards
from common import door, files, terminal, tool
from common.errors import InputError
from common.parallel import default_jobs, largest_first
from common.terminal import printable
from sw.driver import open_device
from sw.fuzz.judge import check_available
from sw.survey.examine import Task, examine
from sw.survey.tables import reasons, summary, table, write_csv

__all__ = ["main"]


def _parser() -> tool.Parser:
    parser = tool.Parser(prog="python -m sw.survey", description=__doc__)
    parser.add_argument(
        "what", metavar="FOLDER", nargs="+",
        help="folders, searched with all folders in them, and .tflite files",
    )
    boards.add_option(parser)
    parser.add_argument(
        "--no-judge", action="store_true", help="do not ask LiteRT, which pip install "
        "'separable[test]' brings",
    )
    parser.add_argument(
        "--no-core", action="store_true", help="do not simulate the core: seconds, not minutes"
    )
    parser.add_argument(
        "--no-fallback", action="store_true", help="refuse what the core cannot run by itself"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the random input (default: 0)")
    parser.add_argument(
        "--jobs", metavar="N", type=int, default=default_jobs(),
        help="processes (default: one per processor)",
    )
    parser.add_argument("--csv", metavar="FILE", help="write the findings as CSV")
    parser.add_argument("--json", metavar="FILE", help="write the findings as JSON")
    return parser


def _found(what: Sequence[str]) -> list[str]:
    """Return the files to examine, each once, those of a folder by name."""
    paths: list[str] = []
    for name in what:
        path = Path(name)
        if path.is_dir():
            inside = sorted(str(p) for p in path.rglob("*.tflite") if p.is_file())
            if not inside:
                raise InputError(f"{name}: no .tflite files in this folder or below it")
            paths += inside
        elif path.is_file():
            paths.append(name)
        else:
            raise InputError(f"{name}: there is no such file or folder")
    return list(dict.fromkeys(paths))


@tool.command
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command-line tool."""
    options = _parser().parse_args(arguments)
    board = boards.get(options.board)
    if options.jobs < 1:
        raise InputError(f"--jobs must be at least 1, not {options.jobs}")
    if options.seed < 0:
        raise InputError(f"--seed must not be negative, not {options.seed}")
    paths = _found(options.what)
    files.check_outputs((options.csv, options.json), paths)
    if not options.no_judge:
        check_available()
    tasks = [
        Task(
            path=path, board=board.name, fallback=not options.no_fallback,
            judged=not options.no_judge, simulated=not options.no_core, seed=options.seed,
        )
        for path in paths
    ]
    if not options.no_core and min(options.jobs, len(tasks)) > 1:
        # All processes need the simulated core; of this one it is seen that it is compiled.
        open_device("sim", board.config, baud=board.baud).close()
    findings = largest_first(
        examine, tasks, size=lambda task: Path(task.path).stat().st_size,
        name=lambda task: Path(task.path).stem, jobs=options.jobs, doing="examining",
        unit="files",
    )
    screen = terminal.console()
    screen.print(table(findings))
    for line in reasons(findings):
        screen.print(printable(line))
    screen.print(summary(findings))
    if options.csv:
        write_csv(options.csv, findings)
    if options.json:
        files.write_json(options.json, {
            "board": board.name, "clock_mhz": board.config.core_mhz, "seed": options.seed,
            "files": [asdict(finding) for finding in findings],
        })
    wrong = [f for f in findings if f.verdict in ("differs", "fails")]
    for finding in wrong:
        tool.complain(f"{finding.file}: {finding.verdict}: {finding.reason}")
    return tool.VERIFICATION_FAILED if wrong else 0


if __name__ == "__main__":
    door.run(main)
