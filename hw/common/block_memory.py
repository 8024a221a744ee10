"""Block RAM whose words are never read and written in the same cycle."""

from amaranth.lib.memory import Memory


def block_memory(shape, depth: int) -> Memory:
    """Return a memory of ``depth`` words of ``shape`` that is kept in block RAM.

    What a port reads in the cycle in which the other one writes the same word is undefined: the
    caller never looks.  Without the attribute, synthesis adds a comparator and a register per bit
    to make it the old word.
    """
    return Memory(
        shape=shape, depth=depth, init=[], attrs={"ram_style": "block", "no_rw_check": 1}
    )
