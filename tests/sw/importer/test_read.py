"""Import of whole files: real networks, defective files, and what the graph then holds."""

from __future__ import annotations

import struct
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import tflite

from common.errors import ModelFormatError, UnsupportedError
from sw import golden, importer, ir
from sw.fuzz.builder import NetworkBuilder, single
from sw.fuzz.judge import Judge
from sw.importer.flatbuffer import Scalar, Schema, _Walker
from sw.importer.read import read
from sw.quantize import flatbuffer
from sw.quantize.flatbuffer import FileBuilder

NETWORKS = {
    "vww_96_int8": (31, "int8", (1, 96, 96, 3)),
    "person_detect": (31, "int8", (1, 96, 96, 1)),
    "mobilenet_v1_0.25_128_quant": (31, "uint8", (1, 128, 128, 3)),
    "mobilenetv2_160_035": (68, "int8", (1, 160, 160, 3)),
    "mobilenet_v2_1.0_224_quant": (66, "uint8", (1, 224, 224, 3)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_real_networks_import(shared: Path, name: str) -> None:
    operators, dtype, shape = NETWORKS[name]
    graph = importer.load(shared / "models" / f"{name}.tflite")
    assert graph.name == name
    assert len(graph.ops) == operators
    assert graph.tensors[graph.inputs[0]].dtype == dtype
    assert graph.tensors[graph.inputs[0]].shape == shape
    graph.check()


def test_wrong_quantized_dimension_is_corrected(shared: Path) -> None:
    graph = importer.load(shared / "models" / "person_detect.tflite")
    first = graph.ops[0]
    assert isinstance(first, ir.DepthwiseConv2D)
    assert first.depth_multiplier == 8
    assert first.bias is not None
    # The file says 3 for this tensor of one dimension.
    assert graph.tensors[first.bias].q.axis == 0
    assert graph.tensors[first.weights].q.axis == 3


def test_scalar_constants(shared: Path) -> None:
    graph = importer.load(shared / "models" / "mobilenetv2_160_035.tflite")
    mul, sub = graph.ops[:2]
    assert isinstance(mul, ir.Mul)
    assert isinstance(sub, ir.Sub)
    assert graph.tensors[mul.input2].shape == ()
    assert graph.tensors[mul.input2].is_constant


def test_convolution_is_resolved() -> None:
    model = single(
        lambda net, x: net.conv_2d(x, 4, kernel=(3, 3), stride=(2, 2), activation="RELU6"),
        (1, 8, 9, 3),
    )
    graph = importer.loads(model)
    (op,) = graph.ops
    assert isinstance(op, ir.Conv2D)
    assert op.name == "conv_2d_0"
    assert (op.stride, op.dilation, op.activation) == ((2, 2), (1, 1), "RELU6")
    # SAME: 8 → 4 needs one row in all, below; 9 → 5 needs two columns.
    assert op.padding == ((0, 1), (1, 1))
    weights = graph.tensors[op.weights]
    assert weights.data is not None
    assert not weights.data.flags.writeable
    assert weights.q.axis == 0
    assert len(weights.q.scales) == 4
    assert all(s == float(np.float32(s)) for s in weights.q.scales)
    assert graph.producer(op.output) is op
    assert (graph.inputs, graph.outputs) == ((op.input,), (op.output,))


def test_float_edges_are_left_out() -> None:
    b = FileBuilder()
    x = b.tensor((1, 4), "float32")
    xq = b.tensor((1, 4), "int8", [0.5], [3])
    yq = b.tensor((2, 2), "int8", [0.5], [3])
    y = b.tensor((2, 2), "float32")
    b.operator("QUANTIZE", [x], [xq])
    b.operator("RESHAPE", [xq], [yq])
    b.operator("DEQUANTIZE", [yq], [y])
    graph = importer.loads(b.build([x], [y]))
    assert [op.kind for op in graph.ops] == ["RESHAPE"]
    assert (graph.inputs, graph.outputs) == ((xq,), (yq,))


def test_operator_code_in_the_new_field_only() -> None:
    model = bytearray(single(lambda net, x: net.reshape(x, (4,)), (2, 2)))
    # RESHAPE is 22, once in a field of 8 bits and once in one of 32.
    places = [i for i in range(len(model)) if model[i] == 22]
    results = set()
    for place in places:
        damaged = bytes(model[:place]) + b"\0" + bytes(model[place + 1 :])
        try:
            results.add(importer.loads(damaged).ops[0].kind)
        except (ModelFormatError, UnsupportedError):
            results.add("rejected")
    # Either field alone is enough; never is it read as operator 0, which is ADD.
    assert "RESHAPE" in results
    assert "ADD" not in results


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"\x1c\0\0\0", "identifier"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "identifier"),
        (b"\x1c\0\0\0TFL3", "damaged or truncated"),
        (b"\xff\xff\xff\xffTFL3" + bytes(20), "damaged or truncated"),
        (b"\x08\0\0\0TFL3" + bytes(20), "damaged"),
    ],
)
def test_not_a_model(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "some.tflite"
    path.write_bytes(content)
    with pytest.raises(ModelFormatError, match=message) as caught:
        importer.load(path)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ")


def test_missing_file_and_directory(tmp_path: Path) -> None:
    with pytest.raises(ModelFormatError, match="cannot be read"):
        importer.load(tmp_path / "none.tflite")
    with pytest.raises(ModelFormatError, match="cannot be read"):
        importer.load(tmp_path)


def test_float_input_in_one_sentence() -> None:
    b = FileBuilder()
    x = b.tensor((1, 4, 4, 3), "float32", name="image")
    y = b.tensor((1, 4, 4, 3), "float32")
    b.operator("RELU", [x], [y])
    with pytest.raises(
        UnsupportedError, match=r"is float32 \(input 'image'\): quantise it to int8"
    ):
        importer.loads(b.build([x], [y]))


def test_unknown_operator_is_named() -> None:
    b = FileBuilder()
    x = b.tensor((1, 4), "int8", [1.0], [0], name="before")
    y = b.tensor((1, 4), "int8", [1.0], [0], name="after")
    b.operator("ELU", [x], [y])
    with pytest.raises(UnsupportedError, match=r"operator 0 \(ELU, writing 'after'\)"):
        importer.loads(b.build([x], [y]))


def _file(**changes: object) -> bytes:
    """One RESHAPE, with something changed."""
    b = FileBuilder()
    arguments: dict[str, object] = {
        "shape": (2, 3),
        "dtype": "int8",
        "scales": [0.5],
        "zero_points": [1],
    }
    x = b.tensor(**{**arguments, **changes})
    y = b.tensor((6,), "int8", [0.5], [1])
    b.operator("RESHAPE", [x], [y])
    return b.build([x], [y])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shape": (0, 3)}, "at least 1"),
        ({"shape": (-1, 3)}, "at least 1"),
        ({"shape": (1 << 20, 1 << 20)}, "at most"),
        ({"scales": [0.0]}, "positive finite"),
        ({"scales": [-1.0]}, "positive finite"),
        ({"scales": [float("nan")]}, "positive finite"),
        ({"scales": [float("inf")]}, "positive finite"),
        ({"zero_points": []}, "zero points"),
        ({"scales": [0.5] * 5, "zero_points": [1] * 5}, "fit no dimension"),
        ({"data": np.zeros(5, np.int8)}, "holds 5 bytes"),
    ],
)
def test_inconsistent_tensors(changes: dict[str, object], message: str) -> None:
    importer.loads(_file())
    with pytest.raises(ModelFormatError, match=message):
        importer.loads(_file(**changes))


