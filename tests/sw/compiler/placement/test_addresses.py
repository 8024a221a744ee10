"""Memory plan: nothing that lives at the same time overlaps, and what does not fit is named."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from common.errors import UnsupportedError
from hw.contract.config import CoreConfig
from sw import importer
from sw.compiler import compile_graph
from sw.compiler.exact.budget import Budget
from sw.compiler.lowering.layers import Trail
from sw.compiler.placement import addresses, arrange
from sw.compiler.placement.addresses import Buffer, MemoryPlan, NoArrangement, plan_memory
from sw.compiler.placement.arrange import RING_MINIMUM
from sw.fuzz.builder import NetworkBuilder


def buffer(tensor: int, words: int, first: int, last: int) -> Buffer:
    return Buffer(tensor=tensor, name=f"tensor {tensor}", words=words, first=first, last=last)


def check(buffers: list[Buffer], result: MemoryPlan, depth: int) -> None:
    spans = {b.tensor: (result.addresses[b.tensor], b.words) for b in buffers}
    for a, b in itertools.combinations(buffers, 2):
        if a.first <= b.last and b.first <= a.last:
            (start_a, size_a), (start_b, size_b) = spans[a.tensor], spans[b.tensor]
            assert start_a + size_a <= start_b or start_b + size_b <= start_a
    top = max(start + size for start, size in spans.values())
    assert min(start for start, _ in spans.values()) >= 0
    assert result.ring == (top, depth - 1)
    assert result.ring_words == depth - top


@pytest.mark.parametrize("seed", range(30))
def test_random_lifetimes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 25))
    buffers = []
    for tensor in range(count):
        first = int(rng.integers(0, 20))
        last = first + int(rng.integers(0, 6))
        buffers.append(buffer(tensor, int(rng.integers(1, 500)), first, last))
    depth = sum(b.words for b in buffers) + 8
    check(buffers, plan_memory(buffers, depth, 8, 8), depth)


def test_a_chain_takes_no_more_than_its_largest_pair() -> None:
    sizes = [4753, 2304, 2304, 4608, 1152, 2304, 2304, 2304, 576]
    buffers = [buffer(i, words, max(i - 1, 0), i) for i, words in enumerate(sizes)]
    result = plan_memory(buffers, 16384, 64, 8)
    check(buffers, result, 16384)
    assert result.ring_words == 16384 - max(map(sum, itertools.pairwise(sizes)))


def test_residual_connections_are_kept() -> None:
    # 0 feeds the sum in layer 3.
    buffers = [
        buffer(0, 100, 0, 3),
        buffer(1, 600, 1, 2),
        buffer(2, 600, 2, 3),
        buffer(3, 100, 3, 4),
    ]
    result = plan_memory(buffers, 2000, 1, 8)
    check(buffers, result, 2000)
    assert result.ring_words == 700


def test_what_does_not_fit_is_named() -> None:
    buffers = [buffer(0, 1000, 0, 1), buffer(1, 500, 1, 2), buffer(2, 20, 0, 2)]
    with pytest.raises(UnsupportedError) as caught:
        plan_memory(buffers, 1024, 64, 8)
    message = str(caught.value)
    assert "tensor 0 (8 KB) and tensor 1 (4 KB) must be in memory at the same time" in message
    assert "needs at least 12 KB" in message and "the core has 8 KB" in message


def test_the_ring_needs_its_part() -> None:
    buffers = [buffer(0, 500, 0, 1), buffer(1, 460, 1, 2)]
    assert plan_memory(buffers, 1024, 64, 8).ring_words == 64
    with pytest.raises(UnsupportedError, match=r"at least 8 KB .* and the core has 8 KB"):
        plan_memory(buffers, 1024, 65, 8)


def test_an_arrangement_without_room_for_the_ring(monkeypatch: pytest.MonkeyPatch) -> None:
    buffers = [buffer(0, 500, 0, 1), buffer(1, 400, 1, 2)]
    monkeypatch.setattr(addresses, "_search", lambda *_: (970, {0: 0, 1: 570}))
    with pytest.raises(NoArrangement, match="no arrangement of the tensors was found") as caught:
        plan_memory(buffers, 1024, 64, 8)
    assert caught.value.excess == 10


def test_what_lies_over_all_of_another() -> None:
    small = buffer(0, 10, 0, 1)
    large = Buffer(tensor=1, name="large", words=100, first=1, last=2, trails={0: Trail(5)})
    assert large.together(small) == small.together(large) == 100
    assert plan_memory([small, large], 200, 8, 8).ring_words == 100


def test_many_tensors_with_gaps_take_bounded_work(monkeypatch: pytest.MonkeyPatch) -> None:
    orders = []

    def place(order: list[Buffer]) -> tuple[int, dict[int, int]]:
        orders.append(order)
        return 10_000, {}

    monkeypatch.setattr(addresses, "_place", place)
    many = [buffer(n, 10, n, n + 1) for n in range(300)]
    work = Budget(left=100_000)
    with pytest.raises(NoArrangement):
        plan_memory(many, 1024, 8, 8, work)
    # A tenth for each pair; the obvious orders are tried in any case.
    assert len(orders) == 6 + 2 and work.left == 100_000 - 8 * 9001
    orders.clear()
    with pytest.raises(NoArrangement):
        plan_memory(many[:10], 1024, 8, 8)
    assert len(orders) == 6 + addresses.TRIES


def test_arrangements_are_not_looked_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    net = NetworkBuilder(seed=1)
    x = net.input((1, 8, 8, 8))
    for _ in range(3):
        x = net.conv_2d(x, 8)
    placements = 0

    def place(order: list[Buffer]) -> tuple[int, dict[int, int]]:
        nonlocal placements
        placements += 1
        # A word is missing, however little is asked for.
        return CoreConfig().memory_depth - RING_MINIMUM + 1, {}

    monkeypatch.setattr(addresses, "_place", place)
    monkeypatch.setattr(arrange, "WORK", 2000)
    with pytest.raises(UnsupportedError, match="no arrangement of the tensors was found"):
        compile_graph(importer.loads(net.build(outputs=[x])), CoreConfig(), dense_input=True)
    assert 100 < placements < 2000
