"""Explorer: which width and resolution multipliers fit a board, how fast, how accurate."""
