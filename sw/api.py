"""The Python API: what ``import separable`` gives.

::

    import separable

    net = separable.compile("net.tflite", "icebreaker")
    out = net.run("cat.png")
    print(out.label, out.cycles)

A :class:`Network` holds its device from the first inference on: it is closed by ``with``, by
:meth:`Network.close`, or when Python ends.  Threads may share it: they wait for each other.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

import numpy.typing as npt

import boards
from common.closing import Closing
from common.errors import InputError, SeparableError
from hw.contract.board import Board
from hw.contract.config import CoreConfig
from sw import images, importer, inference
from sw.answers import Class, Outputs, Result
from sw.compiler import Plan, is_program, load_plan, save_plan
from sw.compiler.timing import predict_plan
from sw.driver import GoldenDevice, NetworkDevice, backends, open_loaded
from sw.given import File, board_of, check_backend, check_file, labels_for
from sw.ir import Graph
from sw.model_file import Model, check_board
from sw.networks import published
from sw.networks.shipped import default_model
from sw.plan_report import layer_reports, plan_json
from sw.report import LayerReport
from sw.verify import Difference

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = [
    "Board", "Class", "Difference", "Network", "Outputs", "Result", "SeparableError", "board",
    "compile", "load",
]

Input: TypeAlias = "File | Image | npt.ArrayLike"
"""An input of a network: a file, a picture of Pillow's, or an array; see :func:`sw.images.take`."""

board = boards.get
"""Returns a :class:`Board` by name; see :func:`boards.get`."""


def compile(
    network: File | Graph | None = None,
    board: str | Board | CoreConfig | None = None,
    *,
    backend: str = backends.DEFAULT,
    labels: File | Sequence[str] | None = None,
    fallback: bool = True,
    drop_constant_channels: bool = False,
    compact_input: bool = False,
) -> Network:
    """Compile a network for a board.

    Parameters
    ----------
    network : str, path or Graph, optional
        A ``.tflite`` file, or a name that ``separable models list`` shows; by default the
        MobileNet V1 that ships with the project.
    board : str, Board or CoreConfig, optional
        A board, by name or as it is, or the configuration of a core; by default what
        ``separable.toml`` names, otherwise the iCEBreaker.
    backend : str
        Where it runs: ``"sim"``, the simulated core; ``"sim:link"``, with its serial line;
        ``"golden"``, the golden model; otherwise the name of the board's serial port.
    labels : path or sequence of str, optional
        Names of the classes, or a file of them, one a line; by default those in the network's file.
    fallback : bool
        The host runs what the core cannot, also between the core's layers; without, a network with
        such an operator between them is refused.
    drop_constant_channels : bool
        Leave out channels that are proven to have one value whatever the input.
    compact_input : bool
        Send as few bytes per inference as possible, at the price of some cycles.

    Returns
    -------
    Network

    Raises
    ------
    SeparableError
        If there is no such file, network or board, or the board cannot run the network.
    """
    target = board_of(board)
    check_backend(backend)
    if isinstance(network, Graph):
        graph = network
    else:
        if network is not None:
            check_file(network, "a network is a Graph or")
        path = published.find(default_model() if network is None else network)
        if is_program(path):
            raise InputError(f"{path}: compiled already; open it with separable.load")
        graph = importer.load(path)
    model = Model(
        graph=graph, board=target, compiled=None,
        options={
            "fallback": fallback,
            "remove_constant_channels": drop_constant_channels,
            "compact_input": compact_input,
        },
    )
    ships = network is None
    return Network(model.plan(), target, backend=backend, labels=labels_for(graph, ships, labels))


def load(
    path: File,
    board: str | Board | CoreConfig | None = None,
    *,
    backend: str = backends.DEFAULT,
    labels: File | Sequence[str] | None = None,
) -> Network:
    """Load a compiled network: what :meth:`Network.save` or ``separable compile --output`` wrote.

    Parameters
    ----------
    path
    board : str, Board or CoreConfig, optional
        What it was compiled for; by default what the file names.
    backend, labels
        As for :func:`compile`.

    Returns
    -------
    Network

    Raises
    ------
    SeparableError
        If it is no such file, or was compiled for something else.
    """
    check_backend(backend)
    check_file(path, "a compiled network is")
    plan = load_plan(path)
    if board is None and plan.board not in boards.board_names():
        raise InputError(
            f"{path}: compiled for {plan.board!r}, which is none of the boards; say which board or "
            "configuration it is for"
        )
    target = board_of(plan.board if board is None else board)
    check_board(Path(path), plan, target)
    return Network(plan, target, backend=backend, labels=labels_for(plan.network, False, labels))


