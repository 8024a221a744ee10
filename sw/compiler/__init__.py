"""The compiler: from a graph to the stream of records that a core runs.

- :mod:`sw.compiler.passes`: graph to graph;
- :mod:`sw.compiler.partition`: what the host runs, what the device;
- :mod:`sw.compiler.serial`, ``depthwise``, ``pooling``, ``addition``: operators to descriptors;
- :mod:`sw.compiler.turns`: orders of reading words, some of them twice;
- :mod:`sw.compiler.permute`, ``beyond``: orders of channels, and what weights beyond int8 cost;
- :mod:`sw.compiler.quantization`: requantisation, proven; :mod:`sw.compiler.sums`: that of ADD,
  with ``ratios`` and ``lines``; :mod:`sw.compiler.work`: how much is searched;
- :mod:`sw.compiler.layouts`, ``inputs``, ``units``, ``rows``: layouts of the network's input;
- :mod:`sw.compiler.segments`, ``chains``, ``bands``: what runs row by row, and how;
- :mod:`sw.compiler.crop`: bands of single layers that do not fit, for tests;
- :mod:`sw.compiler.memory`: addresses; :mod:`sw.compiler.encode`: words;
- :mod:`sw.compiler.choice`: which layout of the input; :mod:`sw.compiler.schedule`: all of it in
  order; :mod:`sw.compiler.program`: the result;
  ``storage``: files of it, with ``schema`` and ``validation``; ``collector``: its tensors;
- :mod:`sw.compiler.chunks`: inputs that arrive while the core runs; ``overlap``: the next ones;
- :mod:`sw.compiler.cycles`, ``timing``, ``feeder``, ``host``, ``port``: how long it takes.
"""

from sw.compiler.chunks import InputChunk
from sw.compiler.collector import Collector
from sw.compiler.overlap import Overlap
from sw.compiler.program import DeviceTensor, Program, ProgramLayer
from sw.compiler.schedule import compile_graph, compile_layer
from sw.compiler.storage import is_program
from sw.compiler.storage import load as load_program
from sw.compiler.storage import save as save_program

__all__ = [
    "Collector",
    "DeviceTensor",
    "InputChunk",
    "Overlap",
    "Program",
    "ProgramLayer",
    "compile_graph",
    "compile_layer",
    "is_program",
    "load_program",
    "save_program",
]
