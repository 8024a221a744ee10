"""Inputs that are larger than their place in memory: the host brings rows while the core runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.plans import load_program, save_program

import boards
from common.errors import InputError, UnsupportedError
from hw.contract.registers import HOLD_NEVER, Register
from hw.contract.sections import seal, unseal
from sim.functional import run_program
from sw import golden, importer
from sw.compiler import InputChunk, Program, compile_graph
from sw.compiler.program.encoding import descriptor_words
from sw.compiler.timing import predict
from sw.driver import Device, DeviceError, DeviceTimeout, open_device, profile
from sw.driver.simulation import SimLinkTransport, SimTransport
from sw.driver.transport import Feed, LayerObserver
from sw.fuzz.builder import NetworkBuilder
from sw.ir import Graph

pytestmark = pytest.mark.slow

BOARD = boards.get("icebreaker")
CONFIG, BAUD = BOARD.config, BOARD.baud
ROWS, WIDTH = 20, 6
PLACES = 5
"""Rows of the input that are in memory at a time."""


def network() -> Graph:
    net = NetworkBuilder(seed=2)
    y = net.conv_2d(net.input((1, ROWS, WIDTH, 16)), 24)
    return importer.loads(net.build(outputs=[y]), "rows")


def in_rows(program: Program) -> Program:
    """Return a program that makes one row of outputs after the other.

    The input has place for ``PLACES`` rows, the others come as soon as there is room.
    """
    (work,) = program.work
    (address, _), pitch = program.inputs[0], WIDTH * 2
    words = np.frombuffer(unseal(program.flash), np.uint8).reshape(-1, CONFIG.word_bytes)
    # END is all zeros, like what fills the section up.
    words = words[: np.flatnonzero(words.any(axis=1))[-1] + 2]
    size = len(work.descriptor.halfwords()) // CONFIG.lanes + 1
    blocks, end = words[size:-1], words[-1:]
    flash, records = [], []
    for row in range(ROWS):
        descriptor = replace(
            work.descriptor,
            height=1,
            last=row == ROWS - 1,
            input_base=address + row % PLACES * pitch,
            output_base=work.descriptor.output_base + row * WIDTH * 3,
        )
        flash += [descriptor_words(descriptor, CONFIG.word_bytes), blocks]
        records.append(replace(work, descriptor=descriptor))
    return replace(
        program,
        flash=seal(np.concatenate([*flash, end]).tobytes()),
        work=tuple(records),
        chunks=tuple(
            InputChunk(
                after_descriptor=max(0, row - PLACES + 1),
                before_descriptor=row,
                address=address + row % PLACES * pitch,
                first_word=row * pitch,
                words=pitch,
            )
            for row in range(ROWS)
        ),
    )


@pytest.fixture(scope="module")
def graph() -> Graph:
    return network()


@pytest.fixture(scope="module")
def program(graph: Graph) -> Program:
    return in_rows(compile_graph(graph, CONFIG, dense_input=True))


def frame(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(-128, 128, (1, ROWS, WIDTH, 16)).astype(np.int8)


@pytest.mark.parametrize("late", [False, True])
def test_functional_model(graph: Graph, program: Program, late: bool) -> None:
    (output,) = graph.outputs
    x = frame(0)
    before, during = program.uploads(program.before(x))
    assert (len(before), len(during)) == (PLACES, ROWS - PLACES)
    with pytest.raises(InputError, match="does not fit into the device's memory"):
        program.prepare(x)
    got = run_program(program, x, late=late)[output]
    np.testing.assert_array_equal(got, golden.run(graph, x)[output])


@pytest.mark.parametrize("pace", [1, 30, 200])
def test_simulated_board(graph: Graph, program: Program, pace: int) -> None:
    """A host that is faster than the core, and one for which the core has to wait."""
    (output,) = graph.outputs
    with Device(SimTransport(CONFIG, pace=pace), CONFIG) as device:
        device.load(program)
        cycles = []
        for seed in range(2):
            x = frame(seed)
            result = device.infer(x)
            np.testing.assert_array_equal(result.tensors[output], golden.run(graph, x)[output])
            cycles.append(result.cycles)
            assert result.layer_cycles == [result.cycles] == predict(program, pace)
        if pace == 200:
            assert min(cycles) > (ROWS - PLACES) * WIDTH * 2 * 4 * pace
        # Whoever comes afterwards is not held.
        other = compile_graph(graph, CONFIG)
        device.load(other)
        assert device.infer(x).cycles == sum(predict(other))


def test_a_stream(graph: Graph, program: Program) -> None:
    (output,) = graph.outputs
    with Device(SimTransport(CONFIG, pace=30), CONFIG) as device:
        device.load(program)
        frames = [frame(seed) for seed in range(3)]
        for x, result in zip(frames, device.stream(frames), strict=True):
            assert result.error is None
            np.testing.assert_array_equal(result.tensors[output], golden.run(graph, x)[output])


def test_a_layer_is_seen_at_its_end(program: Program) -> None:
    """The host goes on while somebody looks at the memory."""
    seen = []
    with Device(SimTransport(CONFIG, pace=20), CONFIG) as device:
        device.load(program)
        transport, wait = device.transport, device.transport.wait_idle

        def watch(limit: int, on_layer: LayerObserver | None, feeds: Sequence[Feed]) -> None:
            assert on_layer is None
            wait(limit, lambda number, _: seen.append(number), feeds)

        transport.wait_idle = watch  # type: ignore[assignment,method-assign]
        device.infer(frame(0))
    assert seen == list(range(ROWS))


def test_serial_line(graph: Graph, program: Program) -> None:
    (output,) = graph.outputs
    with open_device("sim:link", CONFIG) as device:
        device.load(program)
        for seed in range(2):
            x = frame(seed)
            result = device.infer(x)
            np.testing.assert_array_equal(result.tensors[output], golden.run(graph, x)[output])
        for seed, streamed in enumerate(device.stream(frame(seed) for seed in range(2))):
            expected = golden.run(graph, frame(seed))[output]
            np.testing.assert_array_equal(streamed.tensors[output], expected)


class Stuck(SimTransport):
    """Never lets the core go on."""

    def wait_idle(
        self, limit: int, on_layer: LayerObserver | None = None, feeds: Sequence[Feed] = ()
    ) -> None:
        super().wait_idle(limit, on_layer, feeds[:3])


def test_a_core_that_waits_for_ever(graph: Graph, program: Program) -> None:
    with Device(Stuck(CONFIG), CONFIG) as device:
        device.load(program)
        with pytest.raises(DeviceTimeout, match=f"{PLACES + 3} layers done"):
            device.infer(frame(0))
        (result,) = device.stream([frame(0)])
        assert isinstance(result.error, DeviceTimeout)
        other = compile_graph(graph, CONFIG)
        device.load(other)
        assert device.infer(frame(0)).cycles == sum(predict(other))


@pytest.mark.slow
def test_a_line_on_which_the_core_gets_nowhere(program: Program) -> None:
    class Impatient(SimLinkTransport):
        def read_register(self, register: Register) -> int:
            # Asked all the same: time passes only on the line.
            value = super().read_register(register)
            return 0 if register == Register.DESCRIPTORS else value

    with Device(Impatient(CONFIG, baud=BAUD), CONFIG) as device:
        device.load(program)
        with pytest.raises(DeviceTimeout, match="not ready for more of the input"):
            device.infer(frame(0))


def test_no_profile(program: Program) -> None:
    with (
        open_device("sim", CONFIG) as device,
        pytest.raises(DeviceError, match="depends on when the host brings the input"),
    ):
        profile(device, program, frame(0))


def test_files(program: Program, tmp_path: Path) -> None:
    save_program(program, tmp_path / "rows.prog")
    assert load_program(tmp_path / "rows.prog").chunks == program.chunks


def chunk(**changes: int) -> InputChunk:
    values = {
        "after_descriptor": 1, "before_descriptor": 2, "address": 0, "first_word": 0, "words": 4
    }
    return InputChunk(**values | changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"after_descriptor": 3}, r"after_descriptor must be 0 to before_descriptor \(2\), not 3"),
        ({"after_descriptor": -1}, "after_descriptor must be 0"),
        ({"words": 0}, "a chunk must have words, not 0"),
        ({"first_word": -1}, "a chunk must have words"),
    ],
)
def test_bad_chunks(changes: dict[str, int], message: str) -> None:
    chunk()
    with pytest.raises(ValueError, match=message):
        chunk(**changes)


@pytest.mark.parametrize("changes", [{"after_descriptor": 0}, {"before_descriptor": 1}])
def test_chunks_in_no_order(program: Program, changes: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="in the order of their descriptors"):
        replace(program, chunks=(chunk(), chunk(**changes)))


def test_more_descriptors_than_are_counted(program: Program) -> None:
    replace(program, work=program.work[:1] * HOLD_NEVER)
    with pytest.raises(UnsupportedError, match="has 4096 descriptors, and the core counts up to"):
        replace(program, work=program.work[:1] * (HOLD_NEVER + 1))


