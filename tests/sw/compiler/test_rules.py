"""Each rule of the core is broken by an operator, which becomes the host's for that reason."""

from __future__ import annotations

import ast
import importlib
import pkgutil
from pathlib import Path
from typing import get_args

import pytest
from support.broken_rules import CASES, Case

import boards
import sw.compiler
from common.errors import UnsupportedError
from hw.contract.config import CoreConfig
from sw import importer, ir
from sw.compiler import compile_network
from sw.compiler.graph import partition
from sw.compiler.graph.refusals import Rule
from sw.compiler.network import ENDS
from sw.compiler.rules import Runs, limits, rules_of, runs
from sw.fuzz.builder import NetworkBuilder

KINDS = {kind.kind: kind for kind in get_args(ir.Operator)}

MODULES = [
    importlib.import_module(module.name)
    for module in pkgutil.walk_packages(sw.compiler.__path__, "sw.compiler.")
]


def defined() -> set[Rule]:
    """Return the rules of all modules of the compiler."""
    return {value for module in MODULES for value in vars(module).values() if type(value) is Rule}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.kind}-{case.rule.text[:40]}")
def test_the_rule_is_why(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    if case.instead:
        monkeypatch.setattr(*case.instead)
    net = NetworkBuilder(seed=1, dtype=case.dtype)
    graph = importer.loads(net.build(outputs=[case.make(net)]), "test")
    assert case.rule in rules_of(KINDS[case.kind])
    if not case.options.get("fallback", True):
        with pytest.raises(UnsupportedError) as caught:
            compile_network(graph, case.config, **case.options)
        assert f"({case.kind}), output tensor" in str(caught.value)
        assert f": {case.rule.sentence} (here " in str(caught.value)
        return
    plan = compile_network(graph, case.config, **case.options)
    whys = {op.rule for op in plan.host if op.kind == case.kind}
    assert whys
    for why in whys:
        assert why.startswith(f"{case.rule.sentence} (here ") and why.endswith(")")
    others = [op for op in plan.host if op.kind != case.kind]
    for op in others:
        # What is the host's anyway, or at an end because of it.
        known = partition.HOST_ONLY, ENDS, *case.also
        assert op.rule.startswith(tuple(rule.sentence for rule in known)), op.rule


def test_every_rule_is_broken() -> None:
    assert {case.rule for case in CASES} == defined()


def test_every_rule_is_listed() -> None:
    listed = {rule for kind in KINDS.values() for rule in rules_of(kind)}
    assert listed == defined()


def test_rules_say_what_to_do() -> None:
    for rule in defined():
        assert rule.text[0].isupper() and not rule.sentence.endswith(".")
        assert rule.remedy and ";" not in rule.text


NO_RULES = {
    "sw/compiler/graph/crop.py": "of sim.layer: rows of a layer by itself",
    "sw/compiler/graph/partition.py": "a network without a layer; tensors of any of its operators",
    "sw/compiler/network.py": "the whole network: the end of the flash",
    "sw/compiler/pipeline.py": "an operator that is no layer; names in front of an error",
    "sw/compiler/placement/addresses.py": "the same rule, without an operator",
    "sw/compiler/program/program.py": "the whole network: its descriptors",
}
"""Files that raise errors about support without naming a rule, and of what."""


def test_nothing_else_is_refused() -> None:
    """Refusals name a rule; those of files, programs and whole networks are known."""
    root = Path(sw.compiler.__file__).parents[2]
    found = set()
    for path in sorted(Path(sw.compiler.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            if node.func.id == "UnsupportedError" and path.name != "refusals.py":
                found.add(path.relative_to(root).as_posix())
            if node.func.id in ("Refused", "_refused") and path.name != "refusals.py":
                text = ast.unparse(node)
                known = "broken" in text or "refused, where" in text or "why" in text
                assert known, f"{path}: {text} names no rule"
    assert found == NO_RULES.keys()


def test_every_operator_runs_somewhere() -> None:
    for kind in KINDS.values():
        rules = rules_of(kind)
        assert len(set(rules)) == len(rules)
        if runs(kind) is Runs.HOST:
            assert rules == (partition.HOST_ONLY, partition.IN_BETWEEN)
        else:
            assert partition.HOST_ONLY not in rules


def test_limits_are_the_cores() -> None:
    config = boards.get("icebreaker").config
    small = CoreConfig(weight_depth=64, memory_depth=1024)
    assert limits(config)["products"] == 1024 and limits(small)["products"] == 128
    assert limits(small)["averaged_pixels"] == 61
    assert limits(small)["averaged_window"] == 16
    assert limits(small)["memory_bytes"] == 8192
