"""Errors of talking to a device."""

from sw.errors import SeparableError


class DeviceError(SeparableError):
    """The device does not answer, answers wrongly, or cannot be simulated."""


class DeviceTimeout(DeviceError):
    """The device did not finish in time."""
