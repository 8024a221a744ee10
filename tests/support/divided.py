"""Networks that the core runs in several programs, with the host between them."""

from __future__ import annotations

from sw.fuzz.builder import NetworkBuilder

__all__ = ["heads_over_the_host", "host_alone", "host_between"]


def host_between() -> bytes:
    """Return a network whose second layer is the host's: a transposed image in the middle."""
    net = NetworkBuilder(seed=3)
    x = net.conv_2d(net.input((1, 8, 6, 3)), 8, kernel=(3, 3))
    x = net.transpose(x, (0, 2, 1, 3))
    x = net.depthwise_conv_2d(x, kernel=(3, 3))
    return net.build(outputs=[net.softmax(net.fully_connected(net.reshape(x, (1, 384)), 5))])


def heads_over_the_host() -> bytes:
    """Return a network whose parts meet again: what the first gave is read by the last.

    The host's tensor is an output, and so is one of the first program.
    """
    net = NetworkBuilder(seed=4)
    first = net.conv_2d(net.input((1, 6, 6, 4)), 8, kernel=(1, 1))
    host = net.transpose(first, (0, 2, 1, 3))
    second = net.conv_2d(host, 8, kernel=(1, 1))
    last = net.add(net.conv_2d(net.transpose(second, (0, 2, 1, 3)), 8, kernel=(1, 1)), first)
    return net.build(outputs=[last, host, first])


def host_alone() -> bytes:
    """Return a network of which nothing is the device's."""
    net = NetworkBuilder(seed=5)
    return net.build(outputs=[net.softmax(net.reshape(net.input((1, 1, 1, 6)), (1, 6)))])
