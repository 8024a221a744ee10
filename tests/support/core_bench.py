"""A core in the Amaranth simulator, with small hand-made programs: no compiler, no flash model."""

import itertools

import numpy as np
from amaranth.sim import Simulator

from hw.contract.config import CoreConfig
from hw.contract.descriptors import Descriptor
from hw.contract.records import Record, header
from hw.contract.registers import Register
from hw.contract.requantiser import encode_channel
from hw.core import Core

TIMEOUT = 20_000

FLASH_START = 8
"""Cycles from the start of a stream to its first halfword; a real flash takes some more."""


def words(values, config: CoreConfig) -> list[list[int]]:
    """Return int8 values (…, columns) as words of halfwords."""
    flat = np.ascontiguousarray(values, dtype=np.int8).reshape(-1, config.columns)
    return flat.view("<u2").tolist()


def halfword_word(values, config: CoreConfig) -> list[list[int]]:
    """Return halfwords as words, ``lanes`` a word."""
    return np.asarray(values, dtype=np.uint16).reshape(-1, config.lanes).tolist()


def parameters(multiplier, shift, bias, config: CoreConfig) -> list[list[int]]:
    """Return a block's requantisation parameters; arguments have one value per column."""
    result = []
    for column in range(config.rows):
        fields = [[], [], [], []]
        for lane in range(config.lanes):
            c = lane * config.rows + column
            m, s, b = int(multiplier[c]), int(shift[c]), int(bias[c])
            encoded = encode_channel(multiplier=m, shift=s, bias=b)
            for field, value in zip(fields, encoded, strict=True):
                field.append(value)
        result += fields
    return result


def program(layers, config: CoreConfig) -> list[list[int]]:
    """Return the words of a program; a layer is (Descriptor, [(parameters, weights), ...])."""
    stream = []
    pad = [0] * (config.lanes - 1)
    for descriptor, blocks in layers:
        stream.append([header(Record.DESCRIPTOR), *pad])
        stream += halfword_word(descriptor.halfwords(), config)
        for block_parameters, weights in blocks:
            stream.append([header(Record.BLOCK, len(weights)), *pad])
            stream += block_parameters + weights
    stream.append([header(Record.END), *pad])
    return stream


class CoreBench:
    """Runs programs; memory contents before and after are arrays of int8 words."""

    def __init__(self, config: CoreConfig, *, seed: int = 0):
        self.config = config
        self.seed = seed

    def run(self, stream, memory: dict[int, np.ndarray], reads: dict[int, int],
            ring=16320, halfword_gap: int = 0, restarts=(), probe=None):
        """Run a program.

        Parameters
        ----------
        stream : list of words
        memory : {word address: int8 array (words, columns)} to write first
        reads : {word address: words} to read afterwards
        halfword_gap : int
            Idle cycles between words of the stream, at most (0: none).
        restarts : sequence of int
            Cycles after which the program is started again; only the last run comes to its end.
        probe : {word address: int8 array} that the host finds there while the program runs

        Returns
        -------
        list of int8 arrays, and the cycles counted by the core
        """
        dut = Core(self.config)
        lanes = self.config.lanes
        halfwords = [h for word in stream for h in word]
        rng = np.random.default_rng(self.seed)
        result = {}
        # Writing and reading through the host's port take time, too.
        transfers = sum(len(x) for x in memory.values()) + sum(reads.values())
        limit = TIMEOUT + sum(restarts) + 20 * lanes * transfers

        async def flash(ctx):
            """Serve streams from their beginning, as the flash reader does.

            Like the reader's, ``word_ready`` speaks of the next word only from two cycles
            after the first halfword of a word was taken.
            """
            data, before = dut.program.words, None
            outputs = (data.valid, dut.program.word_ready, data.payload)
            # Halfwords taken; words that are there, and those known to be taken.
            running, position, there, known, late, wait = False, 0, 0, 0, False, 0
            for _ in range(limit):
                *_, started, stopped, taken = await ctx.tick().sample(
                    dut.program.start, dut.program.stop, data.valid & data.ready)
                if started or stopped:
                    running, wait = bool(started), FLASH_START
                    position, there, known, late = 0, 0, 0, False
                else:
                    known += late
                    late = bool(taken) and position % lanes == 0
                    position += taken
                if wait:
                    wait -= 1
                elif running and there < len(stream) and there - position // lanes < 2:
                    there += 1
                    wait = int(rng.integers(1, halfword_gap + 1)) if halfword_gap else 0
                valid = position < there * lanes
                pins = (valid, there > known, halfwords[position] if valid else 0xDEAD)
                if pins != before:
                    for signal, value in zip(outputs, pins, strict=True):
                        ctx.set(signal, value)
                    before = pins
            raise TimeoutError("the core does not come to an end")

        async def access(ctx, *, write, register, address, data=0):
            ask = dut.host.request
            ctx.set(ask.payload, {"write": write, "register": register, "address": address,
                                  "data": data})
            ctx.set(ask.valid, 1)
            await ctx.tick().until(ask.ready)
            ctx.set(ask.valid, 0)
            if not write:
                ctx.set(dut.host.response.ready, 1)
                value, = await ctx.tick().sample(dut.host.response.payload).until(
                    dut.host.response.valid)
                ctx.set(dut.host.response.ready, 0)
                return value

        async def host(ctx):
            ctx.set(dut.program.ready, 1)
            ctx.set(dut.program.verified, 1)
            for base, contents in memory.items():
                for offset, word in enumerate(words(contents, self.config)):
                    for lane, halfword in enumerate(word):
                        await access(ctx, write=1, register=0,
                                     address=(base + offset) * lanes + lane, data=halfword)
            for register, value in ((Register.RING_FIRST, ring),
                                    (Register.START, 1)):
                await access(ctx, write=1, register=1, address=register, data=value)
            for cycles in restarts:
                for _ in range(cycles):
                    await ctx.tick()
                await access(ctx, write=1, register=1, address=Register.START, data=1)
            await ctx.tick().repeat(3)
            probes = itertools.cycle(
                (base * lanes + k, halfword)
                for base, contents in (probe or {}).items()
                for k, halfword in enumerate(np.ravel(words(contents, self.config)).tolist()))
            while probe and ctx.get(dut.busy):
                address, halfword = next(probes)
                assert await access(ctx, write=0, register=0, address=address) == halfword
            if ctx.get(dut.busy):
                await ctx.tick().until(~dut.busy)
            result["cycles"] = await access(ctx, write=0, register=1, address=Register.CYCLES_LOW)
            for base, count in reads.items():
                values = [
                    await access(ctx, write=0, register=0, address=base * lanes + k)
                    for k in range(count * lanes)
                ]
                result[base] = np.array(values, dtype=np.uint16).view(np.int8).reshape(
                    count, self.config.columns)

        simulator = Simulator(dut)
        simulator.add_clock(1e-6)
        simulator.add_testbench(flash, background=True)
        simulator.add_testbench(host)
        simulator.run()
        return [result[base] for base in reads], result["cycles"]


__all__ = ["CoreBench", "Descriptor", "parameters", "program", "words"]
