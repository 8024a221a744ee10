"""Changes to Amaranth's RTLIL before Yosys reads it."""

import re

__all__ = ["allow_collisions", "without_comments"]

MEMORY = re.compile(r"^  memory .* (\\\S+)$")
COMMENT = re.compile(r"^\s*(?:#.*|attribute \\(?:src|generator) .*)\n", flags=re.MULTILINE)
"""Lines that say where something comes from, not what it is."""
PARAMETER = re.compile(r"^(    parameter \\)(\w+) (.*)$")


def without_comments(rtlil: str) -> str:
    """Return a design without comments and places in the sources: equal if the circuit is."""
    return COMMENT.sub("", rtlil)


def allow_collisions(rtlil: str) -> str:
    """Let read ports of some memories return anything for an address that is being written.

    That is for memories with the attribute ``no_rw_check``: ``Memory(..., attrs={"no_rw_check":
    1})`` says that such a value is never used.  Amaranth can't say it of a synchronous port, and
    Yosys then spends 25 flip-flops and a few cells on each block RAM to return the old value.

    Parameters
    ----------
    rtlil : str
        A design, with its memories before the cells that read them, as Amaranth writes it.
    """
    lines = rtlil.split("\n")
    allowed: set[str] = set()
    attributed = False
    port: dict[str, tuple[int, str]] | None = None
    for number, line in enumerate(lines):
        if line.startswith("module "):
            allowed.clear()
        elif line.startswith("  attribute \\no_rw_check 1"):
            attributed = True
        elif match := MEMORY.match(line):
            if attributed:
                allowed.add(match[1].removeprefix("\\"))
            attributed = False
        elif line.startswith("  cell $memrd_v2 "):
            port = {}
        elif port is not None and (match := PARAMETER.match(line)):
            port[match[2]] = number, match[3]
        elif port is not None and line == "  end":
            name = port["MEMID"][1].strip('"').lstrip("\\")
            if name in allowed and port["CLK_ENABLE"][1] == "1":
                width, bits = port["TRANSPARENCY_MASK"][1].split("'")
                mask = bits.translate(str.maketrans("01", "10"))
                place = port["COLLISION_X_MASK"][0]
                lines[place] = f"    parameter \\COLLISION_X_MASK {width}'{mask}"
            port = None
    return "\n".join(lines)
