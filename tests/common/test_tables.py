"""Tables of all tools on 80, 100 and 120 columns: no figure is cut, no line is too long."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache, partial

import pytest
from rich.text import Text
from support.divided import heads_over_the_host, host_between
from support.networks import small_model

import boards
from common.tables import SHORT, Table, add_figures, add_names, add_text, middle, new_table
from common.terminal import Screen
from hw.flow.report import BuildResult, Clock, PathEnd, Sweep, Usage
from sw import compile as compile_tool
from sw import host_report, importer, report
from sw.bench import mlperf
from sw.bench import tables as bench
from sw.bench.measure import BenchClock, Measurement, measure
from sw.compiler import Plan, compile_network
from sw.explore.sweep import Point
from sw.explore.tables import table as explored
from sw.fuzz.campaign import Campaign, outcome_table, reason_table
from sw.ir import Graph
from sw.networks.shipped import NETWORKS, default_model
from sw.survey.examine import Finding
from sw.survey.tables import table as surveyed

WIDTHS = (80, 100, 120)
BOARD = boards.get("icebreaker")
LONG = "MobilenetV2/expanded_conv_10/depthwise/Relu6;MobilenetV2/expanded_conv_10/BatchNorm"


def shipped() -> Iterator[Graph]:
    """Yield the networks that ship."""
    for name in NETWORKS:
        yield importer.load(default_model(name))


def generated() -> Iterator[Graph]:
    """Yield divided networks, and one with names as converters make them."""
    yield importer.loads(host_between(), "between")
    yield importer.loads(heads_over_the_host(), "heads")
    graph = importer.loads(small_model(), "a_network_whose_name_is_longer_than_any_column_may_be")
    ops = tuple(replace(op, name=f"{LONG}/{n}") for n, op in enumerate(graph.ops))
    yield replace(graph, ops=ops)


@cache
def plans(graphs: Callable[[], Iterator[Graph]]) -> list[Plan]:
    return [
        compile_network(graph, BOARD.config, board=BOARD.name,
                        flash_address=BOARD.flash.program_base)
        for graph in graphs()
    ]


def large(layer: report.LayerReport) -> report.LayerReport:
    """Return a layer of a network as large as any that runs."""
    return replace(layer, macs=300_775_552, cycles=222_066_979, utilization=1.0)


def measurements(graphs: Callable[[], Iterator[Graph]]) -> list[Measurement]:
    found = [measure(plan, BOARD, BenchClock(mhz=39.0)) for plan in plans(graphs)]
    whole = replace(found[0].layers[0], steps=20_000_000, input=1_000_000, fill=100_000)
    found.append(replace(found[0], model="mobilenet_v2_1.0_224_quant", macs=(300_775_552,),
                         layers=(whole,)))
    return found


def of_plans(graphs: Callable[[], Iterator[Graph]]) -> Iterator[Table]:
    for plan in plans(graphs):
        layers = compile_tool.layer_reports(plan)
        yield compile_tool._table(plan, layers)
        exact = [replace(large(layer), exact=True) for layer in layers]
        for reports in (layers, exact):
            for bands in ((), [12] * len(layers)):
                yield report.layer_table(reports, plan.model, multipliers=16, bands=bands)
        if (on_host := host_report.table(plan)) is not None:
            yield on_host


def of_measurements(graphs: Callable[[], Iterator[Graph]]) -> Iterator[Table]:
    found = measurements(graphs)
    yield bench.summary_table(found)
    yield bench.lost_table(found)
    yield bench.rivals_table([replace(found[0], model="vww_96_int8"), *found])
    yield from map(bench.layer_table, found)
    tasks = [mlperf.TaskResult(task=task, measurement=found[-1], flash_bytes=1, exact=True)
             for task in mlperf.MLPERF_TASKS]
    yield mlperf.tasks_table(tasks)
    yield mlperf.rivals_table(tasks)


def of_builds() -> Iterator[Table]:
    path = PathEnd(period=25.0, launch=("core.memory.lane$1_SB_DFF", "O"), launch_kind="LC",
                   capture=("core.requantiser.product_register_SB_DFF", "I"), capture_kind="LC")
    clock = Clock(target_mhz=39.0, reported_mhz=41.25, achieved_mhz=39.75, proven=True, path=path)
    usage = {name: Usage(used=5117, available=5280) for name in ("LC", "RAM", "SPRAM", "DSP")}
    built = BuildResult(board="icebreaker", seed=2_000_000_000, utilization=usage,
                        clocks={"core": clock, "capture_clk": clock})
    yield from built.tables()
    yield Sweep(results=(built, built), wanted=3).table(1)


def of_surveys() -> Iterator[Table]:
    finding = Finding(
        file=f"{LONG}.tflite", verdict="refused", macs=300_775_552, core_share=0.999,
        cycles=22_066_979, host_seconds=12.5, inferences_per_second=1234.5, judge="equal",
        core="equal",
    )
    yield surveyed([finding, replace(finding, file="a.tflite", macs=None)])
    point = Point(
        arch="v2", alpha=0.35, size=224, classes=1001, macs=300_775_552, weights=3_500_000,
        top1=71.8, top1_quantized=70.0, fits=True, cycles=22_066_979, utilization=0.852,
        inferences_per_second=1234.5, memory_bytes=131072, flash_bytes=10_956_600,
    )
    yield explored([point, replace(point, fits=False, cycles=None)], "a title")
    campaign = Campaign(name="networks", first=0, count=10, board="icebreaker")
    for number in range(3):
        campaign._count({"number": number, "outcome": "refused", "stage": "compiler",
                         "reason": "of a very long sentence " * 8})
    yield outcome_table(campaign)
    yield reason_table(campaign)


def drawn(table: Table, width: int) -> list[str]:
    file = io.StringIO()
    Screen(file=file, width=width, force_terminal=True, color_system=None).print(table)
    return file.getvalue().splitlines()


def check(table: Table, width: int) -> None:
    """Check that a table fits, has all figures of its columns, and says which columns it lacks."""
    lines = drawn(table, width)
    text = "\n".join(lines)
    assert max(Text(line).cell_len for line in lines) <= width, text
    left_out = " ".join(lines).partition("left out: ")[2].split(", ")
    left_out = [name.strip() for name in left_out]
    for column in table.columns:
        if column.header in left_out:
            continue
        if column.justify == "right":
            for cell in column.cells:
                assert str(cell) in text, (cell, text)
        header = str(column.header)
        words = header.split() if header in text or header not in SHORT else SHORT[header].split()
        assert all(word in text for word in words), (words, text)
    assert set(filter(None, left_out)) <= set(table.give_way)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("tables", [
    partial(of_plans, generated), partial(of_measurements, generated), of_builds, of_surveys,
    pytest.param(partial(of_plans, shipped), marks=pytest.mark.slow),
    pytest.param(partial(of_measurements, shipped), marks=pytest.mark.slow),
])
def test_every_table_of_every_tool(tables: Callable[[], Iterator[Table]], width: int) -> None:
    for table in tables():
        check(table, width)


def test_columns_give_way_by_importance() -> None:
    table = new_table(("layer", "operator"), ("MACs", "utilisation"), give_way=("MACs", "operator"))
    add_text(table, "why")
    table.add_row("conv_2d_7", "CONV_2D", "123,456,789", "99.9%", "a sentence of some words here")
    everything = "\n".join(drawn(table, 120))
    assert "utilisation" in everything and "left out" not in everything and "┃" in everything
    narrow = "\n".join(drawn(table, 70))
    assert "utilisation" not in narrow and "left out" not in narrow and "┃" not in narrow
    first = "\n".join(drawn(table, 56))
    assert "left out: MACs" in first and "CONV_2D" in first
    second = "\n".join(drawn(table, 45))
    assert "left out: MACs, operator" in second and "99.9%" in second and "CONV" not in second


def test_figures_stay_whole_where_nothing_fits() -> None:
    table = new_table(("layer",), ("MACs", "cycles"))
    table.add_row("conv_2d_7", "123,456,789", "987,654,321")
    assert any("123,456,789" in line and "987,654,321" in line for line in drawn(table, 20))


def test_names_lose_their_middle() -> None:
    assert middle("depthwise_conv_2d_11", 12) == "depthw…2d_11"
    assert middle("short", 5) == "short"
    assert middle("猫猫猫猫猫猫", 8) == "猫猫…猫"
    table = new_table(("layer",))
    table.add_row("x" * 100)
    assert ["x" * 24 + "…" + "x" * 23 in line for line in drawn(table, 160)].count(True) == 1


def test_sections_and_titles_stay() -> None:
    table = new_table(("layer",), title="a \x1b[2J title")
    add_names(table, "operator")
    add_figures(table, "cycles")
    table.add_row("x" * 30, "y" * 30, "1,000,000")
    table.add_section()
    table.add_row("total", "", "2,000,000")
    lines = drawn(table, 50)
    assert lines[0].startswith("a \ufffd[2J title")
    total = next(n for n, line in enumerate(lines) if "total" in line)
    assert not lines[total - 1].strip(" ─")
    # Drawing it changes nothing of it.
    assert "━" in "".join(drawn(table, 120)) and list(table.columns[0].cells) == ["x" * 30, "total"]
