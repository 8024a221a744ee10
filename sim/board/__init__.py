"""The simulated board: core, flash and serial line in one compiled library."""
