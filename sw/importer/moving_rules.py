"""Constraints on operators that move data; see :mod:`sw.importer.constraints`."""

from __future__ import annotations

from sw.importer.operands import QUANTISED, data_operands, describe, integers
from sw.importer.read import RawOperator

MOVABLE = (*QUANTISED, "int32", "int64", "float32")


def data_is_movable(op: RawOperator) -> str | None:
    """Data must be int8, uint8, int32, int64 or float32; export the model with 8-bit activations
    and weights."""
    for tensor in data_operands(op):
        if tensor.dtype not in MOVABLE:
            return f"{describe(tensor)} is {tensor.dtype}"
    return None


def numbers_are_constant(op: RawOperator) -> str | None:
    """Positions, sizes and axes must be constants; export the model with fixed shapes."""
    for number in range(1, len(op.inputs)):
        if integers(op, number) is None:
            return f"{describe(op.operand(number))} is computed or not of integers"
    return None


def joined_tensors_fit(op: RawOperator) -> str | None:
    """Tensors that are joined must have the same shape, but for the axis of a CONCATENATION, and
    give the output's; the file is inconsistent, convert it again."""
    shapes = [tensor.shape for tensor in data_operands(op)[:-1]]
    output, rank, packed = op.outputs[0].shape, len(shapes[0]), op.kind == "PACK"
    axis = op.options.Axis()
    axis += (rank + packed) if axis < 0 else 0
    found = f"{[list(shape) for shape in shapes]} become {list(output)} along axis {axis}"
    if not 0 <= axis < rank + packed:
        return found
    if packed:
        fits = len(set(shapes)) == 1
        expected = (*shapes[0][:axis], len(shapes), *shapes[0][axis:])
    else:
        around = {(*shape[:axis], *shape[axis + 1 :]) for shape in shapes}
        fits = len(around) == 1 and all(len(shape) == rank for shape in shapes)
        length = sum(shape[axis] for shape in shapes) if fits else 0
        expected = (*shapes[0][:axis], length, *shapes[0][axis + 1 :])
    return None if fits and expected == output else found


def joined_tensors_keep_quantisation(op: RawOperator) -> str | None:
    """Tensors that are joined must have the output's scale and zero point (uint8 in a
    CONCATENATION may have others); requantise them with a QUANTIZE in front of it."""
    output = op.outputs[0]
    if output.dtype not in QUANTISED or (op.kind == "CONCATENATION" and output.dtype == "uint8"):
        return None
    for tensor in data_operands(op)[:-1]:
        if tensor.q != output.q:
            x, y = tensor.q, output.q
            return (
                f"{describe(tensor)} has ({x.scale:g}, {x.zero_point}), the output "
                f"({y.scale:g}, {y.zero_point})"
            )
    return None


def joined_scales_are_usual(op: RawOperator) -> str | None:
    """Scales of tensors that are joined must be below 256 times the output's; the scales are
    wrong, quantise the model again with a representative data set."""
    output = op.outputs[0]
    if output.dtype != "uint8":
        return None
    ratio = max(tensor.q.scale for tensor in data_operands(op)) / output.q.scale
    return None if ratio < 256 else f"the ratio is {ratio:g}"


def concatenation_has_no_activation(op: RawOperator) -> str | None:
    """A CONCATENATION must not have a fused activation, which the reference does not run; put it
    behind."""
    number = op.options.FusedActivationFunction()
    return None if number == 0 else f"it is number {number}"


def slice_is_inside(op: RawOperator) -> str | None:
    """A SLICE must begin and end inside its input and give the output's shape; the file is
    inconsistent, convert it again."""
    x, y = op.operand(0).shape, op.outputs[0].shape
    begin, size = integers(op, 1) or [], integers(op, 2) or []
    found = f"from {begin}, {size} elements of {list(x)} become {list(y)}"
    if not len(begin) == len(size) == len(x) == len(y):
        return found
    for b, n, length, written in zip(begin, size, x, y, strict=True):
        count = length - b if n == -1 else n
        if not (0 <= b < length and 1 <= count <= length - b and count == written):
            return found
    return None


