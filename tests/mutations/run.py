"""Deliberate mistakes in our own sources: does any test notice them?

::

    python tests/mutations/run.py                   # all of them
    python tests/mutations/run.py --only rounding   # those whose name or file contains this
    python tests/mutations/run.py --jobs 2 --fresh  # two at a time; nothing from earlier runs

The mistakes are data: ``*.toml`` beside this file.  Each is made in a copy of the checkout, in a
temporary folder, and the tests that should notice are run there, with a time limit; a mistake that
makes them run into it counts as caught.  First the tests are run in the copy without any mistake,
where all of them have to pass.  Networks outside the project are out of reach: tests that need them
are skipped, here as everywhere, and catch nothing.

Results are kept in ``build/mutations.json``, and used again as long as neither the mistake, nor
the file that it is made in, nor the named tests have changed.

The exit code is 0 if every mistake is caught but for those that are argued to change nothing
(``equivalent``), and none of these is.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from queue import SimpleQueue

import pytest
from rich.console import Console
from rich.table import Table

REPOSITORY = Path(__file__).resolve().parents[2]
DATA = Path(__file__).resolve().parent
RESULTS = REPOSITORY / "build" / "mutations.json"
SECONDS = 180
"""For the tests of one mistake; they take about ten."""

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    ["ai_edge_litert.interpreter", "amaranth.sim", "numpy", "PIL.Image", "pytest", "tflite",
     "tflite_micro"]
)
"""Most of the time would go into the imports of others' modules: they are imported once."""

CAUGHT, LATE, SURVIVED = "caught", "caught (time limit)", "survived"


@dataclass(frozen=True, kw_only=True)
class Mutation:
    """A deliberate mistake.

    Attributes
    ----------
    name : str
    file : str
        From the repository's root.
    old, new : str
        What is replaced, which must be there exactly once, and by what.
    tests : str
        Arguments of pytest, from the folder ``tests``: what should notice.
    equivalent : str
        Why it changes nothing, if it does not.
    """

    name: str
    file: str
    old: str
    new: str
    tests: str
    equivalent: str = ""

    @property
    def arguments(self) -> list[str]:
        """What pytest is told to run, from the repository's root."""
        return [f"tests/{test}" for test in self.tests.split()]

    @cached_property
    def digest(self) -> str:
        """Of everything that its result depends on, tests' helpers left aside."""
        paths = [self.file, *dict.fromkeys(a.split("::")[0] for a in self.arguments)]
        contents = [(REPOSITORY / path).read_text() for path in paths]
        return hashlib.sha256(json.dumps([self.old, self.new, self.tests, contents]).encode()
                              ).hexdigest()

    def apply(self, text: str) -> str:
        """Return a file's text with the mistake.

        Raises
        ------
        ValueError
            If what is to be replaced is not there exactly once.
        """
        if text.count(self.old) != 1:
            raise ValueError(
                f"{self.name}: {self.file} has {self.old!r} {text.count(self.old)} times"
            )
        return text.replace(self.old, self.new)


def load(folder: Path = DATA) -> list[Mutation]:
    """Return all mistakes, in the order of files and within them."""
    return [
        Mutation(**entry)
        for path in sorted(folder.glob("*.toml"))
        for entry in tomllib.loads(path.read_text())["mutation"]
    ]


class Copy:
    """A copy of the checkout, without what git ignores."""

    def __init__(self, root: Path) -> None:
        self.root = root
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=REPOSITORY, capture_output=True, text=True, check=True,
        )
        for name in filter(None, listed.stdout.split("\0")):
            if (REPOSITORY / name).is_file():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(REPOSITORY / name, root / name)

    def test(self, arguments: Sequence[str], seconds: float | None) -> int | None:
        """Run tests up to the first one that fails; return pytest's exit code, or None if late."""
        output = self.root / "pytest.txt"
        process = CONTEXT.Process(target=_pytest, args=(self.root, arguments, output))
        process.start()
        process.join(seconds)
        if late := process.exitcode is None:
            assert process.pid is not None
            # With whatever the tests have started.
            os.killpg(process.pid, signal.SIGKILL)
            process.join()
        return None if late else process.exitcode

    @contextmanager
    def mistaken(self, mutation: Mutation) -> Iterator[None]:
        """Have the mistake in the copy for a while."""
        path = self.root / mutation.file
        text = path.read_text()
        try:
            self._write(path, mutation.apply(text))
            yield
        finally:
            self._write(path, text)

    @staticmethod
    def _write(path: Path, text: str) -> None:
        path.write_text(text)
        # Python tells an old one by size and seconds: too coarse here.
        Path(importlib.util.cache_from_source(str(path))).unlink(missing_ok=True)

    def result(self, mutation: Mutation) -> str:
        """Return what becomes of a mistake."""
        with self.mistaken(mutation):
            code = self.test(mutation.arguments, SECONDS)
        if code is None:
            return LATE
        # 2 where a module cannot be imported any more, negative where the process broke down.
        if code > 2:
            raise SystemExit(f"{mutation.name}: pytest found no tests, or broke ({code})")
        return SURVIVED if code == 0 else CAUGHT


