"""A cache of build results in the user's cache directory.

An entry is a directory of files, named after the hash of everything it was made from.  It is made
under another name and renamed when complete; of several processes that want the same one, one
makes it and the others wait.

Disks fill up and files get cut: every file of an entry is compared with its checksum, and it is
the bytes that were compared which are returned, not where they came from.  An entry that is not
what was written is made again.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from secrets import token_hex

from platformdirs import user_cache_dir

from common import progress
from common.errors import CacheError
from common.files import is_writable

try:
    import fcntl
except ImportError:  # Windows: the work may be done twice, the result is the same
    fcntl = None  # type: ignore[assignment]

__all__ = ["directory", "entry", "exclusive", "key", "yowasp_environment"]

CHECKSUMS = ".checksums"
"""File of an entry; other names that begin with a dot are the file system's, and do not count."""

FORMAT = "separable cache entry 1"
"""First line of the checksums; another one is another version's entry, and is made again."""

_LEFT = re.compile(r"\.?(.+)\.(?:lock|[a-z0-9_]{8})")
"""Names beside a target that are there while it is made, and stay if its maker is killed."""

ONCE = "once, then kept"
EACH_TIME = "each time, as the cache cannot be written"

_log = logging.getLogger(__name__)


def directory() -> Path:
    """Return the cache directory: ``$SEPARABLE_CACHE``, or the usual place for caches.

    Raises
    ------
    CacheError
        If nobody says where that is.
    """
    if override := os.environ.get("SEPARABLE_CACHE"):
        return Path(override)
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base) / "separable"
    try:
        return Path.home() / ".cache" / "separable"
    except RuntimeError:
        # Not a folder that others can fill: what is in the cache is run.
        raise CacheError(
            "there is no home folder to keep what is compiled in; set SEPARABLE_CACHE to a folder"
        ) from None


def yowasp_environment() -> dict[str, str]:
    """Return the environment for tools of YoWASP, which keep what they compile of themselves.

    Where the home folder cannot be written to, they keep it in this cache.

    Raises
    ------
    CacheError
        If that cannot be written to either; they would end with a traceback after a minute.
    """
    theirs = "YOWASP_CACHE_DIR"
    if theirs in os.environ or is_writable(Path(user_cache_dir("YoWASP", appauthor=False))):
        return dict(os.environ)
    ours = directory() / "yowasp"
    if not is_writable(ours):
        raise CacheError(
            f"{ours} cannot be written, where tools are kept that are compiled once; set "
            "SEPARABLE_CACHE to another folder"
        )
    return {**os.environ, theirs: str(ours)}


def key(parts: Iterable[str | bytes]) -> str:
    """Return the name of an entry made from ``parts``."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        # The length keeps ("ab", "c") and ("a", "bc") apart.
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()[:32]


def entry(
    kind: str, name: str, make: Callable[[Path], None], *, what: str = ""
) -> dict[str, bytes]:
    """Return the files of an entry, made first if it is missing or damaged.

    Where the cache cannot be written to, it is made all the same, with a warning.

    Parameters
    ----------
    kind : str
        The subdirectory of the cache.
    name : str
        See :func:`key`.
    make : callable
        Fills the empty directory it is given with files; if it raises, there is no entry.
    what : str
        What is done when it is made, for those who wait: "compiling the simulated core".

    Returns
    -------
    dict
        Contents by name.

    Raises
    ------
    CacheError
        If the files cannot be written: a disk is full.
    """
    final = directory() / kind / name
    if (found := _read(final)) is not None:
        _log.info("cache: %s is used", final)
        return found
    note = ONCE
    with ExitStack() as stack:
        try:
            stack.enter_context(exclusive(final))
            if (found := _read(final)) is not None:
                return found
            temporary = Path(tempfile.mkdtemp(prefix=f"{name}.", dir=final.parent))
        except OSError as error:
            _warn(final, error)
            temporary = Path(tempfile.mkdtemp(prefix="separable."))
            note = EACH_TIME
        stack.callback(_delete, temporary)
        try:
            _log.info("cache: %s is made", final)
            with progress.stage(what or f"making {kind}", note=note, kept=True):
                make(temporary)
            files = {path.name: path.read_bytes() for path in temporary.iterdir()}
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise CacheError(
                f"{temporary} cannot be filled ({error.strerror}); make room there, or set "
                "SEPARABLE_CACHE to another folder"
            ) from None
        if temporary.parent == final.parent:
            _store(temporary, files, final)
    return files


@contextmanager
def exclusive(target: Path) -> Iterator[None]:
    """Be the only one who makes a file or directory, in a folder that is made if it is missing.

    What makers of anything in that folder have left who were killed is deleted: it is called like
    the target, with a dot and eight more characters, as :mod:`tempfile` calls it.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        held = stack.enter_context(_lock(target, wait=False))
        if not held and fcntl is not None:
            with progress.stage("waiting for another run that makes the same"):
                held = stack.enter_context(_lock(target))
        if held:
            _clean(target)
        yield


