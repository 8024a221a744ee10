"""Work on many things in several processes, results in the order in which they are ready."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Collection, Generator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import closing
from itertools import islice
from typing import TypeVar

from common import progress, verbosity
from common.door import interruptible
from common.process import beginning, end_all

__all__ = ["default_jobs", "largest_first", "parallel"]

Item = TypeVar("Item")
Result = TypeVar("Result")


def default_jobs() -> int:
    """Return how many processes to use: one per processor."""
    return os.cpu_count() or 1


def parallel(
    work: Callable[[Item], Result], items: Sequence[Item], *, jobs: int
) -> Generator[tuple[int, Result]]:
    """Work on items.

    Parameters
    ----------
    work : callable
        A function of a module, which other processes can import.
    items : sequence
        Begun in this order.
    jobs : int
        Processes; with 1 everything happens in this one.

    Yields
    ------
    (number, result)
        Position in ``items``, in the order in which they are ready.
    """
    if jobs == 1 or len(items) < 2:
        for number, item in enumerate(items):
            yield number, work(item)
        return
    # A new interpreter each: a fork of a process with threads may hang.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        min(jobs, len(items)), mp_context=context, initializer=_begin,
        initargs=verbosity.chosen(),
    ) as pool:
        try:
            with beginning():
                futures = {pool.submit(_work, work, item): n for n, item in enumerate(items)}
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            # What they compute nobody wants any more.
            for process in multiprocessing.active_children():
                process.terminate()
            raise


def largest_first(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    size: Callable[[Item], float],
    name: Callable[[Item], str],
    jobs: int,
    doing: str,
    unit: str,
) -> list[Result]:
    """Work on items, the largest first, and show how far it is; return the results in order.

    Parameters
    ----------
    work : callable
        A function of a module, which other processes can import.
    items : sequence
    size, name : callable
        How much work an item is, compared with others, and what it is called.
    jobs : int
        Processes; with 1 everything happens in this one.
    doing, unit : str
        What is done, and with what, for the bar.
    """
    order = sorted(range(len(items)), key=lambda number: -size(items[number]))
    ordered = [items[number] for number in order]
    names = [name(item) for item in ordered]
    found: dict[int, Result] = {}
    # Closed whatever comes: processes of its own end with it.
    with (
        closing(parallel(work, ordered, jobs=jobs)) as results,
        progress.stage(doing, total=len(items), unit=unit) as stage,
    ):
        stage.at(_under_way(names, found, jobs))
        for position, result in results:
            found[position] = result
            stage.reached(len(found))
            stage.at(_under_way(names, found, jobs))
    places = {number: position for position, number in enumerate(order)}
    return [found[places[number]] for number in range(len(items))]


def _under_way(names: Sequence[str], done: Collection[int], jobs: int) -> str:
    """Return the names of the items that are worked on, given those that are ready.

    They are begun in order, so these are the first ones of the others.
    """
    waiting = (name for number, name in enumerate(names) if number not in done)
    return ", ".join(islice(waiting, jobs))


def _work(work: Callable[[Item], Result], item: Item) -> Result:
    return interruptible(lambda: work(item))


def _begin(quiet: bool, verbose: int) -> None:
    """Say as much as the process that began this one."""
    verbosity.choose(quiet=quiet, verbose=verbose)
    _end_with_parent()


def _end_with_parent() -> None:
    """Let this process end when the one that began it does, even if that one was killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        end_all()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
