"""ADD: integers proven for all pairs of operands."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from common.errors import UnsupportedError
from hw.contract.config import CoreConfig
from hw.contract.requantiser import u_limit
from sw import golden, importer, ir
from sw.compiler import compile_graph
from sw.compiler.exact import sums
from sw.compiler.exact.budget import Budget
from sw.compiler.exact.lines import separating_line, step_positions
from sw.compiler.exact.ratios import LINE_WORK, Outline
from sw.compiler.exact.requantisation import hardware_requantize
from sw.compiler.graph.partition import offset
from sw.compiler.lowering import addition
from sw.fuzz.builder import NetworkBuilder

Parameters = tuple[tuple[str, int], ...]


def parameters_of(graph: ir.Graph, op: ir.Add) -> tuple[Parameters, float, float]:
    a, b, y = (graph.tensors[i] for i in (op.input1, op.input2, op.output))
    settings = dict(golden.arguments(graph, op))
    for key in settings:
        if key.endswith("zero_point") or key.startswith("activation"):
            settings[key] -= offset(y)
    ordered = tuple(sorted((key, int(value)) for key, value in settings.items()))
    return ordered, a.q.scale / b.q.scale, b.q.scale / y.q.scale


def outputs(code: sums.AddCode, clamp: tuple[int, int], fraction_bits: int) -> np.ndarray:
    x = np.arange(-128, 128, dtype=np.int64)
    weights = addition._weights(code, 8).astype(np.int64).sum(axis=0)
    assert weights[0, 0] == code.first and weights[1, 7] == code.second
    u = x[:, None] * code.first + x[None, :] * code.second + code.bias
    assert np.abs(u).max() <= u_limit(24)
    return hardware_requantize(
        u,
        np.array(code.multiplier),
        np.array(code.shift),
        single_rounding=False,
        zero_point=code.zero_point,
        act_min=clamp[0],
        act_max=clamp[1],
        fraction_bits=fraction_bits,
    )


@pytest.mark.parametrize("fraction_bits", [31, 17])
@pytest.mark.parametrize("name", ["mobilenetv2_160_035", "mobilenet_v2_1.0_224_quant"])
def test_every_sum_of_real_networks(shared: Path, name: str, fraction_bits: int) -> None:
    graph = importer.load(shared / "models" / f"{name}.tflite")
    steps = []
    for op in graph.ops:
        if not isinstance(op, ir.Add):
            continue
        parameters, ratio, gain = parameters_of(graph, op)
        codes = sums.find_codes(parameters, ratio, gain, 24, fraction_bits)
        assert codes is not None
        table = sums.reference_table(parameters).astype(np.int64)
        if len(codes) == 1:
            np.testing.assert_array_equal(outputs(*codes[0], fraction_bits), table)
        else:
            above, below = (outputs(*code, fraction_bits) for code in codes[:2])
            zero = dict(parameters)["output_zero_point"]
            np.testing.assert_array_equal(above + below - zero, table)
        steps.append(sum(code.steps for code, _ in codes))
    assert len(steps) == 10
    assert np.median(steps) <= 20


def test_the_table_is_the_reference() -> None:
    settings = {
        "input1_zero_point": -3,
        "input1_multiplier": 1856273637,
        "input1_shift": -1,
        "input2_zero_point": 10,
        "input2_multiplier": 1 << 30,
        "input2_shift": 0,
        "output_zero_point": -3,
        "output_multiplier": 1751022200,
        "output_shift": -19,
        "activation_min": -128,
        "activation_max": 127,
    }
    table = sums.reference_table(tuple(sorted(settings.items())))
    x1, x2 = np.int8([[5]]), np.int8([[-77]])
    assert table[5 + 128, -77 + 128] == golden.kernels.add(x1, x2, **settings)[0, 0]


def test_constant_outputs_need_no_search() -> None:
    settings = {
        "input1_zero_point": 0,
        "input1_multiplier": 1 << 30,
        "input1_shift": 0,
        "input2_zero_point": 0,
        "input2_multiplier": 1 << 30,
        "input2_shift": 0,
        "output_zero_point": -128,
        "output_multiplier": 1751022200,
        "output_shift": -19,
        "activation_min": 127,
        "activation_max": 127,
    }
    codes = sums.find_codes(tuple(sorted(settings.items())), 1.0, 1.0, 24)
    assert codes is not None and codes[0][0].first == 0


def sum_of(seed: int, *, second: float, output: float) -> tuple[Parameters, float, float]:
    """Return a sum of tensors whose scales are these times the first one's."""
    net = NetworkBuilder(seed=seed)
    x = net.input((1, 4))
    scale = net[x].scales[0]
    y = net.add(x, net.input((1, 4), scale=scale * second), output_scale=scale * output)
    graph = importer.loads(net.build(outputs=[y]))
    (op,) = graph.ops
    assert isinstance(op, ir.Add)
    return parameters_of(graph, op)


def test_sums_that_are_always_the_zero_point() -> None:
    parameters, ratio, gain = sum_of(1, second=1.0, output=1e6)
    codes = sums.find_codes(parameters, ratio, gain, 24)
    assert codes is not None and dict(parameters)["output_zero_point"] not in (0, -128, 127)
    (coded,) = codes
    np.testing.assert_array_equal(outputs(*coded, 31), sums.reference_table(parameters))