def strided_slice_is_plain(op: RawOperator) -> str | None:
    """A STRIDED_SLICE must have a begin, an end and a stride for the first dimensions, without an
    ellipsis, new axes and ends that are offsets; write the slice out in full and reshape behind
    it."""
    options = op.options
    special = {
        "an ellipsis": options.EllipsisMask(),
        "a new axis": options.NewAxisMask(),
        "offsets": options.Offset(),
    }
    for name, present in special.items():
        if present:
            return f"it has {name}"
    counts = {len(integers(op, number) or []) for number in (1, 2, 3)}
    if len(counts) > 1 or not 1 <= min(counts) <= len(op.operand(0).shape):
        return f"there are {sorted(counts)} numbers for {list(op.operand(0).shape)}"
    return None


def part(op: RawOperator) -> tuple[list[int], list[int], list[int], list[int]]:
    """Return begin, size, strides and dropped dimensions of a STRIDED_SLICE.

    As ``StridedSliceStartForAxis`` and ``StridedSliceEndForAxis`` in strided_slice_logic.h; a size
    below 1 is that of nothing.
    """
    shape, options = op.operand(0).shape, op.options
    stated = list(zip(*(integers(op, number) or [] for number in (1, 2, 3)), strict=True))
    begins, sizes, strides, dropped = [], [], [], []
    for d, length in enumerate(shape):
        begin, end, stride = stated[d] if d < len(stated) else (0, length, 1)
        whole = (options.BeginMask() >> d & 1, options.EndMask() >> d & 1)
        first, last, _ = slice(
            None if whole[0] else begin, None if whole[1] else end, stride or 1
        ).indices(length)
        size = len(range(first, last, stride)) if stride else 0
        if options.ShrinkAxisMask() >> d & 1:
            # The end does not count, but the mask of the beginning does.
            dropped.append(d)
            size = int(0 <= first < length and stride > 0)
        begins.append(first)
        sizes.append(size)
        strides.append(stride)
    return begins, sizes, strides, dropped


def strided_slice_is_inside(op: RawOperator) -> str | None:
    """A STRIDED_SLICE must take something, with positive strides where a dimension goes, and give
    the output's shape; the file is inconsistent, convert it again."""
    begin, size, strides, dropped = part(op)
    expected = [n for d, n in enumerate(size) if d not in dropped]
    output = list(op.outputs[0].shape)
    if min(size) >= 1 and all(strides) and expected == output:
        return None
    return f"from {begin}, {size} elements are {output}"


def parts_fit(op: RawOperator) -> str | None:
    """The outputs of a split must be equal but for the axis, and its input together; the file is
    inconsistent, convert it again."""
    x, shapes = op.operand(0).shape, [tensor.shape for tensor in op.outputs]
    axis = split_axis(op)
    found = f"{list(x)} becomes {[list(shape) for shape in shapes]} along axis {axis}"
    if not shapes or not 0 <= axis < len(x):
        return found
    around = (*x[:axis], *x[axis + 1 :])
    if op.kind == "UNPACK":
        return None if len(shapes) == x[axis] and set(shapes) == {around} else found
    fits = all(len(shape) == len(x) for shape in shapes)
    fits = fits and {(*shape[:axis], *shape[axis + 1 :]) for shape in shapes} == {around}
    if not fits or sum(shape[axis] for shape in shapes) != x[axis]:
        return found
    lengths = [shape[axis] for shape in shapes]
    if op.kind == "SPLIT":
        return None if len(set(lengths)) == 1 else found
    stated = integers(op, 1) or []
    agrees = len(stated) == len(lengths) and stated.count(-1) <= 1
    agrees = agrees and all(s in (-1, n) for s, n in zip(stated, lengths, strict=True))
    return None if agrees else f"{found}, stated are {stated}"


def split_axis(op: RawOperator) -> int:
    """Return the axis of SPLIT, SPLIT_V or UNPACK, counted from the front."""
    if op.kind == "UNPACK":
        axis = int(op.options.Axis())
    else:
        stated = integers(op, 1 if op.kind == "SPLIT" else 2) or [0]
        axis = stated[0]
    return axis + len(op.operand(0).shape) if axis < 0 else axis


def padding_value_fits(op: RawOperator) -> str | None:
    """The value of a PADV2 must be a constant of the output's type, scale and zero point; pad with
    PAD, or convert the model again."""
    value, output = op.operand(2), op.outputs[0]
    if value.data is None or value.dtype != output.dtype or value.size != 1:
        return f"{describe(value)} is {value.dtype}{list(value.shape)} or computed"
    return None if value.quantization == output.quantization else f"{describe(value)} has others"