def _checksums(files: Mapping[str, bytes]) -> bytes:
    rows = [f"{hashlib.sha256(files[name]).hexdigest()} {name}" for name in sorted(files)]
    return "\n".join([FORMAT, *rows, ""]).encode()


def _read(folder: Path) -> dict[str, bytes] | None:
    """Return the files of an entry, if they are what was written."""
    try:
        paths = [path for path in folder.iterdir() if not path.name.startswith(".")]
        checksums = folder / CHECKSUMS
        # A pipe would be waited for.
        if not all(path.is_file() for path in (checksums, *paths)):
            return None
        files = {path.name: path.read_bytes() for path in paths}
        return files if checksums.read_bytes() == _checksums(files) else None
    except OSError:
        return None


def _store(temporary: Path, files: Mapping[str, bytes], final: Path) -> None:
    """Make a complete directory the entry, in the place of a damaged one."""
    try:
        (temporary / CHECKSUMS).write_bytes(_checksums(files))
        temporary.chmod(0o755)
        if os.path.lexists(final):
            damaged = final.with_name(f"{final.name}.{token_hex(4)}")
            final.rename(damaged)
            _delete(damaged)
        temporary.rename(final)
    except OSError as error:
        # Without locks somebody else may have been faster.
        if _read(final) is None:
            _warn(final, error)


def _warn(final: Path, error: OSError) -> None:
    _log.warning(
        "%s cannot be kept (%s): it is made anew each time; SEPARABLE_CACHE names another folder",
        final,
        error.strerror or error,
    )


def _delete(path: Path) -> None:
    with suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o700)
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()


def _clean(target: Path) -> None:
    """Delete what killed makers left in the folder of a target whose lock is held."""
    left: dict[str, list[Path]] = {}
    for path in target.parent.iterdir():
        if match := _LEFT.fullmatch(path.name):
            left.setdefault(match[1], []).append(path)
    for name, paths in left.items():
        with suppress(OSError), ExitStack() as stack:
            # Who is alive has the lock.
            if name == target.name or stack.enter_context(
                _lock(target.with_name(name), wait=False)
            ):
                for path in paths:
                    if path.suffix != ".lock":
                        _delete(path)


@contextmanager
def _lock(target: Path, *, wait: bool = True) -> Iterator[bool]:
    """Hold the lock of a path, and yield whether it is held.

    It is the system that releases it when a process dies; the file is deleted by who held it last.
    """
    if fcntl is None:
        yield False
        return
    path = target.with_name(f"{target.name}.lock")
    while True:
        with path.open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                yield False
                return
            if not _same(path, file.fileno()):
                # Who held it has deleted it, and the next one may have another.
                continue
            try:
                yield True
            finally:
                with suppress(OSError):
                    path.unlink()
            return


def _same(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
