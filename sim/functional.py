"""Functional model of a program, without cycles: an executable reading of ``docs/architecture.md``.

It shares nothing with the compiler but :mod:`hw.contract`.  What the hardware leaves undefined
(columns outside the image that are not padding, rows of the array without a word, outputs of sums
beyond what the requantiser scales) is filled with junk, so that a program that depends on it gives
wrong results here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import cast

import numpy as np
import numpy.typing as npt

from common.arrays import Array, Ints
from hw.contract.blocks import Block
from hw.contract.config import CoreConfig
from hw.contract.descriptors import Descriptor
from hw.contract.modes import Mode
from hw.contract.requantiser import MULTIPLIER_BITS, truncated_product, u_limit
from hw.contract.taps import STRIDES, window_ages, window_steps
from hw.contract.words import ADDRESS_BITS
from sim.hazards import Reads, check_outputs
from sim.records import ProgramError, records
from sw import golden
from sw.compiler import Collector, Plan, Program

__all__ = ["FunctionalCore", "run_plan", "run_program"]

Bytes = npt.NDArray[np.int8]


class FunctionalCore:
    """Runs programs on a memory, descriptor by descriptor.

    Parameters
    ----------
    config : CoreConfig
    seed : int
        Of the junk that memory holds at the beginning.

    Attributes
    ----------
    memory : (memory_depth, word_bytes) int8
    """

    def __init__(self, config: CoreConfig, *, seed: int = 0) -> None:
        self.config = config
        self.rng = np.random.default_rng(seed)
        self.memory = self._junk(config.memory_depth, config.word_bytes)

    def _junk(self, *shape: int) -> Bytes:
        return self.rng.integers(-128, 128, shape).astype(np.int8)

    def write(self, address: int, words: Bytes) -> None:
        """Write words to memory, as the host does."""
        self.memory[address : address + len(words)] = words

    def run(
        self,
        flash: bytes,
        ring: tuple[int, int],
        before: Callable[[int], None] | None = None,
    ) -> Iterator[Descriptor]:
        """Run a program, yielding every descriptor after it has been executed.

        ``before`` is called with the number of every descriptor that is going to be.

        Raises
        ------
        ProgramError
            If a descriptor writes into the ring, or overwrites what it still has to read.
        """
        self.memory[ring[0] : ring[1] + 1] = self._junk(ring[1] + 1 - ring[0], 1)
        for number, (descriptor, blocks) in enumerate(records(flash, self.config)):
            if before is not None:
                before(number)
            if descriptor.ring_moves:
                if descriptor.ring_first > ring[0]:
                    raise ProgramError("a descriptor makes the ring smaller")
                # Words of the program may come at any time from now on.
                junk = self._junk(ring[0] - descriptor.ring_first, 1)
                self.memory[descriptor.ring_first : ring[0]] = junk
                ring = descriptor.ring_first, ring[1]
            self._run_descriptor(descriptor, blocks, ring)
            yield descriptor

    def _run_descriptor(self, d: Descriptor, blocks: list[Block], ring: tuple[int, int]) -> None:
        kernel = {
            Mode.SYSTOLIC: self._systolic,
            Mode.DEPTHWISE: self._depthwise,
            Mode.DEPTHWISE_STRIDE2: self._depthwise,
            Mode.POOL: self._pool,
            Mode.ADD: self._add,
        }[d.mode]
        columns = 1 if d.partial else d.width - d.skip_first - d.skip_last
        count = d.height * columns
        for number in range(d.blocks):
            block = blocks[0] if d.shared else blocks[number]
            if d.partial:
                block = self._join(blocks[number * d.width : (number + 1) * d.width])
            base = d.input_base + (0 if d.mode == Mode.SYSTOLIC else number)
            addresses = self._addresses(d, base)
            accumulator = kernel(d, addresses, block.weights.astype(np.int64))
            if d.partial:
                accumulator = accumulator.sum(axis=1, keepdims=True)
            kept = accumulator[:, d.skip_first : d.width - d.skip_last]
            output = self._requantize(d, block, kept.reshape(count, -1))
            first = number * count if d.shared else 0
            start = d.output_base + (0 if d.shared else number)
            target = start + d.output_step * (first + np.arange(count))
            check_outputs(d, target, Reads(addresses, block), ring, self.config)
            self.memory[target] = output

    def _join(self, parts: list[Block]) -> Block:
        """Return the parts of a sum as one block, with the parameters of the last."""
        weights = np.concatenate([part.weights for part in parts])
        return replace(parts[-1], weights=weights)

    def _addresses(self, d: Descriptor, base: int) -> Ints:
        """Return all addresses that a block reads: (height, width, middle, inner)."""
        windows = d.mode.is_depthwise
        shape = (d.height, 1 if windows else d.width, d.middle, d.inner)
        steps = np.full(shape, d.step_inner, np.int64)
        steps[:, :, :, -1] = d.step_middle
        steps[:, :, -1, -1] = d.step_column
        steps[:, -1, -1, -1] = d.step_row
        offsets = np.cumsum(steps.ravel()) - steps.ravel()
        # Rows of padding are read from anywhere; a smaller memory has fewer address bits.
        return (base + offsets).reshape(shape) % min(1 << ADDRESS_BITS, self.config.memory_depth)

    def _systolic(self, d: Descriptor, addresses: Ints, weights: Ints) -> Ints:
        words = self.memory[addresses]
        row_steps = self.config.lanes * (d.inner - 1) + d.last_steps
        if d.middle * row_steps != d.steps:
            raise ProgramError(f"{d.middle} kernel rows of {row_steps} steps are not {d.steps}")
        rows = words.reshape(d.height, d.width, d.middle, -1)[..., : self.config.rows * row_steps]
        flat = rows.reshape(d.height, d.width, -1).astype(np.float64)
        if d.partial:
            parts = weights.reshape(d.width, -1, self.config.columns)
            return cast(Ints, np.rint(np.einsum("hpk,pkc->hpc", flat, parts)).astype(np.int64))
        return np.rint(flat @ weights.reshape(-1, self.config.columns)).astype(np.int64)

    def _depthwise(self, d: Descriptor, addresses: Ints, weights: Ints) -> Ints:
        stride = STRIDES[d.mode]
        left, _, right = window_ages(d.mode, odd=d.odd)
        # (height, column, kernel row, channel), with junk where no column is read.
        margin = 2 * stride + 2
        shape = (d.height, d.middle + 2 * margin, 3, self.config.columns)
        image = self._junk(*shape).astype(np.int64)
        image[:, margin : margin + d.middle] = self.memory[addresses[:, 0]]
        if stride * d.width < d.middle:
            raise ProgramError(f"{d.width} windows do not take {d.middle} columns")
        x = np.arange(d.width)
        accumulator = np.zeros((d.height, d.width, self.config.columns), np.int64)
        for step, taps in enumerate(window_steps(d.mode)[: d.steps]):
            for row, (age, kernel_row) in enumerate(taps):
                seen = image[:, margin + stride * x + 1 - age, kernel_row]
                pad = np.zeros(seen.shape[:2], np.bool_)
                if d.pad_left and age == left:
                    pad[:, 0] = True
                if d.pad_right and age == right:
                    pad[:, -1] = True
                if d.pad_top and kernel_row == 0:
                    pad[0] = True
                if d.pad_bottom and kernel_row == 2:
                    pad[-1] = True
                seen = np.where(pad[..., None], d.input_zero_point, seen)
                accumulator += seen * weights[step, row]
        return accumulator

    def _pool(self, d: Descriptor, addresses: Ints, weights: Ints) -> Ints:
        if d.steps < d.inner + 3:
            raise ProgramError(f"{d.steps} steps leave less than 3 idle ones after {d.inner}")
        seen = self._junk(d.steps, self.config.rows, self.config.columns).astype(np.int64)
        seen[: d.inner, 1] = self.memory[addresses[0, 0, 0]]
        return cast(Ints, (seen * weights).sum(axis=(0, 1)).reshape(1, 1, -1))

    def _add(self, d: Descriptor, addresses: Ints, weights: Ints) -> Ints:
        words = self.memory[addresses[:, :, 0]].astype(np.int64)
        return cast(Ints, (words * weights.sum(axis=0)).sum(axis=2))

    def _requantize(self, d: Descriptor, block: Block, accumulator: Ints) -> Bytes:
        # Accumulators are two's complement.
        wrap = 1 << self.config.acc_bits
        u = (accumulator + block.bias + wrap // 2) % wrap - wrap // 2
        shift = block.shift
        half = (np.int64(1) << shift) >> 1
        if self.config.fraction_bits < MULTIPLIER_BITS:
            scaled = self._truncated(d, u, block) + half >> shift
        elif d.single_rounding:
            scaled = ((u * block.multiplier >> 31) + half) >> shift
        else:
            high = (u * block.multiplier + (1 << 30)) >> 31
            scaled = (high + half - ((high < 0) & (shift > 0))) >> shift
        result = np.clip(scaled + d.output_zero_point, d.act_min, d.act_max)
        beyond = np.abs(u) > u_limit(self.config.acc_bits)
        if beyond.any():
            junk = self.rng.integers(d.act_min, d.act_max + 1, result.shape)
            result = np.where(beyond, junk, result)
        return cast(Bytes, result.astype(np.int8))

    def _truncated(self, d: Descriptor, u: Ints, block: Block) -> Ints:
        """Return scaled values before the shift, of a requantiser with few fraction bits."""
        product = truncated_product(u, block.multiplier, fraction_bits=self.config.fraction_bits)
        nudge = np.where(u < 0, -(1 << 30), 1 << 30)
        if d.single_rounding:
            nudge = np.zeros_like(u)
        return cast(Ints, product + np.where(block.shift == 0, 1 << 30, nudge) >> 31)


def run_program(
    program: Program,
    inputs: Array | Sequence[Array] | Mapping[int, Array],
    *,
    seed: int = 0,
    late: bool = False,
) -> dict[int, Array]:
    """Run a compiled network, host's parts included.

    Parameters
    ----------
    program : Program
    inputs : ndarray, sequence or mapping
        As for :func:`sw.golden.run`.
    seed : int
        Of junk.
    late : bool
        Chunks of the input come as late as possible, and not as early as possible.

    Returns
    -------
    dict
        By number: every layer's output as it is in memory at the layer's end, and what the host
        computes afterwards, the network's outputs among it.

    Raises
    ------
    ProgramError
        If the program breaks a rule.
    """
    core = FunctionalCore(program.config, seed=seed)
    made = program.before(inputs)
    uploads, chunks = program.uploads(made)

    def bring(number: int) -> None:
        """Write the chunks that are due before a descriptor."""
        while chunks:
            chunk, words = chunks[0]
            if number < (chunk.before_descriptor if late else chunk.after_descriptor):
                break
            core.write(chunk.address, words)
            chunks.pop(0)

    for address, words in uploads:
        core.write(address, words)
    result: dict[int, Array] = {}
    collector = Collector(program)
    for number, _ in enumerate(core.run(program.flash, program.ring, bring)):
        if (complete := collector.take(number, core.memory)) is not None:
            result[program.layers[complete[0]].output] = complete[1]
    tensors = [program.tensors[index] for index in program.outputs]
    outputs = {t.index: core.memory[t.address : t.address + t.words] for t in tensors}
    return program.finish(outputs, program.keep(made)) | result


def run_plan(
    plan: Plan,
    inputs: Array | Sequence[Array] | Mapping[int, Array],
    *,
    seed: int = 0,
    late: bool = False,
) -> dict[int, Array]:
    """Run all programs of a network; parameters and result as for :func:`run_program`."""
    if not plan.programs:
        return golden.run(plan.network, inputs)
    tensors = plan.given(inputs)
    for number, program in enumerate(plan.programs):
        given = {index: tensors[index] for index in program.network.inputs}
        tensors |= run_program(program, given, seed=seed + number, late=late)
    return tensors
