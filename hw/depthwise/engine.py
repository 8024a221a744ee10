"""Depthwise engine: how a 3×3 window per channel gets out of a memory of whole words.

The picture
-----------
In a depthwise layer an output channel depends on the same channel of the input only: 9 products of
a 3×3 window, and nothing to share between columns.  So each *column* of the array takes a channel
of its own, all columns work alike, and the two *rows* of the array are two taps of the kernel: a
step makes two of a window's nine products, for 8 channels at once.

The activation memory gives one word (8 channels of one pixel) a cycle.  A window that moves to the
right by one column needs 3 new words; the other 6 were read for the windows before.  The engine
keeps these in a small *window memory*, a ring of 4 columns of 3 words, and lets

* array row 0 see a word of the window memory: one that came before, and
* array row 1 see the *newest word*: the one that arrives from the activation memory.

A column of the window has an *age*: 0 for the one that is read during this window, 1 for the one
before it, 2 for the one before that.  Stride 1, five steps (word of row 0 | word of row 1, each as
age,kernel row)::

    step   fetched   row 0   row 1
    0                2,0     1,2     row 1 still holds the last word of the window before
    1      0,0       2,1     0,0
    2      0,1       2,2     0,1
    3      0,2       1,0     0,2
    4                1,1     0,2     the tenth slot: weight 0

Nine of ten slots work: 90 %.  With stride 2 a window reads two new columns, ages 0 and −1: 6 words
at one a cycle, eight steps, 9 of 16 slots; the last two steps see the middle of the window once
more.  :mod:`hw.contract.taps` holds both tables, ``docs/depthwise.md`` draws them.

At the left and right, top and bottom of an image taps lie in the *padding*: the row then sees the
serial path (*bypass*), which carries the input's zero point.

The parts
---------
:class:`hw.depthwise.schedule.WindowSchedule`
    when a word is fetched; part of the sequencer, at its time.
:class:`hw.depthwise.decoder.TapDecoder`
    which words a step sees, and which of them are padding; a cycle later.
:class:`hw.depthwise.window.WindowMemory`
    the words, one memory a lane; another cycle later.
:class:`DepthwiseEngine`
    decoder and window memories, in step with the lanes of the array.

Two other modes are guests.  ADD reads two tensors in turn: words of tensor 1, one ahead, go to the
window memory, words of tensor 2 are the newest, and a step sees one of each.  POOL sees the newest
word only.
"""

from amaranth.hdl import Module
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.common.delay import delayed
from hw.contract.config import CoreConfig
from hw.contract.words import HALFWORD_BITS
from hw.depthwise.decoder import TapDecoder
from hw.depthwise.window import WindowMemory
from hw.interfaces import LayerLayout, Operands, StepRequest

__all__ = ["DepthwiseEngine"]


class DepthwiseEngine(wiring.Component):
    """Operands of the array in window modes: a window memory a lane, addressed step by step.

    Lane g is g cycles behind lane 0, like everything: its words arrive from the activation memory
    then, and its operands are due then.

    Members
    -------
    request : In(StepRequest)
        The step decided on.
    layer : In(LayerLayout)
        The layer in force.
    memory_data : In(lanes × 16)
        Read data of the activation memory; lane 0's of a step ``TapDecoder.LATENCY`` cycles after
        its request.
    operands : Out(lanes × Operands)
        What lane g's rows see, ``LATENCY + g`` cycles after the request.
    """

    LATENCY = TapDecoder.LATENCY + WindowMemory.LATENCY

    def __init__(self, config: CoreConfig):
        self.config = config
        super().__init__({
            "request": In(StepRequest(config)),
            "layer": In(LayerLayout),
            "memory_data": In(data.ArrayLayout(HALFWORD_BITS, config.lanes)),
            "operands": Out(data.ArrayLayout(Operands(config), config.lanes)),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.decoder = decoder = TapDecoder(self.config)
        m.d.comb += [decoder.request.eq(self.request), decoder.layer.eq(self.layer)]
        step = decoder.step
        bypass = delayed(m, step.bypass, WindowMemory.LATENCY, name="bypass")
        for g in range(self.config.lanes):
            m.submodules[f"window_{g}"] = window = WindowMemory(self.config)
            if g:
                step = delayed(m, step, 1, name=f"step_{g}")
                bypass = delayed(m, bypass, 1, name=f"bypass_{g}")
            m.d.comb += [
                window.data.eq(self.memory_data[g]),
                window.read.eq(step.read),
                window.write.eq(step.write),
                window.write_enable.eq(step.write_enable),
                window.keep.eq(step.keep),
                self.operands[g].words.eq(window.words),
                self.operands[g].bypass.eq(bypass),
            ]
        return m
