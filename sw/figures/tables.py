"""The tables of the documents, rendered from the figures."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sw.bench.mlperf import rivals_by_task
from sw.bench.rivals import MLPERF_TASKS, RIVALS
from sw.bench.tables import WORDS
from sw.explore import tables as explore_tables
from sw.explore.sweep import DETECTORS
from sw.figures.explorer import points
from sw.figures.operators import core_limits, core_rules, file_rules, supported
from sw.figures.store import Figures, lookup
from sw.figures.times import COMMANDS
from sw.networks.shipped import DETECTOR, NETWORKS, default_detector, default_model

__all__ = ["TABLES"]

SUMMARY = (
    ("`vww_96_int8` (person / no person, MLPerf Tiny)", "vww_96_int8/default"),
    ("the same with `--drop-constant-channels`", "vww_96_int8/drop_constant_channels"),
    ("`person_detect` (TensorFlow Lite Micro)", "person_detect/default"),
    ("`mobilenet_v1_0.25_128_quant` (ImageNet, 1001 classes, uint8)",
     "mobilenet_v1_0.25_128_quant/default"),
    ("`mobilenetv2_160_035` (V2, person / no person)", "mobilenetv2_160_035/default"),
    ("`mobilenet_v2_1.0_224_quant` (V2, ImageNet at 224×224, 3.5 MB of weights)",
     "mobilenet_v2_1.0_224_quant/default"),
    ("`kws_ref_model` (DS-CNN, keywords, MLPerf Tiny)", "kws_ref_model/default"),
    ("`resnet8` (CIFAR-10, MLPerf Tiny)", "resnet8/default"),
    ("`ad01_int8` (dense layers, anomalies of sounds, MLPerf Tiny; bound by the flash)",
     "ad01_int8/default"),
    ("`fashion_mnist_v1_025` (ships; 10 classes of clothes, {accuracy} of {images:,} test images)",
     "fashion_mnist_v1_025/default"),
)
BENCHMARK = ("vww_96_int8", "person_detect", "mobilenet_v1_0.25_128_quant", "mobilenetv2_160_035")
INPUT = (*BENCHMARK, "fashion_mnist_v1_025")


def _rows(*rows: Iterable[str]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(line.replace("  ", " ") for line in lines)


def _table(head: Sequence[str], *rows: Iterable[str]) -> str:
    return _rows(head, ["---"] * len(head), *rows)


def _percent(value: float, digits: int = 1) -> str:
    return f"{100 * value:.{digits}f} %"


def _clock(figures: Figures) -> str:
    return f"{lookup(figures, 'build/clocks/core/target_mhz'):g}"


def summary(figures: Figures) -> str:
    """Return the README's table."""
    rows = []
    test_set = lookup(figures, "test_set/fashion_mnist_v1_025")
    for text, key in SUMMARY:
        found = lookup(figures, f"networks/{key}")
        # A network of which parts are left out has no utilisation to compare.
        used = "" if key.endswith("channels") else _percent(found["utilization"])
        name = text.format(accuracy=_percent(test_set["accuracy"]), images=test_set["images"])
        speed = f"{found['inferences_per_second']:.1f}"
        rows.append((name, f"{found['cycles']:,}", used, speed))
    return _table(("network", "cycles", "of the 16 multipliers", "inferences per second"), *rows)


def benchmark(figures: Figures) -> str:
    """Return the table of docs/benchmark.md: where cycles go."""
    found = [lookup(figures, f"networks/{name}/default") for name in BENCHMARK]

    def row(title: str, form: Callable[[dict[str, Any]], str]) -> list[str]:
        return [title, *map(form, found)]

    def lost(cause: str) -> Callable[[dict[str, Any]], str]:
        return lambda f: f"{f['lost'][cause]:,.0f} ({_percent(f['lost'][cause] / f['cycles'])})"

    return _table(
        ("", *BENCHMARK),
        row("MACs", lambda f: f"{f['macs']:,}"),
        row("limit, cycles", lambda f: f"{f['limit_cycles']:,.0f}"),
        row("**cycles**", lambda f: f"**{f['cycles']:,}**"),
        row(f"inferences per second at {_clock(figures)} MHz",
            lambda f: f"{f['inferences_per_second']:.1f}"),
        row("the limit's", lambda f: f"{f['limit_inferences_per_second']:.1f}"),
        row("utilisation", lambda f: _percent(f["utilization"])),
        *(row(words, lost(cause)) for cause, words in WORDS.items()),
    )


