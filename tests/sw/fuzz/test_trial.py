"""Random networks and mutants are equal everywhere or refused; a fault is found and shrunk."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest

import boards
from sw import golden
from sw.fuzz import verdict
from sw.fuzz.around import random_around
from sw.fuzz.generate import random_network
from sw.fuzz.network import Network
from sw.fuzz.trial import CAMPAIGNS, Trial, shrink
from sw.fuzz.verdict import FAILURES, Examiner, Outcome
from sw.ir import Graph


@pytest.fixture(scope="module")
def examiner() -> Iterator[Examiner]:
    examiner = Examiner(boards.get("icebreaker").config)
    yield examiner
    examiner.close()


def run(examiner: Examiner, campaign: str, numbers: range) -> Counter[Outcome]:
    """Examine numbers of a campaign; none may fail."""
    counts = Counter[Outcome]()
    for number in numbers:
        trial = CAMPAIGNS[campaign](number)
        found = examiner.examine(trial.subject.build(), trial.options)
        assert found.outcome not in FAILURES, f"{campaign} {number}: {found}"
        counts[found.outcome] += 1
    return counts


@pytest.mark.slow
def test_networks(examiner: Examiner) -> None:
    assert run(examiner, "networks", range(5000, 5030))[Outcome.EQUAL] >= 6


@pytest.mark.slow
def test_mutants(examiner: Examiner) -> None:
    counts = run(examiner, "mutants", range(5000, 5300))
    assert counts[Outcome.EQUAL] >= 40
    assert counts[Outcome.REFUSED] >= 100


def test_around(examiner: Examiner) -> None:
    """Nearly all of these networks run, and are LiteRT's in every tensor."""
    assert run(examiner, "around", range(5000, 5060))[Outcome.EQUAL] >= 50


def test_fault_is_found_and_shrunk(examiner: Examiner, monkeypatch: pytest.MonkeyPatch) -> None:
    """A golden model whose depthwise convolutions are wrong by one."""
    right = golden.run

    def wrong(graph: Graph, inputs: object) -> dict[int, np.ndarray]:
        values = right(graph, inputs)  # type: ignore[arg-type]
        for op in graph.ops:
            if op.kind == "DEPTHWISE_CONV_2D":
                values[op.output] = values[op.output] ^ 1
        return values

    monkeypatch.setattr(verdict.golden, "run", wrong)

    def fails(trial: Trial) -> bool:
        try:
            data = trial.subject.build()
        except ValueError:
            return False
        return examiner.examine(data, trial.options).outcome is Outcome.DIFFERS

    trials = (CAMPAIGNS["networks"](number) for number in range(5000, 5030))
    trial = next(t for t in trials if len(t.subject.layers) > 3 and fails(t))  # type: ignore[union-attr]
    small = shrink(trial, fails)
    assert isinstance(small.subject, Network)
    assert [layer.kind for layer in small.subject.layers] == ["DEPTHWISE_CONV_2D"]
    assert Trial.from_json(json.loads(json.dumps(small.to_json()))) == small


def test_descriptions_are_json() -> None:
    for network in (make(n) for make in (random_network, random_around) for n in range(100)):
        assert Network.from_json(json.loads(json.dumps(network.to_json()))) == network