def _pytest(root: Path, arguments: Sequence[str], output: Path) -> None:
    """Run pytest in a copy, in a process of its own."""
    os.setsid()
    os.chdir(root)
    sys.path.insert(0, str(root))
    os.environ["PYTHONPATH"] = str(root)
    os.environ["SEPARABLE_SHARED"] = str(root / "nothing")
    with output.open("w") as file:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(file.fileno(), stream.fileno())
    code = pytest.main(["-q", "-x", "-p", "no:cacheprovider", *arguments])
    sys.stdout.flush()
    os._exit(int(code))


def baseline(copy: Copy, mutations: Sequence[Mutation]) -> None:
    """Let all tests pass that the mistakes name."""
    arguments = dict.fromkeys(a for m in mutations for a in m.arguments)
    # A file that is named as a whole is not run twice.
    wanted = [a for a in arguments if a == a.split("::")[0] or a.split("::")[0] not in arguments]
    if copy.test(wanted, None):
        said = (copy.root / "pytest.txt").read_text()
        raise SystemExit(f"the tests fail without any mistake:\n{said[-3000:]}")


def campaign(mutations: Sequence[Mutation], jobs: int, known: dict[str, str]) -> None:
    """Find out what is not known yet, and add it to ``known`` by digest."""
    left = [m for m in mutations if m.digest not in known]
    if not left:
        return
    with tempfile.TemporaryDirectory(prefix="separable-mutations-") as folder:
        copies: SimpleQueue[Copy] = SimpleQueue()
        for number in range(jobs):
            copies.put(Copy(Path(folder) / str(number)))
        copy = copies.get()
        print(f"tests of {len(left)} mistakes, without any mistake …", flush=True)
        baseline(copy, left)
        copies.put(copy)

        def result(mutation: Mutation) -> str:
            copy = copies.get()
            try:
                return copy.result(mutation)
            finally:
                copies.put(copy)

        with ThreadPoolExecutor(jobs) as pool:
            futures = {pool.submit(result, m): m for m in left}
            for number, future in enumerate(as_completed(futures), start=1):
                mutation = futures[future]
                known[mutation.digest] = future.result()
                RESULTS.parent.mkdir(exist_ok=True)
                RESULTS.write_text(json.dumps(known, indent=0))
                print(f"{number}/{len(left)} {mutation.name}: {future.result()}", flush=True)


def report(mutations: Sequence[Mutation], known: dict[str, str]) -> bool:
    """Print the table, and what survived; return whether all is well."""
    counts: dict[str, Counter[str]] = {}
    wrong = []
    for mutation in mutations:
        found = known[mutation.digest]
        kind = "caught" if found != SURVIVED else "equivalent" if mutation.equivalent else SURVIVED
        package = "/".join(mutation.file.split("/")[:2])
        counts.setdefault(package, Counter())[kind] += 1
        if found == SURVIVED and not mutation.equivalent:
            wrong.append(f"survived: {mutation.name} ({mutation.file}, {mutation.tests})")
        if found != SURVIVED and mutation.equivalent:
            wrong.append(f"not equivalent, as it was caught: {mutation.name}")
    kinds = ("caught", SURVIVED, "equivalent")
    table = Table("sources", "mistakes", *kinds)
    for package, count in sorted(counts.items()):
        table.add_row(package, str(count.total()), *(str(count[kind]) for kind in kinds))
    total = sum(counts.values(), Counter[str]())
    table.add_section()
    table.add_row("all", str(total.total()), *(str(total[kind]) for kind in kinds))
    Console().print(table)
    for line in wrong:
        print(line)
    return not wrong


def main() -> int:
    """Run the campaign."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--only", default="", help="a part of names or files")
    parser.add_argument("--jobs", type=int, default=1, help="mistakes at a time (default: 1)")
    parser.add_argument("--fresh", action="store_true", help="forget the results of earlier runs")
    arguments = parser.parse_args()
    mutations = [m for m in load() if arguments.only in m.name or arguments.only in m.file]
    if not mutations:
        raise SystemExit(f"no mistake has {arguments.only!r} in its name or file")
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() and not arguments.fresh else {}
    campaign(mutations, arguments.jobs, known)
    return 0 if report(mutations, known) else 1


if __name__ == "__main__":
    sys.exit(main())
