"""Forms for Lattice iCE40 UltraPlus.

nextpnr times both cells with placeholders: 0.1 ns from clock to output.  Silicon takes 2.12 ns
(SB_MAC16, registered product) and 1.82 ns (SB_SPRAM256KA).
"""

from amaranth.hdl import Cat, ClockSignal, Const, Instance, Module, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.technology import portable

__all__ = ["DualMultiplier", "SinglePortMemory"]

SPRAM_DEPTH = 16384
SPRAM_WIDTH = 16


class DualMultiplier(wiring.Component):
    """Two signed 8×8 multipliers in one SB_MAC16.

    Yosys never infers two multipliers in one cell.  Do not run it with ``-dsp`` beside this: it
    would drive the cell's outputs twice.

    Members
    -------
    a, b, p
        As :class:`hw.technology.portable.DualMultiplier`.
    """

    LATENCY = portable.DualMultiplier.LATENCY

    a: In(16)
    b: In(16)
    p: Out(data.ArrayLayout(signed(16), 2))

    def elaborate(self, platform):
        m = Module()
        zeros = (
            *("C", "D", "CI", "ACCUMCI", "SIGNEXTIN", "AHOLD", "BHOLD", "CHOLD", "DHOLD"),
            *("IRSTTOP", "IRSTBOT", "ORSTTOP", "ORSTBOT", "OLOADTOP", "OLOADBOT"),
            *("ADDSUBTOP", "ADDSUBBOT", "OHOLDTOP", "OHOLDBOT"),
        )
        m.submodules.mac = Instance(
            "SB_MAC16",
            p_NEG_TRIGGER=0,
            p_MODE_8x8=1,
            p_A_SIGNED=1,
            p_B_SIGNED=1,
            # Operand registers, and those of the 8×8 products.
            p_A_REG=1,
            p_B_REG=1,
            p_C_REG=0,
            p_D_REG=0,
            p_TOP_8x8_MULT_REG=1,
            p_BOT_8x8_MULT_REG=1,
            p_PIPELINE_16x16_MULT_REG1=0,
            p_PIPELINE_16x16_MULT_REG2=0,
            # The outputs are the products, not the adders.
            p_TOPOUTPUT_SELECT=2,
            p_BOTOUTPUT_SELECT=2,
            p_TOPADDSUB_LOWERINPUT=0,
            p_TOPADDSUB_UPPERINPUT=0,
            p_TOPADDSUB_CARRYSELECT=0,
            p_BOTADDSUB_LOWERINPUT=0,
            p_BOTADDSUB_UPPERINPUT=0,
            p_BOTADDSUB_CARRYSELECT=0,
            i_CLK=ClockSignal(),
            i_CE=Const(1),
            i_A=self.a,
            i_B=self.b,
            o_O=self.p.as_value(),
            **{f"i_{name}": Const(0, 16 if name in "CD" else 1) for name in zeros},
        )
        return m


class SinglePortMemory(wiring.Component):
    """Memory with one port in one SB_SPRAM256KA.

    Parameters
    ----------
    depth : int
        Words, a power of two from 2 to 16384.
    width : int
        16.

    Members
    -------
    enable, write_enable, address, write_data, read_data
        As :class:`hw.technology.portable.SinglePortMemory`.  Yosys' model of the cell keeps the
        last word while not enabled, and shows X after writes.
    """

    LATENCY = portable.SinglePortMemory.LATENCY

    def __init__(self, *, depth: int = SPRAM_DEPTH, width: int = SPRAM_WIDTH):
        if not 2 <= depth <= SPRAM_DEPTH or depth & (depth - 1):
            raise ValueError(f"depth must be a power of two from 2 to 16384, not {depth!r}")
        if width != SPRAM_WIDTH:
            raise ValueError(f"width must be 16, not {width!r}")
        self.depth = depth
        self.width = width
        super().__init__({
            "enable": In(1),
            "write_enable": In(1),
            "address": In(range(depth)),
            "write_data": In(width),
            "read_data": Out(width),
        })

    def elaborate(self, platform):
        m = Module()
        address = Cat(self.address, Const(0, SPRAM_DEPTH.bit_length() - 1 - len(self.address)))
        m.submodules.spram = Instance(
            "SB_SPRAM256KA",
            i_CLOCK=ClockSignal(),
            i_CHIPSELECT=self.enable,
            i_WREN=self.write_enable,
            i_MASKWREN=Const(0b1111, 4),
            i_ADDRESS=address,
            i_DATAIN=self.write_data,
            o_DATAOUT=self.read_data,
            i_STANDBY=Const(0),
            i_SLEEP=Const(0),
            # Active low.
            i_POWEROFF=Const(1),
        )
        return m
