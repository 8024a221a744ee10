"""The accelerator core: everything between the flash reader and the host link."""

from amaranth.hdl import Cat, Module, Mux, ResetInserter, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.common.delay import delayed
from hw.contract import latency
from hw.contract.config import CoreConfig
from hw.contract.modes import Mode
from hw.contract.words import ADDRESS_BITS, HALFWORD_BITS
from hw.control.registers import HostPort, HostRequest
from hw.control.sequencer import Sequencer
from hw.control.steps import StepDecoder
from hw.memory.addresses import AddressGenerator
from hw.memory.scratchpad import Scratchpad
from hw.memory.word_reader import Target, WordReader
from hw.program.descriptor_queue import DescriptorQueue, LayerLayout
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
    host : host's accesses (``HostRequest``), and answers to reads
    flash_start : Out(1)
        Pulse: stream the program from ``flash_address`` on.
    flash_stop : Out(1)
        Pulse, in the cycle before ``flash_start``: close a stream that is still open.
    flash_address : Out(24)
    flash_ready : In(1)
        The flash can be read.
    flash_verified, flash_corrupt : In(1)
        The program was read to its end, all of it correctly; a part was not.
    flash : In(stream of 16)
        Halfwords of the program.
    flash_word_ready : In(1)
        At least ``lanes`` halfwords can be taken in consecutive cycles.
    busy : Out(1)
        From the cycle after START until the last layer is done and the program is known to have
        been read correctly, or known to be corrupt.
    layer_done : Out(1)
        Pulse at the end of each layer.
    """

    def __init__(self, config: CoreConfig):
        self.config = config
        super().__init__({
            "host": Out(wiring.Signature({
                "request": In(stream.Signature(HostRequest)),
                "response": Out(stream.Signature(HALFWORD_BITS)),
            })),
            "flash_start": Out(1),
            "flash_stop": Out(1),
            "flash_address": Out(24),
            "flash_ready": In(1),
            "flash_verified": In(1),
            "flash_corrupt": In(1),
            "flash": In(stream.Signature(HALFWORD_BITS)),
            "flash_word_ready": In(1),
            "busy": Out(1),
            "layer_done": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        config = self.config
        m.submodules.host = host = HostPort(config)
        stop, start = Signal(), Signal()
        m.d.sync += [stop.eq(host.start), start.eq(stop)]
        # A start resets everything that belongs to the program, whatever state it is in.
        fresh = ResetInserter(start)

        m.submodules.scratchpad = scratchpad = Scratchpad(config)
        m.submodules.array = array = SystolicArray(config)
        m.submodules.drain = drain = fresh(Drain(config))
        m.submodules.parameters = parameters = fresh(ParameterMemory(config))
        m.submodules.descriptors = descriptors = fresh(DescriptorQueue(config))
        m.submodules.sequencer = sequencer = fresh(Sequencer(config))
        m.submodules.decoder = decoder = StepDecoder(config, LayerLayout)
        m.submodules.addresses = addresses = AddressGenerator()
        m.submodules.ring = ring = Ring(config)
        m.submodules.loader = loader = fresh(Loader(config))
        m.submodules.serial = serial = fresh(WordReader(config))
        m.submodules.writeback = writeback = fresh(Writeback())
        layer = descriptors.layer

        self.connect_host(m, host, stop, start, sequencer, layer, serial)
        self.connect_sequencer(m, sequencer, descriptors, addresses, loader)
        self.arbitrate(m, host, sequencer, addresses, writeback, ring, loader, serial, scratchpad)
        m.d.comb += [
            # From the sequencer to the array.
            decoder.request.eq(sequencer.request),
            decoder.layer.eq(layer),
            array.step.eq(decoder.step),
            array.load.eq(loader.load),
            array.zero_point.eq(layer.input_zero_point),
            array.memory_data.eq(scratchpad.read_data),
            # From the array back to memory.
            drain.acc.eq(array.acc),
            drain.fields.eq(parameters.fields),
            drain.layer.zero_point.eq(layer.output_zero_point),
            drain.layer.act_min.eq(layer.act_min),
            drain.layer.act_max.eq(layer.act_max),
            drain.layer.single_rounding.eq(layer.single_rounding),
            scratchpad.results.eq(drain.results),
            writeback.base.eq(descriptors.base),
            writeback.step.eq(layer.output_step),
            writeback.load.eq(descriptors.output_base),
            writeback.done.eq(drain.done),
            # From the ring to its destinations.
            ring.load.eq(host.start | stop | start),
            ring.initial.eq(host.ring_first),
            ring.clear.eq(start),
            ring.move.eq(descriptors.ring_moves),
            ring.next.eq(descriptors.base),
            loader.empty.eq(ring.empty),
            loader.serial_ready.eq(serial.ready_next),
            loader.header.eq(scratchpad.read_data[0]),
            serial.read_data.eq(scratchpad.read_data),
            parameters.write_enable.eq(
                serial.valid & (serial.tag.target == Target.PARAMETERS)),
            parameters.write_word.eq(serial.tag.index),
            parameters.write_lane.eq(serial.lane),
            parameters.write_data.eq(serial.halfword),
            descriptors.write_enable.eq(
                serial.valid & (serial.tag.target == Target.DESCRIPTOR)),
            descriptors.write_index.eq(Cat(serial.lane, serial.tag.index)),
            descriptors.write_data.eq(serial.halfword),
            descriptors.loaded.eq(loader.descriptor_loaded),
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

    def connect_host(self, m, host, stop, start, sequencer, layer, serial):
        """Registers, start and busy."""
        lane, finished = Signal(host.lane_bits), Signal()
        with m.If(host.memory_grant):
            m.d.sync += lane.eq(host.lane)
        with m.If(start):
            m.d.sync += self.busy.eq(1)
        with m.Elif(finished | self.flash_corrupt):
            m.d.sync += self.busy.eq(0)
        # The last layer is not done before its program is verified.
        late = Signal()
        m.d.sync += late.eq(sequencer.layer_done & ~layer.last)
        m.d.comb += [
            finished.eq(self.busy & sequencer.finished & self.flash_verified),
            self.layer_done.eq(late | finished),
            self.flash_stop.eq(stop),
            host.corrupt.eq(self.flash_corrupt),
            host.clear_cycles.eq(start),
            host.busy.eq(self.busy),
            host.flash_ready.eq(self.flash_ready),
            host.held.eq(sequencer.held),
            host.cause.eq(sequencer.cause),
            host.steps_done.eq(sequencer.steps_done),
            sequencer.hold.eq(host.hold),
            self.flash_start.eq(start),
            self.flash_address.eq(host.flash_address),
            host.read_valid.eq(
                serial.valid & (serial.tag.target == Target.HOST) & (serial.lane == lane)),
            host.read_halfword.eq(serial.halfword),
        ]
        wiring.connect(m, wiring.flipped(self.host.request), host.request)
        wiring.connect(m, wiring.flipped(self.host.response), host.response)

    def connect_sequencer(self, m, sequencer, descriptors, addresses, loader):
        """Sequencer, descriptors, address generator and loader."""
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
            addresses.windows.eq(
                (layer.mode == Mode.DEPTHWISE) | (layer.mode == Mode.DEPTHWISE_STRIDE2)),
            addresses.double.eq(layer.mode == Mode.DEPTHWISE_STRIDE2),
            addresses.next_block.eq(layer.mode != Mode.SYSTOLIC),
        ]
        for name in ("inner", "middle", "width", "height",
                     "step_inner", "step_middle", "step_column", "step_row"):
            m.d.comb += getattr(addresses, name).eq(layer[name])

    def arbitrate(self, m, host, sequencer, addresses, writeback, ring, loader, serial, scratchpad):
        """One access to the activation memory per cycle; see the priorities in the manual."""
        lanes = self.config.lanes
        access = scratchpad.access
        read, read_address = Signal(), Signal(ADDRESS_BITS)
        m.d.sync += [read.eq(sequencer.read), read_address.eq(addresses.address)]

        # Halfwords of the flash follow the wavefront: no other stream write may run into it.
        taking, giving = Signal(lanes - 1), Signal(lanes - 1)
        push_wanted, push, give = Signal(), Signal(), Signal()
        host_writes, host_reads = Signal(), Signal()
        # At least one cycle, in which the flash reader has not yet seen that a word is being taken.
        stream_free = ~push & ~taking[: max(lanes - 2, 1)].any()
        m.d.sync += [
            taking.eq(taking << 1 | push),
            giving.eq(giving << 1 | give),
            # Requests are registers, so that the arbiter is all there is before the memory.
            push_wanted.eq(
                self.flash_word_ready & ~ring.full & stream_free
                & ~give & ~giving[: lanes - 2].any()
                # A line does not wait for memory, and brings hardly anything; the flash waits.
                & ~(host.memory & host.memory_write)
            ),
            host_writes.eq(host.memory & ~host.memory_grant & host.memory_write & stream_free),
            host_reads.eq(
                host.memory & ~host.memory_grant & ~host.memory_write & serial.ready_next),
        ]
        m.d.comb += [
            host.settled.eq(~giving.any()),
            self.flash.ready.eq(push | taking.any()),
            scratchpad.stream.eq(Mux(self.flash.ready, self.flash.payload, host.halfword)),
            scratchpad.mask.eq(-1),
            serial.start_tag.eq(loader.tag),
            ring.push.eq(push),
            ring.pop.eq(loader.grant),
            sequencer.written.eq(writeback.grant),
        ]
        with m.If(read):
            m.d.comb += access.address.eq(read_address)
        with m.Elif(writeback.pending):
            m.d.comb += [
                access.address.eq(writeback.address),
                access.write.eq(1),
                access.result.eq(1),
                writeback.grant.eq(1),
            ]
        with m.Elif(push_wanted):
            m.d.comb += [push.eq(1), access.address.eq(ring.write_address), access.write.eq(1)]
        with m.Elif(host_writes):
            m.d.comb += [
                host.memory_grant.eq(1),
                give.eq(1),
                access.address.eq(host.word),
                access.write.eq(1),
                scratchpad.mask.eq(1 << host.lane),
            ]
        with m.Elif(loader.request):
            m.d.comb += [
                loader.grant.eq(1),
                access.address.eq(ring.read_address),
                serial.start.eq(loader.serial),
            ]
        with m.Elif(host_reads):
            m.d.comb += [
                host.memory_grant.eq(1),
                access.address.eq(host.word),
                serial.start.eq(1),
                serial.start_tag.target.eq(Target.HOST),
            ]
