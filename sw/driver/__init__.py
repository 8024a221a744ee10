"""The driver: programs, inputs and results, over any transport.

- :mod:`sw.driver.network`: what users call, ``backends``: what a name stands for;
- :mod:`sw.driver.device`: one program at a time;
- :mod:`sw.driver.profiling`: where the cycles of an inference go;
- :mod:`sw.driver.transport`: what a device must be able to do;
- :mod:`sw.driver.simulation`, :mod:`sw.driver.serial`: simulated boards, boards;
- :mod:`sw.driver.link`: operations, each exactly once; ``line``, ``window``, ``rates``,
  ``packets``, ``port``: what it is made of; ``pipeline``: streams over it;
- :mod:`sw.driver.spi_flash`: a board's flash.
"""

from sw.driver import backends
from sw.driver.backends import open_device, open_loaded
from sw.driver.device import Device
from sw.driver.errors import (
    ConfigurationMismatch,
    CorruptProgramError,
    DeviceBusy,
    DeviceError,
    DeviceLost,
    DeviceTimeout,
)
from sw.driver.golden import GoldenDevice
from sw.driver.network import NetworkDevice
from sw.driver.profiling import LayerProfile, profile
from sw.driver.results import Result, StreamResult
from sw.driver.transport import Progress, Transport
from sw.driver.verified import infer_verified

__all__ = [
    "ConfigurationMismatch",
    "CorruptProgramError",
    "Device",
    "DeviceBusy",
    "DeviceError",
    "DeviceLost",
    "DeviceTimeout",
    "GoldenDevice",
    "LayerProfile",
    "NetworkDevice",
    "Progress",
    "Result",
    "StreamResult",
    "Transport",
    "backends",
    "infer_verified",
    "open_device",
    "open_loaded",
    "profile",
]
