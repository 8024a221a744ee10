"""Stage of the core itself: layers on its own bitstream against the golden model."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import numpy as np

from hw.contract.board import Board
from sw import importer
from sw.compiler import compile_network
from sw.driver import NetworkDevice
from sw.driver.device import Device
from sw.driver.serial import SerialTransport
from sw.driver.transport import Transport
from sw.fuzz.builder import NetworkBuilder
from sw.inference import run
from sw.ir import Graph
from sw.selftest.flash import kept
from sw.selftest.report import Stage

__all__ = ["layers", "network"]

ROOM = 1 << 16
"""Bytes of the flash for the program: more than it takes."""


def network() -> Graph:
    """Return a small network: a depthwise layer and a pointwise one, which is what the core has."""
    net = NetworkBuilder(seed=20, dtype="int8")
    x = net.input((1, 12, 12, 16))
    x = net.depthwise_conv_2d(x, kernel=(3, 3), activation="RELU6")
    x = net.conv_2d(x, 16, kernel=(1, 1), activation="RELU6")
    return importer.loads(net.build(outputs=[x]), "self-test")


def layers(transport: Transport, board: Board, stage: Stage) -> None:
    """Run the network, and compare every tensor that can be seen with the golden model's.

    Parameters
    ----------
    transport : Transport
        Closed afterwards.
    board : Board
    stage : Stage
    """
    graph = network()
    # As far as can be from programs that are there.
    address = board.flash.size - ROOM
    plan = compile_network(graph, board.config, board=board.name, flash_address=address)
    data = np.random.default_rng(20).integers(-128, 128, graph.tensors[graph.inputs[0]].shape)
    borrowed: AbstractContextManager[None] = (
        kept(transport, address, ROOM) if isinstance(transport, SerialTransport)
        else nullcontext())
    with NetworkDevice(Device(transport, board.config), plan) as device, borrowed:
        device.load()
        result = run(graph, plan, device, "random input", data.astype(np.int8), verify=True)
    stage.data |= {"exact": result.exact, "cycles": result.cycles,
                   "layers": [layer.kind for layer in plan.layers]}
    if not result.exact:
        stage.fail(result.difference)
    else:
        stage.note(f"{len(plan.layers)} layers equal, {result.cycles:,} cycles")


