"""The checks by name: ``nox -s lint types quick``, ``nox --list``.

All but ``newest`` run in the environment that nox was started in, which needs the extra ``test``,
and for ``docs`` the extra ``docs``: ``pip install -e '.[test,docs]'``.  Arguments behind ``--`` go
to the tools.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nox

nox.options.default_venv_backend = "none"
nox.options.sessions = ["lint", "types", "quick"]

SUPPORTED = [
    classifier.rpartition(" :: ")[2]
    for classifier in nox.project.load_toml("pyproject.toml")["project"]["classifiers"]
    if re.fullmatch(r"Programming Language :: Python :: 3\.\d+", classifier)
]
"""Versions of Python, from old to new."""

TESTS = ("python", "-m", "pytest", "-n", "2", "--durations", "20")


def interpreter(version: str) -> str | None:
    """Return a Python of a version such as 3.13, from the PATH or pyenv's; None without one."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    found = [shutil.which(f"python{version}"), *pyenv.glob(f"versions/{version}.*/bin/python")]
    for path in filter(None, found):
        # What stands for a version that is not chosen does not run.
        attempt = subprocess.run([path, "-c", "import ensurepip, venv"], capture_output=True)
        if attempt.returncode == 0:
            return str(path)
    return None


@nox.session
def lint(session: nox.Session) -> None:
    """Style, and who imports whom."""
    session.run("ruff", "check", ".", *session.posargs)
    session.run("lint-imports", "--no-cache")


@nox.session
def types(session: nox.Session) -> None:
    """Types."""
    session.run("mypy", *session.posargs)


@nox.session
def quick(session: nox.Session) -> None:
    """Tests that take a few minutes in all."""
    session.run(*TESTS, "-m", "not slow", *session.posargs)


@nox.session
def full(session: nox.Session) -> None:
    """All tests."""
    session.run(*TESTS, *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation as a site, in build/site; a warning is an error."""
    session.run("mkdocs", "build", "--strict", *session.posargs)


@nox.session
def figures(session: nox.Session) -> None:
    """Figures of the documents, against what is measured."""
    session.run("python", "-m", "sw.figures", *session.posargs)


@nox.session
def newest(session: nox.Session) -> None:
    """The quick tests with the newest Python that is here and supported, if this one is older."""
    here = f"3.{sys.version_info.minor}"
    newer = SUPPORTED[SUPPORTED.index(here) + 1 :] if here in SUPPORTED else []
    found = next(filter(None, map(interpreter, reversed(newer))), None)
    if found is None:
        session.skip(f"no supported Python newer than {here} is here")
    folder = session.create_tmp()
    session.run(found, "-m", "venv", "--clear", folder, external=True)
    python = f"{folder}/bin/python"
    session.run(python, "-m", "pip", "install", "--quiet", "-e", ".[test]", external=True)
    session.run(python, *TESTS[1:], "-m", "not slow", *session.posargs, external=True)
