"""Networks in several programs: what the core cannot run, the host runs, exactly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from support.compiled import random_inputs
from support.divided import heads_over_the_host, host_alone, host_between
from support.judges import LiteRT

import boards
from common.errors import UnsupportedError
from sim.functional import run_plan
from sw import golden, host_report, importer
from sw.compiler import Plan, compile_graph, compile_network, load_plan, save_plan
from sw.compiler.placement.addresses import MEMORY
from sw.compiler.program.plan import SECTOR
from sw.compiler.timing import predict
from sw.driver import NetworkDevice, open_device
from sw.fuzz.builder import NetworkBuilder

CONFIG = boards.get("icebreaker").config


def check_plan(data: bytes, plan: Plan, *, core: bool = True) -> None:
    """Compare all tensors of reference, golden model, functional model and core."""
    graph = importer.loads(data, "test")
    judge = LiteRT(data)
    for seed in range(2):
        inputs = random_inputs(graph, seed)
        expected = golden.run(graph, inputs)
        judge.run(*inputs)
        for index in graph.outputs:
            np.testing.assert_array_equal(judge.tensor(index), expected[index])
        found = [run_plan(plan, inputs, seed=seed)]
        if core:
            with NetworkDevice(open_device("sim", CONFIG), plan) as device:
                device.load()
                seen = {}
                result = device.infer(inputs, lambda n, value, seen=seen: seen.update({n: value}))
                assert sorted(seen) == list(range(len(plan.layers)))
                observed = {plan.layers[number].output: value for number, value in seen.items()}
                found.append({**observed, **result.tensors})
                assert result.layer_cycles == [c for p in plan.programs for c in predict(p)]
                assert result.cycles == sum(result.layer_cycles)
        for got in found:
            assert set(graph.outputs) <= set(got)
            for index, value in got.items():
                np.testing.assert_array_equal(value, expected[index])


@pytest.mark.slow
@pytest.mark.parametrize("make", [host_between, heads_over_the_host])
def test_all_models_agree(make: Callable[[], bytes], tmp_path: Path) -> None:
    data = make()
    graph = importer.loads(data, "test")
    plan = compile_network(graph, CONFIG, board="icebreaker")
    assert len(plan.programs) > 1
    assert [op.kind for op in plan.host if op.kind == "TRANSPOSE"]
    assert plan.macs == plan.device_macs == sum(map(graph.macs, graph.ops))
    # Each begins in a sector of its own, behind the one before.
    for one, other in pairwise(plan.programs):
        assert other.flash_address % SECTOR == 0
        assert other.flash_address >= one.flash_address + len(one.flash)
    check_plan(data, plan)
    save_plan(plan, tmp_path / "plan")
    loaded = load_plan(tmp_path / "plan")
    assert loaded.host == plan.host
    check_plan(data, loaded, core=False)


def test_without_fallback_it_is_refused() -> None:
    graph = importer.loads(host_between(), "between")
    with pytest.raises(UnsupportedError, match=r"TRANSPOSE.*let the host run it in between"):
        compile_network(graph, CONFIG, fallback=False)
    with pytest.raises(UnsupportedError, match="TRANSPOSE"):
        compile_graph(graph, CONFIG)


def test_the_host_may_have_everything() -> None:
    data = host_alone()
    plan = compile_network(importer.loads(data, "host"), CONFIG)
    assert not plan.programs and [op.kind for op in plan.host] == ["SOFTMAX"]
    check_plan(data, plan, core=False)


def refused_in_the_middle() -> bytes:
    """Return a network with a layer that the compiler refuses: long sums for many pixels."""
    net = NetworkBuilder(seed=8)
    x = net.conv_2d(net.input((1, 10, 10, 8)), 1200, kernel=(1, 1))
    return net.build(outputs=[net.conv_2d(net.conv_2d(x, 8, kernel=(1, 1)), 8, kernel=(1, 1))])


@pytest.mark.slow
def test_what_is_refused_becomes_the_hosts_with_its_rule() -> None:
    data = refused_in_the_middle()
    graph = importer.loads(data, "test")
    with pytest.raises(UnsupportedError) as error:
        compile_graph(graph, CONFIG)
    plan = compile_network(graph, CONFIG)
    (op,) = plan.host
    assert op.name == graph.ops[1].name and op.macs == graph.macs(graph.ops[1])
    assert op.rule and op.rule in str(error.value)
    # The name of the operator stands beside the rule, not in it.
    assert "operator" not in op.rule
    assert plan.device_macs == plan.macs - op.macs
    check_plan(data, plan)


@pytest.mark.slow
def test_memory_that_is_too_small_sends_the_largest_to_the_host() -> None:
    net = NetworkBuilder(seed=9)
    x = net.fully_connected(net.input((1, 64)), 4)
    wide = net.conv_2d(net.input((1, 160, 160, 8)), 8, kernel=(1, 1))
    data = net.build(outputs=[x, wide])
    graph = importer.loads(data, "test")
    with pytest.raises(UnsupportedError, match="KB of activation memory"):
        compile_graph(graph, CONFIG)
    plan = compile_network(graph, CONFIG)
    assert [op.name for op in plan.host] == [graph.ops[1].name]
    assert "KB of activation memory" in plan.host[0].rule
    check_plan(data, plan)


def test_programs_that_do_not_fit_into_the_flash() -> None:
    graph = importer.loads(host_between(), "large")
    with pytest.raises(
        UnsupportedError,
        match=r"large: its programs end at byte .* of the flash.*; put fewer networks in front",
    ):
        compile_network(graph, CONFIG, flash_address=(1 << 24) - 4096)
    plan = compile_network(graph, CONFIG)
    assert compile_network(graph, CONFIG, flash_size=plan.flash_end).flash_end == plan.flash_end
    with pytest.raises(UnsupportedError, match=rf"and the board has {plan.flash_end - 1:,}; "):
        compile_network(graph, CONFIG, flash_size=plan.flash_end - 1)
    with pytest.raises(UnsupportedError, match=r"and the board has 1,049,600; use a smaller"):
        compile_network(graph, CONFIG, flash_size=(1 << 20) + 1024)


def test_what_no_output_depends_on_is_not_the_hosts() -> None:
    net = NetworkBuilder(seed=10)
    x = net.input((1, 4, 4, 8))
    net.conv_2d(x, 8)
    plan = compile_network(importer.loads(net.build(outputs=[x]), "echo"), CONFIG)
    assert plan.programs == () and plan.host == ()
    assert host_report.inferences_per_second(0, CONFIG.core_mhz, host_report.seconds(plan)) is None


def test_float_input_of_two_conversions() -> None:
    """The host converts the input for both; what leaves the network is float32 and integers."""
    net = NetworkBuilder(seed=1)
    x = net.file.tensor((1, 8, 8, 3), "float32", name="image")
    net.inputs.append(x)
    first, second = (net.activation((1, 8, 8, 3), scale) for scale in (0.02, 0.03))
    for part in (first, second):
        net.file.operator("QUANTIZE", [x], [part], ("QuantizeOptions", {}))
    y = net.conv_2d(first, 8, kernel=(3, 3))
    model = net.build(outputs=[net.reshape(net.dequantize(y), (64, 8)), second])
    graph = importer.loads(model, "test")
    plan = compile_network(graph, CONFIG)
    value = np.random.default_rng(1).normal(0, 1, (1, 8, 8, 3)).astype(np.float32)
    expected, judge = golden.run(graph, value), LiteRT(model)
    judge.run(value)
    got = run_plan(plan, {x: value}, seed=1)
    for index in graph.outputs:
        assert got[index].tobytes() == expected[index].tobytes() == judge.tensor(index).tobytes()


@pytest.mark.parametrize("first", [False, True])
def test_single_rows_have_no_way_to_the_next(first: bool) -> None:
    """The stride would lead further than a descriptor can say."""
    net = NetworkBuilder(seed=1)
    x = net.input((1, 64, 254, 1))
    x = x if first else net.conv_2d(x, 8)
    y = net.conv_2d(x, 8, kernel=(9, 3), stride=(64, 1), padding="VALID")
    data = net.build(outputs=[y])
    plan = compile_network(importer.loads(data, "test"), CONFIG)
    # What is in front of it does not fit.
    assert [op.name for op in plan.host] == ["conv_2d_0"] * (not first)
    check_plan(data, plan, core=False)


@pytest.mark.slow
def test_layers_without_rows_read_no_streamed_input() -> None:
    """Sums in parts: the input is in memory as a whole, or the host computes."""
    net = NetworkBuilder(seed=1)
    y = net.conv_2d(net.input((1, 100, 2, 9)), 500, kernel=(5, 9), stride=(2, 3))
    small = replace(CONFIG, memory_depth=4096)
    (op,) = compile_network(importer.loads(net.build(outputs=[y]), "test"), small).host
    assert op.rule.startswith(MEMORY.sentence)
