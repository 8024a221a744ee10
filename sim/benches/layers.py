"""cocotb tests: each layer of a network by itself, one test a layer, or a band of its rows.

:mod:`sim.layer` writes the jobs (``$SEPARABLE_JOBS``, a folder) and reads the results.  A job is
``N-B.npz``, of band B of layer N: ``write_A`` are halfwords to write at address A, ``flash`` the
program; the others have the names of what they are.  The result ``N-B.result.npz`` has ``memory``,
the halfwords asked for, and ``cycles``; or ``error``.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import cocotb
import numpy as np

from sim.benches.host import BenchHost, BenchWave
from sim.errors import SimulationError

FOLDER = Path(os.environ["SEPARABLE_JOBS"])
JOBS = sorted(
    (path.stem for path in FOLDER.glob("*.npz") if path.stem.replace("-", "").isdigit()),
    key=lambda stem: [int(part) for part in stem.split("-")],
)
WAVES = {
    job: BenchWave(**{**wave, "signals": tuple(wave["signals"])})
    for job, wave in json.loads(os.environ.get("SEPARABLE_WAVES", "{}")).items()
}
"""What is recorded of jobs."""


@cocotb.test()
@cocotb.parametrize(job=JOBS)
async def layer(dut: Any, job: str) -> None:
    """Run one job."""
    result = FOLDER / f"{job}.result.npz"
    try:
        with np.load(FOLDER / f"{job}.npz") as given:
            host = BenchHost(dut)
            host.wave = WAVES.get(job)
            await host.power_on(float(given["clock_mhz"]))
            for name in given.files:
                if name.startswith("write_"):
                    await host.write_memory(int(name.removeprefix("write_")), given[name])
            host.load_flash(int(given["flash_address"]), given["flash"].tobytes())
            cycles = await host.run(
                int(given["flash_address"]), int(given["ring_first"]), int(given["limit"])
            )
            memory = await host.read_memory(
                int(given["output_address"]), int(given["output_count"])
            )
    except SimulationError as error:
        np.savez(result, error=str(error))
        raise
    np.savez(result, memory=memory, cycles=cycles)
