"""Sequencer: no block without weights, windows of the right length, no layer done too early."""

from amaranth.hdl import Signal, Value

from hw.contract.config import CoreConfig
from hw.contract.latency import SPARE_SLOTS
from hw.proofs.bench import Bench
from hw.proofs.proof import Proof
from hw.proofs.sources import Fault

MODULE = "hw.control.sequencer"

FEWEST_STEPS = 4
"""Of a window: the compiler makes no shorter ones."""

IN_FLIGHT = 14
"""Outputs whose results may be under way."""


def harness(bench: Bench):
    """Run any layer, with blocks loaded and results written at any time."""
    m = bench.m
    config = CoreConfig()
    unit = bench.block("sequencer", MODULE, lambda source: source.Sequencer(config))
    inputs = {
        name: bench.free(name, width) for name, width in (
            ("descriptor_available", 1), ("descriptor_done", 1), ("block_loaded", 1),
            ("filled", 1), ("inner_last", 1), ("inner_index", 2), ("written", 1), ("hold", 1))
    }
    m.d.comb += [getattr(unit, name).eq(value) for name, value in inputs.items()]
    layer = bench.free("layer", len(Value.cast(unit.layer)))
    m.d.comb += Value.cast(unit.layer).eq(layer)
    steps = unit.layer.steps
    # A descriptor comes into force where the sequencer waits for it.
    known = bench.past(unit.state("FETCH", "LOAD"), init=1)
    bench.assume(known | (layer == bench.past(layer)))
    bench.assume(steps >= FEWEST_STEPS - 1)
    running = bench.show("running", unit.state("RUN"))
    output = bench.show("output", unit.output)

    # The specification: blocks that are loaded and not freed, outputs that are not written, steps
    # of the window that were made, and cycles since the last output.
    room = config.parameter_slots - SPARE_SLOTS
    blocks = Signal(8)
    flying = Signal(4)
    m.d.sync += [
        blocks.eq(blocks + unit.block_loaded - unit.block_freed),
        flying.eq(flying + output - unit.written),
    ]
    bench.assume(~unit.block_loaded | (blocks < room))
    bench.assume((~unit.written | (flying != 0)) & (~output | (flying < IN_FLIGHT)))
    made = Signal(10)
    since = Signal(4, init=15)
    end = bench.show("window_end", unit.local("last_step"))
    with m.If(running & ~end):
        m.d.sync += made.eq(made + 1)
    with m.Else():
        m.d.sync += made.eq(0)
    with m.If(output):
        m.d.sync += since.eq(1)
    with m.Elif(since != 15):
        m.d.sync += since.eq(since + 1)

    bench.claim("fetches_what_is_there",
                ~unit.descriptor_fetch | unit.descriptor_available & ~unit.hold)
    bench.claim("runs_with_weights", (~running | (blocks != 0)) & (blocks <= room))
    bench.claim("frees_its_own", ~unit.block_freed | running)
    bench.claim("windows", end == (running & (made == steps)))
    bench.claim("outputs_apart", ~output | (since >= config.lanes) & end)
    bench.claim("done_when_written", ~unit.layer_done | (flying == 0) & ~running)
    bench.claim("all_steps_first", ~unit.steps_done | end)
    bench.claim("reads", ~unit.read | running | unit.state("PROLOGUE"))
    bench.claim("finished_is_final", ~bench.past(unit.finished) | unit.finished)

    # What holds between the registers, so that induction can begin anywhere.
    left = unit.local("left")
    bench.claim("blocks", blocks == unit.local("ready") + running)
    bench.claim("flying", unit.local("outstanding") == flying)
    bench.claim("left", ~running | (left == (steps - made)[:10]) & (made <= steps))
    bench.claim("not_running", running | (made == 0) & ~end)
    bench.claim("last_blocks", ~unit.local("layer_edge") | unit.local("block_edge"))
    bench.claim("since", (since == 15) | (since > made))
    bench.cover("second_block", output & (since < 8) & unit.block_freed & ~unit.steps_done)
    bench.cover("layer", unit.layer_done)


PROOFS = (
    Proof(
        "sequencer", "weights before a block, windows whole, done when written", harness,
        steps=8, cover_steps=32,
        faults=(
            Fault("a block begins without weights", MODULE,
                  'with m.If(ready != 0):\n                    m.next = "RUN"',
                  'with m.If(1):\n                    m.next = "RUN"'),
            Fault("a window is a step short", MODULE, "run & (left == 1)", "run & (left == 2)"),
            Fault("a layer is done before it is written", MODULE,
                  "with m.If(outstanding == 0):", "with m.If(1):"),
        ),
    ),
)
