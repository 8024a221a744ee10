"""The figures in sentences, and the numbers that only look like measurements.

:data:`CLAIMS` has the sentences by document, with the names of figures instead of numbers (and how
they are written, as :func:`format` takes it; the ``%`` of a percentage stays in the sentence).
:data:`OTHERS` has what else looks like a measurement, with the reason why it is none; under ``""``
for a whole document.
"""

from __future__ import annotations

__all__ = ["CLAIMS", "OTHERS"]

CLOCK = "{build/clocks/core/target_mhz:g} MHz"
V1_128 = "networks/mobilenet_v1_0.25_128_quant/default"
V2_224 = "networks/mobilenet_v2_1.0_224_quant/default"

CLAIMS: dict[str, tuple[str, ...]] = {
    "README.md": (
        f"The clock is {CLOCK}: place and route",
        "grid of 16 takes about {explorer/v1/processor_seconds} s of processor time",
        "serial line: {line/frames_per_second:.1f} per second for `vww_96_int8`, each sent as the "
        "{line/bytes:,} bytes",
        f"would take fewer than {{{V1_128}/flash_bound:,}} cycles",
    ),
    "docs/architecture.md": (
        "they are {build/utilization/LC/used:,} of the chip's {build/utilization/LC/available:,} "
        "logic cells; {build/free_cells} are free",
        f"`mobilenet_v2_1.0_224_quant` is {{{V2_224}/flash_bytes:,}} bytes of program",
        f"takes {{{V1_128}/cycles:,}} cycles. When the array",
        f"the program takes {{{V1_128}/flash_bound:,}} cycles at least",
    ),
    "docs/benchmark.md": (
        "takes {build/utilization/LC/used:,} of the chip's {build/utilization/LC/available:,} "
        "logic cells, and seeds 1 and 2 reach "
        "{build/sweep/seeds/0/clocks/core/achieved_mhz:.2f} and "
        "{build/sweep/seeds/1/clocks/core/achieved_mhz:.2f} MHz",
        "the core's set-up has {build/timing/checks/2/slack_ns:.2f} ns of slack, of which jitter "
        f"and skew may take {{build/timing/checks/2/uncertain_ns:.2f}}: {CLOCK} are reached",
    ),
    "docs/explore.md": (
        "of V1 take about {explorer/v1/processor_seconds} seconds of processor time, the 20 of V2 "
        "about {explorer/v2/processor_seconds}",
    ),
    "docs/flash.md": (f"for the board's clock of {CLOCK}:",),
    "docs/input.md": (f"at 12 Mbaud and {CLOCK}",),
    "docs/networks.md": (f"Cycles are at {CLOCK}",),
    "docs/protocol.md": (
        f"at 12 Mbaud and {CLOCK}",
        "a frame of {line/bytes:,} bytes every {line/period_ms:.2f} ms",
        "against {line/bytes_ms:.2f} ms for the bytes alone",
    ),
    "docs/stream.md": (
        f"*at {CLOCK}*",
        "A frame comes every {line/period_ms:.2f} ms ({line/frames_per_second:.1f} per second;",
        "{line/bytes_ms:.2f} ms are the line's for {line/bytes:,} bytes at 12 Mbaud",
        "core takes {line/core_ms:.2f} ms of each period; the input of the next frame follows "
        "{line/next_input_ms:.1f} ms after a start",
    ),
}

PART = "a property of the part or the board"
DESIGN = "a constant of the design"
COUNTED = "follows from shapes; counted by hand"
HISTORY = "measured once, as the text says"
PUBLISHED = "published by others"