@pytest.mark.parametrize("output", [1.0, 2.0, 4.0])
def test_systematic_ties_take_three_codes(output: float) -> None:
    """Halves are rounded away from zero on either side of the zero point."""
    parameters, ratio, gain = sum_of(1, second=0.75, output=output)
    codes = sums.find_codes(parameters, ratio, gain, 24)
    assert codes is not None and len(codes) == 3
    above, below = (outputs(*code, 31) for code in codes[:2])
    total, clamp = codes[2]
    u = above * total.first + below * total.second + total.bias
    got = hardware_requantize(
        u, np.array(total.multiplier), np.array(total.shift), single_rounding=False,
        zero_point=total.zero_point, act_min=clamp[0], act_max=clamp[1],
    )
    np.testing.assert_array_equal(got, sums.reference_table(parameters))


def test_only_right_codes_are_proven() -> None:
    parameters, ratio, gain = sum_of(4, second=1.3, output=2.1)
    codes = sums.find_codes(parameters, ratio, gain, 24)
    assert codes is not None and len(codes) == 1
    ((code, _),) = codes
    table = sums.reference_table(parameters)
    assert sums._proven(code, table, (-128, 127), 24, 31)
    assert not sums._proven(code, table, (-128, 126), 24, 31)
    for wrong in (replace(code, first=code.first + 1), replace(code, bias=-code.bias)):
        assert not sums._proven(wrong, table, (-128, 127), 24, 31)
    # Right, but wider than accumulators.
    assert not sums._proven(code, table, (-128, 127), 16, 31)


@pytest.mark.parametrize(("second", "output"), [(0.31, 0.7), (1.3, 2.1), (9.0, 5.0)])
def test_edges_of_outputs(second: float, output: float) -> None:
    parameters, ratio, _ = sum_of(5, second=second, output=output)
    table = sums.reference_table(parameters).astype(np.int64)
    outline = Outline(sums.reference_table(parameters), ratio)
    x = np.arange(-128, 128)
    np.testing.assert_array_equal(outline.outputs, np.unique(table))
    for b in (640, 1017):
        for a in {math.ceil(b * (ratio - outline.reach)), math.floor(b * (ratio + outline.reach))}:
            assert abs(a / b - ratio) <= outline.reach
            plane = a * x[:, None] + b * x
            below, above = outline.sums(a, b)
            want = [plane[table == output].max() for output in outline.outputs[:-1]]
            np.testing.assert_array_equal(below, want)
            want = [plane[table == output].min() for output in outline.outputs[1:]]
            np.testing.assert_array_equal(above, want)


def test_edges_of_outputs_that_no_ratio_separates() -> None:
    x = np.arange(-128, 128)
    table = np.where(x[:, None] >= 0, 127, np.where(x >= 0, 0, -128)).astype(np.int8)
    outline = Outline(table, 1.0)
    assert outline.reach == 0
    below, above = outline.sums(1, 1)
    assert (below.tolist(), above.tolist()) == ([-2, 126], [-128, -128])


@pytest.mark.parametrize(("second", "output"), [(0.83, 1.21), (1.3, 2.1), (0.9, 1.1)])
def test_ratios_outside_the_interval_have_no_line(second: float, output: float) -> None:
    parameters, ratio, gain = sum_of(6, second=second, output=output)
    outline = Outline(sums.reference_table(parameters), ratio)
    levels = step_positions(outline.outputs[1:] + 128, 12)
    interval = outline.interval(levels, 1 / gain, Budget(left=0))
    assert interval is not None
    found = []
    for b in range(500, 700):
        a = round(b * ratio)
        if abs(a / b - ratio) <= outline.reach:
            line = separating_line(*outline.sums(a, b), levels, b / gain)
            found.append((line is not None, interval[0] <= a / b - ratio <= interval[1]))
    assert {there for there, _ in found} == {False, True}
    assert all(there == inside for there, inside in found)


def test_sums_without_a_line_are_known_at_once() -> None:
    """Ties on both sides of steps: no A and B need be tried."""
    parameters, ratio, gain = sum_of(1, second=1.25, output=1.0)
    search = sums._Search(parameters, ratio, gain, (24, 31), 100_000)
    assert search.find(sums.STEPS[-1]) is None
    assert not search.tried and search.work.left > 50_000
    assert sums.find_codes(parameters, ratio, gain, 24) is None


def test_the_search_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each table of outputs has its own share, however many codes look right and are not."""
    parameters, ratio, gain = sum_of(4, second=1.3, output=2.1)
    monkeypatch.setattr(sums, "_same", lambda *_: False)
    search = sums._Search(parameters, ratio, gain, (24, 31), 25_000)
    assert search.find(sums.STEPS[-1]) is None
    assert search.tried and -50 * LINE_WORK < search.work.left <= 0


def test_networks_with_many_sums_share_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    net = NetworkBuilder(seed=7, dtype="uint8")
    x = y = net.input((1, 2, 2, 8), scale=0.05)
    for scale in net.rng.uniform(0.06, 0.08, 60):
        y = net.add(y, x, output_scale=float(scale))
    shares = []
    search = sums.find_codes

    def noted(*arguments: float) -> object:
        shares.append(arguments[-1])
        return search(*arguments)

    monkeypatch.setattr(addition, "find_codes", noted)
    compile_graph(importer.loads(net.build(outputs=[y])), CoreConfig())
    assert len(shares) == 60 and max(shares) * len(shares) <= addition.WORK


def test_sums_for_which_nothing_is_found_are_refused() -> None:
    net = NetworkBuilder(seed=1)
    x = net.input((1, 4), scale=0.02)
    y = net.add(x, net.input((1, 4), scale=0.025), output_scale=0.02)
    with pytest.raises(UnsupportedError, match="were found that give the reference's sum"):
        compile_graph(importer.loads(net.build(outputs=[y])), CoreConfig())
