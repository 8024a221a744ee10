"""pico-ice: iCE40UP5K, W25Q32JVIQ, clock and serial line from an RP2040."""

from hw.contract.board import Board, Flash
from hw.contract.config import CoreConfig

BOARD = Board(
    name="pico_ice",
    title="tinyVision.ai pico-ice",
    platform_path="hw.technology.ice40.pico_ice:PicoIcePlatform",
    # What the RP2040 gives; its firmware has to be asked for it.
    oscillator_mhz=12.0,
    # Assumed: the RP2040 can (7.8 Mbaud), nothing says what its firmware does.
    baud=3_000_000,
    flash=Flash(size=4 << 20, program_base=1 << 20, dtr=False),
    config=CoreConfig(fraction_bits=17, flash_dtr=False, core_mhz=39.0),
    seed=2,
    programmers=(
        ("dfu-util", "-d", "1209:b1c0", "-a", "0", "-D", "{bitstream}", "-R"),
    ),
)
