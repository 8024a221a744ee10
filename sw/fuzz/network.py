"""Descriptions of networks: small, JSON-able, and possible to make smaller.

A description names what is special about each layer ("all weights at the lowest integer"), not
its numbers; :mod:`sw.fuzz.assemble` makes the file of it.  Every layer has a seed of its own, so
that the others keep their contents when one of them is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from sw.fuzz.assemble import build_network
from sw.fuzz.layers import Input, Layer

__all__ = ["Network", "first_valid"]

PLAIN = Layer(kind="")
"""What every field is when nothing is special."""


@dataclass(frozen=True, kw_only=True)
class Network:
    """A network.

    Attributes
    ----------
    inputs : tuple of Input
    layers : tuple of Layer
        In order of execution.
    outputs : tuple of int
        Values: inputs are numbered first, then the results of layers.
    """

    inputs: tuple[Input, ...]
    layers: tuple[Layer, ...]
    outputs: tuple[int, ...]

    def build(self) -> bytes:
        """Return the file.

        Raises
        ------
        ValueError
            If there is no such network: shapes that do not fit each other.
        """
        return build_network(self.inputs, self.layers, self.outputs).data

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Network:
        """Return what :meth:`to_json` described."""
        return cls(
            inputs=tuple(Input(**_tuples(entry)) for entry in data["inputs"]),
            layers=tuple(Layer(**_tuples(entry)) for entry in data["layers"]),
            outputs=tuple(data["outputs"]),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the description, without what is plain."""
        plain = asdict(PLAIN)
        layers = [
            {k: v for k, v in asdict(layer).items() if k == "kind" or v != plain[k]}
            for layer in self.layers
        ]
        return {
            "inputs": [asdict(entry) for entry in self.inputs],
            "layers": layers,
            "outputs": list(self.outputs),
        }

    def smaller(self) -> Iterator[Network]:
        """Yield simpler networks: the great steps first, not all of them possible."""
        yield from self._cut()
        yield from self._without()
        yield from self._fewer_outputs()
        for number, layer in enumerate(self.layers):
            for simpler in layer.simpler():
                layers = (*self.layers[:number], simpler, *self.layers[number + 1 :])
                yield replace(self, layers=layers)
        for number, entry in enumerate(self.inputs):
            for smaller in entry.simpler():
                inputs = (*self.inputs[:number], smaller, *self.inputs[number + 1 :])
                yield replace(self, inputs=inputs)

    def _cut(self) -> Iterator[Network]:
        """Yield the network's beginnings and its ends."""
        first = len(self.inputs)
        for count in range(1, len(self.layers)):
            yield replace(
                self, layers=self.layers[:count], outputs=(first + count - 1,)
            )._only_used()
        try:
            values = build_network(self.inputs, self.layers, self.outputs).values
        except ValueError:
            return
        for count in range(len(self.layers) - 1, 0, -1):
            yield self._behind(count, values)

    def _behind(self, count: int, values: tuple[Input, ...]) -> Network:
        """Return the network without its first layers: what they made is given."""
        layers = self.layers[count:]
        wanted = {i for layer in layers for i in layer.inputs} | set(self.outputs)
        done = [i for i in range(len(self.inputs) + count) if i in wanted]
        number = {old: new for new, old in enumerate(done)}
        for k in range(len(layers)):
            number[len(self.inputs) + count + k] = len(done) + k
        return Network(
            inputs=tuple(values[i] for i in done),
            layers=tuple(
                replace(layer, inputs=tuple(number[i] for i in layer.inputs)) for layer in layers
            ),
            outputs=tuple(number[i] for i in self.outputs),
        )

    def _without(self) -> Iterator[Network]:
        """Yield the network without one of its layers: readers take the layer's first operand."""
        for k, layer in enumerate(self.layers):
            gone = len(self.inputs) + k

            def number(i: int, gone: int = gone, instead: int = layer.inputs[0]) -> int:
                return instead if i == gone else i - (i > gone)

            layers = tuple(
                replace(other, inputs=tuple(number(i) for i in other.inputs))
                for other in (*self.layers[:k], *self.layers[k + 1 :])
            )
            outputs = tuple(dict.fromkeys(number(i) for i in self.outputs))
            if layers:
                yield replace(self, layers=layers, outputs=outputs)._only_used()

    def _fewer_outputs(self) -> Iterator[Network]:
        if len(self.outputs) > 1:
            for i in self.outputs:
                yield replace(self, outputs=(i,))._only_used()
                yield replace(self, outputs=tuple(o for o in self.outputs if o != i))._only_used()

    def _only_used(self) -> Network:
        """Return the network without inputs that nothing reads."""
        used = {i for layer in self.layers for i in layer.inputs} | set(self.outputs)
        kept = [i for i in range(len(self.inputs)) if i in used]
        if len(kept) == len(self.inputs) or not kept:
            return self
        number = {old: new for new, old in enumerate(kept)}
        for k in range(len(self.layers)):
            number[len(self.inputs) + k] = len(kept) + k
        return Network(
            inputs=tuple(self.inputs[i] for i in kept),
            layers=tuple(
                replace(layer, inputs=tuple(number[i] for i in layer.inputs))
                for layer in self.layers
            ),
            outputs=tuple(number[i] for i in self.outputs),
        )


def _tuples(data: dict[str, Any]) -> dict[str, Any]:
    return {
        key: tuple(tuple(x) if isinstance(x, list) else x for x in value)
        if isinstance(value, list) else value
        for key, value in data.items()
    }


def first_valid(generate: Callable[[], Network]) -> Network:
    """Return the first network that can be, of those that a generator makes one after the other."""
    while True:
        try:
            return generate()
        except ValueError:
            # Shapes that did not fit each other; another one.
            continue
