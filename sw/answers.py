"""Answers: what an inference gave, for programs that use :mod:`sw.api`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy.typing as npt

from common.errors import InputError
from sw.inference import Run
from sw.ir import Graph, Quantization, Tensor
from sw.outputs.classes import TOP, best, is_choice, label, real
from sw.outputs.detections import THRESHOLD, Found, check_threshold, detector_of

__all__ = ["Class", "Outputs", "Result"]

Array: TypeAlias = npt.NDArray[Any]


class Outputs:
    """Outputs of a network, in its order: ``outputs[0]`` or ``outputs["name"]``.

    Parameters
    ----------
    names : sequence of str
        Of the tensors; not necessarily unique.
    arrays : sequence of ndarray
        Of the tensors' shapes and types.
    """

    def __init__(self, names: Sequence[str], arrays: Sequence[Array]) -> None:
        self.names = tuple(names)
        self._arrays = tuple(arrays)

    def __getitem__(self, key: int | str) -> Array:
        """Return an output by number or name.

        Raises
        ------
        IndexError
            If there is none of that number.
        InputError
            If there is none of that name, or several.
        """
        if not isinstance(key, str):
            return self._arrays[key]
        if self.names.count(key) != 1:
            found = "several outputs are called" if key in self.names else "no output is called"
            raise InputError(
                f"{found} {key!r}; outputs, by number from 0: {', '.join(map(repr, self.names))}"
            )
        return self._arrays[self.names.index(key)]

    def __iter__(self) -> Iterator[Array]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def __repr__(self) -> str:
        shapes = (f"{name!r}: {array.dtype}{list(array.shape)}"
                  for name, array in zip(self.names, self._arrays, strict=True))
        return f"<Outputs {', '.join(shapes)}>"


@dataclass(frozen=True, kw_only=True)
class Class:
    """Class that a network answers with.

    Attributes
    ----------
    number : int
    label : str
        Its name; its number, if nobody knows one.
    value : float
        What the output says of it, as a real number: a probability, if the network ends in a
        softmax.
    integer : int or None
        The same as the network has it; ``None`` where it computes floats.
    """

    number: int
    label: str
    value: float
    integer: int | None


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Result:
    """Result of an inference.

    Attributes
    ----------
    outputs : Outputs
        Arrays by number or name.
    labels : tuple of str
        Names of the classes, as far as they are known.
    cycles : int or None
        Counted by the core; ``None`` where there is none, or it does not say.
    layer_cycles : tuple of int or None
        Of each layer, if the device shows them.
    seconds : float or None
        What these cycles take at the core's clock.
    host_seconds : float
        What this computer took for its operators, measured.
    exact : bool or None
        True: everything compared is the golden model's; ``None``: nothing was compared.
    network : Graph
        What was run.
    """

    outputs: Outputs
    labels: tuple[str, ...]
    cycles: int | None
    layer_cycles: tuple[int, ...] | None
    seconds: float | None
    host_seconds: float
    exact: bool | None
    network: Graph

    @classmethod
    def of(cls, run: Run, graph: Graph, *, labels: tuple[str, ...], clock_mhz: float) -> Result:
        """Return the result of a run."""
        names = [graph.tensors[index].name for index in graph.outputs]
        return cls(
            outputs=Outputs(names, run.outputs),
            labels=labels,
            cycles=run.cycles,
            layer_cycles=None if run.layer_cycles is None else tuple(run.layer_cycles),
            seconds=None if run.cycles is None else run.cycles / (clock_mhz * 1e6),
            host_seconds=run.host_seconds,
            exact=run.exact,
            network=graph,
        )

    @property
    def quantization(self) -> Quantization | None:
        """Scale and zero point of the first output."""
        return self._tensor.quantization

    @property
    def _tensor(self) -> Tensor:
        return self.network.tensors[self.network.outputs[0]]

    @property
    def label(self) -> str:
        """Name of the class with the greatest value; its number, if nobody knows one.

        Raises
        ------
        InputError
            If the network is a detector.
        """
        return self.top(1)[0].label

    def top(self, count: int = TOP) -> list[Class]:
        """Return the classes with the greatest values of the first output, best first.

        Raises
        ------
        InputError
            If ``count`` is no number from 1 on (there may be fewer classes), or the network is a
            detector.
        """
        if detector_of(self.network) is not None:
            raise InputError(
                f"network {self.network.name!r} finds objects; use found instead of top and label"
            )
        if not isinstance(count, int) or count < 1:
            raise InputError(f"a number of classes is 1 or more, not {count!r}")
        return [self._class(number) for number in best(self.outputs[0], count)]

    def found(self, threshold: float = THRESHOLD) -> list[Found]:
        """Return the objects that a detector found, the best first.

        Parameters
        ----------
        threshold : float
            Least score, 0 to 1.

        Raises
        ------
        InputError
            If the network is no detector, or ``threshold`` is something else.
        """
        check_threshold(threshold)
        detector = detector_of(self.network)
        if detector is None:
            raise InputError(
                f"network {self.network.name!r} tells classes apart; use top instead of found"
            )
        return detector.found(list(self.outputs), self.labels, threshold)

    def _class(self, number: int) -> Class:
        output = self.outputs[0]
        # What ARG_MAX wrote is the number itself.
        at = 0 if is_choice(output) else number
        value = output.ravel()[at]
        return Class(
            number=number,
            label=label(number, self.labels),
            value=float(real(output, self._tensor).ravel()[at]),
            integer=int(value) if output.dtype.kind in "iu" else None,
        )

    def __repr__(self) -> str:
        if detector_of(self.network) is None:
            parts = [repr(self.label)]
        else:
            parts = [f"{len(self.found())} found"]
        if self.cycles is not None and self.seconds is not None:
            parts.append(f"{self.cycles:,} cycles, {self.seconds * 1e3:.2f} ms")
        if self.exact:
            parts.append("exact")
        return f"<Result {', '.join(parts)}>"
