"""Weights of networks that were trained elsewhere: Keras, torchvision, other PyTorch modules.

Each framework has names and layouts of its own; all become :class:`LayerWeights` by the names of
:mod:`sw.networks.architecture`.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from common import reading
from common.errors import InputError
from sw.networks.architecture import Architecture, Layer
from sw.quantize import weights
from sw.quantize.weights import LayerWeights, Norm, Weights

__all__ = ["from_keras", "from_torch", "from_torchvision", "load", "read"]

Floats = npt.NDArray[np.floating]
State = Mapping[str, Any]

KERAS_EPSILON = 1e-3
TORCH_EPSILON = 1e-5


def read(path: str | PathLike[str]) -> dict[str, npt.NDArray[np.generic]]:
    """Read a file of named arrays.

    Parameters
    ----------
    path
        ``.npz``, or ``.pt`` / ``.pth`` with a state dictionary (needs PyTorch); at most
        :data:`common.reading.LIMIT` bytes, as they are and unpacked.

    Raises
    ------
    InputError
        If it cannot be read, or is too large.
    """
    with reading.open_file(path, limit=reading.LIMIT) as file:
        if Path(path).suffix in (".pt", ".pth"):
            return _read_torch(file, path)
        if file.read(len(np.lib.format.MAGIC_PREFIX)) == np.lib.format.MAGIC_PREFIX:
            raise InputError(f"{path}: one array without a name; save a dictionary with savez")
        try:
            with zipfile.ZipFile(file) as archive:
                _check_unpacked(archive, path)
                return {
                    member.filename.removesuffix(".npy"): _read_member(archive, member, path)
                    for member in archive.infolist()
                }
        except (InputError, OSError):
            raise
        except Exception as error:
            # A damaged archive fails in many ways: those of zipfile, of zlib, of struct.
            reason = str(error) or type(error).__name__
            raise InputError(f"{path}: not a .npz file ({reason})") from None


def _check_unpacked(archive: zipfile.ZipFile, path: str | PathLike[str]) -> None:
    """Check how large an archive says that it is; of no member more is unpacked than it says."""
    if sum(member.file_size for member in archive.infolist()) > reading.LIMIT:
        raise InputError(
            f"{path}: is larger than {reading.LIMIT >> 20} MB unpacked, the most that is read; "
            "give fewer images, or weights without what training alone needs"
        )


def _read_member(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: str | PathLike[str]
) -> npt.NDArray[np.generic]:
    where = f"{path}: {member.filename!r}"

    def check(shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        if math.prod(shape) * dtype.itemsize > member.file_size:
            raise InputError(
                f"{where} states {dtype}{list(shape)}, which is more than it has; save it again"
            )

    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise InputError(f"{where} is compressed in an unusual way; save it with NumPy's savez")
    with archive.open(member) as file:
        return reading.read_npy(file, where, check)


def _read_torch(file: BinaryIO, path: str | PathLike[str]) -> dict[str, npt.NDArray[np.generic]]:
    try:
        import torch
    except ImportError:
        raise InputError(
            f"{path}: needs PyTorch; install it (pip install torch), or save the state as .npz"
        ) from None
    try:
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as archive:
                _check_unpacked(archive, path)
        file.seek(0)
        state = torch.load(file, map_location="cpu", weights_only=True)
        state = state.get("state_dict", state) if isinstance(state, dict) else {}
        found = {
            k: v.detach().numpy() for k, v in state.items() if isinstance(v, torch.Tensor)
        }
    except (InputError, OSError):
        raise
    except Exception as error:
        # Unpickling fails in many ways, and not all tensors have a counterpart in NumPy.
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(f"{path}: not a state dictionary ({reason})") from None
    if not found:
        raise InputError(f"{path}: there is no state dictionary in it; save model.state_dict()")
    return found


def load(state: State, net: Architecture) -> Weights:
    """Recognise whose names a state has, and return the weights.

    Parameters
    ----------
    state : mapping
        Arrays by name: of :func:`sw.quantize.weights.save`, of Keras' MobileNet or MobileNetV2
        (``{v.path: v.numpy() for v in model.variables}``), of torchvision's ``mobilenet_v2``, or
        of any PyTorch module whose state lists the layers in execution order.
    net : Architecture

    Returns
    -------
    Weights
        Checked.

    Raises
    ------
    InputError
        If the state is not of such a network, saying what is missing or has another shape.
    """
    if "stem/weight" in state:
        return weights.load(state, net)
    if "features.0.0.weight" in state and "features.1.conv.1.weight" in state:
        return from_torchvision(state, net)
    if any(name.split(":")[0].endswith(("kernel", "gamma")) for name in state):
        return from_keras(state, net)
    if any(name.endswith(".weight") for name in state):
        return from_torch(state, net)
    raise InputError(
        f"{net.name}: names such as {next(iter(state), '(none)')!r} are not those of Keras, "
        "PyTorch or this project; rename the arrays, or give the state dictionary itself"
    )


def _blocks(net: Architecture) -> Iterator[tuple[Layer, int, str]]:
    """Yield the layers with number of the block and part (``depthwise``, ``expand``, …)."""
    for layer in net.layers:
        block, _, part = layer.name.partition("_")
        yield (layer, int(block[5:]), part) if part else (layer, 0, layer.name)


def _is_v2(net: Architecture) -> bool:
    return any(layer.name == "head" for layer in net.layers)


def _finish(net: Architecture, found: Weights) -> Weights:
    weights.check(net, found)
    return found


def _array(state: State, name: str, net: Architecture) -> Floats:
    if name not in state:
        raise InputError(f"{net.name}: there is no {name!r} among the weights")
    # Of what is no number, the check of the weights says so.
    found = np.asarray(state[name])
    if found.dtype.kind not in "fiu":
        return found
    with np.errstate(over="ignore"):
        return found.astype(np.float32)


# Keras


def _keras_names(net: Architecture) -> Iterator[tuple[Layer, str, str]]:
    """Yield every layer with Keras' names of it and of its normalisation."""
    for layer, number, part in _blocks(net):
        if not _is_v2(net):
            short = {"depthwise": "dw", "pointwise": "pw"}.get(part)
            own = {"stem": "conv1", "classifier": "conv_preds"}
            name = f"conv_{short}_{number}" if short else own[part]
            yield layer, name, f"{name}_bn"
        elif number:
            prefix = "expanded_conv" if number == 1 else f"block_{number - 1}"
            yield layer, f"{prefix}_{part}", f"{prefix}_{part}_BN"
        else:
            names = {
                "stem": ("Conv1", "bn_Conv1"),
                "head": ("Conv_1", "Conv_1_bn"),
                "classifier": ("predictions", ""),
            }
            yield layer, *names[part]


