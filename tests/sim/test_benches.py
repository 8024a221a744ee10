"""cocotb's simulation, around a core that only copies from flash to memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.standin import LAYERS, NEVER, StandIn

from hw.contract.config import CoreConfig
from hw.contract.sections import seal
from sim.benches import runner
from sim.board.top import SimTop

pytestmark = pytest.mark.slow

CONFIG = CoreConfig(memory_depth=1024)


def job(folder: Path, number: int, data: bytes, ring_first: int) -> None:
    np.savez(
        folder / f"{number}.npz",
        clock_mhz=CONFIG.core_mhz,
        write_0=np.arange(4 * 300, dtype=np.uint16),
        flash_address=0x20001,
        flash=np.frombuffer(seal(data), np.uint8),
        ring_first=ring_first,
        limit=20_000,
        output_address=0,
        output_count=4 * 300,
    )


def test_jobs(tmp_path: Path) -> None:
    program = runner.build(SimTop(CONFIG, StandIn(CONFIG)))
    rng = np.random.default_rng(1)
    contents = [rng.integers(0, 256, LAYERS * 800, np.uint8).tobytes() for _ in range(3)]
    for number, data in enumerate(contents):
        # Job 1 never ends.
        job(tmp_path, number, data, NEVER if number == 1 else 50)
    runner.run(program, "sim.benches.layers", tmp_path, {"SEPARABLE_JOBS": str(tmp_path)})
    for number, data in enumerate(contents):
        with np.load(tmp_path / f"{number}.result.npz") as result:
            if number == 1:
                assert "20000 cycles have passed without the program's end" in str(result["error"])
                continue
            expected = np.arange(1200, dtype=np.uint16)
            expected[200:1000] = np.frombuffer(data, np.uint16)
            np.testing.assert_array_equal(result["memory"], expected)
            assert 1600 <= result["cycles"] < 1700
