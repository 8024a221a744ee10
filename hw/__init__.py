"""The hardware: a generator of accelerators, and the flow to a bitstream."""

import common.door  # noqa: F401  (before all that takes a while to import)
