"""The driver: programs, inputs and results, over any transport.

- :mod:`sw.driver.device`: what users call;
- :mod:`sw.driver.transport`: what a device must be able to do;
- :mod:`sw.driver.simulation`, :mod:`sw.driver.serial`: simulated boards, boards.
"""

from sw.driver.device import Device, Result, StreamResult
from sw.driver.errors import (
    ConfigurationMismatch,
    DeviceBusy,
    DeviceError,
    DeviceLost,
    DeviceTimeout,
)
from sw.driver.transport import Progress, Transport

__all__ = [
    "ConfigurationMismatch",
    "Device",
    "DeviceBusy",
    "DeviceError",
    "DeviceLost",
    "DeviceTimeout",
    "Progress",
    "Result",
    "StreamResult",
    "Transport",
]
