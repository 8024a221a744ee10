"""Compiled programs as files: what is damaged or forged is refused in one sentence."""

from __future__ import annotations

import json
import os
import random
import resource
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.compiled import check_program, random_inputs
from support.plans import load_program, save_program

import boards
from common.errors import InputError
from sw import golden, importer
from sw.compiler import Program, compile_graph, is_program, save_plan
from sw.compiler.program import storage
from sw.compiler.program.schema import Reader, SchemaError, Writer, fingerprint
from sw.fuzz.builder import NetworkBuilder
from sw.ir import Graph

CONFIG = boards.get("icebreaker").config
DIGEST = 32


def network() -> Graph:
    """Return a small network with something of everything: a host's part at both ends."""
    net = NetworkBuilder(seed=2, dtype="uint8")
    x = net.quantize(net.input((1, 8, 8, 3)), "int8")
    x = net.conv_2d(net.mul(x, net.constant((3,))), 8, kernel=(3, 3), stride=(2, 2))
    x = net.add(net.depthwise_conv_2d(x), x)
    x = net.reshape(net.average_pool_2d(x, window=(4, 4)), (1, 8))
    return importer.loads(net.build(outputs=[net.softmax(net.fully_connected(x, 4))]), "small")


@pytest.fixture(scope="module")
def program() -> Program:
    return compile_graph(network(), CONFIG, board="icebreaker", compact_input=True)