def mlperf(figures: Figures) -> str:
    """Return the tasks of MLPerf Tiny as this project runs them."""
    rows = []
    for task, name in MLPERF_TASKS.items():
        f = lookup(figures, f"networks/{name}/default")
        rows.append((task, f"`{name}`", f"{f['macs']:,}", f"{f['cycles']:,}",
                     _percent(f["utilization"]), f"{f['inferences_per_second']:.1f}",
                     f"{f['flash_bytes']:,}"))
    head = ("task", "network", "MACs", "cycles", "of the multipliers", "inferences per second",
            "bytes of flash")
    return _table(head, *rows)


def mlperf_rivals(figures: Figures) -> str:
    """Return the published results of MLPerf Tiny's tasks: a row for each system, ours first."""
    def row(who: str, note: str, source: str, speeds: dict[str, float]) -> list[str]:
        cells = [f"{speeds[task]:,.1f}" if task in speeds else "" for task in MLPERF_TASKS]
        return [who, *cells, note, source]

    ours = {task: lookup(figures, f"networks/{name}/default/inferences_per_second")
            for task, name in MLPERF_TASKS.items()}
    rows = [row(f"**this**, iCEBreaker, {_clock(figures)} MHz", "simulated, place and route",
                "the table above", ours)]
    about = {r.name: r for r in RIVALS}
    rows += [row(name, about[name].note, about[name].source, speeds)
             for name, speeds in rivals_by_task().items()]
    return _table(("inferences per second", *MLPERF_TASKS, "what to know", "source"), *rows)


def rivals(figures: Figures) -> str:
    """Return what others have published besides, from :mod:`sw.bench.rivals`."""
    rows = []
    for r in RIVALS:
        if r.task in MLPERF_TASKS and r.utilization is None:
            continue
        speed = "" if r.inferences_per_second is None else f"{r.inferences_per_second:,.1f}"
        used = "" if r.utilization is None else _percent(r.utilization)
        rows.append((r.name, r.task, speed.removesuffix(".0"), used.replace(".0 %", " %"),
                     r.cycles, r.note, r.source))
    head = ("", "task", "inferences/s", "utilisation", "cycles", "what to know", "source")
    return _table(head, *rows)


def explorer(figures: Figures) -> str:
    """Return the table of docs/explore.md."""
    return explore_tables.markdown(points(figures))


def detectors(figures: Figures) -> str:
    """Return the table of docs/explore.md of detectors."""
    rows = []
    for point in points(figures, DETECTORS):
        family = point.arch.removeprefix("fomo-").upper()
        rows.append((
            f"FOMO over {family}", f"{point.alpha:g}", str(point.size), f"{point.macs / 1e6:,.1f}",
            f"{point.cycles:,}", f"{point.inferences_per_second:,.1f}",
            _percent(point.utilization or 0),
        ))
    return _table(("network", "α", "ρ", "M MACs", "cycles", "frames/s", "utilisation"), *rows)


def detector(figures: Figures) -> str:
    """Return the table of docs/networks.md of the detector that ships."""
    f = lookup(figures, "detector")
    size = default_detector().stat().st_size
    return _table(
        ("", f"`{DETECTOR.name}.tflite`"),
        ("network", "FOMO over V2, α = 0.35, 96 × 96, grey"),
        ("multiply-adds", f"{DETECTOR.macs:,}"),
        ("file", f"{size / 1024:.0f} KB"),
        ("cycles on the iCEBreaker",
         f"{f['cycles']:,} ({f['inferences_per_second']:.1f} frames/s)"),
        (f"F1 of {f['garments']:,} garments in {f['scenes']} scenes, int8, golden model",
         f"**{_percent(f['f1_int8'])}**"),
        ("the same on the simulated core", f"{_percent(f['f1_simulated'])}"),
    )


