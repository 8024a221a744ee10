"""Errors of talking to a device."""

from common.errors import SeparableError

__all__ = [
    "ConfigurationMismatch",
    "CorruptProgramError",
    "DeviceBusy",
    "DeviceError",
    "DeviceLost",
    "DeviceSilent",
    "DeviceTimeout",
]


class DeviceError(SeparableError):
    """The device does not answer, answers wrongly, or cannot be simulated."""


class CorruptProgramError(DeviceError):
    """A checksum of the program in the device's flash was wrong: there is no result."""


class DeviceSilent(DeviceError):
    """Nothing answers at a port that could be opened."""


class DeviceTimeout(DeviceError):
    """The device did not finish in time."""


class DeviceLost(DeviceError):
    """The line is dead: the cable was pulled, or the board is off.  Open the device again."""


class DeviceBusy(DeviceError):
    """Another driver has the device."""


class ConfigurationMismatch(DeviceError):
    """Host and bitstream were made from different configurations."""
