"""Latencies of the core's parts, in cycles: what the exact timing model counts by.

The parts of the core are written to them, and their tests hold them.  Those of the flash are in
:mod:`hw.contract.flash`, by the command it is read with.
"""

from hw.contract.descriptors import DESCRIPTOR_HALFWORDS, LAYOUT

STEP = 2
"""From the sequencer's decision to the array's step: request and decoder."""

ACCUMULATE = 4
"""From a step of a lane to the cycle in which its accumulators take it."""

ARRAY = ACCUMULATE + 1
"""From a step to the accumulators of lane 0 that include it."""

REQUANTISE = 9
"""From an accumulator to its requantised value."""

DRAIN = ARRAY + 2 + REQUANTISE
"""From the last step of an output to its result's being in place, in lane 0."""

PARAMETERS = 2
"""From an output's mark at the parameter memory to the data of a field of stage 0."""

DESCRIPTOR = DESCRIPTOR_HALFWORDS + 2
"""From a descriptor's being fetched to its being in force."""

DESCRIPTOR_RING = LAYOUT["ring_first"].halfword + 2
"""From a descriptor's being fetched to the ring's new first word."""

SPARE_SLOTS = 2
"""Parameter slots kept free: a finished block's parameters are still wanted for a while."""

HOST_ITEM = 4
"""For which a host leaves the data of an access as it is, from its being asked for on; what a host
port needs at most, with a write before it that is on its way to the last of four lanes."""

FLASH_BUFFER = 256
"""Halfwords that the flash reader's buffer holds."""
