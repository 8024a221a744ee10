"""Plans of one program."""

from __future__ import annotations

from os import PathLike

from sw.compiler import Plan, Program, load_plan, save_plan

__all__ = ["load_program", "plan_of", "save_program"]


def plan_of(program: Program) -> Plan:
    """Return a network that is one program."""
    return Plan(
        network=program.network, board=program.board, config=program.config, programs=(program,),
        host=(),
    )


def save_program(program: Program, path: str | PathLike[str]) -> None:
    """Write a program to a file."""
    save_plan(plan_of(program), path)


def load_program(path: str | PathLike[str]) -> Program:
    """Read the only program of a file."""
    (program,) = load_plan(path).programs
    return program
