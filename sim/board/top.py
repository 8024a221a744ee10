"""Top level of the simulation: core and flash reader, as on a board without its IO cells."""

from typing import Any

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.contract.config import CoreConfig
from hw.contract.words import HALFWORD_BITS
from hw.link.engine import HostLink
from hw.program.flash_reader import FlashReader

__all__ = ["SimTop"]


class SimTop(wiring.Component):
    """Core and flash reader.

    The ports have plain names for the benefit of C++ and cocotb.

    Parameters
    ----------
    config : CoreConfig
    core : component, optional
        Something else with the interface of :class:`hw.core.Core`, for tests.
    link_baud : int, optional
        Highest rate of the serial line: the host is at its other end, as on a board, and not on
        the bus.
    link_seed : int, optional
        Of the link's replies, if not the configuration's.

    Members
    -------
    request_valid, request_write, request_register, request_address, request_data : In
    request_ready : Out(1)
        The core's ``host.request`` stream.
    response_valid, response_data : Out
    response_ready : In(1)
        The core's ``host.response`` stream.
    uart_rx, uart_tx : In(2), Out(2)
        The serial line, in both halves of a cycle.
    flash_cs_n, flash_sck, flash_o, flash_oe : Out
    flash_i : In(8)
        The flash reader's pins: what goes to and comes from the registers in the IO cells.
    busy, layer_done : Out(1)
        As the core gives them.
    tap : Out(3)
        The capture clock that the core chooses, if it has a choice.
    """

    def __init__(
        self, config: CoreConfig, core: Any = None, *, link_baud: int | None = None,
        link_seed: int | None = None,
    ) -> None:
        self.config = config
        self.link_baud = link_baud
        self.link_seed = link_seed
        if core is None:
            from hw.core import Core

            core = Core(config)
        self._core = core
        super().__init__({
            "request_valid": In(1),
            "request_ready": Out(1),
            "request_write": In(1),
            "request_register": In(1),
            "request_address": In(16),
            "request_data": In(HALFWORD_BITS),
            "response_valid": Out(1),
            "response_ready": In(1),
            "response_data": Out(HALFWORD_BITS),
            "uart_rx": In(2, init=3),
            "uart_tx": Out(2, init=3),
            "flash_cs_n": Out(1),
            "flash_sck": Out(2),
            "flash_o": Out(4),
            "flash_oe": Out(4),
            "flash_i": In(8),
            "busy": Out(1),
            "layer_done": Out(1),
            "tap": Out(3),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.core = core = self._core
        m.submodules.reader = reader = FlashReader(
            read=self.config.flash_read, word=self.config.lanes)

        if self.link_baud is None:
            self._connect_bus(m, core)
        else:
            self._connect_link(m, core, reader, self.link_baud)

        wiring.connect(m, reader.program, core.program)
        pins = reader.pins
        m.d.comb += [
            self.flash_cs_n.eq(pins.cs_n),
            self.flash_sck.eq(pins.sck),
            self.flash_o.eq(pins.o),
            self.flash_oe.eq(pins.oe),
            pins.i.eq(self.flash_i),
            self.busy.eq(core.busy),
            self.layer_done.eq(core.layer_done),
            self.tap.eq(getattr(core, "tap", 0)),
        ]
        return m

    def _connect_bus(self, m: Module, core: Any) -> None:
        """Put the host on the core's bus."""
        request, response = core.host.request, core.host.response
        m.d.comb += [
            request.valid.eq(self.request_valid),
            request.payload.write.eq(self.request_write),
            request.payload.register.eq(self.request_register),
            request.payload.address.eq(self.request_address),
            request.payload.data.eq(self.request_data),
            self.request_ready.eq(request.ready),
            self.response_valid.eq(response.valid),
            self.response_data.eq(response.payload),
            response.ready.eq(self.response_ready),
        ]

    def _connect_link(self, m: Module, core: Any, reader: Any, baud: int) -> None:
        """Put the link between host and bus."""
        m.submodules.link = link = HostLink(self.config, baud=baud, seed=self.link_seed)
        wiring.connect(m, link.bus, core.host)
        wiring.connect(m, link.raw, reader.raw)
        m.d.comb += [
            link.busy.eq(core.busy),
            link.samples.eq(self.uart_rx),
            self.uart_tx.eq(link.levels),
        ]