@pytest.fixture(scope="module")
def contents(program: Program, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("program") / "small.prog"
    save_program(program, path)
    return path.read_bytes()


def parts(contents: bytes) -> tuple[bytes, dict[str, Any], bytes]:
    """Return the first line, the document, and the arrays."""
    version, text, rest = contents[:-DIGEST].split(b"\n", 2)
    return version, json.loads(text), rest


def sealed(version: bytes, document: Any, rest: bytes) -> bytes:
    """Return a file with the right checksum."""
    text = document if isinstance(document, bytes) else json.dumps(
        document, separators=(",", ":")).encode()
    content = version + b"\n" + text + b"\n" + rest
    return content + sha256(content).digest()


def refused(contents: bytes) -> str:
    """Load a file that has to be refused; return why."""
    text = ""
    try:
        storage.loads(contents, "its.prog")
    except InputError as error:
        text = str(error)
    assert text.startswith("its.prog: ") and "compile" in text, text
    return text


def test_what_was_saved_is_what_is_loaded(
    program: Program, contents: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "again"
    path.write_bytes(contents)
    loaded = load_program(path)
    save_program(loaded, path)
    assert path.read_bytes() == contents
    # The flash image is in it as it is.
    assert loaded.flash == program.flash and program.flash in contents
    graph = network()
    inputs = random_inputs(graph, 1)
    check_program(graph, loaded, inputs)
    expected, got = golden.run(graph, inputs), golden.run(loaded.network, inputs)
    assert expected.keys() == got.keys()
    for index, value in expected.items():
        np.testing.assert_array_equal(value, got[index])


def test_no_changed_byte_is_accepted(contents: bytes) -> None:
    rng = random.Random(1)
    # The beginning has all kinds of things in few bytes.
    places = [*range(200), *(rng.randrange(len(contents)) for _ in range(2800))]
    for place in places:
        changed = bytearray(contents)
        changed[place] ^= rng.randrange(1, 256)
        refused(bytes(changed))


def test_no_cut_or_longer_file_is_accepted(contents: bytes) -> None:
    rng = random.Random(2)
    for end in [*range(100), *(rng.randrange(len(contents)) for _ in range(400)), -1, -DIGEST]:
        refused(contents[:end])
    refused(contents + b"\0")
    refused(contents + contents)


WRONG: tuple[Any, ...] = (
    None, True, False, "", "x", "1", [], {}, [[]], [None], {"": 0}, -1, 1.5, 1e308, 1 << 60,
    -(1 << 60), 1 << 200, float("nan"), float("inf"), -0.5, "int8", "\ud800", 1 << 31, -(1 << 31),
)


def leaves(node: Any, name: str = "") -> Iterator[tuple[Any, Any, str]]:
    """Yield every place of a document: what it is in, key or position there, and its name."""
    entries = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in list(entries):
        path = f"{name}.{key}" if isinstance(node, dict) else f"{name}[]"
        yield node, key, path
        if isinstance(value, dict | list):
            yield from leaves(value, path)


def forge(where: Any, key: Any, rng: random.Random) -> None:
    """Change a document in one place."""
    match rng.randrange(8):
        case 0 if isinstance(where, dict):
            del where[key]
        case 0 | 1 if isinstance(where, list):
            where.insert(key, rng.choice([where[key], 0, None]))
        case 1:
            where["unknown"] = 0
        case 2 if isinstance(where, list):
            del where[key]
        case 3 | 4 if type(where[key]) is int:
            where[key] += rng.choice([-1, 1, -2, 1000, 65536])
        case _:
            where[key] = rng.choice([wrong for wrong in WRONG if wrong is not where[key]])


@pytest.mark.slow
def test_who_mends_the_checksum_still_meets_the_schema(contents: bytes, tmp_path: Path) -> None:
    path = tmp_path / "forged"
    version, document, rest = parts(contents)
    places = list(leaves(document))
    accepted = 0
    for seed in range(1000):
        rng = random.Random(seed)
        where, key, name = rng.choice(places)
        before = where.copy()
        forge(where, key, rng)
        forged = sealed(version, document, rest)
        where.clear()
        where.update(before) if isinstance(where, dict) else where.extend(before)
        try:
            loaded = storage.loads(forged, "its.prog")
        except InputError as error:
            assert str(error).startswith("its.prog: ") and len(str(error)) < 1000
            continue
        # A value that can be right is taken as it is.
        accepted += 1
        save_plan(loaded, path)
        arrays = key in ("data", "index", "flash") or name.startswith(".arrays")
        assert arrays or path.read_bytes() == forged, f"seed {seed}: {name}"
    assert 0 < accepted < 200


@pytest.mark.slow
def test_no_wrong_type_is_accepted(contents: bytes) -> None:
    version, document, rest = parts(contents)
    # One of each kind is enough of what comes in lists.
    places = {path: (where, key) for where, key, path in leaves(document)}
    numbers = {path: (where, key) for path, (where, key) in places.items()
               if type(where[key]) in (int, float)}
    assert len(numbers) > 90
    for where, key in numbers.values():
        right = where[key]
        # An integer that is none, such as 1.0, is a wrong type too.
        odd = float(right) if type(right) is int else int(right)
        for wrong in (True, "1", [right], odd, float("nan"), float("inf"), 1 << 60, None):
            if wrong is None and key in ("axis", "bias", "data", "kept"):
                continue
            where[key] = wrong
            refused(sealed(version, document, rest))
        where[key] = right


@pytest.mark.parametrize(("name", "wrong"), [
    ("flash_address", -1), ("flash_address", 1 << 24), ("ring", [-1, 16383]), ("ring", [5, 4]),
    ("ring", [0, 16384]), ("outputs", [0]), ("inputs", []), ("layers", []), ("work", []),
    ("tensors", []), ("pinned", 0), ("model", None), ("aliases", [[1]]), ("aliases", [[1, 2, 3]]),
    ("aliases", [[-1, 2], [-1, 2]]), ("overlap", {"cycle": -1}), ("chunks", [{}]), ("flash", -1),
    ("flash", 99), ("config", {}),
])
def test_no_value_out_of_range_is_accepted(
    name: str, wrong: Any, contents: bytes
) -> None:
    version, document, rest = parts(contents)
    (program,) = document["plan"]["programs"]
    assert name in program
    program[name] = wrong
    refused(sealed(version, document, rest))


def test_operators_that_would_divide_by_nothing(contents: bytes) -> None:
    version, document, rest = parts(contents)
    for op in document["plan"]["network"]["ops"]:
        for name in ("stride", "window", "dilation", "depth_multiplier"):
            if name in op:
                right, op[name] = op[name], ([0, 0] if isinstance(op[name], list) else 0)
                assert "out of range" in refused(sealed(version, document, rest))
                op[name] = right


def test_arrays_that_are_not_what_they_are_said_to_be(contents: bytes) -> None:
    version, document, rest = parts(contents)
    table = document["arrays"]
    for number, right in enumerate(table):
        for wrong in (
            ["object", right[1]], ["bool", right[1]], ["float64", right[1]], [right[0], []],
            [right[0], [1 << 40]], [right[0], [-1]], [right[0], [0]], [right[0], [1 << 20] * 9],
            [right[0], right[1], 0], [right[0]], "int8", None, [right[0], [*right[1], 1]],
        ):
            table[number] = wrong
            refused(sealed(version, document, rest))
        table[number] = right
    assert "more than" in refused(sealed(version, document, rest + b"\0"))
    assert "missing" in refused(sealed(version, document, rest[:-1]))
    table.append(["int8", [1]])
    assert "belong to nothing" in refused(sealed(version, document, rest + b"\0"))


def test_a_changed_flash_image_is_found(program: Program, contents: bytes) -> None:
    place = contents.index(program.flash) + 100
    changed = contents[:place] + bytes([contents[place] ^ 1]) + contents[place + 1 : -DIGEST]
    assert "section 0" in refused(changed + sha256(changed).digest())


@pytest.mark.parametrize("text", [
    b"", b"null", b"[]", b"{}", b"{", b"[" * 1_000_000, b"1" * 10_000, b'{"arrays":[],"arrays":[]}',
    b'{"arrays":[],"plan":NaN}', b"\xff", b'{"arrays":[],"plan":{}}', b'"' + b"x" * 100,
], ids=lambda text: text[:20].decode("latin1"))
def test_documents_that_are_none(text: bytes, contents: bytes) -> None:
    version, _, _ = parts(contents)
    refused(sealed(version, text, b""))


@contextmanager
def little_memory(megabytes: int) -> Iterator[None]:
    """Let the process take only so much more memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    limit = pages * os.sysconf("SC_PAGE_SIZE") + (megabytes << 20)
    resource.setrlimit(resource.RLIMIT_AS, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def test_what_is_no_file_of_reasonable_size(contents: bytes, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="missing: cannot be read"):
        load_program(tmp_path / "missing")
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero"), tmp_path):
        with pytest.raises(InputError, match=r"is a pipe|is a device|cannot be read"):
            load_program(path)
        assert not is_program(path)
    with (tmp_path / "huge").open("wb") as file:
        file.write(contents)
        file.truncate(1 << 40)
    with little_memory(64), pytest.raises(InputError, match="is larger than 64 MB"):
        load_program(tmp_path / "huge")


def test_other_versions(contents: bytes, tmp_path: Path) -> None:
    version, document, rest = parts(contents)
    for other in (b"separable program 6.00000000.53", version[:-1] + b"4", version + b"0"):
        (tmp_path / "other").write_bytes(sealed(other, document, rest))
        assert "another version" in refused((tmp_path / "other").read_bytes())
        assert is_program(tmp_path / "other")
    with zipfile.ZipFile(tmp_path / "old", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("program.json", '{"format": 4}')
    assert is_program(tmp_path / "old")
    assert "older version" in refused((tmp_path / "old").read_bytes())
    assert "not a compiled program" in refused(b"nonsense")
    (tmp_path / "text").write_bytes(b"nonsense")
    assert not is_program(tmp_path / "text") and not is_program(tmp_path / "missing")


def test_the_version_follows_the_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    before = fingerprint(Program)
    assert before == fingerprint(Program)
    assert len({before, fingerprint(Graph), fingerprint(tuple[int, ...]),
                fingerprint(tuple[int, str]), fingerprint(int | None)}) == 5


def test_what_the_schema_does_not_know_is_a_fault_of_ours() -> None:
    with pytest.raises(TypeError, match="knows no"):
        Reader(()).value(1, complex, "x")
    with pytest.raises(SchemaError, match="x must be an integer, not True"):
        Reader(()).value(True, int, "x")
    assert Writer().plain({1: (2, 3.0)}, dict[int, tuple[int, float]]) == [[1, [2, 3.0]]]


def test_programs_that_cannot_be_written(program: Program, monkeypatch: pytest.MonkeyPatch,
                                         tmp_path: Path) -> None:
    monkeypatch.setattr(storage, "MAX_DOCUMENT", 100)
    with pytest.raises(InputError, match=r"large\.prog: the program is larger"):
        save_program(program, tmp_path / "large.prog")
    assert not list(tmp_path.iterdir())
