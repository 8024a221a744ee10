"""Settings of the iCE40's PLL."""

from dataclasses import dataclass

__all__ = ["PLLSettings", "pll_settings"]


@dataclass(frozen=True, kw_only=True)
class PLLSettings:
    """Parameters of SB_PLL40 with FEEDBACK_PATH "SIMPLE".

    The output is ``reference / (divr + 1) * (divf + 1) / 2**divq``.
    """

    divr: int
    divf: int
    divq: int
    filter_range: int
    output_mhz: float


FILTER_LIMITS = (17, 26, 44, 66, 101)
"""Phase detector frequencies, MHz, up to which FILTER_RANGE is 1, 2, ..."""


def pll_settings(*, reference_mhz: float, output_mhz: float) -> PLLSettings:
    """Return the settings that come closest.

    The phase detector runs at 10 to 133 MHz, the oscillator at 533 to 1066 MHz (iCE40 UltraPlus
    data sheet, sysCLOCK PLL timing).

    Raises
    ------
    ValueError
        If nothing comes within 1 %.
    """
    best: PLLSettings | None = None
    for divr in range(16):
        detector = reference_mhz / (divr + 1)
        if not 10 <= detector <= 133:
            continue
        for divf in range(128):
            oscillator = detector * (divf + 1)
            if not 533 <= oscillator <= 1066:
                continue
            for divq in range(1, 7):
                output = oscillator / 2**divq
                if best is None or abs(output - output_mhz) < abs(best.output_mhz - output_mhz):
                    best = PLLSettings(
                        divr=divr, divf=divf, divq=divq, output_mhz=output,
                        filter_range=1 + sum(detector >= limit for limit in FILTER_LIMITS))
    if best is None or abs(best.output_mhz / output_mhz - 1) > 0.01:
        raise ValueError(
            f"output_mhz must be reachable from {reference_mhz} MHz, not {output_mhz!r}")
    return best
