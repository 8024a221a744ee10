"""Accelerator core: everything between the source of the program and the host's bus.

::

    program ──▶ arbiter ──▶ scratchpad ──▶ word reader ──▶ parameters, descriptors
    (records)     ▲   ring    │                                 │          │
                  │  loader   │                                 │          ▼
      host ───────┤           ├──▶ depthwise ──▶ array ──▶ drain │   sequencer, addresses
    (registers)   │           │    (windows)     (weights,       │   (steps, reads)
                  │           └────────────────▶ accumulators)   │
                  └──────────── writeback ◀────────────── requantisers

*A weight* comes from the program as a part of a BLOCK record, is stored in the ring in the
scratchpad, read again when the loader finds room for it, and written to the weight memory of each
lane of the array (``array.load``), where steps address it.  *An activation* is read where the
address generator points, at the sequencer's wish; in SYSTOLIC layers it enters the array at lane 0,
in the others the depthwise engine makes operands of it.  *A result* leaves the accumulators a lane
per cycle, is requantised by the parameters of its channel, and written back.
"""

from amaranth.hdl import Cat, Module, ResetInserter, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.common.delay import delayed
from hw.contract import latency
from hw.contract.config import CoreConfig
from hw.contract.modes import DEPTHWISE_MODES, Mode
from hw.control.registers import HostPort
from hw.control.sequencer import Sequencer
from hw.control.steps import StepDecoder
from hw.depthwise.engine import DepthwiseEngine
from hw.interfaces import HostBus, ProgramSource
from hw.memory.addresses import AddressGenerator
from hw.memory.arbiter import Arbiter
from hw.memory.scratchpad import Scratchpad
from hw.memory.word_reader import Target, WordReader
from hw.program.descriptor_queue import DescriptorQueue
from hw.program.loader import Loader
from hw.program.ring import Ring
from hw.requantise.drain import PARAMETER_DELAY, Drain
from hw.requantise.parameters import ParameterMemory
from hw.requantise.writeback import Writeback
from hw.systolic.array import SystolicArray


