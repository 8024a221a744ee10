"""iCEBreaker whose flash is a W25Q128JV of ordering code IQ: without double transfer rate."""

from dataclasses import replace

from boards.icebreaker import BOARD as ICEBREAKER

BOARD = replace(
    ICEBREAKER,
    name="icebreaker_iq",
    title="1BitSquared iCEBreaker with a W25Q128JVIQ",
    flash=replace(ICEBREAKER.flash, dtr=False),
    config=replace(ICEBREAKER.config, flash_dtr=False),
    seed=1,
)
