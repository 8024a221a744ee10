"""A network as a PyTorch module, for training only: nothing that ships imports this."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor, from_numpy, nn
from torch.nn import functional

from sw.networks.architecture import Architecture, Layer
from sw.quantize.weights import LayerWeights, Norm, Weights

__all__ = ["Module", "set_weights", "weights_of"]


class Module(nn.Module):
    """An architecture, ready to be trained.

    Parameters
    ----------
    net : Architecture
    dropout : float
        Before the classifier.
    """

    def __init__(self, net: Architecture, dropout: float = 0.0) -> None:
        super().__init__()
        self.net = net
        self.dropout = dropout
        self.layers = nn.ModuleDict({layer.name: _module(layer) for layer in net.layers})
        self.norms = nn.ModuleDict(
            {layer.name: nn.BatchNorm2d(layer.outputs) for layer in net.layers if layer.norm}
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of images (N, C, H, W) with values from 0 to 1."""
        kept = {layer.skip for layer in self.net.layers}
        values: dict[str | None, Tensor] = {}
        for layer in self.net.layers:
            if layer.kind == "linear":
                x = functional.dropout(x.mean(dim=(2, 3)), self.dropout, self.training)
            else:
                x = _pad(x, layer, self.net.padding)
            x = self.layers[layer.name](x)
            if layer.norm:
                x = self.norms[layer.name](x)
            if layer.relu6:
                x = functional.relu6(x)
            if layer.skip is not None:
                x = x + values[layer.skip]
            if layer.name in kept:
                values[layer.name] = x
        return x


def _module(layer: Layer) -> Any:
    if layer.kind == "linear":
        return nn.Linear(layer.inputs, layer.outputs)
    groups = layer.inputs if layer.kind == "depthwise" else 1
    made = nn.Conv2d(
        layer.inputs,
        layer.outputs,
        layer.kernel,
        layer.stride,
        # What one convolution can pad by itself; the rest is _pad's.
        padding=(layer.kernel - 1) // 2 if layer.stride == 1 else 0,
        groups=groups,
        bias=not layer.norm,
    )
    nn.init.kaiming_normal_(made.weight, mode="fan_out", nonlinearity="relu")
    return made


def _pad(x: Tensor, layer: Layer, padding: str) -> Tensor:
    """Pad for a stride of 2."""
    if layer.kernel == 1 or layer.stride == 1:
        return x
    reach = layer.kernel - 1
    total = (layer.output_size - 1) * layer.stride + layer.kernel - layer.size
    before = reach // 2 if padding == "symmetric" else total // 2
    return functional.pad(x, (before, total - before, before, total - before))


def weights_of(module: Module) -> Weights:
    """Return the trained weights as arrays."""
    layers = {}
    for layer in module.net.layers:
        weight = _array(module.layers[layer.name].weight)
        if layer.kind == "conv":
            weight = weight.transpose(0, 2, 3, 1)
        elif layer.kind == "depthwise":
            weight = weight[:, 0].transpose(1, 2, 0)
        norm = None
        if layer.norm:
            n = module.norms[layer.name]
            norm = Norm(
                gamma=_array(n.weight),
                beta=_array(n.bias),
                mean=_array(n.running_mean),
                variance=_array(n.running_var),
                epsilon=float(n.eps),
            )
        bias = module.layers[layer.name].bias
        layers[layer.name] = LayerWeights(
            weight=np.ascontiguousarray(weight),
            bias=None if bias is None else _array(bias),
            norm=norm,
        )
    return layers


def set_weights(module: Module, weights: Mapping[str, LayerWeights]) -> None:
    """Make arrays, checked ones, a module's weights: the inverse of :func:`weights_of`."""
    for layer in module.net.layers:
        found = weights[layer.name]
        weight = found.weight
        if layer.kind == "conv":
            weight = weight.transpose(0, 3, 1, 2)
        elif layer.kind == "depthwise":
            weight = weight.transpose(2, 0, 1)[:, None]
        target = module.layers[layer.name]
        pairs = [(target.weight, weight), (target.bias, found.bias)]
        if layer.norm and found.norm is not None:
            norm = module.norms[layer.name]
            pairs += [
                (norm.weight, found.norm.gamma),
                (norm.bias, found.norm.beta),
                (norm.running_mean, found.norm.mean),
                (norm.running_var, found.norm.variance),
            ]
        for parameter, array in pairs:
            if parameter is not None and array is not None:
                parameter.data.copy_(from_numpy(np.ascontiguousarray(array)))


def _array(tensor: Tensor) -> Any:
    return tensor.detach().cpu().numpy().astype(np.float32)
