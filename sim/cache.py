"""A cache of build results in the user's cache directory.

An entry is a directory, named after the hash of everything it was made from.  It is made under
another name and renamed when complete: there are no half-written entries, and when several
processes make the same one, the first to finish wins.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

__all__ = ["directory", "entry", "key"]


def directory() -> Path:
    """Return the cache directory: ``$SEPARABLE_CACHE``, or the usual place for caches."""
    if override := os.environ.get("SEPARABLE_CACHE"):
        return Path(override)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "separable"


def key(parts: Iterable[str | bytes]) -> str:
    """Return the name of an entry made from ``parts``."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        # The length keeps ("ab", "c") and ("a", "bc") apart.
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()[:32]


def entry(kind: str, name: str, make: Callable[[Path], None]) -> Path:
    """Return the directory of an entry, made first if it is missing.

    Parameters
    ----------
    kind : str
        The subdirectory of the cache.
    name : str
        See :func:`key`.
    make : callable
        Fills the empty directory it is given; if it raises, there is no entry.  The directory is
        renamed afterwards, so nothing in it may depend on its path.
    """
    parent = directory() / kind
    final = parent / name
    if final.is_dir():
        return final
    parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f"{name}.", dir=parent))
    try:
        make(temporary)
        temporary.chmod(0o755)
        try:
            temporary.rename(final)
        except OSError:
            # Somebody else was faster: a directory that is not empty cannot be replaced.
            if not final.is_dir():
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return final
