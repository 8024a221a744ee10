"""Results of inputs, as they are printed and in JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sw import host_report
from sw.inference import Run
from sw.networks import samples
from sw.outputs.detections import Found

__all__ = ["describe", "result_json", "summary"]

SHOWN = 16
"""Values of an output that are printed; JSON has all of them."""


def result_json(result: Run) -> dict[str, Any]:
    """Return an entry of ``results``."""
    flat = [output.ravel().tolist() for output in result.outputs]
    entry: dict[str, Any] = {
        "input": result.input,
        "output": flat[0] if len(flat) == 1 else flat,
        "top": result.top() if flat and result.found is None else [],
        "cycles": result.cycles,
        "exact": result.exact,
    }
    if result.found is not None:
        entry["found"] = [found.json() for found in result.found]
    if result.sample is not None:
        entry["truth"] = result.sample.truth
    if result.difference:
        entry["difference"] = result.difference
    return entry


def describe(
    result: Run, labels: Sequence[str], clock_mhz: float, *, host: bool = False,
    size: tuple[int, int] = (1, 1),
) -> list[str]:
    """Return the lines that are printed for a result.

    Parameters
    ----------
    result : Run
    labels : sequence of str
        Names of the classes, as far as they are known.
    clock_mhz : float
    host : bool
        The host computes, too: its time is told.
    size : (height, width)
        Pixels of a detector's picture.
    """
    if result.sample is not None and result.outputs:
        exact = {True: "exact", False: "NOT EXACT", None: ""}[result.exact]
        return [f"{samples.verdict(result.sample, result.top(1)[0])} {exact}".rstrip()]
    lines = [result.input]
    if result.found is not None:
        lines += _objects(result.found, size)
    elif result.outputs:
        values = result.outputs[0].ravel()
        for rank, number in enumerate(result.top()):
            label = f"  {labels[number]}" if 0 <= number < len(labels) else ""
            value = values[number if len(values) > 1 else 0]
            lines.append(f"  {'top' if not rank else '':8} {number:5}: {value:4}{label}")
    for output in result.outputs:
        first = output.ravel()[:SHOWN].tolist()
        shown = ", ".join(f"{v:.6g}" if isinstance(v, float) else str(v) for v in first)
        more = f", … ({output.size} values)" if output.size > SHOWN else ""
        lines.append(f"  output   [{shown}{more}]")
    if result.cycles is not None:
        seconds = result.cycles / (clock_mhz * 1e6)
        lines.append(
            f"  cycles   {result.cycles:,}: {seconds * 1e3:.2f} ms, {1 / seconds:.1f} inferences/s "
            f"at {clock_mhz:g} MHz"
        )
    if host and result.cycles is not None:
        rate = host_report.inferences_per_second(result.cycles, clock_mhz, result.host_seconds)
        in_all = "" if rate is None else f": {rate:,.1f} inferences/s in all, less the line's time"
        lines.append(f"  host     {result.host_seconds * 1e3:.2f} ms{in_all}")
    if result.exact is not None:
        lines.append(f"  exact    {'yes' if result.exact else 'NO'}")
    return lines


def _objects(found: Sequence[Found], size: tuple[int, int]) -> list[str]:
    """Return a line for each object that was found, in pixels of the network's picture."""
    if not found:
        return ["  found    nothing"]
    height, width = size
    return [
        f"  {'' if rank else 'found':8} {one.score:7.1%}  x {one.left * width:.4g} to "
        f"{(one.left + one.width) * width:.4g}, y {one.top * height:.4g} to "
        f"{(one.top + one.height) * height:.4g}  {one.label}"
        for rank, one in enumerate(found)
    ]


def summary(results: Sequence[Run]) -> list[str]:
    """Return the line that sums test images up; none for other inputs."""
    known = [result for result in results if result.sample is not None and result.outputs]
    if not known:
        return []
    right = sum(result.sample is not None and result.top(1)[0] == result.sample.truth
                for result in known)
    lines = [f"{right} of {len(known)} test images classified rightly"]
    if all(result.exact for result in known):
        lines[0] += ", all tensors compared are equal to the golden model's"
    return lines