@pytest.mark.parametrize("inputs", [[7], [-2], [1], [0, -2]])
def test_wrong_tensor_numbers(inputs: list[int]) -> None:
    b = FileBuilder()
    x = b.tensor((2, 3), "int8", [0.5], [1])
    y = b.tensor((2, 3), "int8", [0.5], [1])
    b.operator("RESHAPE", inputs, [y])
    with pytest.raises(ModelFormatError):
        importer.loads(b.build([x], [y]))


def test_missing_operand() -> None:
    b = FileBuilder()
    x = b.tensor((2, 3), "int8", [0.5], [1])
    y = b.tensor((2, 3), "int8", [0.5], [1])
    b.operator("RESHAPE", [-1], [y])
    with pytest.raises(ModelFormatError, match="lacks its input number 0"):
        importer.loads(b.build([x], [y]))


def test_operators_out_of_order() -> None:
    net = NetworkBuilder()
    y = net.reshape(net.reshape(net.input((2, 3)), (6,)), (3, 2))
    net.file.operators.reverse()
    with pytest.raises(ModelFormatError, match="before anything writes it"):
        importer.loads(net.build(outputs=[y]))


def test_options_of_another_operator() -> None:
    net = NetworkBuilder()
    y = net.conv_2d(net.input((1, 4, 4, 2)), 3)
    net.file.operators[0].options = ("SoftmaxOptions", {"Beta": 1.0})
    with pytest.raises(ModelFormatError, match="another operator"):
        importer.loads(net.build(outputs=[y]))
    net.file.operators[0].options = None
    with pytest.raises(ModelFormatError, match="no options"):
        importer.loads(net.build(outputs=[y]))


