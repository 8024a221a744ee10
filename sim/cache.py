"""A cache of build results in the user's cache directory.

An entry is a directory, named after the hash of everything it was made from.  It is made under
another name and renamed when complete: there are no half-written entries.  Of several processes
that want the same one, one makes it and the others wait.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: the work may be done twice, the result is the same
    fcntl = None  # type: ignore[assignment]

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
    with _lock(parent / f"{name}.lock"):
        if not final.is_dir():
            _make(final, make)
    return final


def _make(final: Path, make: Callable[[Path], None]) -> None:
    temporary = Path(tempfile.mkdtemp(prefix=f"{final.name}.", dir=final.parent))
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


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Hold a lock; it is the system that releases it when a process dies."""
    with path.open("w") as file:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
