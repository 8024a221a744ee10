"""Processes that examine files: one that ends, or takes too long, is an outcome."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess

import boards
from common import process
from sw.fuzz.judge import CONTEXT, limit_memory
from sw.fuzz.trial import CAMPAIGNS, Trial
from sw.fuzz.verdict import SECONDS, Examiner, Outcome, Verdict

__all__ = ["Task", "Worker", "examine_all"]

MEMORY = 3 << 30
"""Bytes of addresses that a worker may ask for besides those it begins with."""

PATIENCE = 10
"""Seconds on the clock for one of processor time: beyond, a worker is stuck outside Python."""

Task = tuple[str, int] | Trial
"""A campaign's number, or what else is to be tried."""


class Worker:
    """A process that examines one file after the other.

    Parameters
    ----------
    board : str
        A board's name.
    seconds : float
        Of processor time that a file may take.
    """

    def __init__(self, board: str, *, seconds: float = SECONDS) -> None:
        self.board = board
        self.seconds = seconds
        self.number: int | None = None
        self._stage = ""
        self._began = 0.0
        self._start()

    def _start(self) -> None:
        self.connection, other = CONTEXT.Pipe()
        self._process: ForkServerProcess = CONTEXT.Process(
            target=_serve, args=(other, self.board, self.seconds)
        )
        with process.beginning():
            self._process.start()
        other.close()

    def close(self) -> None:
        """End the process, whatever it does."""
        self.connection.close()
        self._process.terminate()
        self._process.join()

    def give(self, task: Task) -> None:
        """Begin a task."""
        self._began, self._stage = time.monotonic(), "generator"
        with suppress(ConnectionError):
            self.connection.send(task)

    def take(self) -> Verdict | None:
        """Return the verdict, if there is one by now."""
        while self.connection.poll():
            try:
                answer = self.connection.recv()
            except (EOFError, ConnectionError):
                return self._again(Outcome.CRASH)
            if isinstance(answer, Verdict):
                return answer
            self._stage = answer
        if time.monotonic() - self._began > PATIENCE * self.seconds:
            self._process.kill()
            return self._again(Outcome.HANG)
        return None

    def examine(self, task: Task) -> Verdict:
        """Return the verdict on a task."""
        self.give(task)
        while (verdict := self.take()) is None:
            wait([self.connection], timeout=1)
        return verdict

    def _again(self, outcome: Outcome) -> Verdict:
        """Begin a new process after the end of one; return what its end means."""
        self._process.join()
        code = self._process.exitcode or 0
        reason = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        if outcome is Outcome.HANG:
            reason = "stuck outside Python"
        self.connection.close()
        self._start()
        return Verdict(outcome=outcome, stage=self._stage, reason=reason, detail=reason)


def _serve(connection: Connection, board: str, seconds: float) -> None:
    """Examine files until nobody asks any more."""
    limit_memory(MEMORY)
    examiner = Examiner(boards.get(board).config, seconds=seconds, on_stage=connection.send)
    while True:
        try:
            task: Task = connection.recv()
        except EOFError:
            break
        connection.send(_examine(examiner, task))
    examiner.close()


def _examine(examiner: Examiner, task: Task) -> Verdict:
    trial = task if isinstance(task, Trial) else CAMPAIGNS[task[0]](task[1])
    try:
        data = trial.subject.build()
    except ValueError as error:
        # A smaller network that cannot be.
        return Verdict(outcome=Outcome.REFUSED, stage="generator", reason=str(error))
    return examiner.examine(data, trial.options)


def examine_all(
    campaign: str,
    numbers: Iterator[int],
    workers: list[Worker],
    each: Callable[[Worker, int, Verdict], None],
) -> None:
    """Examine a campaign's numbers on all workers.

    Parameters
    ----------
    campaign : str
    numbers : iterator of int
    workers : list of Worker
    each : callable
        Called with every number's verdict and the worker that found it, which is free.
    """
    free, busy = list(workers), dict[Worker, int]()
    while True:
        while free and (number := next(numbers, None)) is not None:
            worker = free.pop()
            worker.give((campaign, number))
            busy[worker] = number
        if not busy:
            return
        wait([worker.connection for worker in busy], timeout=1)
        for worker in list(busy):
            if (verdict := worker.take()) is not None:
                each(worker, busy.pop(worker), verdict)
                free.append(worker)
