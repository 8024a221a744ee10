"""Estimates of the host's time, and what is said of the host's part."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support.compiled import random_inputs
from support.detections import detector
from support.divided import host_alone, host_between

import boards
from sw import golden, host_report, host_time, importer
from sw.compiler import Plan, compile_network
from sw.fuzz.builder import NetworkBuilder
from sw.host_time import ERROR, operator_seconds, plan_seconds
from sw.ir import Graph

CONFIG = boards.get("icebreaker").config


def plan_of(data: bytes, **options: bool) -> Plan:
    return compile_network(importer.loads(data, "host"), CONFIG, board="icebreaker", **options)


def convolutions() -> Graph:
    """A convolution, a pointwise and a depthwise one, long enough to be measured."""
    net = NetworkBuilder(seed=1)
    x = net.input((1, 48, 48, 16))
    y = net.conv_2d(net.conv_2d(x, 32, kernel=(3, 3)), 64, kernel=(1, 1))
    return importer.loads(net.build(outputs=[net.depthwise_conv_2d(y, kernel=(3, 3))]), "work")


def choice_of_boxes() -> Graph:
    net, outputs = detector(count=1500, columns=3)
    return importer.loads(net.build(outputs=outputs), "work")


@pytest.mark.slow
@pytest.mark.parametrize("work", [convolutions, choice_of_boxes])
def test_the_estimate_is_within_its_factor(work: Callable[[], Graph]) -> None:
    """In one of some tries: whatever else computes may come between estimate and measurement."""
    graph = work()
    inputs = random_inputs(graph, 0)
    ratios = []
    for _ in range(10):
        host_time._rates.cache_clear()
        estimate = sum(operator_seconds(graph, op) for op in graph.ops)
        ratios.append(estimate / host_time._best(lambda: golden.run(graph, inputs)))
        if 1 / ERROR < ratios[-1] < ERROR:
            return
    pytest.fail(f"estimate by measurement: {ratios}")


def test_more_choices_take_longer() -> None:
    """Of boxes: the most that may be chosen counts."""
    net, outputs = detector(detections=2)
    few = importer.loads(net.build(outputs=outputs), "few")
    net, outputs = detector(detections=20)
    many = importer.loads(net.build(outputs=outputs), "many")
    assert operator_seconds(few, few.ops[-1]) < operator_seconds(many, many.ops[-1])


def test_more_work_takes_longer() -> None:
    net = NetworkBuilder(seed=2)
    x = net.input((1, 16, 16, 8))
    y = net.conv_2d(net.conv_2d(x, 8, kernel=(1, 1)), 8, kernel=(3, 3))
    graph = importer.loads(net.build(outputs=[net.softmax(y)]), "work")
    pointwise, wide, softmax = (operator_seconds(graph, op) for op in graph.ops)
    assert 0 < softmax < pointwise < wide


def test_every_operator_of_the_host_has_an_estimate() -> None:
    plan = plan_of(host_between())
    assert set(plan_seconds(plan)) == {op.name for op in plan.host}
    report = host_report.report(plan)
    assert report["programs"] == 2 and report["device_macs"] == plan.macs
    assert [entry["op"] for entry in report["host"]] == [op.kind for op in plan.host]
    assert all(entry["rule"] and entry["estimated_seconds"] > 0 for entry in report["host"])
    assert report["host_seconds"] == report["host_seconds_estimated"]
    assert host_report.report(plan, [0.5, 1.5])["host_seconds"] == 1


def test_what_is_said_before_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_of(host_between())
    (text,) = host_report.warnings(plan, cycles=10**9)
    assert "2 programs with the host between them" in text
    assert f"{plan.carried_bytes:,} bytes" in text and plan.carried_bytes > 0
    slower, _ = host_report.warnings(plan, cycles=1)
    assert "the host takes longer than the core" in slower
    alone = plan_of(host_alone())
    assert host_report.warnings(alone, cycles=0) == [
        "nothing of this network runs on the core; the host runs all of it"
    ]
    net = NetworkBuilder(seed=3)
    plain = plan_of(net.build(outputs=[net.conv_2d(net.input((1, 4, 4, 3)), 8)]))
    assert host_report.warnings(plain, cycles=1) == [] and host_report.table(plain) is None
