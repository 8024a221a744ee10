"""Interfaces between the parts of the core, and of the core with what is around it.

Signatures are what several signals are that always go together in both directions; layouts are
what travels one way.

====================== ===========================================================================
:class:`HostBus`       the host's accesses and their answers
:class:`ProgramSource` where the stream of records comes from
:class:`RawFlash`      the host's own exchanges with the flash
:class:`FlashPins`     the IO cells of the flash
:class:`MemoryRequest` an access to activation memory
:class:`HostMemory`    the host's accesses, as far as they are of activation memory
``LayerLayout``        the descriptor in force
:class:`StepRequest`   a step as the sequencer decides on it
:class:`Step`          a step as the array makes it
:class:`Operands`      what a lane sees of the window
:class:`Load`          weights on their way to the array
====================== ===========================================================================
"""

from amaranth.hdl import signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.contract.config import CoreConfig
from hw.contract.descriptors import LAYOUT
from hw.contract.words import ADDRESS_BITS, HALFWORD_BITS

__all__ = [
    "FLASH_ADDRESS_BITS",
    "WINDOW_BITS",
    "Edges",
    "FlashPins",
    "HostBus",
    "HostMemory",
    "HostRequest",
    "LayerLayout",
    "Load",
    "MemoryRequest",
    "Operands",
    "ProgramSource",
    "RawFlash",
    "Step",
    "StepRequest",
]

FLASH_ADDRESS_BITS = 24
"""Bits of a byte address of the program's memory."""

WINDOW_BITS = 4
"""Bits of an address of the window memory: two of the kernel row, two of the column."""


# -- of the core with what is around it ----------------------------------------------------------


class HostRequest(data.Struct):
    """One access of the host.

    Members
    -------
    write : 1
    register : 1
        A register (``hw.contract.registers.Register``), else a halfword of activation memory.
    address : 16
        Register number, or word address × lanes + lane.
    data : 16
        Halfword to write.
    """

    write: 1
    register: 1
    address: HALFWORD_BITS
    data: HALFWORD_BITS


class HostBus(wiring.Signature):
    """Bus from a host (a link, a processor) to the core's registers and activation memory.

    Directions are the host's: it has ``Out(HostBus())``, the core ``In(HostBus())``.

    Members
    -------
    request : Out(stream of HostRequest)
        Accesses, served one at a time and in order.  Of a write's payload ``data`` alone may change
        before ``ready``: it is the item for ``hw.contract.latency.HOST_ITEM`` cycles from the first
        one with ``valid`` on, and anything from then on (a link shifts the next bits in).  The core
        takes it within them.
    response : In(stream of 16)
        One halfword per read access, in order.  A read whose response has not been taken holds up
        the accesses after it.
    """

    def __init__(self):
        super().__init__({
            "request": Out(stream.Signature(HostRequest)),
            "response": In(stream.Signature(HALFWORD_BITS)),
        })


class ProgramSource(wiring.Signature):
    """Source of the program: memory from which a stream of halfwords is read from any address on.

    Directions are the source's: a flash reader has ``Out(ProgramSource(...))``, the core
    ``In(ProgramSource(...))``.  :class:`hw.program.flash_reader.FlashReader` is one, exact to the
    cycle.

    Members
    -------
    start, address : In(1), In(24)
        Pulse: begin a stream at this byte address.
    stop : In(1)
        Pulse, in the cycle before ``start``: close a stream that is still open.  ``words.valid``
        and ``word_ready`` are low from the next cycle on.
    ready : Out(1)
        The memory can be read.
    verified, corrupt : Out(1)
        The program was read to its end, all of it correctly; a part was not.  Until ``stop``.
    words : Out(stream of 16)
        Halfwords, lane 0's of a word first.
    word_ready : Out(1)
        The next whole word can be taken in consecutive cycles, from the next cycle on.  While a
        word is being taken, that is until its third cycle, it still says so of that word.
    """

    def __init__(self):
        super().__init__({
            "start": In(1),
            "address": In(FLASH_ADDRESS_BITS),
            "stop": In(1),
            "ready": Out(1),
            "verified": Out(1),
            "corrupt": Out(1),
            "words": Out(stream.Signature(HALFWORD_BITS)),
            "word_ready": Out(1),
        })


class RawFlash(wiring.Signature):
    """Exchanges of single bytes with the flash, in SPI mode 0, past the core.

    Directions are the host's: a link has ``Out(RawFlash())``, the flash reader ``In(RawFlash())``.

    Members
    -------
    select : Out(1)
        Hold /CS low, while the flash is ready and no stream is open.
    start, tx : Out(1), Out(8)
        Pulse: exchange a byte; ``tx`` must be held while ``busy``.
    busy, rx : In(1), In(8)
        The exchange is under way (16 cycles); the byte received by the last exchange, valid until
        the next one or a stream's start.
    """

    def __init__(self):
        super().__init__({
            "select": Out(1), "start": Out(1), "tx": Out(8), "busy": In(1), "rx": In(8),
        })


