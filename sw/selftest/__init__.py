"""Self-test of a board: what its bitstream measures, told stage by stage."""
