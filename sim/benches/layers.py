"""cocotb tests: each layer of a network by itself, one test a layer.

:mod:`sim.layer` writes the jobs (``$SEPARABLE_JOBS``, a folder) and reads the results.  A job is
``N.npz``: ``write_A`` are halfwords to write at address A, ``flash`` the program; the others have
the names of what they are.  The result ``N.result.npz`` has ``memory``, the halfwords asked for,
and ``cycles``; or ``error``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import cocotb
import numpy as np

from sim.benches.host import BenchHost
from sim.errors import SimulationError

FOLDER = Path(os.environ["SEPARABLE_JOBS"])
NUMBERS = sorted(int(path.stem) for path in FOLDER.glob("*.npz") if path.stem.isdigit())


@cocotb.test()
@cocotb.parametrize(number=NUMBERS)
async def layer(dut: Any, number: int) -> None:
    """Run one job."""
    result = FOLDER / f"{number}.result.npz"
    try:
        with np.load(FOLDER / f"{number}.npz") as job:
            host = BenchHost(dut)
            await host.power_on(float(job["clock_mhz"]))
            for name in job.files:
                if name.startswith("write_"):
                    await host.write_memory(int(name.removeprefix("write_")), job[name])
            host.load_flash(int(job["flash_address"]), job["flash"].tobytes())
            cycles = await host.run(
                int(job["flash_address"]), int(job["ring_first"]), int(job["limit"])
            )
            memory = await host.read_memory(int(job["output_address"]), int(job["output_count"]))
    except SimulationError as error:
        np.savez(result, error=str(error))
        raise
    np.savez(result, memory=memory, cycles=cycles)
