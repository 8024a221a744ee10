"""Traces: read from the dumps that Yosys writes."""

from __future__ import annotations

from hw.proofs.trace import read_trace

DUMP = """\
$var wire 4 v0 \\count $end
$var wire 1 v1 \\go $end
$var wire 1 v2 \\only_at_first $end
$upscope $end
$enddefinitions $end
$dumpvars
#0
b0011 v0
1v2
$end
b0011 v0
0v1
#2
b01x0 v0
1v1
#3
"""


def test_signals_by_cycle() -> None:
    trace = read_trace(DUMP)
    assert trace.cycles == 2
    assert trace.signals == {"count": [3, 4], "go": [0, 1]}
    assert trace.until(1).signals == {"count": [3], "go": [0]}


def test_names_of_the_tools_are_left_out() -> None:
    text = DUMP.replace("\\count", "\\_signal_3").replace("\\go", "\\memory[2]")
    assert not read_trace(text).named
