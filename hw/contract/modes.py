"""Modes: how a descriptor's activations reach the array."""

from enum import IntEnum

__all__ = ["DEPTHWISE_MODES", "Mode", "minimum_steps"]


class Mode(IntEnum):
    """Mode of a layer: how its activations reach the array.

    SYSTOLIC
        Convolution: the words of a kernel row come one after another, ``rows`` channels a step,
        and every column sees the same channels.
    DEPTHWISE
        3×3 window, stride 1: five steps an output.  Column ``c`` sees channel ``c`` only.
    DEPTHWISE_STRIDE2
        3×3 window, stride 2: eight steps an output.
    POOL
        One word a step straight from memory; one output per block.
    ADD
        Two tensors read in turn; one output word per pair.
    """

    SYSTOLIC = 0
    DEPTHWISE = 1
    DEPTHWISE_STRIDE2 = 2
    POOL = 3
    ADD = 4

    @property
    def is_depthwise(self) -> bool:
        """Whether a window of 3×3 taps is read, and each column sees its own channel."""
        return self in DEPTHWISE_MODES


DEPTHWISE_MODES = (Mode.DEPTHWISE, Mode.DEPTHWISE_STRIDE2)
"""Modes of the 3×3 window."""


def minimum_steps(mode: Mode) -> int:
    """Return the fewest steps per output that a mode can take."""
    return {Mode.DEPTHWISE: 5, Mode.DEPTHWISE_STRIDE2: 8}.get(mode, 4)