def from_keras(state: State, net: Architecture) -> Weights:
    """Return the weights of Keras' ``MobileNet`` (V1) or ``MobileNetV2``.

    Parameters
    ----------
    state : mapping
        By names such as ``conv1/kernel``; what stands before the last two parts of a name, and
        ``:0`` behind it, do not matter.
    net : Architecture
        With ``same`` padding.

    Raises
    ------
    InputError
        If something is missing, has another shape, or the network differs from Keras'.
    """
    if net.padding != "same":
        raise InputError(f"{net.name}: Keras' networks have the padding 'same', not 'symmetric'")
    short = {"/".join(name.split(":")[0].split("/")[-2:]): value for name, value in state.items()}
    found: Weights = {}
    for layer, name, norm in _keras_names(net):
        if not _is_v2(net) and layer.kind == "depthwise" and layer.stride == 2 and layer.size % 2:
            raise InputError(
                f"{net.name}: Keras' MobileNet pads images of odd size ({layer.size} at "
                f"{layer.name!r}) unlike the paper's; use a resolution that is a multiple of 32"
            )
        kernel = f"{name}/kernel"
        if layer.kind == "depthwise" and kernel not in short:
            kernel = f"{name}/depthwise_kernel"
        weight = _array(short, kernel, net)
        if layer.kind == "linear":
            weight = weight.reshape(weight.shape[-2:]).T
        elif layer.kind == "depthwise":
            weight = weight[..., 0] if weight.shape[3:] == (1,) else weight
        elif weight.ndim == 4:
            weight = weight.transpose(3, 0, 1, 2)
        parts = ("gamma", "beta", "moving_mean", "moving_variance")
        values = [_array(short, f"{norm}/{part}", net) for part in parts] if layer.norm else []
        found[layer.name] = LayerWeights(
            weight=weight,
            bias=None if layer.norm else _array(short, f"{name}/bias", net),
            norm=_norm(values, KERAS_EPSILON) if layer.norm else None,
        )
    return _finish(net, found)


