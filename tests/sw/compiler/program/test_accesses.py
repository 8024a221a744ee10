"""Accesses of descriptors: those of the functional model."""

from __future__ import annotations

import numpy as np
import pytest
from support.timelines import PLANS, plan

import sim.functional
from hw.contract.config import CoreConfig
from hw.contract.descriptors import Descriptor
from sim.functional import FunctionalCore
from sim.hazards import Reads
from sw.compiler.program.accesses import words_read, words_written


@pytest.mark.parametrize("name", PLANS)
def test_accesses(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, list[np.ndarray]] = {"read": [], "written": []}

    def note(d: Descriptor, target: np.ndarray, reads: Reads, ring: tuple[int, int],
             config: CoreConfig) -> None:
        addresses = reads.addresses.copy()
        if d.mode.is_depthwise:
            # The first and last kernel row of the image's edge are replaced by padding.
            if d.pad_top:
                addresses[0, :, :, 0] = addresses[0, :, :, 1]
            if d.pad_bottom:
                addresses[-1, :, :, 2] = addresses[-1, :, :, 1]
        seen["read"].append(addresses.ravel())
        seen["written"].append(target)

    monkeypatch.setattr(sim.functional, "check_outputs", note)
    for program in plan(name).programs:
        for d in FunctionalCore(program.config).run(program.flash, program.ring):
            read, written = (np.unique(np.concatenate(seen[way])) for way in seen)
            np.testing.assert_array_equal(words_read(d, program.config), read)
            np.testing.assert_array_equal(words_written(d, program.config), written)
            for addresses in seen.values():
                addresses.clear()