FIELD = Schema("Any", {0: Scalar(4)})


def table(*, to_vtable: int = 8, vtable: int = 6, size: int = 8, place: int = 4) -> bytes:
    """Return a vtable of one field, and a table at byte 8."""
    return struct.pack("<HHHxxiI", vtable, size, place, to_vtable, 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"to_vtable": 12}, "lies outside"),
        ({"vtable": 7}, "bad vtable"),
        ({"size": 9}, "bad size"),
        ({"place": 5}, "misplaced"),
        ({"place": 3}, "misplaced"),
    ],
)
def test_damaged_tables(changes: dict[str, int], message: str) -> None:
    """The last field of a vtable, and the last byte of a file, count like any other."""
    _Walker(table()).table(8, FIELD)
    with pytest.raises(ModelFormatError, match=message):
        _Walker(table(**changes)).table(8, FIELD)


def test_vectors_that_end_behind_the_file() -> None:
    data = struct.pack("<I", 5) + b"abcde"
    assert _Walker(data)._vector(0, 1, "name", 5) == 5
    with pytest.raises(ModelFormatError, match="more than the file has"):
        _Walker(data[:-1])._vector(0, 1, "name", 5)
    with pytest.raises(ModelFormatError, match="at most 4 make sense"):
        _Walker(data)._vector(0, 1, "name", 4)


@pytest.mark.parametrize(
    ("shape", "stated", "axis"),
    [((4, 2, 4), 0, 0), ((4, 2, 4), 2, 2), ((4, 2, 4), 1, 2), ((4, 2, 4), 7, 2), ((4, 2), 1, 0)],
)
def test_the_dimension_of_scales(shape: tuple[int, ...], stated: int, axis: int) -> None:
    """The stated one if it fits, then the last one, then the first."""
    b = FileBuilder()
    x = b.tensor(shape, "int8", [0.5] * 4, [1] * 4, stated)
    y = b.tensor(shape, "int8", [0.5], [1])
    b.operator("RESHAPE", [x], [y])
    assert read(b.build([x], [y])).tensors[x].q.axis == axis


def test_another_version_of_the_schema() -> None:
    model = bytearray(_file())
    version = tflite.Model.GetRootAs(model, 0)._tab
    struct.pack_into("<I", model, version.Pos + version.Offset(4), 2)
    with pytest.raises(ModelFormatError, match="schema version 2 is not 3"):
        importer.loads(bytes(model))


