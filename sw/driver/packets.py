"""Packets of what is asked of the device, and replies in a stream of bytes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from hw.contract.link import (
    BUSY,
    CRC_BYTES,
    FRESH,
    HEADER_BYTES,
    REPLY_BYTES,
    REPLY_MARK,
    REPLY_MARK_MASK,
    Space,
    Status,
    control_address,
    crc32,
    find_seed,
    header,
    payload,
)
from hw.contract.registers import Register

__all__ = [
    "Operation",
    "Packet",
    "Reply",
    "find_reply",
    "foreign_seed",
    "halfwords",
    "read",
    "register",
    "start",
    "upload",
    "write",
]

Halfwords = npt.NDArray[np.uint16]

SLACK_BYTES = 4
"""Fillers after a request beyond the length of its reply."""

FETCH_BYTES = 4
"""Fillers for each item read: the core may be busy with something else for so long."""

FLASH_ITEMS_PER_FILLER = 2
"""Bytes read from the flash for each filler: one takes 1.2 times as long as on the line at the
highest rate at which it is read."""


@dataclass(eq=False, kw_only=True)
class Operation:
    """A request of any length.

    Attributes
    ----------
    space : Space
    address : int
        Of the first item.
    items : bytes
        To be written.
    count : int
        Items to be written or read.
    write : bool
    pause : float
        Seconds that pass at least between the packet before and the first one of this operation.
    fragile : bool
        It cannot be done again: the flash has acted on it.
    acknowledged, sent : int
        Items.
    data : bytearray
        Items read.
    failed : bool
        It is fragile and was damaged.
    retries : int
        How often something of it was sent again.
    began, ended : float
        When its first packet was sent, and when it was done.
    order : int
        Grows from one operation that is done to the next: the device's order, too.
    """

    space: Space
    address: int
    items: bytes = b""
    count: int
    write: bool
    pause: float = 0.0
    fragile: bool = False
    acknowledged: int = 0
    sent: int = 0
    data: bytearray = field(default_factory=bytearray)
    failed: bool = False
    retries: int = 0
    began: float | None = None
    ended: float = 0.0
    order: int = 0

    @property
    def item_bytes(self) -> int:
        """Size of an item."""
        return 2 if self.space in (Space.MEMORY, Space.REGISTER) else 1

    @property
    def done(self) -> bool:
        """Whether everything was acknowledged."""
        return self.acknowledged == self.count

    def place(self, item: int) -> int:
        """Return the address of an item."""
        if self.space == Space.FLASH:
            # Bit 0 keeps /CS low, until the last packet.
            return self.address
        if self.space == Space.CONTROL or not item:
            return self.address
        return self.address + item


def write(
    address: int,
    items: bytes,
    count: int,
    *,
    space: Space = Space.MEMORY,
    fragile: bool = False,
) -> Operation:
    """Return a write of so many items."""
    return Operation(
        space=space, address=address, items=items, count=count, write=True, fragile=fragile
    )


def upload(address: int, data: Halfwords) -> Operation:
    """Return a write of halfwords of activation memory."""
    return write(address, np.ascontiguousarray(data, "<u2").tobytes(), len(data))


def register(place: Register, value: int) -> Operation:
    """Return a write of a register."""
    return write(place, value.to_bytes(2, "little"), 1, space=Space.REGISTER)


def start() -> Operation:
    """Return a start of the program."""
    return write(control_address(), b"\0", 1, space=Space.CONTROL)


def read(space: Space, address: int, count: int) -> Operation:
    """Return a read of so many items."""
    return Operation(space=space, address=address, count=count, write=False)


def halfwords(operation: Operation) -> Halfwords:
    """Return what was read, uint16."""
    return np.frombuffer(bytes(operation.data), "<u2").astype(np.uint16)


@dataclass(eq=False, kw_only=True)
class Packet:
    """A packet under way.

    Attributes
    ----------
    operation : Operation
    first, count : int
        Its items.
    sequence : int
    due : float
        When its reply would be over if nothing but the line took time.
    line : float
        Seconds that it and its reply take on the line.
    """

    operation: Operation
    first: int
    count: int
    sequence: int
    due: float = 0.0
    line: float = 0.0

    @property
    def reply_bytes(self) -> int:
        """Size of its reply, if all goes well."""
        return REPLY_BYTES + (0 if self.operation.write else self._item_bytes)

    @property
    def _item_bytes(self) -> int:
        return self.count * self.operation.item_bytes

    @property
    def gap(self) -> int:
        """Fillers that have to follow it: the device answers, and does not listen."""
        return self.reply_bytes + self._fetch_bytes + SLACK_BYTES

    @property
    def _fetch_bytes(self) -> int:
        if self.operation.write:
            return 0
        if self.operation.space == Space.FLASH:
            return self.count // FLASH_ITEMS_PER_FILLER
        return self.count * FETCH_BYTES

    def encode(self) -> bytes:
        """Return its bytes."""
        operation = self.operation
        address = operation.place(self.first)
        if operation.space == Space.FLASH and self.first + self.count < operation.count:
            address |= 1
        head = header(
            sequence=self.sequence,
            write=operation.write,
            space=operation.space,
            address=address & 0xFFFF,
            count=self.count,
        )
        if not operation.write:
            return head
        size = operation.item_bytes
        return head + payload(operation.items[self.first * size : (self.first + self.count) * size])


@dataclass(frozen=True, kw_only=True)
class Reply:
    """A reply that was found right.

    Attributes
    ----------
    status : Status
    expected : int
        The sequence number that the device expects next.
    busy, fresh : bool
    data : bytes
    """

    status: Status
    expected: int
    busy: bool
    fresh: bool
    data: bytes


def find_reply(buffer: bytearray, seed: int, sizes: dict[int, int]) -> Reply | None:
    """Take the first reply out of what was received, with all that is before it.

    Parameters
    ----------
    buffer : bytearray
    seed : int
    sizes : dict
        Size of a reply that is OK, by the sequence number in it.
    """
    for start, size in _candidates(buffer, sizes):
        data = bytes(buffer[start : start + size])
        if len(data) == size and crc32(data, seed) == 0:
            del buffer[: start + size]
            return Reply(
                status=Status(data[0] & 3),
                expected=data[1],
                busy=bool(data[0] & BUSY),
                fresh=bool(data[0] & FRESH),
                data=data[2:-CRC_BYTES],
            )
    return None


def _candidates(buffer: bytearray, sizes: dict[int, int]) -> Iterator[tuple[int, int]]:
    for start in range(len(buffer) - REPLY_BYTES + 1):
        first = buffer[start]
        if first & REPLY_MARK_MASK != REPLY_MARK:
            continue
        if first & 3 != Status.OK:
            yield start, REPLY_BYTES
        elif (size := sizes.get(buffer[start + 1])) is not None:
            yield start, size


def foreign_seed(received: bytes) -> int | None:
    """Return the seed of what looks like one reply but for its checksum."""
    if len(received) < REPLY_BYTES or received[0] & REPLY_MARK_MASK != REPLY_MARK:
        return None
    body, tail = received[:-CRC_BYTES], received[-CRC_BYTES:]
    return find_seed(body, int.from_bytes(tail, "little"))


assert HEADER_BYTES <= REPLY_BYTES + SLACK_BYTES, "fillers must be enough to find the next packet"
