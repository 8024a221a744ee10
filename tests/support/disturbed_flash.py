"""Flash behind lines that are stuck, or say anything, for a while: between reader and model."""

import random
from dataclasses import dataclass

from support.flash_bench import FlashBench

LINES = ("cs_n", "sck", "io0", "io1", "io2", "io3")

FOREVER = 1 << 30


@dataclass(frozen=True, kw_only=True)
class Disturbance:
    """Disturbance of one line, from power-on to a cycle.

    Attributes
    ----------
    line : str
        One of ``LINES``.
    level : int or None
        What both sides see of it; None: anything, another in each cycle.
    until : int
        The first cycle without it.
    """

    line: str
    level: int | None
    until: int


class DisturbedBench(FlashBench):
    """A reader and a flash; neither sees on a disturbed line what the other says.

    Parameters
    ----------
    contents : bytes
    disturbances : sequence of Disturbance
    seed : int
        Of lines that say anything.
    options
        Of the flash model, which only notes what it refuses.
    """

    def __init__(self, contents, disturbances, *, seed=0, **options):
        super().__init__(contents, strict=False, **options)
        self.disturbances = disturbances
        self._random = random.Random(seed)

    @property
    def calm(self):
        """The first cycle without any disturbance."""
        return max((d.until for d in self.disturbances), default=0)

    async def tick(self, cycles=1):
        for _ in range(cycles):
            forced = {
                d.line: self._random.getrandbits(1) if d.level is None else d.level
                for d in self.disturbances if self.cycle < d.until
            }
            await self._tick(forced)

    async def _tick(self, forced):
        pins = self.reader.pins
        o, oe = self.get(pins.o), self.get(pins.oe)
        clear, ones = 0xF, 0
        for k in range(4):
            if (level := forced.get(f"io{k}")) is not None:
                clear &= ~(1 << k)
                ones |= level << k
        value = self.flash.step(
            forced.get("cs_n", self.get(pins.cs_n)),
            forced["sck"] * 3 if "sck" in forced else self.get(pins.sck),
            o & clear | ones, oe | ~clear & 0xF)
        await self.ctx.tick()
        self.set(pins.i, value & clear * 0x11 | ones * 0x11)
        self.cycle += 1