def mirror_is_known(op: RawOperator) -> str | None:
    """A MIRROR_PAD must be REFLECT or SYMMETRIC and at most as wide as its input, less one element
    for REFLECT; pad in several steps."""
    mode, paddings = op.options.Mode(), integers(op, 1) or []
    if mode not in (0, 1):
        return f"it is mode {mode}"
    for d, length in enumerate(op.operand(0).shape):
        if max(paddings[2 * d : 2 * d + 2]) > length - (mode == 0):
            return f"{paddings[2 * d : 2 * d + 2]} at {length} elements"
    return None


def rank_is_at_most_5(op: RawOperator) -> str | None:
    """Tensors must have at most 5 dimensions; reshape the tensor to fewer before this operator."""
    rank = max(len(tensor.shape) for tensor in data_operands(op))
    return None if rank <= 5 else f"it has {rank}"


def resized_as_stated(op: RawOperator) -> str | None:
    """The new height and width must be two constants that agree with the output's shape; export
    the model with fixed shapes."""
    x, y, stated = op.operand(0).shape, op.outputs[0].shape, integers(op, 1)
    if stated == [*y[1:3]] and (x[0], x[3]) == (y[0], y[3]):
        return None
    return f"{stated} for {list(x)} and {list(y)}"


def corners_or_centres(op: RawOperator) -> str | None:
    """A RESIZE_BILINEAR must not have both align_corners and half_pixel_centers; choose one of
    them."""
    both = op.options.AlignCorners() and op.options.HalfPixelCenters()
    return "it has both" if both else None


def resized_inside(op: RawOperator) -> str | None:
    """A RESIZE_BILINEAR must not be so large that its positions, of 10 fraction bits, leave the
    image, where the reference reads whatever is there; enlarge in two steps."""
    x, y = op.operand(0).shape, op.outputs[0].shape
    for length, count in zip(x[1:3], y[1:3], strict=True):
        step = ((length << 10) + count // 2) // count
        if op.options.AlignCorners() and count > 1:
            step = (((length - 1) << 10) + (count - 1) // 2) // (count - 1)
        shift = step // 2 - 512 if op.options.HalfPixelCenters() else 0
        if ((count - 1) * step + shift) >> 10 >= length:
            return f"{length} become {count}"
    return None


def axes_are_valid(op: RawOperator) -> str | None:
    """Axes must be dimensions of the input; the file is inconsistent, convert it again."""
    rank, axes = len(op.operand(0).shape), integers(op, 1) or []
    if axes and all(-rank <= axis < rank for axis in axes):
        return None
    return f"{axes} of {list(op.operand(0).shape)}"


def one_axis(op: RawOperator) -> str | None:
    """An ARG_MAX must have one axis; reshape the input so that it has."""
    count = len(integers(op, 1) or [])
    return None if count == 1 else f"there are {count}"


def index_is_an_integer(op: RawOperator) -> str | None:
    """The output of an ARG_MAX must be int32 or int64, as its options say; convert the model
    again."""
    types = {2: "int32", 4: "int64"}
    output, number = op.outputs[0], op.options.OutputType()
    if types.get(number) == output.dtype:
        return None
    return f"{describe(output)} is {output.dtype}, the options say {types.get(number, number)}"


def sum_is_uint8(op: RawOperator) -> str | None:
    """A SUM must be uint8, since the reference's kernel takes int8 for uint8; use a MEAN with the
    output's scale divided by the number of elements, which is the same sum."""
    dtype = op.operand(0).dtype
    return None if dtype == "uint8" else f"it is {dtype}"


def transposed_size_fits(op: RawOperator) -> str | None:
    """The output of a TRANSPOSE_CONV must be what a convolution of the same kernel, stride and
    padding would make the input of; the file is inconsistent, convert it again."""
    x, y, kernel = op.operand(0).shape, op.outputs[0].shape, op.operand(1).shape[1:3]
    stride = (op.options.StrideH(), op.options.StrideW())
    for d in (0, 1):
        size = y[1 + d] if op.options.Padding() == 0 else y[1 + d] - kernel[d] + 1
        if -(-size // stride[d]) != x[1 + d] or x[0] != y[0]:
            return f"{list(x)} becomes {list(y)}"
    return None
