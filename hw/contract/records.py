"""Records: the stream of words that is a network's program.

The program of a network is one stream of words in the board's flash.  It is a sequence of
records, each a header word followed by its contents:

==========  ==================================================================================
END         stop; the last record of a program
DESCRIPTOR  ``DESCRIPTOR_HALFWORDS`` halfwords: one run of the array
            (:class:`hw.contract.descriptors.Descriptor`)
BLOCK       one block of the current layer: ``rows * PARAMETER_FIELDS`` words of requantisation
            parameters, then ``count`` words of weights
==========  ==================================================================================

A layer whose sums have more products than the weight memory has room for is ``partial``: the
windows of its only row are parts of one sum, read one after another like other windows, and each
part has a BLOCK of its own.  The accumulators start anew with the first part and give an output
after the last one, with that part's parameters; the parameters of the others are not used.  While
a part waits for its weights the array multiplies by ``input_zero_point``, which has to be 0.

A word is ``lanes`` halfwords, lane 0 first, little-endian.  Headers use lane 0's halfword only.

In the flash the stream is cut into sections, each followed by a checksum
(:mod:`hw.contract.sections`).
"""

from enum import IntEnum

__all__ = ["COUNT_BITS", "PARAMETER_FIELDS", "Record", "header"]

PARAMETER_FIELDS = 4
"""Halfwords of requantisation parameters per output channel."""


class Record(IntEnum):
    """Kinds of records, bits 15:13 of a header halfword; bits 12:0 count words of weights."""

    END = 0
    DESCRIPTOR = 1
    BLOCK = 2


COUNT_BITS = 13


def header(kind: Record, count: int = 0) -> int:
    """Return the header halfword of a record with ``count`` words of weights (0 to 8191)."""
    if not 0 <= count < 1 << COUNT_BITS:
        raise ValueError(f"count must be 0 to {(1 << COUNT_BITS) - 1}, not {count!r}")
    return int(kind) << COUNT_BITS | count
