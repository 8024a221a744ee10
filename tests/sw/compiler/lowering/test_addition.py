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
from sw.compiler.exact.requantiser import RequantiserSpec
from sw.compiler.graph.partition import as_stored, zero_point
from sw.compiler.lowering import addition
from sw.fuzz.builder import NetworkBuilder
from sw.golden.elementwise import Addition, Operand
from sw.golden.requantisation import Requantisation

SPEC = RequantiserSpec()


def addition_of(graph: ir.Graph, op: ir.Add) -> tuple[Addition, float, float]:
    a, b, y = (graph.tensors[i] for i in (op.input1, op.input2, op.output))
    reference = golden.arguments(graph, op)["addition"]
    reference = replace(
        reference,
        first=replace(reference.first, zero_point=zero_point(a)),
        second=replace(reference.second, zero_point=zero_point(b)),
        requantisation=as_stored(reference.requantisation, y),
    )
    return reference, a.q.scale / b.q.scale, b.q.scale / y.q.scale


def outputs(code: sums.AddCode, spec: RequantiserSpec = SPEC) -> np.ndarray:
    x = np.arange(-128, 128, dtype=np.int64)
    weights = addition._weights(code, 8).astype(np.int64).sum(axis=0)
    assert weights[0, 0] == code.first and weights[1, 7] == code.second
    u = x[:, None] * code.first + x[None, :] * code.second + code.bias
    assert np.abs(u).max() <= u_limit(24)
    return spec.outputs(u, np.array(code.multiplier), np.array(code.shift), code.requantisation)


@pytest.mark.parametrize("fraction_bits", [31, 17])
@pytest.mark.parametrize("name", ["mobilenetv2_160_035", "mobilenet_v2_1.0_224_quant"])
def test_every_sum_of_real_networks(shared: Path, name: str, fraction_bits: int) -> None:
    graph = importer.load(shared / "models" / f"{name}.tflite")
    steps, spec = [], RequantiserSpec(fraction_bits=fraction_bits)
    for op in graph.ops:
        if not isinstance(op, ir.Add):
            continue
        reference, ratio, gain = addition_of(graph, op)
        codes = sums.find_codes(reference, ratio, gain, spec)
        assert codes is not None
        table = sums.reference_table(reference).astype(np.int64)
        if len(codes) == 1:
            np.testing.assert_array_equal(outputs(codes[0], spec), table)
        else:
            above, below = (outputs(code, spec) for code in codes[:2])
            zero = reference.requantisation.zero_point
            np.testing.assert_array_equal(above + below - zero, table)
        steps.append(sum(code.steps for code in codes))
    assert len(steps) == 10
    assert np.median(steps) <= 20


def test_the_table_is_the_reference() -> None:
    reference = Addition(
        first=Operand(zero_point=-3, multiplier=1856273637, shift=-1),
        second=Operand(zero_point=10, multiplier=1 << 30, shift=0),
        multiplier=1751022200,
        shift=-19,
        requantisation=Requantisation(zero_point=-3, act_min=-128, act_max=127),
    )
    table = sums.reference_table(reference)
    x1, x2 = np.int8([[5]]), np.int8([[-77]])
    assert table[5 + 128, -77 + 128] == golden.kernels.add(x1, x2, addition=reference)[0, 0]


def test_constant_outputs_need_no_search() -> None:
    operand = Operand(zero_point=0, multiplier=1 << 30, shift=0)
    reference = Addition(
        first=operand,
        second=operand,
        multiplier=1751022200,
        shift=-19,
        requantisation=Requantisation(zero_point=-128, act_min=127, act_max=127),
    )
    codes = sums.find_codes(reference, 1.0, 1.0, SPEC)
    assert codes is not None and codes[0].first == 0


def sum_of(seed: int, *, second: float, output: float) -> tuple[Addition, float, float]:
    """Return a sum of tensors whose scales are these times the first one's."""
    net = NetworkBuilder(seed=seed)
    x = net.input((1, 4))
    scale = net[x].scales[0]
    y = net.add(x, net.input((1, 4), scale=scale * second), output_scale=scale * output)
    graph = importer.loads(net.build(outputs=[y]))
    (op,) = graph.ops
    assert isinstance(op, ir.Add)
    return addition_of(graph, op)


def test_sums_that_are_always_the_zero_point() -> None:
    reference, ratio, gain = sum_of(1, second=1.0, output=1e6)
    codes = sums.find_codes(reference, ratio, gain, SPEC)
    assert codes is not None and reference.requantisation.zero_point not in (0, -128, 127)
    np.testing.assert_array_equal(outputs(codes[0]), sums.reference_table(reference))


@pytest.mark.parametrize("output", [1.0, 2.0, 4.0])
def test_systematic_ties_take_three_codes(output: float) -> None:
    """Halves are rounded away from zero on either side of the zero point."""
    reference, ratio, gain = sum_of(1, second=0.75, output=output)
    codes = sums.find_codes(reference, ratio, gain, SPEC)
    assert codes is not None and len(codes) == 3
    above, below = (outputs(code) for code in codes[:2])
    total = codes[2]
    u = above * total.first + below * total.second + total.bias
    got = SPEC.outputs(
        u, np.array(total.multiplier), np.array(total.shift), total.requantisation
    )
    np.testing.assert_array_equal(got, sums.reference_table(reference))


def test_only_right_codes_are_proven() -> None:
    reference, ratio, gain = sum_of(4, second=1.3, output=2.1)
    codes = sums.find_codes(reference, ratio, gain, SPEC)
    assert codes is not None and len(codes) == 1
    (code,) = codes
    table = sums.reference_table(reference)
    assert sums._proven(code, table, SPEC)
    clamped = replace(code.requantisation, act_max=126)
    for wrong in (
        replace(code, first=code.first + 1),
        replace(code, bias=-code.bias),
        replace(code, requantisation=clamped),
    ):
        assert not sums._proven(wrong, table, SPEC)
    # Right, but wider than accumulators.
    assert not sums._proven(code, table, RequantiserSpec(acc_bits=16))


@pytest.mark.parametrize(("second", "output"), [(0.31, 0.7), (1.3, 2.1), (9.0, 5.0)])
def test_edges_of_outputs(second: float, output: float) -> None:
    reference, ratio, _ = sum_of(5, second=second, output=output)
    table = sums.reference_table(reference).astype(np.int64)
    outline = Outline(sums.reference_table(reference), ratio)
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
    reference, ratio, gain = sum_of(6, second=second, output=output)
    outline = Outline(sums.reference_table(reference), ratio)
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
    reference, ratio, gain = sum_of(1, second=1.25, output=1.0)
    search = sums._Search(reference, ratio, gain, SPEC, 100_000)
    assert search.find(sums.STEPS[-1]) is None
    assert not search.tried and search.work.left > 50_000
    assert sums.find_codes(reference, ratio, gain, SPEC) is None


def test_the_search_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each table of outputs has its own share, however many codes look right and are not."""
    reference, ratio, gain = sum_of(4, second=1.3, output=2.1)
    monkeypatch.setattr(sums, "_same", lambda *_: False)
    search = sums._Search(reference, ratio, gain, SPEC, 25_000)
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
    with pytest.raises(UnsupportedError, match="reference's sum for every pair"):
        compile_graph(importer.loads(net.build(outputs=[y])), CoreConfig())
