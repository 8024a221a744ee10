"""Packages that are optional."""

from importlib.util import find_spec

from common.errors import InputError

__all__ = ["require"]


def require(package: str, extra: str, purpose: str) -> None:
    """Refuse what a package is needed for, before the work.

    Parameters
    ----------
    package : str
        As it is imported.
    extra : str
        Extra of the project that installs it.
    purpose : str
        The beginning of the sentence, such as "plots need".

    Raises
    ------
    InputError
        If it is missing.
    """
    if find_spec(package) is None:
        raise InputError(f"{purpose} {package}: pip install 'separable[{extra}]'")