class Network(Closing):
    """Network that is compiled for a board, on a device of its own.

    Made by :func:`compile` and :func:`load`.

    Attributes
    ----------
    plan : Plan
        What the compiler made.
    board : Board
    backend : str
    labels : tuple of str
        Names of the classes, as far as they are known.
    """

    def __init__(
        self, plan: Plan, board: Board, *, backend: str, labels: Sequence[str] = ()
    ) -> None:
        self.plan = plan
        self.board = board
        self.backend = backend
        self.labels = tuple(labels)
        self._device: NetworkDevice | GoldenDevice | None = None
        # A device does one thing at a time: threads wait for each other.
        self._lock = threading.RLock()
        self._held = ExitStack()
        # When nothing refers to this object any more, and at the latest when Python ends.
        self._finalizer = weakref.finalize(self, self._held.close)

    def run(self, *inputs: Input | Mapping[str, Input]) -> Result:
        """Run the network once.

        Parameters
        ----------
        *inputs : path, picture or array
            The input, or all of them in order, or one mapping of all by name: image files,
            ``.npy`` or ``.dat``; pictures of Pillow's; arrays of the network's type and shape, or
            of pixels (uint8).  A batch dimension of 1 may be missing.

        Returns
        -------
        Result

        Raises
        ------
        InputError
            If an input does not fit.
        DeviceError
            If the device fails.
        """
        return self._infer(inputs, verify=False)

    def verify(self, *inputs: Input | Mapping[str, Input]) -> Result:
        """Run the network once, and compare it with the golden model, integer for integer.

        The simulated core shows every tensor at the end of its layer; of a board that is connected
        the outputs are compared.

        Parameters
        ----------
        *inputs
            As for :meth:`run`.

        Returns
        -------
        Result
            Whose ``exact`` is true.

        Raises
        ------
        Difference
            At the first value that is not the golden model's; the message says where.
        InputError
            If an input does not fit, or nothing of the network runs on a core.
        """
        return self._infer(inputs, verify=True)

    def _infer(self, given: tuple[object, ...], *, verify: bool) -> Result:
        with self._lock:
            return self._infer_alone(given, verify=verify)

    def _infer_alone(self, given: tuple[object, ...], *, verify: bool) -> Result:
        device = self._open()
        if verify and isinstance(device, GoldenDevice):
            where = f"backend {self.backend!r}" if self.plan.programs else "the host"
            raise InputError(
                f"network {self.plan.model!r}: {where} runs the golden model, which would be "
                "compared with itself; use run instead of verify"
            )
        graph = self.plan.network
        name = ", ".join(fspath(x) for x in given if isinstance(x, str | PathLike)) or graph.name
        found = inference.run(
            graph, self.plan, device, name, self._inputs(given), verify=verify
        )
        if found.difference:
            raise Difference(found.difference)
        return Result.of(
            found, graph, labels=self.labels, clock_mhz=self.board.config.core_mhz
        )

    def _inputs(self, given: tuple[object, ...]) -> dict[int, Any]:
        """Return the inputs by tensor."""
        graph = self.plan.network
        if len(given) == 1 and isinstance(given[0], Mapping):
            pairs = [(graph.input_named(name), value) for name, value in given[0].items()]
        else:
            if len(given) != len(graph.inputs):
                names = ", ".join(repr(graph.tensors[index].name) for index in graph.inputs)
                raise InputError(
                    f"network {graph.name!r} takes {len(graph.inputs)} inputs, {names}, not "
                    f"{len(given)}"
                )
            pairs = list(zip(graph.inputs, given, strict=True))
        found: dict[int, Any] = {}
        for index, value in pairs:
            if index in found:
                raise InputError(f"input {graph.tensors[index].name!r} is given twice")
            found[index] = images.take(value, graph, graph.inputs.index(index))
        return found

    def _open(self) -> NetworkDevice | GoldenDevice:
        """Return the device, with the network loaded."""
        if not self._finalizer.alive:
            raise InputError(f"network {self.plan.model!r} is closed; compile or load it again")
        if self._device is None:
            runs = backends.find(self.backend).runs_programs
            self._device = self._held.enter_context(
                open_loaded(
                    self.backend, self.board, self.plan.network, self.plan if runs else None
                )
            )
        return self._device

    @property
    def layers(self) -> list[LayerReport]:
        """What the core runs, layer by layer, with the cycles that the compiler predicts."""
        return layer_reports(self.plan)

    @property
    def cycles(self) -> int:
        """Cycles of an inference that the compiler predicts; the core takes exactly these."""
        return sum(predict_plan(self.plan))

    def report(self) -> dict[str, Any]:
        """Return what ``separable compile --json`` writes."""
        return plan_json(self.plan, self.layers, self.board.baud)

    def save(self, path: File) -> None:
        """Write the compiled network to a file, for :func:`load`, ``separable run`` and others.

        Raises
        ------
        SeparableError
            If it cannot be written.
        """
        check_file(path, "a compiled network is written to")
        save_plan(self.plan, path)

    def close(self) -> None:
        """Let go of the device; nothing can be run afterwards."""
        with self._lock:
            self._device = None
            self._finalizer()

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a Network has a device and cannot be pickled; save() it, and load() the file there"
        )

    def __repr__(self) -> str:
        return (
            f"<Network {self.plan.model!r} for {self.board.name} on {self.backend}: "
            f"{self.cycles:,} cycles>"
        )
