"""Errors of the simulation whose message is meant for the person at the command line."""

from common.errors import SeparableError


class SimulationError(SeparableError):
    """Base of the simulation's errors."""


class BuildError(SimulationError):
    """The simulated core could not be compiled."""


class HangError(SimulationError):
    """The core did not finish within the cycle limit."""


class FlashError(SimulationError):
    """The core used the flash in a way that the real chip does not answer."""
