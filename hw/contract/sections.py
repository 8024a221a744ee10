"""Sections of the program in the flash: what checksums it has, for hardware and software.

The stream of words (:mod:`hw.contract.records`) is cut into sections of ``SECTION_BYTES``, each
followed by a checksum.  The flash reader checks and removes them; the last one ends the stream.
"""

from binascii import crc_hqx

SECTION_BYTES = 512
"""Bytes of the stream between two checksums.

No more than the flash reader can hold: a section whose contents have stopped the loader is read to
its end all the same, and found out.
"""

TRAILER_BYTES = 2
CRC_START = 0x1D0F
"""Where the checksum of a section starts: what is left in the register after a correct one."""
CRC_MARK, CRC_LAST = 0xFFFF, 0x0000
"""A section's checksum is stored exclusive-or this, the last section's exclusive-or that."""


def crc_residue(mark: int) -> int:
    """Return what a CRC register holds behind a correct section and its trailer."""
    return crc_hqx(bytes(TRAILER_BYTES), mark)


def section_trailer(section: bytes, *, last: bool) -> bytes:
    """Return what follows a section in the flash: a CRC-16 (polynomial 0x1021), high byte first."""
    crc = crc_hqx(section, CRC_START) ^ (CRC_LAST if last else CRC_MARK)
    return crc.to_bytes(TRAILER_BYTES, "big")


def seal(stream: bytes) -> bytes:
    """Return a stream as it is stored in the flash: whole sections, each with its checksum."""
    stream += bytes(-len(stream) % SECTION_BYTES)
    ends = range(SECTION_BYTES, len(stream) + 1, SECTION_BYTES)
    parts = []
    for end in ends:
        section = stream[end - SECTION_BYTES : end]
        parts += [section, section_trailer(section, last=end == len(stream))]
    return b"".join(parts)


def unseal(data: bytes) -> bytes:
    """Return the stream that :func:`seal` was given, filled up to whole sections.

    Raises
    ------
    ValueError
        If a checksum is wrong, or the last section is missing.
    """
    size = SECTION_BYTES + TRAILER_BYTES
    parts = []
    for start in range(0, len(data), size):
        end = start + SECTION_BYTES
        section, trailer = data[start:end], data[end : end + TRAILER_BYTES]
        parts.append(section)
        if trailer == section_trailer(section, last=True):
            return b"".join(parts)
        if trailer != section_trailer(section, last=False):
            raise ValueError(f"the checksum of section {start // size} must be right, but is wrong")
    raise ValueError("the last section is missing")