def _norm(values: list[Floats], epsilon: float) -> Norm:
    gamma, beta, mean, variance = values
    return Norm(gamma=gamma, beta=beta, mean=mean, variance=variance, epsilon=epsilon)


# PyTorch


def _from_torch(
    state: State, net: Architecture, names: Iterator[tuple[Layer, str, str]]
) -> Weights:
    found: Weights = {}
    for layer, name, norm in names:
        weight = _array(state, f"{name}.weight", net)
        if layer.kind == "linear":
            weight = weight.reshape(weight.shape[:2])
        elif layer.kind == "depthwise":
            weight = weight[:, 0].transpose(1, 2, 0) if weight.shape[1:2] == (1,) else weight
        elif weight.ndim == 4:
            weight = weight.transpose(0, 2, 3, 1)
        bias = f"{name}.bias"
        parts = ("weight", "bias", "running_mean", "running_var")
        values = [_array(state, f"{norm}.{part}", net) for part in parts] if layer.norm else []
        found[layer.name] = LayerWeights(
            weight=weight,
            bias=_array(state, bias, net) if bias in state or not layer.norm else None,
            norm=_norm(values, TORCH_EPSILON) if layer.norm else None,
        )
    return _finish(net, found)


def _torchvision_names(net: Architecture) -> Iterator[tuple[Layer, str, str]]:
    last = max(number for _, number, _ in _blocks(net)) + 1
    outer = {
        "stem": ("features.0.0", "features.0.1"),
        "head": (f"features.{last}.0", f"features.{last}.1"),
        "classifier": ("classifier.1", ""),
    }
    for layer, number, part in _blocks(net):
        if not number:
            yield layer, *outer[part]
            continue
        # The first block has no expansion.
        parts = ("depthwise", "project") if number == 1 else ("expand", "depthwise", "project")
        prefix, at = f"features.{number}.conv", parts.index(part)
        if part == "project":
            yield layer, f"{prefix}.{at}", f"{prefix}.{at + 1}"
        else:
            yield layer, f"{prefix}.{at}.0", f"{prefix}.{at}.1"


def _symmetric(net: Architecture) -> None:
    if net.padding != "symmetric":
        raise InputError(
            f"{net.name}: PyTorch's convolutions pad symmetrically; make the network with the "
            "padding 'symmetric'"
        )


def from_torchvision(state: State, net: Architecture) -> Weights:
    """Return the weights of torchvision's ``mobilenet_v2``, by name.

    Parameters
    ----------
    state : mapping
        Its ``state_dict()``, as arrays.
    net : Architecture
        A V2 with ``symmetric`` padding.

    Raises
    ------
    InputError
        If something is missing or has another shape.
    """
    if not _is_v2(net):
        raise InputError(f"{net.name}: the weights are torchvision's MobileNet V2; take a V2")
    _symmetric(net)
    return _from_torch(state, net, _torchvision_names(net))


def _names_in_order(state: State, net: Architecture) -> Iterator[tuple[Layer, str, str]]:
    """Yield the layers with the modules of a state dictionary, in the order both have."""
    modules = [name.removesuffix(".weight") for name in state if name.endswith(".weight")]
    expected = sum(2 if layer.norm else 1 for layer in net.layers)
    if len(modules) != expected:
        raise InputError(
            f"{net.name} has {expected} layers and normalisations; the state has {len(modules)} "
            "modules with weights, so it is another network"
        )
    norms = {name for name in modules if f"{name}.running_mean" in state}
    convolutions = iter([name for name in modules if name not in norms])
    following = iter([name for name in modules if name in norms])
    for layer in net.layers:
        yield layer, next(convolutions, ""), next(following, "") if layer.norm else ""


def from_torch(state: State, net: Architecture) -> Weights:
    """Return the weights of any PyTorch module of a MobileNet, by order.

    A state dictionary lists the modules in the order in which they were made, which is the order
    of execution in nearly all implementations; shapes are checked layer by layer.

    Parameters
    ----------
    state : mapping
        The ``state_dict()``, as arrays; normalisation has PyTorch's usual ε of 10⁻⁵.
    net : Architecture
        With ``symmetric`` padding.

    Raises
    ------
    InputError
        If the number of modules or a shape is another one.
    """
    _symmetric(net)
    return _from_torch(state, net, _names_in_order(state, net))