class Core(wiring.Component):
    """One accelerator core; ``docs/architecture.md`` is its manual.

    Members
    -------
    host : In(HostBus)
        Accesses of the host.
    program : In(ProgramSource)
        The stream of records.
    busy : Out(1)
        From the cycle after START until the last layer is done and the program is known to have
        been read correctly, or known to be corrupt.
    layer_done : Out(1)
        Pulse at the end of each layer.
    """

    def __init__(self, config: CoreConfig):
        self.config = config
        super().__init__({
            "host": In(HostBus()),
            "program": In(ProgramSource()),
            "busy": Out(1),
            "layer_done": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        config = self.config
        m.submodules.host = host = HostPort(config)
        stop = Signal()
        start = Signal()
        m.d.sync += [stop.eq(host.start), start.eq(stop)]
        # A start resets everything that belongs to the program, whatever state it is in.
        fresh = ResetInserter(start)

        m.submodules.scratchpad = scratchpad = Scratchpad(config)
        m.submodules.arbiter = arbiter = Arbiter(config)
        m.submodules.array = array = SystolicArray(config)
        m.submodules.depthwise = depthwise = DepthwiseEngine(config)
        m.submodules.drain = drain = fresh(Drain(config))
        m.submodules.parameters = parameters = fresh(ParameterMemory(config))
        m.submodules.descriptors = descriptors = fresh(DescriptorQueue(config))
        m.submodules.sequencer = sequencer = fresh(Sequencer(config))
        m.submodules.decoder = decoder = StepDecoder(config)
        m.submodules.addresses = addresses = AddressGenerator()
        m.submodules.ring = ring = Ring(config)
        m.submodules.loader = loader = fresh(Loader(config))
        m.submodules.word_reader = reader = fresh(WordReader(config))
        m.submodules.writeback = writeback = fresh(Writeback())

        self.connect_host(m, host, stop, start, sequencer, descriptors.layer, reader)
        self.connect_sequencer(m, sequencer, descriptors, addresses, loader)
        self.connect_array(m, sequencer, descriptors.layer, decoder, depthwise, array)
        self.connect_results(m, array, parameters, drain, descriptors, writeback)
        self.connect_program(m, ring, loader, reader, parameters, descriptors)
        self.connect_memory(m, arbiter, scratchpad, reader, depthwise, array, loader)
        wiring.connect(m, host.memory, arbiter.host)
        wiring.connect(m, writeback.write, arbiter.result)
        m.d.comb += [
            arbiter.read.eq(sequencer.read),
            arbiter.read_address.eq(addresses.address),
            sequencer.written.eq(writeback.write.grant),
            scratchpad.results.eq(drain.results),
            ring.load.eq(host.start | stop | start),
            ring.initial.eq(host.ring_first),
            ring.clear.eq(start),
            ring.push.eq(arbiter.push),
            ring.pop.eq(loader.grant),
            arbiter.full.eq(ring.full),
            arbiter.push_address.eq(ring.write_address),
            arbiter.pop.address.eq(ring.read_address),
        ]
        m.submodules.outputs = fresh(self.outputs(sequencer, drain, parameters, writeback))
        return m

    def outputs(self, sequencer, drain, parameters, writeback):
        """Return the marks of outputs that travel beside the array's steps.

        Steps that are under way when a program starts do no harm; their outputs would.
        """
        m = Module()
        output = delayed(m, sequencer.output, latency.STEP, name="output")
        next_block = delayed(m, sequencer.next_block, latency.STEP, name="next_block")
        m.d.comb += [
            drain.output.eq(output),
            parameters.output.eq(delayed(m, output, PARAMETER_DELAY, name="parameters_output")),
            parameters.next_block.eq(
                delayed(m, next_block, PARAMETER_DELAY, name="parameters_next")),
            writeback.next_block.eq(
                delayed(m, next_block, writeback.DELAY, name="writeback_next")),
        ]
        return m

    def connect_host(self, m, host, stop, start, sequencer, layer, reader):
        """Connect registers, start and busy."""
        lane = Signal(host.lane_bits)
        finished = Signal()
        with m.If(host.memory.grant):
            m.d.sync += lane.eq(host.memory.lane)
        with m.If(start):
            m.d.sync += self.busy.eq(1)
        with m.Elif(finished | self.program.corrupt):
            m.d.sync += self.busy.eq(0)
        # The last layer is not done before its program is verified.
        late = Signal()
        m.d.sync += late.eq(sequencer.layer_done & ~layer.last)
        m.d.comb += [
            finished.eq(self.busy & sequencer.finished & self.program.verified),
            self.layer_done.eq(late | finished),
            self.program.stop.eq(stop),
            self.program.start.eq(start),
            self.program.address.eq(host.flash_address),
            host.corrupt.eq(self.program.corrupt),
            host.clear_cycles.eq(start),
            host.busy.eq(self.busy),
            host.flash_ready.eq(self.program.ready),
            host.held.eq(sequencer.held),
            host.cause.eq(sequencer.cause),
            host.steps_done.eq(sequencer.steps_done),
            sequencer.hold.eq(host.hold),
            host.read_valid.eq(
                reader.valid & (reader.tag.target == Target.HOST) & (reader.lane == lane)),
            host.read_halfword.eq(reader.halfword),
        ]
        wiring.connect(m, wiring.flipped(self.host), host.bus)

    def connect_sequencer(self, m, sequencer, descriptors, addresses, loader):
        """Connect sequencer, descriptors, address generator and loader."""
        layer = descriptors.layer
        m.d.comb += [
            sequencer.layer.eq(layer),
            sequencer.descriptor_available.eq(descriptors.available),
            descriptors.fetch.eq(sequencer.descriptor_fetch),
            sequencer.descriptor_done.eq(descriptors.done),
            loader.descriptor_freed.eq(descriptors.done),
            sequencer.block_loaded.eq(loader.block_loaded),
            loader.block_freed.eq(sequencer.block_freed),
            loader.freed_steps.eq(layer.steps + 1),
            addresses.load.eq(descriptors.input_base),
            addresses.advance.eq(sequencer.address_advance),
            addresses.base.eq(descriptors.base),
            sequencer.filled.eq(addresses.filled),
            sequencer.inner_last.eq(addresses.inner_last),
            sequencer.inner_index.eq(addresses.inner_index),
        ]
        m.d.sync += [
            addresses.windows.eq(layer.mode.matches(*DEPTHWISE_MODES)),
            addresses.double.eq(layer.mode == Mode.DEPTHWISE_STRIDE2),
            addresses.next_block.eq(layer.mode != Mode.SYSTOLIC),
        ]
        for name in ("inner", "middle", "width", "height",
                     "step_inner", "step_middle", "step_column", "step_row"):
            m.d.comb += getattr(addresses, name).eq(layer[name])

    def connect_array(self, m, sequencer, layer, decoder, depthwise, array):
        """Connect what leads from a step's request to the accumulators."""
        m.d.comb += [
            decoder.request.eq(sequencer.request),
            decoder.layer.eq(layer),
            depthwise.request.eq(sequencer.request),
            depthwise.layer.eq(layer),
            array.step.eq(decoder.step),
            array.operands.eq(depthwise.operands),
            array.zero_point.eq(layer.input_zero_point),
        ]

    def connect_results(self, m, array, parameters, drain, descriptors, writeback):
        """Connect what leads from the accumulators back to memory."""
        layer = descriptors.layer
        m.d.comb += [
            drain.acc.eq(array.acc),
            drain.fields.eq(parameters.fields),
            drain.layer.zero_point.eq(layer.output_zero_point),
            drain.layer.act_min.eq(layer.act_min),
            drain.layer.act_max.eq(layer.act_max),
            drain.layer.single_rounding.eq(layer.single_rounding),
            writeback.base.eq(descriptors.base),
            writeback.step.eq(layer.output_step),
            writeback.load.eq(descriptors.output_base),
            writeback.done.eq(drain.done),
        ]

    def connect_program(self, m, ring, loader, reader, parameters, descriptors):
        """Connect what leads from the ring to parameters and descriptors."""
        m.d.comb += [
            ring.move.eq(descriptors.ring_moves),
            ring.next.eq(descriptors.base),
            loader.empty.eq(ring.empty),
            loader.serial_ready.eq(reader.ready_next),
            parameters.write_enable.eq(
                reader.valid & (reader.tag.target == Target.PARAMETERS)),
            parameters.write_word.eq(reader.tag.index),
            parameters.write_lane.eq(reader.lane),
            parameters.write_data.eq(reader.halfword),
            descriptors.write_enable.eq(
                reader.valid & (reader.tag.target == Target.DESCRIPTOR)),
            descriptors.write_index.eq(Cat(reader.lane, reader.tag.index)),
            descriptors.write_data.eq(reader.halfword),
            descriptors.loaded.eq(loader.descriptor_loaded),
        ]

    def connect_memory(self, m, arbiter, scratchpad, reader, depthwise, array, loader):
        """Connect the memory with the arbiter, and with all that takes what is read."""
        wiring.connect(m, wiring.flipped(self.program.words), arbiter.words)
        m.d.comb += [
            arbiter.word_ready.eq(self.program.word_ready),
            arbiter.pop.request.eq(loader.request),
            arbiter.pop_serial.eq(loader.serial),
            arbiter.pop_tag.eq(loader.tag),
            loader.grant.eq(arbiter.pop.grant),
            arbiter.reader_ready.eq(reader.ready_next),
            reader.start.eq(arbiter.reader_start),
            reader.start_tag.eq(arbiter.reader_tag),
            scratchpad.access.eq(arbiter.access),
            scratchpad.mask.eq(arbiter.mask),
            scratchpad.stream.eq(arbiter.stream),
            array.load.eq(loader.load),
            array.memory_data.eq(scratchpad.read_data),
            depthwise.memory_data.eq(scratchpad.read_data),
            reader.read_data.eq(scratchpad.read_data),
            loader.header.eq(scratchpad.read_data[0]),
        ]