class FlashPins(wiring.Signature):
    """Fabric side of the flash's IO cells; every pin is registered in its IO cell.

    Members
    -------
    cs_n : Out(1)
        /CS, straight.
    sck : Out(2)
        SCK in the first (bit 0) and the second half (bit 1) of the next core cycle: a
        double-data-rate output.  It changes in the middle of cycles wherever the flash takes
        ``o``, so that ``o`` is stable around the edge.
    o, oe : Out(4)
        Value and output enable of IO3..IO0.
    i : In(8)
        IO3..IO0 as the input registers captured them: at the last rising edge of the core clock
        (bits 3:0) and half a cycle before that (bits 7:4).
    """

    def __init__(self):
        super().__init__({"cs_n": Out(1), "sck": Out(2), "o": Out(4), "oe": Out(4), "i": In(8)})


# -- between the core's parts --------------------------------------------------------------------


class MemoryRequest(wiring.Signature):
    """Wish for an access to a word of the activation memory, of a part that always does the same.

    Members
    -------
    request, address : Out(1), Out(ADDRESS_BITS)
        Held until ``grant``.
    grant : In(1)
        The access is made in this cycle.
    """

    def __init__(self):
        super().__init__({"request": Out(1), "address": Out(ADDRESS_BITS), "grant": In(1)})


class HostMemory(wiring.Signature):
    """Accesses of the host's port to the activation memory, a halfword at a time.

    Members
    -------
    request : Out(1)
        Access ``word``, until ``grant``.
    write : Out(1)
        Write ``halfword`` to lane ``lane``; else read the word.
    word, lane, halfword : Out(ADDRESS_BITS), Out, Out(16)
    grant : In(1)
        The access is made in this cycle.
    settled : In(1)
        A granted write has reached its lane; until then ``halfword`` must be held.
    """

    def __init__(self, config: CoreConfig):
        super().__init__({
            "request": Out(1),
            "write": Out(1),
            "word": Out(ADDRESS_BITS),
            "lane": Out(config.lanes.bit_length() - 1),
            "halfword": Out(HALFWORD_BITS),
            "grant": In(1),
            "settled": In(1),
        })


LayerLayout = data.StructLayout({
    name: (signed if field.signed and field.width < ADDRESS_BITS else unsigned)(field.width)
    for name, field in LAYOUT.items()
    if name not in ("input_base", "output_base", "ring_first", "ring_moves")
})
"""The fields of a descriptor that hold for a whole layer, as stored (counts less one)."""


class Edges(data.Struct):
    """Edges of its layer that a window is at."""

    first_column: 1
    last_column: 1
    first_row: 1
    last_row: 1


class StepRequest(data.StructLayout):
    """A step, as the sequencer counts it.

    Members
    -------
    running : a step is made
    phase : step within the window (saturating)
    prologue : no step, only a word for the window memory
    read, read_row : a word arrives with this step; its kernel row
    slot : column of the window memory for the newest column
    edges : Edges
    word_phase : lane whose halfword is due (SYSTOLIC)
    weight_address
    """

    def __init__(self, config: CoreConfig):
        super().__init__({
            "running": 1,
            "phase": 5,
            "prologue": 1,
            "read": 1,
            "read_row": 2,
            "slot": 2,
            "edges": Edges,
            "word_phase": config.lanes.bit_length() - 1,
            "weight_address": (config.weight_depth - 1).bit_length(),
        })


class Step(data.StructLayout):
    """Step of the array: what lane 0 does in one cycle.

    Members
    -------
    weight_address : weights of this step
    first : first step of an output
    serial : the serial path takes lane ``word_phase``'s halfword of the activation memory, for all
        columns; otherwise the zero point, for the padding
    word_phase
    """

    def __init__(self, config: CoreConfig):
        super().__init__({
            "weight_address": (config.weight_depth - 1).bit_length(),
            "first": 1,
            "serial": 1,
            "word_phase": (config.lanes - 1).bit_length(),
        })


class Operands(data.StructLayout):
    """Operands of a lane, from the window: what its rows see.

    Members
    -------
    words : rows × 16
        A halfword per row: one channel for each of the lane's columns.
    bypass : rows
        The row sees the serial path instead.
    """

    def __init__(self, config: CoreConfig):
        super().__init__({
            "words": data.ArrayLayout(HALFWORD_BITS, config.rows),
            "bypass": config.rows,
        })


class Load(data.StructLayout):
    """Weights to take from the activation memory's read data: one-hot row, and address."""

    def __init__(self, config: CoreConfig):
        super().__init__({
            "row": config.rows,
            "address": (config.weight_depth - 1).bit_length(),
        })
