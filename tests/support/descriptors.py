"""What descriptors mean to the hardware: fields as they are stored, words as they are read."""

from hw.contract.descriptors import LAYOUT
from hw.contract.words import ADDRESS_BITS

SIZE = 1 << ADDRESS_BITS


def stored(descriptor, name):
    """Return a field as it is stored: counts less one, addresses modulo their range."""
    at = LAYOUT[name]
    value = int(getattr(descriptor, name)) - at.bias
    return value if at.signed and at.width < 14 else value % (1 << at.width)


def words_of(blocks, *, base, inner, middle, width, height, step_inner, step_middle, step_column,
             step_row, windows=0, double=0, next_block=0):
    """Yield (address, filled, inner_last, inner_index) of every word; counts are real counts.

    In window modes the level below rows has one turn per column that the windows take, and those
    beyond ``middle`` are empty.
    """
    turns = [(False, t) for t in range(middle)] * width
    if windows:
        columns = width * (2 if double else 1)
        turns = [(t >= middle, t) for t in range(columns)]
    for block in range(blocks):
        address = base + block * next_block
        for _ in range(height):
            for number, (empty, turn) in enumerate(turns):
                for k in range(inner):
                    last = k == inner - 1
                    yield address % SIZE, not empty, last, k % 4
                    if not last:
                        address += 0 if empty else step_inner
                    elif number == len(turns) - 1:
                        address += step_row
                    elif windows:
                        address += step_middle if turn < middle - 1 else 0
                    else:
                        address += step_middle if turn < middle - 1 else step_column
