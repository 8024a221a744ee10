"""From a network to a plan: programs for what the core can run, and the rest for the host.

What the core cannot run, or cannot be proven to run exactly, the host computes with the golden
model, wherever it stands.  The compiler finds out by trying: operators that are refused become the
host's, and the network is divided again, until all programs are made.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from common import progress
from common.errors import UnsupportedError
from hw.contract.config import CoreConfig
from sw import ir
from sw.compiler.graph.division import divide
from sw.compiler.graph.operands import is_layer
from sw.compiler.graph.partition import host_rule
from sw.compiler.graph.passes import drop_unused, run_passes
from sw.compiler.graph.refusals import Refused, Rule
from sw.compiler.pipeline import FLASH_ADDRESS, REMOVE_CONSTANT_CHANNELS, compile_graph
from sw.compiler.program.plan import FLASH_BYTES, HostOperator, Plan, program_end
from sw.compiler.program.program import Program

__all__ = ["ENDS", "compile_network", "host_rules", "pieces_of"]


ENDS = Rule(
    "An operator on single integers must be between layers of the device",
    "the host runs it at the ends of a network, exactly",
)

_Compile = Callable[[ir.Graph, int, frozenset[str]], Program]
"""Compiles a piece to a program at an address; the third argument are the host's operators."""


def compile_network(
    graph: ir.Graph,
    config: CoreConfig,
    *,
    board: str = "",
    flash_address: int = FLASH_ADDRESS,
    flash_size: int = FLASH_BYTES,
    fallback: bool = True,
    dense_input: bool = False,
    remove_constant_channels: bool = REMOVE_CONSTANT_CHANNELS,
    compact_input: bool = False,
) -> Plan:
    """Compile a network.

    Parameters
    ----------
    graph : Graph
    config : CoreConfig
    board : str
    flash_address : int
        Byte address of the first program.
    flash_size : int
        Bytes of the board's flash.
    fallback : bool
        The host runs what the device cannot.  Without, it runs only what is in front of the first
        and behind the last operator of a kind that the device knows.
    dense_input, remove_constant_channels, compact_input
        As for :func:`sw.compiler.compile_graph`.

    Raises
    ------
    UnsupportedError
        If the network cannot be compiled.
    """

    def compiled(piece: ir.Graph, address: int, host: frozenset[str]) -> Program:
        return compile_graph(
            piece, config, board=board, flash_address=address, dense_input=dense_input,
            remove_constant_channels=remove_constant_channels, compact_input=compact_input,
            host=host,
        )

    with progress.stage(f"compiling {graph.name}"):
        if fallback:
            programs, rules = _divided(graph, flash_address, compiled)
        else:
            programs, rules = [compiled(graph, flash_address, frozenset())], {}
    plan = Plan(
        network=graph, board=board, config=config, programs=tuple(programs),
        host=_host(graph, programs, rules),
    )
    room = min(flash_size, FLASH_BYTES)
    if plan.flash_end > room:
        remedy = "use a smaller width multiplier or smaller images"
        if plan.flash_bytes <= room - FLASH_ADDRESS < plan.flash_end:
            remedy = "put fewer networks in front of it"
        raise UnsupportedError(
            f"{graph.name}: its programs end at byte {plan.flash_end:,} of the flash, and "
            f"{'the core reads' if room == FLASH_BYTES else 'the board has'} {room:,}; {remedy}"
        )
    return plan


def host_rules(graph: ir.Graph) -> dict[str, str]:
    """Return why operators are the host's whatever the core, by their names."""
    folded = run_passes(graph)
    return {op.name: rule for op in folded.ops if (rule := host_rule(folded, op)) is not None}


def pieces_of(graph: ir.Graph, host: Collection[str]) -> list[ir.Graph]:
    """Return the networks that are a program each, given the host's operators."""
    pieces = divide(run_passes(graph), host)
    return pieces if len(pieces) > 1 else [graph]


def _divided(
    graph: ir.Graph, flash_address: int, compiled: _Compile
) -> tuple[list[Program], dict[str, str]]:
    """Return the programs, and why the host has what it has, by operator."""
    rules = host_rules(graph)
    # A piece that is as it was is compiled already, maybe for another place in the flash.
    made: dict[object, Program] = {}
    while True:
        pieces = pieces_of(graph, rules)
        programs: list[Program] = []
        address = flash_address
        refused: dict[str, str] = {}
        for piece in pieces:
            ops = run_passes(piece).ops
            if not any(is_layer(piece, op) and op.name not in rules for op in ops):
                continue
            of_host = tuple((op.name, op.name in rules) for op in ops)
            key = of_host, piece.inputs, piece.outputs
            try:
                if key not in made:
                    made[key] = compiled(piece, address, frozenset(rules))
            except Refused as error:
                refused |= error.rules
            else:
                programs.append(replace(made[key], flash_address=address))
                address = program_end(address, len(programs[-1].flash))
        if not refused:
            return programs, rules
        if refused.keys() <= rules.keys():
            raise AssertionError(f"{graph.name}: {refused} was the host's already")
        rules |= refused


def _host(
    graph: ir.Graph, programs: Sequence[Program], rules: Mapping[str, str]
) -> tuple[HostOperator, ...]:
    """Return what the host computes; a RESHAPE is no work."""
    ops: Sequence[ir.Operator] = drop_unused(graph).ops
    if programs:
        ops = [op for p in programs for op in (*p.prefix.ops, *p.suffix.ops)]
    return tuple(
        HostOperator(
            name=op.name, kind=op.kind, macs=graph.macs(op),
            rule=rules.get(op.name) or host_rule(graph, op) or ENDS.broken("it is not"),
        )
        for op in ops
        if not isinstance(op, ir.Reshape)
    )
