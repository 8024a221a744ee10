"""Measurement of networks: where cycles go, by the cycle model and by the device's counters."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from common import reading
from common.errors import InputError
from hw.contract.board import Board
from sw.compiler import Plan, Program
from sw.compiler.timing import descriptor_timings
from sw.driver import Device, LayerProfile, profile
from sw.images import random_inputs

__all__ = [
    "CAUSES",
    "BenchClock",
    "Disagreement",
    "Measurement",
    "check_agreement",
    "measure",
    "model_profile",
    "read_clock",
]

Array = npt.NDArray[np.integer]

CAUSES = ("input", "weights", "requantise", "fill")
"""Cycles in which the array makes no step, as :class:`sw.driver.LayerProfile` names them."""


class Disagreement(Exception):
    """The cycle model and the counters differ; the message names the layer."""


@dataclass(frozen=True, kw_only=True)
class BenchClock:
    """The clock that inferences per second are given at.

    Attributes
    ----------
    mhz : float
        What the board's PLL is set to; less if a build does not reach it.
    achieved_mhz : float or None
        What place and route reached, missing delays added; ``None`` without a build's report.
    proven : bool
        ``achieved_mhz`` is proven path by path.
    seed : int or None
        Of that build.
    """

    mhz: float
    achieved_mhz: float | None = None
    proven: bool = False
    seed: int | None = None

    @property
    def kind(self) -> str:
        """``"achieved"`` or ``"target"``."""
        return "target" if self.achieved_mhz is None else "achieved"

    def __str__(self) -> str:
        if self.achieved_mhz is None:
            return f"{self.mhz:g} MHz (target; no build's report was given)"
        proof = "path by path" if self.proven else "by the global correction"
        return (f"{self.mhz:g} MHz (the build achieves {self.achieved_mhz:.2f}, {proof}, "
                f"seed {self.seed})")


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One network on one board.

    Attributes
    ----------
    model, board : str
    source : str
        ``"counters"``: the device's, found equal to the cycle model's; or ``"model"``.
    note : str
        Why the counters were not read although they were asked for; else empty.
    multipliers : int
    clock : BenchClock
    macs : tuple of int
        By layer, as the network defines it.
    layers : tuple of LayerProfile
    """

    model: str
    board: str
    source: str
    multipliers: int
    clock: BenchClock
    macs: tuple[int, ...]
    layers: tuple[LayerProfile, ...]
    note: str = ""

    @property
    def cycles(self) -> int:
        """Of an inference."""
        return sum(layer.cycles for layer in self.layers)

    @property
    def limit(self) -> float:
        """Cycles if all multipliers worked in every cycle: MACs by multipliers."""
        return sum(self.macs) / self.multipliers

    @property
    def utilization(self) -> float:
        """Part of all multipliers' work that was used: the limit by the cycles."""
        return self.limit / self.cycles

    @property
    def inferences_per_second(self) -> float:
        """At the clock."""
        return self.clock.mhz * 1e6 / self.cycles

    def lost(self) -> dict[str, float]:
        """Return the cycles above the limit, by cause; with the limit they are all cycles.

        ``idle``: multipliers that do nothing within the array's steps, as cycles; negative if the
        compiler left out more products than there are idle slots.
        """
        steps = sum(layer.steps for layer in self.layers)
        causes = {cause: float(sum(getattr(layer, cause) for layer in self.layers))
                  for cause in CAUSES}
        return {"idle": steps - self.limit, **causes}

    def json(self) -> dict[str, Any]:
        """Return the measurement as plain data."""
        layers = []
        for layer, macs in zip(self.layers, self.macs, strict=True):
            layers.append({
                "name": layer.name, "macs": macs, "cycles": layer.cycles,
                "utilization": macs / (layer.cycles * self.multipliers) if layer.cycles else None,
                "steps": layer.steps, "idle": layer.steps - macs / self.multipliers,
                **{cause: getattr(layer, cause) for cause in CAUSES},
            })
        return {
            "model": self.model, "board": self.board, "source": self.source, "note": self.note,
            "macs": sum(self.macs), "multipliers": self.multipliers,
            "limit_cycles": self.limit, "cycles": self.cycles, "utilization": self.utilization,
            "clock_mhz": self.clock.mhz, "clock": self.clock.kind,
            "achieved_mhz": self.clock.achieved_mhz, "seed": self.clock.seed,
            "inferences_per_second": self.inferences_per_second,
            "limit_inferences_per_second": self.clock.mhz * 1e6 / self.limit,
            "lost": self.lost(), "layers": layers,
        }


