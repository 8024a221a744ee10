"""Rivals: what others have published, with the sources in words.

Nothing in this table was measured by this project, but for the row that says so.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["RIVALS", "VISUAL_WAKE_WORDS", "Rival", "rivals_of"]

VISUAL_WAKE_WORDS = "visual wake words"
KEYWORDS = "keyword spotting"
MOBILENET_V2 = "MobileNet V2 0.35, 160×160"


@dataclass(frozen=True, kw_only=True)
class Rival:
    """One published figure.

    Attributes
    ----------
    name : str
    task : str
        What was run; figures of different tasks do not compare.
    inferences_per_second : float or None
    utilization : float or None
        Part of the multipliers' work that was used, 0 to 1.
    cycles : str
        As published, or empty.
    note : str
        What one has to know to compare.
    source : str
        In words.
    kind : str
        ``"microcontroller"``, ``"ASIC"``, ``"FPGA"``, or ``"NPU"``.
    """

    name: str
    task: str
    kind: str
    source: str
    inferences_per_second: float | None = None
    utilization: float | None = None
    cycles: str = ""
    note: str = ""

    def json(self) -> dict[str, Any]:
        """Return the row as plain data."""
        return asdict(self)


MLPERF = "MLPerf Tiny's published results"
FPGACONVNET = "fpgaConvNet's submission to MLPerf Tiny; utilisation from its figures"

RIVALS = (
    Rival(name="Cortex-M4, 120 MHz", task=VISUAL_WAKE_WORDS, kind="microcontroller",
          inferences_per_second=1.7, note="reference software",
          source=f"{MLPERF}: the reference implementation"),
    Rival(name="Cortex-M7, 280 MHz", task=VISUAL_WAKE_WORDS, kind="microcontroller",
          inferences_per_second=42.0, note="vendor's best software", source=MLPERF),
    Rival(name="Cortex-M85, 480 MHz", task=VISUAL_WAKE_WORDS, kind="microcontroller",
          inferences_per_second=74.7, note="vector extension", source=MLPERF),
    Rival(name="Syntiant NDP120, 31 MHz", task=VISUAL_WAKE_WORDS, kind="ASIC",
          inferences_per_second=78.6, note="neural ASIC", source=MLPERF),
    Rival(name="fpgaConvNet, ZedBoard", task=VISUAL_WAKE_WORDS, kind="FPGA",
          inferences_per_second=105.0, utilization=0.038, note="189 DSPs, closed source",
          source=FPGACONVNET),
    Rival(name="fpgaConvNet, ZC706", task=VISUAL_WAKE_WORDS, kind="FPGA",
          inferences_per_second=1388.0, utilization=0.092, note="564 DSPs, closed source",
          source=FPGACONVNET),
    Rival(name="Ethos-U55, 32 MACs", task=VISUAL_WAKE_WORDS, kind="NPU", utilization=0.335,
          note="an estimate; depthwise layers at most 9.4 %",
          source="the performance estimate of its compiler, Vela"),
    Rival(name="NNgen 1.3.4, 18 multipliers", task=VISUAL_WAKE_WORDS, kind="FPGA",
          utilization=0.12, cycles="3.43 M",
          note="same layer shapes; depthwise as dense convolution",
          source="run by this project with the package on PyPI"),
    Rival(name="CFU-Playground, iCE40UP5K", task=KEYWORDS, kind="FPGA", cycles="25.2 M",
          utilization=2.7 / (25.2 * 16),
          note="2.7 M MACs, 0.1 a cycle; utilisation of the chip's 16 multipliers",
          source="the paper on CFU-Playground, the study on this chip"),
    Rival(name="CFU-Playground, Arty A7, 100 MHz", task=MOBILENET_V2, kind="FPGA",
          cycles="197–400 M", note="0.25 to 0.5 inferences per second",
          source="CFU-Playground's repository and paper, from its figures of cycles"),
)

TASKS = {
    "vww_96_int8": VISUAL_WAKE_WORDS,
    "mobilenetv2_160_035": MOBILENET_V2,
}
"""By name of the network's file."""


def rivals_of(network: str) -> list[Rival]:
    """Return those who ran the same task as a network."""
    return [rival for rival in RIVALS if rival.task == TASKS.get(network)]
