"""Yosys' SAT solver on a bench: proofs by induction, counterexamples and witnesses from reset."""

import re
import time
from dataclasses import dataclass, field
from pathlib import Path

from hw.flow.tools import YOSYS, BuildError, run_tool
from hw.proofs.bench import CLAIM, COVER, Bench
from hw.proofs.trace import Trace, read_trace

__all__ = ["Answer", "Solver"]

WIRES = """\
(* techmap_celltype = "$dff" *)
module wire_dff(input CLK, input [WIDTH-1:0] D, output [WIDTH-1:0] Q);
parameter WIDTH = 1; parameter CLK_POLARITY = 1; assign Q = D;
endmodule
(* techmap_celltype = "$sdff" *)
module wire_sdff(input CLK, input SRST, input [WIDTH-1:0] D, output [WIDTH-1:0] Q);
parameter WIDTH = 1; parameter CLK_POLARITY = 1; parameter SRST_POLARITY = 1;
parameter SRST_VALUE = 0; assign Q = D;
endmodule
"""

PREPARE = (
    "read_rtlil {name}.il; hierarchy -top top; proc; flatten; chformal -lower; memory_map; opt; "
    # Twice: optimising makes new flip-flops with enables.
    "async2sync; dffunmap; setundef -undriven -anyseq; opt -full; dffunmap; clean; "
)
PREPARE_WIRES = (
    "read_rtlil {name}.il; hierarchy -top top; proc; flatten; chformal -lower; "
    "techmap -map wires.v; opt -full; wreduce; alumacc; maccmap -unmap; opt -full; clean; "
)
@dataclass(frozen=True)
class Answer:
    """What came of a question.

    Attributes
    ----------
    verdict : str
        ``proven``, ``disproved`` or ``undecided``.
    cycles : int
        Of the induction, or of the trace; 0 if undecided.
    seconds : float
    trace : Trace, optional
        Leads from reset to where a claim fails, or to what was to be reached; if undecided, from
        a state that may not be reachable to where induction fails.
    """

    verdict: str
    cycles: int
    seconds: float
    trace: Trace | None = field(default=None, repr=False)

    @property
    def failed(self) -> tuple[str, ...]:
        """Claims that fail at the end of the trace."""
        if self.trace is None:
            return ()
        return tuple(name.removeprefix(CLAIM) for name, values in self.trace.signals.items()
                     if name.startswith(CLAIM) and not values[-1])


class Solver:
    """Asks Yosys about one bench.

    Parameters
    ----------
    bench : Bench
    folder : Path
        For designs, logs and traces; made if it is not there.
    name : str
        Of the files.
    feed_forward : bool
        Registers are taken for wires.
    """

    def __init__(self, bench: Bench, folder: Path, name: str, *, feed_forward: bool = False):
        self.folder, self.name, self.feed_forward = folder, name, feed_forward
        self.guided = bench.guided is not None
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.il").write_text(bench.rtlil())
        (folder / "wires.v").write_text(WIRES)

    def prove(self, steps: int, *, bounded: bool = False) -> Answer:
        """Ask whether all claims hold: always, or in so many cycles after reset."""
        mode = "-tempinduct-baseonly " if bounded else ""
        return self._ask(f"-prove-asserts -tempinduct {mode}-maxsteps {steps}", self.name,
                         bound=steps if bounded else 0)

    def disprove(self, steps: int) -> Answer:
        """Look for a trace of so many cycles at most to where a claim fails."""
        return self._ask(f"-prove-asserts -seq {steps}", self.name, guided=True)

    def reach(self, cover: str, steps: int) -> Answer:
        """Look for a trace to a cover; there is one if the answer is ``disproved``."""
        return self._ask(f"-prove {COVER}{cover} 0 -seq {steps}", f"{self.name}-{cover}",
                         guided=True, goal=COVER + cover)

    def _ask(self, question: str, name: str, *, bound: int = 0, guided: bool = False,
             goal: str = "") -> Answer:
        began = time.monotonic()
        waves = self.folder / f"{name}.vcd"
        waves.unlink(missing_ok=True)
        prepare, fixed = PREPARE, "-set rst 0 "
        if self.feed_forward:
            # One problem, without time.
            prepare = PREPARE_WIRES
            question = re.sub(r"-tempinduct.*|-seq.*", "", question)
        if self.guided:
            fixed += f"-set guided {int(guided)} "
        script = (prepare.format(name=self.name) + f"sat {fixed}-set-assumes -show-ports "
                  f"-show-regs -dump_vcd {name}.vcd {question} top")
        printed = run_tool(YOSYS, ["-p", script], folder=self.folder, phase=_phase)
        (self.folder / f"{name}.log").write_text(printed)
        seconds = time.monotonic() - began
        if "SAT proof finished - no model found: SUCCESS" in printed:
            return Answer("proven", 1, seconds)
        if "Induction step proven: SUCCESS!" in printed:
            return Answer("proven", _steps(printed), seconds)
        trace = read_trace(waves.read_text()) if waves.exists() else None
        if "SAT proof finished - model found: FAIL!" in printed:
            return _found(trace, goal, seconds)
        if "model found for base case: FAIL!" in printed:
            return _found(trace, goal, seconds)
        if "Reached maximum number of time steps" not in printed:
            raise BuildError(f"yosys gave no answer: {self.folder / name}.log has what it printed")
        if bound:
            return Answer("proven", bound, seconds)
        # The trace begins anywhere, not at reset.
        return Answer("undecided", 0, seconds, trace)


def _found(trace: Trace | None, goal: str, seconds: float) -> Answer:
    """Return the trace up to where the goal is reached, or the first claim fails."""
    assert trace is not None
    ends = [cycle for cycle in range(trace.cycles) if (
        trace.signals[goal][cycle] if goal else any(
            not values[cycle] for name, values in trace.signals.items()
            if name.startswith(CLAIM)))]
    trace = trace.until(ends[0] + 1)
    return Answer("disproved", trace.cycles, seconds, trace)


def _phase(line: str) -> str | None:
    match = re.search(r"\[(base case|induction step) (\d+)\]|Trying (induction) with length (\d+)",
                      line)
    if match is None:
        return None
    return f"{match[1] or match[3]}, {match[2] or match[4]} cycles"


def _steps(printed: str) -> int:
    """Return the length of the last induction."""
    found = re.findall(r"\[induction step (\d+)\]|induction with length (\d+)", printed)
    return int(found[-1][0] or found[-1][1]) if found else 0

