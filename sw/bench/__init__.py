"""Networks on a board: cycles, inferences per second, and where the lost cycles went."""
