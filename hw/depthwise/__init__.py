"""Depthwise engine: 3×3 windows, each column of the array with its own channel."""
