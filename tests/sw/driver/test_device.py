"""The driver: devices on the simulated board, on a serial line, and broken ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.networks import frame
from support.transports import Dummy

import boards
from common.errors import InputError
from hw.contract.registers import IDENTITY, Register
from sw import golden, importer
from sw.compiler import Program, compile_graph
from sw.compiler.timing import predict
from sw.driver import (
    CorruptProgramError,
    Device,
    DeviceError,
    DeviceLost,
    DeviceTimeout,
)
from sw.driver.simulation import SimTransport
from sw.driver.transport import LayerObserver
from sw.fuzz.builder import NetworkBuilder
from sw.ir import Graph

CONFIG = boards.get("icebreaker").config


def test_inference_on_the_simulated_core(device: Device, graph: Graph, program: Program) -> None:
    device.load(program)
    cycles = set()
    for seed in range(3):
        x = frame(graph, seed)
        expected = golden.run(graph, x)
        seen: dict[int, np.ndarray] = {}
        result = device.infer(x, seen.__setitem__)
        for index in graph.outputs:
            np.testing.assert_array_equal(result.tensors[index], expected[index])
        assert list(seen) == list(range(len(program.layers)))
        for number, value in seen.items():
            np.testing.assert_array_equal(value, expected[program.layers[number].output])
        cycles.add(result.cycles)
        assert result.layer_cycles is not None
        assert len(result.layer_cycles) == len(program.layers)
        assert sum(result.layer_cycles) == result.cycles
        assert min(result.layer_cycles) > 0
    # Time depends on nothing but the program.
    assert len(cycles) == 1
    assert device.infer(x).cycles == result.cycles


def test_a_stream(device: Device, graph: Graph, program: Program) -> None:
    done: list[tuple[int, int]] = []
    device.load(program, progress=lambda *state: done.append(state))
    assert done[-1] == (len(program.flash), len(program.flash))
    frames = [frame(graph, seed) for seed in range(4)]
    # Frames of a wrong size among them, also the first and the last.
    bad = np.zeros((1, 11, 12, 3), np.int8)
    results = list(device.stream([bad, *frames[:2], bad, bad, *frames[2:], bad]))
    assert [result.index for result in results] == list(range(8))
    errors = [number for number, result in enumerate(results) if result.error]
    assert errors == [0, 3, 4, 7]
    for number in errors:
        assert isinstance(results[number].error, InputError)
        assert not results[number].tensors and results[number].cycles is None
    for x, result in zip(frames, (r for r in results if not r.error), strict=True):
        expected = golden.run(graph, x)
        for index in graph.outputs:
            np.testing.assert_array_equal(result.tensors[index], expected[index])
        assert result.cycles == sum(predict(program))
        assert result.layer_cycles is not None and sum(result.layer_cycles) == result.cycles
        assert result.upload_seconds > 0 and result.compute_seconds > 0
    times = [result.finished for result in results]
    assert times == sorted(times)


@pytest.mark.slow
def test_a_stream_of_a_damaged_program(device: Device, graph: Graph, program: Program) -> None:
    """Each frame has the error, and the stream goes on."""
    device.load(replace(program, flash=program.flash[: len(program.flash) // 2]))
    results = list(device.stream([frame(graph, 0), frame(graph, 1)]))
    assert [type(result.error) for result in results] == [CorruptProgramError] * 2
    assert str(results[1].error).startswith("small: the program in the device's flash is damaged")
    assert all(not result.tensors and result.cycles is None for result in results)
    device.load(program)
    (result,) = device.stream([frame(graph, 0)])
    assert result.error is None and result.cycles == sum(predict(program))


@pytest.mark.slow
def test_what_was_in_memory_does_not_matter(graph: Graph, program: Program) -> None:
    x = frame(graph, 7)
    results = []
    for seed in (1, 2):
        with Device(SimTransport(CONFIG, seed=seed), CONFIG) as device:
            device.load(program)
            results.append(device.infer(x))
    assert results[0].cycles == results[1].cycles
    for index in graph.outputs:
        np.testing.assert_array_equal(results[0].tensors[index], results[1].tensors[index])


@pytest.mark.slow
@pytest.mark.parametrize("cycles", [0, 1, 500, 2000])
def test_a_run_that_was_left_behind(
    device: Device, graph: Graph, program: Program, cycles: int
) -> None:
    """Its layers would write over the next input."""
    device.load(program)
    x = frame(graph, 1)
    for begin in (lambda: device.infer(x), lambda: next(device.stream([x]))):
        device.transport.write_register(Register.START, 1)
        device.transport.pause(cycles)
        result = begin()
        for index, value in golden.run(graph, x).items():
            if index in graph.outputs:
                np.testing.assert_array_equal(result.tensors[index], value)
        assert result.cycles == sum(predict(program))
    device.transport.write_register(Register.HOLD, 0)
    device.transport.write_register(Register.START, 1)
    device.load(program)


@pytest.mark.slow
def test_a_device_that_stays_busy(program: Program) -> None:
    with (
        Device(SimTransport(CONFIG), CONFIG) as device,
        pytest.raises(DeviceTimeout, match="still busy with what was begun before"),
    ):
        device.load(program)
        device.transport.wait_idle = stay_busy  # type: ignore[method-assign]
        device.transport.write_register(Register.START, 1)
        device.load(program)


def stay_busy(*_: object) -> None:
    raise DeviceTimeout("still busy")


@pytest.mark.slow
def test_a_second_program_replaces_the_first(device: Device, graph: Graph) -> None:
    net = NetworkBuilder(seed=9)
    y = net.conv_2d(net.input((1, 5, 5, 8)), 8, kernel=(1, 1))
    other = importer.loads(net.build(outputs=[y]), "other")
    for network in (graph, other, graph):
        device.load(compile_graph(network, CONFIG))
        x = frame(network, 1)
        got, expected = device.infer(x).tensors, golden.run(network, x)
        for index in network.outputs:
            np.testing.assert_array_equal(got[index], expected[index])


@pytest.mark.slow
@pytest.mark.parametrize("channels", [1026, 1280, 2048])
def test_sums_in_parts(device: Device, channels: int) -> None:
    """Their parts wait for weights from the flash again and again."""
    net = NetworkBuilder(seed=channels)
    y = net.fully_connected(net.input((1, channels)), 60)
    weights = net[net.file.operators[-1].inputs[1]]
    assert weights.data is not None
    weights.data = weights.data // 8
    network = importer.loads(net.build(outputs=[y]), "long")
    program = compile_graph(network, CONFIG)
    device.load(program)
    x = frame(network, 1)
    result = device.infer(x)
    np.testing.assert_array_equal(result.tensors[y], golden.run(network, x)[y])
    assert result.layer_cycles == predict(program)


def test_errors_before_the_device_is_touched(
    device: Device, graph: Graph, program: Program
) -> None:
    with pytest.raises(DeviceError, match="no program is loaded"):
        device.infer(frame(graph, 0))
    with pytest.raises(DeviceError, match="compiled for another core"):
        device.load(replace(program, config=replace(CONFIG, acc_bits=23)))
    device.load(program)
    with pytest.raises(InputError, match="must be int8"):
        device.infer(frame(graph, 0)[:, 1:])


@pytest.mark.slow
def test_a_truncated_program_is_corrupt(device: Device, graph: Graph, program: Program) -> None:
    device.load(replace(program, flash=program.flash[: len(program.flash) // 2]))
    with pytest.raises(CorruptProgramError, match="small: the program in the device's flash is"):
        device.infer(frame(graph, 0))
    # The next start begins afresh.
    device.load(program)
    x = frame(graph, 1)
    got = device.infer(x).tensors
    for index in graph.outputs:
        np.testing.assert_array_equal(got[index], golden.run(graph, x)[index])


@pytest.mark.slow
def test_no_result_from_a_damaged_program(device: Device, graph: Graph, program: Program) -> None:
    """One wrong bit anywhere: headers, descriptors, parameters, weights, padding, checksums."""
    device.load(program)
    assert isinstance(device.transport, SimTransport)
    board, x = device.transport.board, frame(graph, 2)
    rng = np.random.default_rng(5)
    bits = 8 * len(program.flash)
    # The first header and descriptor, the last section with END and padding, and anything.
    places = [*range(16), *rng.choice(bits, 60).tolist(), *range(bits - 8 * 514, bits, 97),
              *range(bits - 16, bits)]
    for place in places:
        byte, bit = divmod(int(place), 8)
        damaged = bytearray(program.flash)
        damaged[byte] ^= 1 << bit
        board.write_flash(program.flash_address, bytes(damaged))
        with pytest.raises(CorruptProgramError):
            device.infer(x)
    board.write_flash(program.flash_address, program.flash)
    got = device.infer(x).tensors
    for index in graph.outputs:
        np.testing.assert_array_equal(got[index], golden.run(graph, x)[index])


def test_a_time_out_of_a_damaged_program(program: Program) -> None:
    """Even if the core does not come to an end, the checksum is what is reported."""
    class Hanging(Dummy):
        def wait_idle(self, limit: int, on_layer: LayerObserver | None = None) -> None:
            raise DeviceTimeout("still busy")

    for flags, error in ((2, DeviceTimeout), (6, CorruptProgramError)):
        device = Device(Hanging(IDENTITY << 8 | flags), CONFIG)
        device.load(program)
        x = np.zeros((1, 12, 12, 3), np.int8)
        with pytest.raises(error) as caught:
            device.infer(x)
        assert caught.type is error
        assert [type(result.error) for result in device.stream([x, x])] == [error, error]


def test_a_dead_line_ends_a_stream(program: Program) -> None:
    """Nothing more is asked of the device, nor is another frame taken."""
    class Dead(Dummy):
        lost = False

        def wait_idle(self, limit: int, *_: object) -> None:  # type: ignore[override]
            self.lost = True
            raise DeviceLost("the cable was pulled")

        def read_register(self, register: Register) -> int:
            assert not self.lost
            return super().read_register(register)

    device = Device(Dead(IDENTITY << 8 | 2), CONFIG)
    device.load(program)
    frames = iter([np.zeros((1, 12, 12, 3), np.int8)] * 3)
    with pytest.raises(DeviceLost, match="the cable was pulled"):
        list(device.stream(frames))
    assert len(list(frames)) == 2
