"""A core in the Amaranth simulator, with small hand-made programs: no compiler, no flash model."""

import numpy as np
from amaranth.sim import Simulator

from hw.command import Descriptor, Record, Register, header
from hw.compute.encoding import encode_channel
from hw.config import CoreConfig
from hw.core import Core

TIMEOUT = 20_000


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
            ring=16320, halfword_gap: int = 0):
        """Run a program.

        Parameters
        ----------
        stream : list of words
        memory : {word address: int8 array (words, columns)} to write first
        reads : {word address: words} to read afterwards
        halfword_gap : int
            Idle cycles between words of the stream, at most (0: none).

        Returns
        -------
        list of int8 arrays, and the cycles counted by the core
        """
        dut = Core(self.config)
        lanes = self.config.lanes
        halfwords = [h for word in stream for h in word]
        rng = np.random.default_rng(self.seed)
        result = {}

        async def flash(ctx):
            while not ctx.get(dut.flash_start):
                await ctx.tick()
            await ctx.tick()
            for position, halfword in enumerate(halfwords):
                first = position % lanes == 0
                ctx.set(dut.flash.payload, halfword)
                if first and halfword_gap:
                    ctx.set(dut.flash_word_ready, 0)
                    await ctx.tick().repeat(int(rng.integers(1, halfword_gap + 1)))
                ctx.set(dut.flash_word_ready, first)
                ctx.set(dut.flash.valid, 1)
                await ctx.tick().until(dut.flash.ready)
            ctx.set(dut.flash_word_ready, 0)
            ctx.set(dut.flash.valid, 0)

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
            ctx.set(dut.flash_ready, 1)
            for base, contents in memory.items():
                for offset, word in enumerate(words(contents, self.config)):
                    for lane, halfword in enumerate(word):
                        await access(ctx, write=1, register=0,
                                     address=(base + offset) * lanes + lane, data=halfword)
            for register, value in ((Register.RING_FIRST, ring),
                                    (Register.START, 1)):
                await access(ctx, write=1, register=1, address=register, data=value)
            await ctx.tick().repeat(3)
            for _ in range(TIMEOUT):
                if not ctx.get(dut.busy):
                    break
                await ctx.tick()
            else:
                raise TimeoutError("the core is still busy")
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