def test_two_subgraphs(monkeypatch: pytest.MonkeyPatch) -> None:
    write, subgraphs = flatbuffer._offsets, list[int]()
    subgraph = flatbuffer._subgraph

    def remember(*arguments: object) -> int:
        subgraphs.append(subgraph(*arguments))  # type: ignore[arg-type]
        return subgraphs[0]

    monkeypatch.setattr(flatbuffer, "_subgraph", remember)
    monkeypatch.setattr(
        flatbuffer, "_offsets", lambda b, x: write(b, x * 2 if x == subgraphs else x)
    )
    with pytest.raises(UnsupportedError, match="the model has 2 subgraphs"):
        importer.loads(_file())


def test_names_of_several_lines() -> None:
    b = FileBuilder()
    x = b.tensor((1, 4), "int8", [1.0], [0], name="before")
    y = b.tensor((1, 4), "int8", [1.0], [0], name="af\nter")
    b.operator("ELU", [x], [y])
    with pytest.raises(UnsupportedError, match=r"writing 'af\\+nter'") as caught:
        importer.loads(b.build([x], [y]))
    assert "\n" not in str(caught.value)
    assert read(b.build([x], [y])).tensors[y].name == "af\\nter"


@pytest.mark.parametrize("field", [4, 10])
def test_operator_codes_of_one_field(field: int) -> None:
    """Old files have the first one alone, some writers the second."""
    model = bytearray(_file())
    code = tflite.Model.GetRootAs(model, 0).OperatorCodes(0)._tab
    place = code.Pos + code.Offset(field)
    assert model[place] == tflite.BuiltinOperator.RESHAPE
    model[place] = 0
    assert importer.loads(bytes(model)).ops[0].kind == "RESHAPE"


def test_a_float_input_that_is_an_output_stays() -> None:
    b = FileBuilder()
    x = b.tensor((1, 4), "float32", name="image")
    y = b.tensor((1, 4), "int8", [0.5], [3])
    b.operator("QUANTIZE", [x], [y])
    graph = importer.loads(b.build([x], [y, x]))
    assert [op.kind for op in graph.ops] == ["QUANTIZE"]
    assert graph.inputs == (x,) and graph.outputs == (y, x)


def test_float_edges_that_are_read_elsewhere_stay() -> None:
    b = FileBuilder()
    x = b.tensor((1, 4), "float32", name="image")
    first, second, y = (b.tensor((1, 4), "int8", [0.5], [n]) for n in (3, 4, 5))
    b.operator("QUANTIZE", [x], [first])
    b.operator("QUANTIZE", [x], [second])
    b.operator("ADD", [first, second], [y], ("AddOptions", {"FusedActivationFunction": 0}))
    number, flat = b.tensor((1, 4), "float32"), b.tensor((4,), "float32")
    b.operator("DEQUANTIZE", [y], [number])
    b.operator("RESHAPE", [number], [flat])
    graph = importer.loads(b.build([x], [number, flat]))
    kinds = ["QUANTIZE", "QUANTIZE", "ADD", "DEQUANTIZE", "RESHAPE"]
    assert [op.kind for op in graph.ops] == kinds
    assert graph.inputs == (x,) and graph.outputs == (number, flat)


def test_an_input_that_is_named_twice_is_one() -> None:
    net = NetworkBuilder(seed=1)
    x = net.input((1, 4, 4, 8))
    net.inputs.append(x)
    data = net.build(outputs=[net.conv_2d(x, 8)])
    graph = importer.loads(data)
    assert graph.inputs == (x,)
    frame = {x: np.arange(128).reshape(1, 4, 4, 8).astype(np.int8)}
    with closing(Judge(seconds=10)) as judge:
        (judged,) = judge.run(data, graph, [frame])
    expected = golden.run(graph, frame)
    np.testing.assert_array_equal(judged[graph.outputs[0]], expected[graph.outputs[0]])
