"""Operators around a MobileNet's convolutions: activations, pools, joins, slices, sizes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from flatbuffers import flexbuffers

from sw.fuzz.tensors import TensorBuilder, output_size
from sw.quantize.flatbuffer import ACTIVATIONS, PADDINGS

__all__ = ["Surroundings"]


class Surroundings(TensorBuilder):
    """Adds operators that are neither convolutions nor sums."""

    def function(
        self,
        kind: str,
        x: int,
        *,
        output_scale: float | None = None,
        zero_point: int | None = None,
        options: tuple[str, dict[str, Any]] | None = None,
    ) -> int:
        """Add a function of each element: RELU, HARD_SWISH, TANH, LOGISTIC …"""
        default = {"LOGISTIC": 1 / 256, "TANH": 1 / 128}.get(kind, self[x].scales[0])
        y = self.activation(self[x].shape, output_scale or default, zero_point=zero_point)
        self.file.operator(kind, [x], [y], options)
        return y

    def leaky_relu(self, x: int, alpha: float, *, output_scale: float | None = None) -> int:
        """Add a leaky ReLU."""
        options = ("LeakyReluOptions", {"Alpha": alpha})
        return self.function("LEAKY_RELU", x, output_scale=output_scale, options=options)

    def prelu(self, x: int, alpha: int, *, output_scale: float | None = None) -> int:
        """Add a ReLU with a tensor as slope of negative numbers."""
        y = self.activation(self[x].shape, output_scale or self[x].scales[0])
        self.file.operator("PRELU", [x, alpha], [y])
        return y

    def extremum(self, kind: str, a: int, b: int) -> int:
        """Add MAXIMUM or MINIMUM, with the quantisation of the first operand."""
        y = self.like(a, np.broadcast_shapes(self[a].shape, self[b].shape))
        self.file.operator(kind, [a, b], [y])
        return y

    def pool(
        self,
        kind: str,
        x: int,
        window: tuple[int, int],
        stride: tuple[int, int],
        padding: str,
        activation: str,
    ) -> int:
        """Add AVERAGE_POOL_2D or MAX_POOL_2D."""
        n, h, w, c = self[x].shape
        shape = (
            n,
            output_size(h, window[0], stride[0], padding),
            output_size(w, window[1], stride[1], padding),
            c,
        )
        y = self.like(x, shape)
        options = {
            "Padding": PADDINGS[padding],
            "StrideH": stride[0],
            "StrideW": stride[1],
            "FilterHeight": window[0],
            "FilterWidth": window[1],
            "FusedActivationFunction": ACTIVATIONS[activation],
        }
        self.file.operator(kind, [x], [y], ("Pool2DOptions", options))
        return y

    def max_pool_2d(
        self,
        x: int,
        *,
        window: tuple[int, int],
        stride: tuple[int, int] | None = None,
        padding: str = "VALID",
        activation: str = "NONE",
    ) -> int:
        """Add a maximum pooling; the stride is the window's size unless given."""
        return self.pool("MAX_POOL_2D", x, window, stride or window, padding, activation)

    def reduction(
        self, kind: str, x: int, axes: Sequence[int], keep_dims: bool, output_scale: float
    ) -> int:
        """Add MEAN or SUM."""
        shape = self[x].shape
        reduced = {axis % len(shape) for axis in axes}
        kept = tuple(
            1 if d in reduced else n for d, n in enumerate(shape) if keep_dims or d not in reduced
        )
        y = self.activation(kept, output_scale)
        options = ("ReducerOptions", {"KeepDims": keep_dims})
        self.file.operator(kind, [x, self.integers(axes)], [y], options)
        return y

    def sum(
        self, x: int, *, axes: Sequence[int] = (1, 2), keep_dims: bool = True,
        output_scale: float | None = None,
    ) -> int:
        """Add a sum."""
        return self.reduction("SUM", x, axes, keep_dims, output_scale or self[x].scales[0] * 4)

    def arg_max(self, x: int, axis: int, *, dtype: str = "int32") -> int:
        """Add the index of the largest element; ``dtype`` is int32 or int64."""
        shape = self[x].shape
        kept = tuple(n for d, n in enumerate(shape) if d != axis % len(shape))
        y = self.file.tensor(kept, dtype, name="index")
        options = ("ArgMaxOptions", {"OutputType": {"int32": 2, "int64": 4}[dtype]})
        self.file.operator("ARG_MAX", [x, self.integers([axis])], [y], options)
        return y

    def resize(
        self,
        kind: str,
        x: int,
        size: tuple[int, int],
        *,
        align_corners: bool = False,
        half_pixel_centers: bool = False,
    ) -> int:
        """Add RESIZE_BILINEAR or RESIZE_NEAREST_NEIGHBOR."""
        n, _, _, c = self[x].shape
        y = self.like(x, (n, *size, c))
        table = "".join(word.capitalize() for word in kind.split("_")) + "Options"
        options = {"AlignCorners": align_corners, "HalfPixelCenters": half_pixel_centers}
        self.file.operator(kind, [x, self.integers(size)], [y], (table, options))
        return y

    def concatenation(self, xs: Sequence[int], axis: int, *, like: int | None = None) -> int:
        """Add a concatenation, with the quantisation of the first tensor unless told otherwise."""
        shape = list(self[xs[0]].shape)
        shape[axis] = sum(self[x].shape[axis] for x in xs)
        y = self.like(xs[0] if like is None else like, tuple(shape))
        self.file.operator("CONCATENATION", xs, [y], ("ConcatenationOptions", {"Axis": axis}))
        return y

    def pack(self, xs: Sequence[int], axis: int) -> int:
        """Add a stack of tensors along a new axis, counted from the front."""
        shape = list(self[xs[0]].shape)
        shape.insert(axis, len(xs))
        y = self.like(xs[0], tuple(shape))
        options = ("PackOptions", {"Axis": axis, "ValuesCount": len(xs)})
        self.file.operator("PACK", xs, [y], options)
        return y

    def unpack(self, x: int, axis: int) -> list[int]:
        """Add the slices of a tensor along an axis, which they no longer have."""
        shape = list(self[x].shape)
        count = shape.pop(axis)
        ys = [self.like(x, tuple(shape)) for _ in range(count)]
        self.file.operator("UNPACK", [x], ys, ("UnpackOptions", {"Axis": axis, "Num": count}))
        return ys

    def split(self, x: int, axis: int, count: int) -> list[int]:
        """Add a division into equal parts."""
        shape = list(self[x].shape)
        shape[axis] //= count
        ys = [self.like(x, tuple(shape)) for _ in range(count)]
        options = ("SplitOptions", {"NumSplits": count})
        self.file.operator("SPLIT", [self.integers(axis), x], ys, options)
        return ys

    def split_v(self, x: int, axis: int, sizes: Sequence[int]) -> list[int]:
        """Add a division into parts of given sizes."""
        shape = self[x].shape
        axis %= len(shape)
        ys = [self.like(x, (*shape[:axis], size, *shape[axis + 1 :])) for size in sizes]
        operands = [x, self.integers(sizes), self.integers(axis)]
        self.file.operator("SPLIT_V", operands, ys, ("SplitVOptions", {"NumSplits": len(sizes)}))
        return ys

    def slice(self, x: int, begin: Sequence[int], size: Sequence[int]) -> int:
        """Add a part of a tensor; a size of −1 is what remains."""
        shape = tuple(
            n - b if s < 0 else s for n, b, s in zip(self[x].shape, begin, size, strict=True)
        )
        y = self.like(x, shape)
        operands = [x, self.integers(begin), self.integers(size)]
        self.file.operator("SLICE", operands, [y], ("SliceOptions", {}))
        return y

    def strided_slice(
        self,
        x: int,
        begin: Sequence[int],
        end: Sequence[int],
        strides: Sequence[int],
        *,
        begin_mask: int = 0,
        end_mask: int = 0,
        shrink_mask: int = 0,
    ) -> int:
        """Add every few elements of a tensor."""
        index: list[Any] = []
        for d, (b, e, s) in enumerate(zip(begin, end, strides, strict=True)):
            whole = (None if begin_mask >> d & 1 else b, None if end_mask >> d & 1 else e)
            index.append(b if shrink_mask >> d & 1 else slice(*whole, s))
        y = self.like(x, np.empty(self[x].shape, np.int8)[tuple(index)].shape)
        masks = {"BeginMask": begin_mask, "EndMask": end_mask, "ShrinkAxisMask": shrink_mask}
        operands = [x, *(self.integers(numbers) for numbers in (begin, end, strides))]
        self.file.operator("STRIDED_SLICE", operands, [y], ("StridedSliceOptions", masks))
        return y

    def squeeze(self, x: int) -> int:
        """Add the tensor without its dimensions of one element."""
        y = self.like(x, tuple(n for n in self[x].shape if n > 1))
        self.file.operator("SQUEEZE", [x], [y], ("SqueezeOptions", {}))
        return y

    def expand_dims(self, x: int, axis: int) -> int:
        """Add the tensor with another dimension of one element."""
        shape = list(self[x].shape)
        shape.insert(axis, 1)
        y = self.like(x, tuple(shape))
        self.file.operator("EXPAND_DIMS", [x, self.integers(axis)], [y], ("ExpandDimsOptions", {}))
        return y

    def pad_v2(self, x: int, paddings: Sequence[tuple[int, int]], value: int) -> int:
        """Add a padding with an integer."""
        spec = self[x]
        shape = tuple(n + sum(p) for n, p in zip(spec.shape, paddings, strict=True))
        constant = self.like(x, ())
        self[constant].data = np.array(value, spec.dtype)
        y = self.like(x, shape)
        operands = [x, self.integers(paddings), constant]
        self.file.operator("PADV2", operands, [y], ("PadV2Options", {}))
        return y

    def mirror_pad(self, x: int, paddings: Sequence[tuple[int, int]], *, edge: bool) -> int:
        """Add a padding with the reflection, at ``edge`` with the border itself."""
        shape = tuple(n + sum(p) for n, p in zip(self[x].shape, paddings, strict=True))
        y = self.like(x, shape)
        options = ("MirrorPadOptions", {"Mode": int(edge)})
        self.file.operator("MIRROR_PAD", [x, self.integers(paddings)], [y], options)
        return y

    def dequantize(self, x: int) -> int:
        """Add a conversion to float32."""
        y = self.file.tensor(self[x].shape, "float32", name="number")
        self.file.operator("DEQUANTIZE", [x], [y], ("DequantizeOptions", {}))
        return y

    def detection(
        self,
        boxes: int,
        scores: int,
        anchors: int,
        *,
        classes: int,
        detections: int = 10,
        classes_each: int = 1,
        **options: float | bool,
    ) -> list[int]:
        """Add the choice of boxes; more options by their names in the file."""
        lines = detections * classes_each
        shapes = ((1, lines, 4), (1, lines), (1, lines), (1,))
        ys = [self.file.tensor(shape, "float32", name="detections") for shape in shapes]
        scales = {"y_scale": 10.0, "x_scale": 10.0, "h_scale": 5.0, "w_scale": 5.0}
        thresholds = {"nms_score_threshold": 1e-8, "nms_iou_threshold": 0.6}
        counts = {
            "max_detections": detections, "max_classes_per_detection": classes_each,
            "num_classes": classes,
        }
        custom = bytes(flexbuffers.Dumps({**scales, **thresholds, **counts, **options}))
        self.file.operator(
            "TFLite_Detection_PostProcess", [boxes, scores, anchors], ys, custom=custom
        )
        return ys
