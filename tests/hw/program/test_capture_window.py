"""Flash reader at both ends of the capture clock's window, and outside, in every corner."""

import random

import pytest
from support.flash_bench import FlashBench, halfwords

import boards
from hw.technology.ice40.capture import CORNERS, NOMINAL, SCALE, capture
from sim.board.flash_part import FlashTiming

CONTENTS = random.Random(2).randbytes(1 << 14)
MHZ = boards.get("icebreaker").config.core_mhz
WINDOW = capture(NOMINAL, MHZ)
CLOSE = 0.01


def works(delay_ns: float, corner: str | None) -> bool:
    """Return whether a stream is right with a capture clock that is so late, slow corner."""
    found = []

    async def scenario(bench):
        for _ in range(1500):
            if bench.get(bench.reader.program.ready):
                break
            await bench.tick()
        else:
            found.append(False)
            return
        await bench.start(7)
        taken, _ = await bench.take(50)
        found.append(taken == halfwords(50))

    timing = FlashTiming(capture=NOMINAL.at(delay_ns), corner=corner)
    FlashBench(CONTENTS, strict=False, clock_mhz=MHZ, timing=timing).run(scenario)
    return found[0]


@pytest.mark.parametrize("corner", [*CORNERS, None])
def test_both_ends_of_the_window(corner: str | None) -> None:
    if corner is None:
        low, high = WINDOW.window_ns
    else:
        low, high = (end / SCALE[corner] for end in WINDOW.corners[corner].window_ns)
    assert works(low + CLOSE, corner) and works(high - CLOSE, corner)
    assert not works(low - CLOSE, corner)
    assert not works(high + CLOSE, corner)


@pytest.mark.parametrize("corner", [*CORNERS, None])
def test_what_is_routed_works(corner: str | None) -> None:
    assert works(NOMINAL.delay_ns, corner)
