"""Float weights of a network, layer by layer, and the folding of batch normalisation."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from common import files
from common.errors import InputError
from sw.networks.architecture import Architecture, Layer

__all__ = ["LayerWeights", "Norm", "Weights", "check", "fold", "load", "save"]

Floats = npt.NDArray[np.floating]


@dataclass(frozen=True, kw_only=True, eq=False)
class Norm:
    """Batch normalisation: gamma × (x − mean) / √(variance + epsilon) + beta.

    Attributes
    ----------
    gamma, beta, mean, variance : (C,) float
    epsilon : float
    """

    gamma: Floats
    beta: Floats
    mean: Floats
    variance: Floats
    epsilon: float


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerWeights:
    """Weights of one layer.

    Attributes
    ----------
    weight : ndarray of float
        Of the shape :attr:`sw.networks.architecture.Layer.weight_shape`.
    bias : (outputs,) float or None
    norm : Norm or None
        What follows the convolution.
    """

    weight: Floats
    bias: Floats | None = None
    norm: Norm | None = None


Weights: TypeAlias = dict[str, LayerWeights]
"""By name of the layer."""


def fold(weights: LayerWeights, layer: Layer) -> tuple[Floats, Floats]:
    """Fold batch normalisation into the convolution before it.

    With g = gamma / √(variance + epsilon), the weights of an output channel are multiplied by g
    and its bias becomes (bias − mean) × g + beta (Jacob et al., "Quantization and Training of
    Neural Networks for Efficient Integer-Arithmetic-Only Inference", 2018, section 3.2).

    Parameters
    ----------
    weights : LayerWeights
    layer : Layer

    Returns
    -------
    weight : float64
        Of the same shape.
    bias : (outputs,) float64
    """
    weight = weights.weight.astype(np.float64)
    bias = np.zeros(layer.outputs) if weights.bias is None else weights.bias.astype(np.float64)
    norm = weights.norm
    if norm is None:
        return weight, bias
    gain = norm.gamma.astype(np.float64) / np.sqrt(norm.variance.astype(np.float64) + norm.epsilon)
    bias = (bias - norm.mean) * gain + norm.beta
    # Output channels are the last dimension of depthwise weights, the first one otherwise.
    along = (1, 1, -1) if layer.kind == "depthwise" else (-1,) + (1,) * (weight.ndim - 1)
    return weight * gain.reshape(along), bias


def check(net: Architecture, weights: Mapping[str, LayerWeights]) -> None:
    """Check that there are finite weights of the right shapes for every layer.

    Raises
    ------
    InputError
        Naming the layer, what is expected and what was found.
    """
    for layer in net.layers:
        if layer.name not in weights:
            raise InputError(f"{net.name}: layer {layer.name!r} has no weights")
        found = weights[layer.name]
        parts: dict[str, tuple[Floats, tuple[int, ...]]] = {
            "weight": (found.weight, layer.weight_shape)
        }
        if found.bias is not None:
            parts["bias"] = (found.bias, (layer.outputs,))
        if found.norm is not None:
            for name in ("gamma", "beta", "mean", "variance"):
                parts[name] = (getattr(found.norm, name), (layer.outputs,))
        for name, (array, shape) in parts.items():
            where = f"{net.name}: {name} of layer {layer.name!r}"
            if array.shape != shape:
                raise InputError(
                    f"{where} has the shape {list(array.shape)}, not {list(shape)}; the weights "
                    "are of another network (another width multiplier, number of classes or input "
                    "channels)"
                )
            if array.dtype.kind not in "fiu":
                raise InputError(f"{where} is of the type {array.dtype}; save numbers")
            if not np.isfinite(array).all():
                raise InputError(f"{where} is not finite; train it again")
        if found.norm is not None:
            _check_norm(found.norm, f"{net.name}: the normalisation of layer {layer.name!r}")


def _check_norm(norm: Norm, where: str) -> None:
    """Check that there is a root to divide by."""
    if not 0 <= norm.epsilon < float("inf"):
        raise InputError(
            f"{where} has the epsilon {norm.epsilon:g}; it must be a number of 0 or more, such as "
            "0.001"
        )
    if (norm.variance < 0).any():
        raise InputError(f"{where} has negative variances; train it again")
    if not (norm.variance.astype(np.float64) + norm.epsilon > 0).all():
        raise InputError(
            f"{where} has variances of 0 and an epsilon of 0; give the epsilon that it was trained "
            "with"
        )


def save(path: str | PathLike[str], weights: Mapping[str, LayerWeights]) -> None:
    """Write weights as ``.npz`` with names such as ``stem/weight`` and ``stem/gamma``."""
    arrays: dict[str, npt.NDArray[np.generic]] = {}
    for name, layer in weights.items():
        arrays[f"{name}/weight"] = layer.weight
        if layer.bias is not None:
            arrays[f"{name}/bias"] = layer.bias
        if layer.norm is not None:
            for part in ("gamma", "beta", "mean", "variance"):
                arrays[f"{name}/{part}"] = getattr(layer.norm, part)
            arrays[f"{name}/epsilon"] = np.array(layer.norm.epsilon)
    archive = io.BytesIO()
    np.savez_compressed(archive, allow_pickle=False, **arrays)
    files.write_bytes(path, archive.getvalue())


def load(state: Mapping[str, Any], net: Architecture) -> Weights:
    """Read weights that :func:`save` wrote.

    Parameters
    ----------
    state : mapping
        Arrays by name, such as what :func:`numpy.load` returns.
    net : Architecture

    Returns
    -------
    Weights
        Checked.

    Raises
    ------
    InputError
        If something is missing or has another shape.
    """
    weights = {}
    for layer in net.layers:
        name = layer.name
        if f"{name}/weight" not in state:
            raise InputError(f"{net.name}: there is no {name + '/weight'!r} among the weights")
        norm = None
        if f"{name}/gamma" in state:
            parts = ("gamma", "beta", "mean", "variance", "epsilon")
            missing = [p for p in parts if f"{name}/{p}" not in state]
            if missing:
                raise InputError(
                    f"{net.name}: there is no {f'{name}/{missing[0]}'!r} among the weights"
                )
            epsilon = np.asarray(state[f"{name}/epsilon"])
            if epsilon.dtype.kind not in "fiu" or epsilon.size != 1:
                raise InputError(f"{net.name}: {name + '/epsilon'!r} is not one number")
            norm = Norm(
                **{p: state[f"{name}/{p}"] for p in parts[:-1]}, epsilon=float(epsilon.item())
            )
        weights[name] = LayerWeights(
            weight=state[f"{name}/weight"], bias=state.get(f"{name}/bias"), norm=norm
        )
    check(net, weights)
    return weights
