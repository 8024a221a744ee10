"""Which MobileNets fit a board, and how fast they are there: see ``python -m sw.explore``."""
