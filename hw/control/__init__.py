"""Control: the sequencer of layers, blocks, windows and steps, and the registers of the host."""