def inputs(figures: Figures) -> str:
    """Return the table of docs/input.md."""
    rows = []
    for name in INPUT:
        for option, title, text in (("default", f"`{name}`", ""),
                                    ("compact_input", "", "`--compact-input`")):
            f = lookup(figures, f"networks/{name}/{option}")
            after = f["next_input_cycle"]
            rows.append((title, text, f["layouts"], f"{f['input_bytes']:,}", f"{f['cycles']:,}",
                         "" if after is None else f"{after:,}"))
    return _table(
        ("network", "", "layout", "bytes per inference", "cycles", "the next input from cycle"),
        *rows)


def shipped(figures: Figures) -> str:
    """Return the table of docs/networks.md."""
    columns = []
    for short, network in NETWORKS.items():
        cycles = lookup(figures, f"networks/{network.name}/default")
        test_set = lookup(figures, f"test_set/{network.name}")
        images = lookup(figures, f"accuracy/{network.name}")
        size = default_model(short).stat().st_size
        head = ", last convolution 256" if short == "v2" else ""
        columns.append((
            f"`{network.name}.tflite`",
            f"α = 0.25, first stride 1{head}",
            f"{network.macs:,}",
            f"{sum(math.prod(layer.weight_shape) for layer in network.layers):,}",
            f"{size / 1024:.0f} KB",
            f"{cycles['cycles']:,} ({cycles['inferences_per_second']:.1f} inferences/s)",
            f"**{_percent(test_set['accuracy'], 2)}**",
            f"{images['images']} images, {images['right']} right, every tensor equal to the golden "
            "model's",
        ))
    names = ("file in `sw/networks/data`", "as the paper's but for", "multiply-adds", "weights",
             "file", "cycles on the iCEBreaker", "accuracy in int8, 10,000 test images",
             "simulated core")
    return _table(("", "V1", "V2"), *zip(names, *columns, strict=True))


def cycles(figures: Figures) -> str:
    """Return the table of docs/architecture.md: one network's cycles."""
    f = lookup(figures, "networks/vww_96_int8/default")
    idle, lost = f["idle"], f["lost"]
    between = lost["fill"] + lost["requantise"] + lost["input"]
    rows = (
        ("multiplications ÷ 16", f["limit_cycles"], "the limit"),
        ("first convolution: 27 products in 14 steps of 2 rows", idle["first"],
         "4 % of that layer"),
        ("depthwise, stride 1: 9 taps in 10 slots", idle["depthwise_1"], ""),
        ("depthwise, stride 2: 9 taps in 16 slots", idle["depthwise_2"],
         "6 words to read per output and one access a cycle"),
        ("padding of the classifier's 2 outputs to 8, average pool", idle["others"], ""),
        ("between layers", between, ""),
        ("waiting for weights: at the start", lost["weights"], ""),
    )
    total = ("**total**", f"**{f['cycles']:,}**", _percent(f["utilization"]))
    return _table(("", "cycles", ""), *((a, f"{b:,.0f}", c) for a, b, c in rows), total)


def cells(figures: Figures) -> str:
    """Return the table of docs/architecture.md: the design's parts."""
    parts = lookup(figures, "build/parts")
    total = f"**{lookup(figures, 'build/cells_before_packing'):,}**"
    return _table(("part", "cells"), *((name, f"{n:,}") for name, n in parts.items()),
                  ("**all**", total))


def times(figures: Figures) -> str:
    """Return the table of docs/first-run.md: how long the first commands take."""
    rows = []
    for name, command in COMMANDS.items():
        found = lookup(figures, f"times/{name}")
        seconds = (f"{found[when]['processor_seconds']:,} s" for when in ("first", "again"))
        rows.append((f"`{command}`", *seconds))
    return _table(("command", "the first time", "afterwards"), *rows)


TABLES: dict[str, Callable[[Figures], str]] = {
    table.__name__: table
    for table in (summary, benchmark, mlperf, mlperf_rivals, rivals, explorer, detectors,
                  detector, inputs, shipped,
                  cycles, cells, supported, core_limits, file_rules, core_rules, times)
}
"""By the name that documents have in their markers."""
