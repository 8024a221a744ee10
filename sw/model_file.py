"""MODEL of a command: a network's file, a network's name, or what ``sw.compile`` wrote."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, fields
from pathlib import Path

from common.errors import InputError
from hw.contract.board import Board
from hw.contract.config import CoreConfig
from sw import importer, network_options
from sw.compiler import Plan, compile_network, is_program, load_plan
from sw.compiler.program.plan import SECTOR
from sw.ir import Graph
from sw.networks import published
from sw.networks.shipped import default_model

__all__ = ["Model", "check_board", "loaded_for", "open_model", "open_network"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Model:
    """A network for a board.

    Attributes
    ----------
    graph : Graph
        The network.
    board : Board
    compiled : Plan or None
        Its programs, if that is what the file was.
    options : dict
        Arguments of :func:`sw.compiler.compile_network`.
    """

    graph: Graph
    board: Board
    compiled: Plan | None
    options: dict[str, bool]

    def plan(self) -> Plan:
        """Return the programs, compiled now if they were not before.

        Raises
        ------
        UnsupportedError
            If the board cannot run the network.
        """
        if self.compiled is not None:
            return self.compiled
        return compile_network(
            self.graph, self.board.config, board=self.board.name,
            flash_address=self.board.flash.program_base, flash_size=self.board.flash.size,
            **self.options,
        )


def open_network(name: str | None) -> Graph:
    """Return the network of a file or of a name; by default the one that ships.

    Raises
    ------
    SeparableError
        If there is none, or it is compiled already.
    """
    path = published.find(name or default_model())
    if is_program(path):
        raise InputError(
            f"{path}: a compiled program, and this tool compiles: give it the .tflite file, or run "
            "the program with sw.run, sw.stream or sw.bench"
        )
    return importer.load(path)


def open_model(name: str | None, board: Board, options: argparse.Namespace) -> Model:
    """Return what a tool is to run.

    Parameters
    ----------
    name : str or None
        A file, recognised by what is in it, or a network's name; ``None``: what ships.
    board : Board
    options : Namespace
        With those of :func:`sw.network_options.add_compiler_options`.

    Raises
    ------
    SeparableError
        If there is no such network, or the program is not one for this board and these options.
    """
    path = published.find(name or default_model())
    if not is_program(path):
        return Model(
            graph=importer.load(path), board=board, compiled=None,
            options=network_options.compiler_options(options),
        )
    plan = loaded_for(path, board)
    if given := network_options.given_compiler_options(options):
        raise InputError(
            f"{path}: compiled already, so {' and '.join(given)} would change nothing; leave it "
            "out, or give it to sw.compile"
        )
    return Model(graph=plan.network, board=board, compiled=plan, options={})


def loaded_for(path: Path, board: Board) -> Plan:
    """Return what ``sw.compile`` wrote for a board.

    Raises
    ------
    InputError
        If it is something else, or for another board.
    """
    plan = load_plan(path)
    check_board(path, plan, board)
    return plan


def check_board(path: Path, plan: Plan, board: Board) -> None:
    """Refuse a program from a file that was not compiled for a board.

    Raises
    ------
    InputError
        Saying for what it was.
    """
    again = f"compile the network again with --board {board.name}"
    if plan.board != board.name:
        raise InputError(f"{path}: compiled for board {plan.board!r}, not {board.name}; {again}")
    for field in fields(CoreConfig):
        its, now = (getattr(config, field.name) for config in (plan.config, board.config))
        if its != now:
            raise InputError(
                f"{path}: compiled for a core with {field.name} {its}, and that of {board.name} "
                f"has {now}; {again}"
            )
    first = plan.programs[0].flash_address if plan.programs else board.flash.program_base
    if first < board.flash.program_base or first % SECTOR:
        raise InputError(
            f"{path}: compiled for flash address 0x{first:x}, and programs of "
            f"{board.name} begin at 0x{board.flash.program_base:x}; {again}"
        )
