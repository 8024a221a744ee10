"""Rivals: what others have published, with the sources in words.

Nothing in this table was measured by this project, but for the row that says so.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from sw.networks.published import NETWORKS

__all__ = ["MLPERF_TASKS", "RIVALS", "VISUAL_WAKE_WORDS", "Rival", "rivals_of"]

VISUAL_WAKE_WORDS = "visual wake words"
KEYWORDS = "keyword spotting"
ANOMALIES = "anomaly detection"
IMAGES = "image classification"
PERSON = "person detection, 96×96 grey"
MOBILENET_V2 = "MobileNet V2 0.35, 160×160"

MLPERF_TASKS = {
    VISUAL_WAKE_WORDS: "vww_96_int8",
    KEYWORDS: "kws_ref_model",
    IMAGES: "resnet8",
    ANOMALIES: "ad01_int8",
}
"""The tasks of MLPerf Tiny, with the names of their reference networks."""


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


def _mlperf(
    name: str, kind: str, note: str, source: str, *speeds: float | None,
    utilization: float | None = None,
) -> list[Rival]:
    """Return one system's results in the order of :data:`MLPERF_TASKS`, ``None`` where it has none.

    The utilisation is that of visual wake words.
    """
    return [
        Rival(name=name, task=task, kind=kind, note=note, source=source,
              inferences_per_second=speed,
              utilization=utilization if task == VISUAL_WAKE_WORDS else None)
        for task, speed in zip(MLPERF_TASKS, speeds, strict=True) if speed is not None
    ]


RIVALS = (
    *_mlperf("Cortex-M4, 120 MHz", "microcontroller", "reference software",
             f"{MLPERF} 0.5: the reference implementation", 1.665, 5.497, 1.420, 99.487),
    *_mlperf("Cortex-M4, 120 MHz, tuned", "microcontroller", "vendor's best software",
             f"{MLPERF} 1.2: STMicroelectronics, NUCLEO-L4R5ZI", 11.245, 23.155, 6.056, 190.086),
    *_mlperf("Cortex-M7, 280 MHz", "microcontroller", "vendor's best software",
             f"{MLPERF} 1.2: STMicroelectronics, NUCLEO-H7A3ZI-Q", 42.009, 88.356, 24.483, 816.004),
    *_mlperf("Cortex-M85, 480 MHz", "microcontroller", "vector extension",
             f"{MLPERF} 1.2: Renesas, EK-RA8D1", 74.665, 288.611, 117.948, 1884.138),
    *_mlperf("Syntiant NDP120, 31 MHz", "ASIC", "neural ASIC",
             f"{MLPERF} 1.0 to 1.3: Syntiant, 0.9 V", 78.600, 228.982, 62.598, None),
    *_mlperf("Syntiant NDP120, 98 MHz", "ASIC", "neural ASIC",
             f"{MLPERF} 1.0 to 1.3: Syntiant, 1.1 V", 243.883, 675.024, 195.238, None),
    *_mlperf("GAP9, 240 MHz", "ASIC", "RISC-V cores and the NE16 engine",
             f"{MLPERF} 1.0: GreenWaves, 0.65 V", 577.028, 1365.785, 1053.364, 3689.707),
    *_mlperf("GAP9, 370 MHz", "ASIC", "RISC-V cores and the NE16 engine",
             f"{MLPERF} 1.0: GreenWaves, 0.8 V", 889.048, 2103.206, 1622.799, 5691.597),
    *_mlperf("fpgaConvNet, Cora Z7", "FPGA", "a design for each network, closed source",
             f"{MLPERF} 1.1: fpgaConvNet", None, 237.461, None, None),
    *_mlperf("fpgaConvNet, Zybo", "FPGA", "a design for each network, closed source",
             f"{MLPERF} 1.1: fpgaConvNet", None, 464.890, 317.502, None),
    *_mlperf("fpgaConvNet, ZedBoard", "FPGA", "up to 211 DSPs, closed source",
             FPGACONVNET, 105.412, 3087.887, 2431.435, None, utilization=0.038),
    *_mlperf("fpgaConvNet, ZC706", "FPGA", "up to 564 DSPs, closed source",
             FPGACONVNET, 1388.295, None, 6789.576, None, utilization=0.092),
    *_mlperf("hls4ml, PYNQ-Z2", "FPGA", "open division: a network of its own",
             f"{MLPERF} 1.0: hls4ml, RN08", None, None, 130.834, None),
    *_mlperf("ANPU, ZCU106, 200 MHz", "FPGA", "closed source, size unknown",
             f"{MLPERF} 1.1: Kai Jiang", 2683.689, None, None, None),
    *_mlperf("ANPU, VCU128, 320 MHz", "FPGA", "closed source, size unknown",
             f"{MLPERF} 1.3: Kai Jiang", 4624.902, None, None, None),
    Rival(name="ESP32-S3, 240 MHz, esp-nn", task=PERSON, kind="microcontroller",
          inferences_per_second=1000 / 54, note="54 ms; vector extension",
          source="esp-tflite-micro's table of its example"),
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
    **{name: task for task, network in MLPERF_TASKS.items()
       for name in (network, *NETWORKS[network].also)},
    "person_detect": PERSON,
    "mobilenetv2_160_035": MOBILENET_V2,
}
"""By name of the network's file."""


def rivals_of(network: str) -> list[Rival]:
    """Return those who ran the same task as a network."""
    return [rival for rival in RIVALS if rival.task == TASKS.get(network)]
