"""Programs to draw: whole layers, rows in turn, an input in chunks, several programs."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from support.divided import heads_over_the_host, host_between
from support.networks import image_network

import boards
from hw.contract.config import CoreConfig
from sw import importer
from sw.compiler import Plan, compile_network
from sw.fuzz.builder import NetworkBuilder
from sw.ir import Graph

__all__ = ["PLANS", "plan"]

BOARD = boards.get("icebreaker")


def _inverted(size: int) -> Graph:
    """Return inverted residuals, whose inner tensors are large."""
    net = NetworkBuilder(seed=6)
    x = net.conv_2d(net.input((1, size, size, 3)), 8, kernel=(3, 3), stride=(2, 2))
    for stride in (1, 2):
        y = net.conv_2d(x, 32, activation="RELU6")
        y = net.depthwise_conv_2d(y, stride=(stride, stride), activation="RELU6")
        y = net.conv_2d(y, 8)
        x = net.add(x, y) if stride == 1 else y
    return importer.loads(net.build(outputs=[x]), "inverted")


PLANS = ("whole", "rows", "chunks", "divided", "heads")


@lru_cache
def plan(name: str) -> Plan:
    """Return one of :data:`PLANS`."""
    config = BOARD.config
    if name == "rows":
        graph, config = _inverted(40), replace(config, memory_depth=1024)
    elif name == "chunks":
        graph, config = _inverted(48), replace(config, memory_depth=1024)
    elif name == "whole":
        graph = image_network(24)
    else:
        make = host_between if name == "divided" else heads_over_the_host
        graph = importer.loads(make(), name)
    return _compile(graph, config)


def _compile(graph: Graph, config: CoreConfig) -> Plan:
    return compile_network(
        graph, config, board=BOARD.name, flash_address=BOARD.flash.program_base)
