"""Errors of talking to a device."""

from sw.errors import SeparableError


class DeviceError(SeparableError):
    """The device does not answer, answers wrongly, or cannot be simulated."""


class CorruptProgramError(DeviceError):
    """A checksum of the program in the device's flash was wrong: there is no result."""


class DeviceTimeout(DeviceError):
    """The device did not finish in time."""