def read_clock(board: Board, build: str | None) -> BenchClock:
    """Return the clock of a board, from a build's report (``hw.build --json``) if there is one.

    Raises
    ------
    InputError
        If the file is no report of a build of this board that fits.
    """
    target = board.config.core_mhz
    if build is None:
        return BenchClock(mhz=target)
    try:
        data = json.loads(reading.read(build, limit=reading.TEXT_LIMIT))
        name, fits = data["board"], data["fits"]
        core = data["clocks"].get("core") if fits else None
        achieved = None if core is None else float(core["achieved_mhz"])
        proven, seed = bool(core and core.get("proven")), data.get("seed")
        built_for = target if core is None else float(core["target_mhz"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise InputError(f"{build}: not the report of a build; make one with python -m hw.build "
                         f"--board {board.name} --json FILE") from None
    if name != board.name:
        raise InputError(f"{build}: a build for {name}, not for {board.name}; give the report of "
                         f"python -m hw.build --board {board.name} --json FILE")
    if achieved is None:
        raise InputError(f"{build}: a build that does not fit has no clock; build it again")
    if built_for != target:
        raise InputError(f"{build}: built for {built_for:g} MHz, the board's clock is {target:g} "
                         f"MHz now; build it again")
    return BenchClock(mhz=min(target, achieved), achieved_mhz=achieved, proven=proven, seed=seed)


def model_profile(program: Program) -> list[LayerProfile]:
    """Return what the cycle model says of each layer, as the counters would."""
    sums = np.zeros((len(program.layers), 5), np.int64)
    timings = descriptor_timings(program)
    for work, t in zip(program.work, timings, strict=True):
        sums[work.layer] += (t.steps, t.weights, t.input, t.requantise, t.fill)
    return [
        LayerProfile(name=layer.name, steps=int(s[0]), weights=int(s[1]), input=int(s[2]),
                     requantise=int(s[3]), fill=int(s[4]))
        for layer, s in zip(program.layers, sums, strict=True)
    ]


def _differences(counted: LayerProfile, predicted: LayerProfile) -> Iterator[str]:
    for field in fields(LayerProfile):
        ours, theirs = getattr(counted, field.name), getattr(predicted, field.name)
        if ours != theirs:
            yield f"{field.name} {ours}, the cycle model says {theirs}"


def check_agreement(
    model: str, counted: Sequence[LayerProfile], predicted: Sequence[LayerProfile]
) -> None:
    """Compare counters and cycle model, layer by layer and cause by cause.

    Raises
    ------
    Disagreement
        At the first layer that differs.
    """
    if len(counted) != len(predicted):
        raise Disagreement(f"{model}: {len(counted)} layers were counted of {len(predicted)}")
    for number, (ours, theirs) in enumerate(zip(counted, predicted, strict=True)):
        if differences := list(_differences(ours, theirs)):
            raise Disagreement(
                f"{model}: layer {number} {theirs.name!r}: the counters say "
                f"{'; '.join(differences)}")


def measure(
    plan: Plan, board: Board, clock: BenchClock, *, device: Device | None = None,
    frame: Array | Sequence[Array] | None = None,
) -> Measurement:
    """Measure what the core runs of a network.

    Parameters
    ----------
    plan : Plan
    board : Board
    clock : BenchClock
    device : Device, optional
        Whose counters are read, five runs for each layer; without it the cycle model alone speaks.
    frame : ndarray or sequence
        The network's inputs, with ``device``.

    Raises
    ------
    Disagreement
        If the counters are not what the cycle model says.
    DeviceError
        If the device fails.
    """
    layers = [layer for program in plan.programs for layer in model_profile(program)]
    source, note = "model", ""
    if device is not None and frame is not None:
        if any(program.chunks for program in plan.programs):
            note = "the input arrives while it runs, so the counters depend on the host"
        else:
            source = "counters"
            counted: list[LayerProfile] = []
            for number, program in enumerate(plan.programs):
                # Cycles do not depend on what is computed.
                its = frame if not number else random_inputs(program.network, number)
                counted += profile(device, program, its)
            check_agreement(plan.model, counted, layers)
            layers = counted
    if more := host_macs(plan):
        note = f"{note}; {more}" if note else more
    return Measurement(
        model=plan.model, board=board.name, source=source, note=note, clock=clock,
        multipliers=plan.config.multipliers, layers=tuple(layers),
        macs=tuple(layer.macs for layer in plan.layers))


def host_macs(plan: Plan) -> str:
    """Return what to say of a network that the core does not run alone; nothing of others."""
    if plan.device_macs == plan.macs and len(plan.programs) == 1:
        return ""
    share = plan.device_macs / plan.macs if plan.macs else 0
    return f"the core's part alone, {share:.1%} of the multiplications"
