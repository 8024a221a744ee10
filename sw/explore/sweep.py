"""Compile a family of networks for a board and note what fits and how fast it is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

from common.errors import InputError, UnsupportedError
from common.parallel import largest_first
from hw.contract.board import Board
from hw.contract.requantiser import MULTIPLIER_BITS
from sw.compiler import compile_graph
from sw.compiler.timing import predict
from sw.explore.accuracy import top1, top1_quantized
from sw.explore.graphs import random_graph
from sw.networks.architecture import Architecture, mobilenet_v1, mobilenet_v2
from sw.networks.detectors import fomo

__all__ = [
    "ARCHITECTURES", "CLASSIFIERS", "DETECTORS", "DETECTOR_GRID", "Point", "Request", "evaluate",
    "front", "sweep",
]

CLASSIFIERS = {"v1": mobilenet_v1, "v2": mobilenet_v2}

DETECTORS = {f"fomo-{name}": family for name, family in CLASSIFIERS.items()}
"""By name, the networks that FOMO is made over."""

DETECTOR_GRID = tuple(product((1.0, 0.35, 0.1), (224, 160, 96, 48)))
"""(α, ρ) of detectors: what Edge Impulse offers, and 1.0."""

ARCHITECTURES = (*CLASSIFIERS, *DETECTORS)

MINIMUM_SIZE = 32
"""Five strides of 2 leave one pixel of it."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """One network of a sweep.

    Attributes
    ----------
    arch : str
        One of :data:`ARCHITECTURES`.
    alpha : float
        Width multiplier.
    size : int
        Height and width of the input.
    classes : int
        Of a detector without the background.
    """

    arch: str
    alpha: float
    size: int
    classes: int

    def network(self) -> Architecture:
        """Return the network.

        Raises
        ------
        InputError
            If there is none with these numbers.
        """
        if self.size < MINIMUM_SIZE:
            raise InputError(f"sizes must be at least {MINIMUM_SIZE}, not {self.size}")
        if self.arch in DETECTORS:
            return fomo(DETECTORS[self.arch](self.alpha, self.size, classes=self.classes))
        return CLASSIFIERS[self.arch](self.alpha, self.size, classes=self.classes)


@dataclass(frozen=True, kw_only=True)
class Point:
    """Network of a sweep, with what it takes on the board.

    Attributes
    ----------
    arch, alpha, size, classes
        See :class:`Request`.
    macs : int
        Multiplications of one inference.
    weights : int
        Number of weights; a byte each.
    top1, top1_quantized : float or None
        Published accuracies in per cent; see :mod:`sw.explore.accuracy`.
    fits : bool
    missing : str
        The compiler's sentence if it does not fit.
    cycles : int or None
    inferences_per_second : float or None
        At the board's clock.
    utilization : float or None
        MACs by cycles times multipliers.
    memory_bytes : int or None
        Of the activation memory, for tensors; the rest is the ring.
    flash_bytes : int or None
        Size of the program.
    """

    arch: str
    alpha: float
    size: int
    classes: int
    macs: int
    weights: int
    top1: float | None
    top1_quantized: float | None
    fits: bool
    missing: str = ""
    cycles: int | None = None
    inferences_per_second: float | None = None
    utilization: float | None = None
    memory_bytes: int | None = None
    flash_bytes: int | None = None

    @property
    def label(self) -> str:
        """Width multiplier and resolution, as people write them."""
        return f"{self.alpha:g}/{self.size}"


def evaluate(request: Request, board: Board) -> Point:
    """Compile one network with random weights.

    The core is the board's, with products that are not cut off: whether a trained network's
    weights agree with fewer bits is proven when that network is compiled.  It changes no cycle.
    """
    network = request.network()
    graph = random_graph(network)
    point = Point(
        arch=request.arch,
        alpha=request.alpha,
        size=request.size,
        classes=request.classes,
        macs=network.macs,
        weights=sum(math.prod(layer.weight_shape) for layer in network.layers),
        top1=top1(request.arch, request.alpha, request.size, request.classes),
        top1_quantized=top1_quantized(
            request.arch, request.alpha, request.size, request.classes
        ),
        fits=False,
    )
    config = replace(board.config, fraction_bits=MULTIPLIER_BITS)
    try:
        program = compile_graph(
            graph, config, board=board.name, flash_address=board.flash.program_base
        )
    except UnsupportedError as error:
        return replace(point, missing=str(error).removeprefix(f"{graph.name}: "))
    room = board.flash.size - board.flash.program_base
    if len(program.flash) > room:
        return replace(
            point,
            missing=f"the program takes {len(program.flash) / 1024:,.0f} KB of flash and the board "
            f"has {room / 1024:,.0f} KB for it; use a smaller width multiplier",
        )
    cycles = sum(predict(program))
    return replace(
        point,
        fits=True,
        cycles=cycles,
        inferences_per_second=config.core_mhz * 1e6 / cycles,
        utilization=network.macs / (cycles * config.multipliers),
        memory_bytes=(config.memory_depth - program.ring_words) * config.word_bytes,
        flash_bytes=len(program.flash),
    )


def sweep(requests: Sequence[Request], board: Board, *, jobs: int = 1) -> list[Point]:
    """Evaluate networks, the largest first; return their points in order.

    Parameters
    ----------
    requests : sequence of Request
    board : Board
    jobs : int
        Processes; with 1 everything happens in this one.
    """
    return largest_first(
        _evaluate, [(request, board) for request in requests],
        size=lambda task: task[0].network().macs,
        name=lambda task: f"{task[0].arch.upper()} {task[0].alpha:g}-{task[0].size}",
        jobs=jobs, doing="compiling", unit="networks",
    )


def _evaluate(task: tuple[Request, Board]) -> Point:
    """Evaluate, maybe in another process; a defect's traceback says which network it was."""
    request, board = task
    try:
        return evaluate(request, board)
    except Exception as error:
        error.add_note(f"while compiling {request}")
        raise


def front(points: Sequence[Point]) -> list[Point]:
    """Return the points that no other one beats in both speed and accuracy, the fastest first."""
    measured = [p for p in points if p.top1 is not None and p.inferences_per_second is not None]
    best: list[Point] = []
    for point in sorted(measured, key=_speed_then_accuracy):
        if not best or _accuracy(point) > _accuracy(best[-1]):
            best.append(point)
    return best


def _accuracy(point: Point) -> float:
    assert point.top1 is not None
    return point.top1


def _speed_then_accuracy(point: Point) -> tuple[float, float]:
    assert point.inferences_per_second is not None
    return -point.inferences_per_second, -_accuracy(point)
