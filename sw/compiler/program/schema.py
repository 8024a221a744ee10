"""Schema of a program's file, taken from the type hints of the program's dataclasses.

A field that is added to one of them is written, read, checked, and makes a format of its own.
Numbers, texts and arrays have exactly the type that the hint says;
:mod:`sw.compiler.program.validation` checks what types do not say.
"""

from __future__ import annotations

import math
import types
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from hashlib import sha256
from typing import Any, Literal, NoReturn, Union, get_args, get_origin, get_type_hints

import numpy as np
import numpy.typing as npt

__all__ = ["Reader", "SchemaError", "Writer", "fingerprint"]

LARGEST = 1 << 53
"""Integers are smaller: JSON has no others that every reader reads alike."""

DTYPES = (
    "int8", "uint8", "int16", "int32", "int64", "float16", "float32", "float64", "bool",
)
SCALARS = {int: "an integer", float: "a finite number", str: "a text", bool: "true or false"}
TAG = "is"
"""Where one of several dataclasses is meant: the key that has its name."""

Array = npt.NDArray[Any]


class SchemaError(ValueError):
    """A value is not what the schema says; the message says where."""


def _refuse(where: str, rule: str, value: object) -> NoReturn:
    text = repr(value)
    raise SchemaError(f"{where} must be {rule}, not {text if len(text) < 60 else text[:56] + ' …'}")


@cache
def _members(cls: type) -> dict[str, Any]:
    """Return the fields of a dataclass and their hints."""
    hints = get_type_hints(cls)
    return {field.name: hints[field.name] for field in fields(cls)}


def _plain_type(hint: Any) -> Any:
    """Return what a hint is at run time: a ``NewType`` is the type that it was made from."""
    hint = getattr(hint, "__supertype__", hint)
    # NumPy's ``NDArray`` is a ``type`` statement's alias where Python has that.
    alias = getattr(get_origin(hint), "__value__", None)
    return hint if alias is None else alias[get_args(hint)]


def _choices(hint: Any) -> tuple[Any, ...]:
    """Return what a hint allows: itself, or the members of a union."""
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def _elements(hint: Any, count: int) -> Sequence[Any]:
    """Return the hints of a tuple's elements."""
    inner = get_args(hint)
    return (inner[0],) * count if inner[-1] is Ellipsis else inner


def _array_type(hint: Any) -> type[np.generic]:
    """Return the element type of a hint such as ``NDArray[np.int32]``."""
    found: type[np.generic] = get_args(get_args(hint)[1])[0]
    return found


def fingerprint(hint: Any) -> str:
    """Return eight hexadecimal digits that are others for other fields or types."""
    seen: set[type] = set()

    def describe(hint: Any) -> str:
        hint = _plain_type(hint)
        if is_dataclass(hint) and isinstance(hint, type):
            if hint in seen:
                return hint.__name__
            seen.add(hint)
            inner = ",".join(f"{name}:{describe(of)}" for name, of in _members(hint).items())
            return f"{hint.__name__}({inner})"
        if get_origin(hint) is Literal:
            return f"Literal{get_args(hint)}"
        if get_origin(hint) is np.ndarray:
            return f"array {_array_type(hint).__name__}"
        if isinstance(hint, type) and issubclass(hint, Enum):
            return f"{hint.__name__}{[(member.name, member.value) for member in hint]}"
        if get_origin(hint) in (tuple, dict) or len(_choices(hint)) > 1:
            kind = getattr(get_origin(hint), "__name__", "")
            return f"{kind}[{','.join(map(describe, get_args(hint)))}]"
        return "…" if hint is Ellipsis else str(hint.__name__)

    return sha256(describe(hint).encode()).hexdigest()[:8]


class Writer:
    """Turns values into what JSON has, and collects the arrays.

    Attributes
    ----------
    arrays : list of ndarray
        JSON has their position in this list; equal ones are stored once.
    """

    def __init__(self) -> None:
        self.arrays: list[Array] = []
        self._known: dict[tuple[str, tuple[int, ...], bytes], int] = {}

    def _add(self, array: Array) -> int:
        key = array.dtype.name, array.shape, sha256(array.tobytes()).digest()
        if key not in self._known:
            self._known[key] = len(self.arrays)
            self.arrays.append(array)
        return self._known[key]

    def plain(self, value: Any, hint: Any) -> Any:
        """Return a value of a type as JSON's types."""
        hint = _plain_type(hint)
        choices = _choices(hint)
        if len(choices) > 1:
            if value is None:
                return None
            found = [choice for choice in choices if choice is not types.NoneType]
            if len(found) == 1:
                return self.plain(value, found[0])
            return {TAG: type(value).__name__, **self.plain(value, type(value))}
        origin = get_origin(hint)
        if origin is np.ndarray:
            return self._add(value)
        if hint is bytes:
            return self._add(np.frombuffer(value, np.uint8))
        if origin is tuple:
            inner = _elements(hint, len(value))
            return [self.plain(v, of) for v, of in zip(value, inner, strict=True)]
        if origin is dict:
            key, of = get_args(hint)
            return [[self.plain(k, key), self.plain(v, of)] for k, v in value.items()]
        if is_dataclass(hint) and isinstance(hint, type):
            members = _members(hint).items()
            return {name: self.plain(getattr(value, name), of) for name, of in members}
        if isinstance(hint, type) and issubclass(hint, Enum):
            return value.value
        return float(value) if hint is float else value


