"""From a design to a bitstream, and what to believe of its timing."""
