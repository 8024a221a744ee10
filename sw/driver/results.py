"""Results of inferences."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from common.errors import SeparableError

__all__ = ["Result", "StreamResult"]

Array = npt.NDArray[np.integer]


@dataclass(frozen=True, kw_only=True)
class Result:
    """Result of an inference.

    Attributes
    ----------
    tensors : dict
        By number: the network's outputs, and what the host computed after the device.
    cycles : int or None
        Counted by the core, from the start to the end of the last layer; ``None`` if there is none.
    layer_cycles : list of int or None
        For each layer, if the device shows them; they add up to ``cycles``.
    upload_seconds, compute_seconds, link_seconds : float
        Writing the input; from the start until the core is seen to be idle; reading the result.
    host_seconds : float
        What the host took for its operators.
    retries : int
        Packets that were sent again.
    """

    tensors: dict[int, Array]
    cycles: int | None
    layer_cycles: list[int] | None
    upload_seconds: float = 0.0
    compute_seconds: float = 0.0
    link_seconds: float = 0.0
    host_seconds: float = 0.0
    retries: int = 0


@dataclass(frozen=True, kw_only=True)
class StreamResult:
    """Result of one frame of a stream, or the error instead.

    Attributes
    ----------
    index : int
        Of the frame, from 0; every frame has exactly one result, in order.
    tensors : dict
        As in :class:`Result`; empty if there is an error.
    cycles : int or None
        As in :class:`Result`; None if there is an error.
    layer_cycles : list of int or None
    upload_seconds, compute_seconds, link_seconds : float
        Writing the input; from the start until the core is seen to be idle; reading the result.
        In a stream these overlap with those of other frames.
    host_seconds : float
        What the host took for its operators.
    retries : int
        Packets of this frame that were sent again.
    finished : float
        When the result was there, in seconds of the device's clock: differences give the rate.
    error : SeparableError or None
        Why there is no result.
    """

    index: int
    tensors: dict[int, Array] = field(default_factory=dict)
    cycles: int | None = None
    layer_cycles: list[int] | None = None
    upload_seconds: float = 0.0
    compute_seconds: float = 0.0
    link_seconds: float = 0.0
    host_seconds: float = 0.0
    retries: int = 0
    finished: float = 0.0
    error: SeparableError | None = None