class Reader:
    """Turns what JSON has into values, or refuses it.

    Parameters
    ----------
    arrays : sequence of ndarray
        Those of the file.
    """

    def __init__(self, arrays: Sequence[Array]) -> None:
        self._arrays = arrays
        self._used: set[int] = set()

    def value(self, plain: Any, hint: Any, where: str) -> Any:
        """Return a value of a type.

        Parameters
        ----------
        plain
            As JSON has it.
        hint : type
        where : str
            What messages call it.

        Raises
        ------
        SchemaError
            If it is anything else.
        """
        hint = _plain_type(hint)
        if hint in SCALARS:
            return _scalar(plain, hint, where)
        choices = _choices(hint)
        if len(choices) > 1:
            return self._one_of(plain, choices, where)
        origin = get_origin(hint)
        if origin is np.ndarray:
            return self._array(plain, _array_type(hint), where)
        if hint is bytes:
            array = self._array(plain, np.uint8, where)
            if array.ndim != 1:
                _refuse(where, "an array of one dimension", array.shape)
            return array.tobytes()
        if origin is Literal:
            if not isinstance(plain, str) or plain not in get_args(hint):
                _refuse(where, f"one of {', '.join(map(str, get_args(hint)))}", plain)
            return plain
        if origin is tuple:
            return self._tuple(plain, hint, where)
        if origin is dict:
            return self._dict(plain, hint, where)
        if is_dataclass(hint) and isinstance(hint, type):
            return self._instance(plain, hint, where)
        if isinstance(hint, type) and issubclass(hint, Enum):
            if type(plain) not in (int, str) or plain not in [member.value for member in hint]:
                _refuse(where, f"a {hint.__name__}", plain)
            return hint(plain)
        raise TypeError(f"{where}: the schema knows no {hint}")

    def check_all_used(self) -> None:
        """Refuse arrays that nothing refers to."""
        if len(self._used) != len(self._arrays):
            raise SchemaError("the file has arrays that belong to nothing")

    def _one_of(self, plain: Any, choices: Sequence[Any], where: str) -> Any:
        found = [choice for choice in choices if choice is not types.NoneType]
        if plain is None and len(found) < len(choices):
            return None
        if len(found) == 1:
            return self.value(plain, found[0], where)
        named = {choice.__name__: choice for choice in found}
        name = plain.get(TAG) if type(plain) is dict else None
        if type(name) is not str or name not in named:
            _refuse(f"{where}.{TAG}", f"one of {', '.join(named)}", name)
        return self._instance({k: v for k, v in plain.items() if k != TAG}, named[name], where)

    def _tuple(self, plain: Any, hint: Any, where: str) -> tuple[Any, ...]:
        if type(plain) is not list:
            _refuse(where, "a list", plain)
        inner = _elements(hint, len(plain))
        if len(plain) != len(inner):
            _refuse(where, f"a list of {len(inner)}", plain)
        return tuple(
            self.value(entry, of, f"{where}[{number}]")
            for number, (entry, of) in enumerate(zip(plain, inner, strict=True))
        )

    def _dict(self, plain: Any, hint: Any, where: str) -> dict[Any, Any]:
        if type(plain) is not list or any(type(e) is not list or len(e) != 2 for e in plain):
            _refuse(where, "a list of pairs", plain)
        key, of = get_args(hint)
        pairs = [
            (self.value(k, key, f"{where} key"), self.value(v, of, f"{where}[{k}]"))
            for k, v in plain
        ]
        if len(dict(pairs)) != len(pairs):
            _refuse(where, "pairs with keys of their own", [k for k, _ in pairs])
        return dict(pairs)

    def _instance(self, plain: Any, cls: type, where: str) -> Any:
        members = _members(cls)
        if type(plain) is not dict:
            _refuse(where, f"a {cls.__name__}", plain)
        if plain.keys() != members.keys():
            odd = sorted(plain.keys() ^ members.keys())
            raise SchemaError(
                f"{where} {'lacks' if odd[0] in members else 'has an unknown'} {odd[0]!r:.60}"
            )
        values = {name: self.value(plain[name], of, f"{where}.{name}")
                  for name, of in members.items()}
        try:
            return cls(**values)
        except ValueError as error:
            raise SchemaError(f"{where}: {error}") from None

    def _array(self, plain: Any, kind: type[np.generic], where: str) -> Array:
        if type(plain) is not int or not 0 <= plain < len(self._arrays):
            _refuse(where, f"the number of an array (0 to {len(self._arrays) - 1})", plain)
        array = self._arrays[plain]
        if not np.issubdtype(array.dtype, kind):
            _refuse(where, f"of type {kind.__name__}", array.dtype.name)
        self._used.add(plain)
        return array


def _scalar(plain: Any, hint: Any, where: str) -> Any:
    wrong = type(plain) is not hint
    if not wrong and hint is int:
        wrong = abs(plain) >= LARGEST
    if wrong or (hint is float and not math.isfinite(plain)):
        _refuse(where, SCALARS[hint], plain)
    return plain
