"""The driver: programs, inputs and results, over any transport.

- :mod:`sw.driver.device`: what users call;
- :mod:`sw.driver.profiling`: where the cycles of an inference go;
- :mod:`sw.driver.transport`: what a device must be able to do;
- :mod:`sw.driver.simulation`, :mod:`sw.driver.serial`: simulated boards, boards.
"""

from sw.driver.device import Device, Result
from sw.driver.errors import CorruptProgramError, DeviceError, DeviceTimeout
from sw.driver.profiling import LayerProfile, profile
from sw.driver.transport import Transport

__all__ = [
    "CorruptProgramError",
    "Device",
    "DeviceError",
    "DeviceTimeout",
    "LayerProfile",
    "Result",
    "Transport",
    "profile",
]