OTHERS: dict[str, dict[str, str]] = {
    "README.md": {
        "8 multiplier blocks, 128 KB of memory": PART,
        "2 × 8 cells": DESIGN,
    },
    "docs/architecture.md": {
        "5 steps per 8 outputs, 90 % of": COUNTED,
        "16,384 words of 64 bits": DESIGN,
        "(1,024 products on the iCEBreaker)": DESIGN,
        "dense layer of 1,280 channels and up to 8": COUNTED,
        "takes 10,240 cycles a pixel": COUNTED,
        "use 96 KB of weights": COUNTED,
        "a halfword in 65 cycles at most": DESIGN,
        "pipeline drains (21 cycles)": DESIGN,
        "some 44 cycles": COUNTED,
        "(307 KB in the 160×160 network": COUNTED,
        "3.6 KB of 12.9 KB that the flash delivers meanwhile, and about 45 cycles": COUNTED,
        "3.5 MB of weights": COUNTED,
        "classifier, 1.28 MB for": COUNTED,
        "at most 128 KB of memory and 8 KB of weight memory": DESIGN,
        "beyond the part's 66 MHz": PART,
    },
    "docs/benchmark.md": {
        "all 10,000 test images": DESIGN,
        "the PLL's duty cycle (40 to 60 %)": PART,
    },
    "docs/first-board.md": {"": "properties of boards, adapters and operating systems"},
    "docs/flash.md": {"": "the part's data sheet, and what follows from it"},
    "docs/boards.md": {"": "the boards' documents, and what follows from them"},
    "docs/input.md": {
        "the 8 bytes of a word": DESIGN,
        "7 cycles at 4 lanes": DESIGN,
        "takes 260 cycles at 12 Mbaud": COUNTED,
    },
    "docs/networks.md": {
        "A file may have 256 MB": DESIGN,
        "(1 LOGISTIC and 51 TANH of 20,000 random scales)": HISTORY,
        "made up to 6 % larger": DESIGN,
        "4,231,976 for V1 and 3,504,872 for V2, as Keras": PUBLISHED,
        "convolution: 1,280 are more": DESIGN,
        "**all** 10,000 images": DESIGN,
        "had 92.39 % and 90.25 % when they were made": HISTORY,
        "has all 70,000 images, 7,000 of": PUBLISHED,
        "the first 1,000 are the test set, the next 200 for validation, 5,800 for": DESIGN,
        "validation 92.85 %": HISTORY,
        "validation 90.75 %": HISTORY,
        "On 1,000 scenes of the whole test set the float network had 93.47 % when it was made, in "
        "int8 93.34 %": HISTORY,
        "trained with 16,000 scenes an epoch": HISTORY,
        "validation F1 94.93 %": HISTORY,
    },
    "docs/proofs.md": {
        "100 seconds of one core": HISTORY,
        "whose clock is 2.5 % fast, edges ±4 ns | 52 cycles": DESIGN,
        "whose clock is 2.5 % slow, edges ±4 ns | 52 cycles": DESIGN,
        "off by more than 2.5 %": DESIGN,
        "an item that is there for 4 cycles": DESIGN,
        "an item stays for 4 cycles": DESIGN,
        "edges ±16 ns | 52 cycles": DESIGN,
        "*52 cycles* is every trace": DESIGN,
        "5 cycles from byte to bit": DESIGN,
        "that took 27 and 36 seconds of one core": HISTORY,
    },
    "docs/protocol.md": {
        "FT2232H holds until the computer takes them, 4,096": PART,
        "A frame of 28 KB has to arrive": COUNTED,
        "(1.2 MB/s)": COUNTED,
        "USB adds up to 16 ms": PUBLISHED,
        "(2.6 ms)": DESIGN,
        "(Hamming distance 4 up to 11 KB)": PUBLISHED,
        "With 1,000 damaged packets": "computed, as the text says",
        "For a packet of 4,096 bytes: header 10, CRC 4, fillers 10: 0.6 %": COUNTED,
    },
    "docs/requantiser.md": {"": DESIGN},
    "docs/selftest.md": {
        "all 65,536 products": DESIGN,
        "`--bytes` is 1,048,576 on a board. In the simulation it is 4,096: a byte on the line is "
        "33 to 260 cycles": DESIGN,
        "`layer` the last 64 KB": DESIGN,
        "stored from 1 MB on": DESIGN,
        "2,245 of 5,280 logic cells, all memories and multipliers; 41.93 MHz": HISTORY,
    },
    "docs/stream.md": {
        "the last 32 frames or 5 seconds": DESIGN,
    },
}
