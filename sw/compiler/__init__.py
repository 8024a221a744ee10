"""The compiler: from a graph to the stream of records that a core runs.

Its folders, in the order in which a network passes through them
(:mod:`sw.compiler.network` divides it into programs, :mod:`sw.compiler.pipeline` tells the order
for each, :mod:`sw.compiler.input_choice` picks the layout of the input):

- :mod:`sw.compiler.graph`: what the host runs and what the device, channels that are left out;
- :mod:`sw.compiler.exact`: the integers that give the reference's results, proven;
- :mod:`sw.compiler.input`: how the network's input lies in memory, and how it is read;
- :mod:`sw.compiler.lowering`: operators to descriptors and weights, and the order of channels;
- :mod:`sw.compiler.placement`: what runs row by row, where tensors lie, descriptors in order;
- :mod:`sw.compiler.program`: the result, as data and as a file;
- :mod:`sw.compiler.timing`: how many cycles it takes, exactly.

A folder imports from those above it, and all import from :mod:`sw.compiler.program`, which imports
from none.
"""

from sw.compiler.network import compile_network
from sw.compiler.pipeline import compile_graph, compile_layer
from sw.compiler.program.chunks import InputChunk
from sw.compiler.program.collector import Collector
from sw.compiler.program.overlap import Overlap
from sw.compiler.program.plan import HostOperator, Plan
from sw.compiler.program.program import Program, ProgramLayer
from sw.compiler.program.storage import is_program
from sw.compiler.program.storage import load as load_plan
from sw.compiler.program.storage import save as save_plan
from sw.compiler.program.tensors import DeviceTensor

__all__ = [
    "Collector",
    "DeviceTensor",
    "HostOperator",
    "InputChunk",
    "Overlap",
    "Plan",
    "Program",
    "ProgramLayer",
    "compile_graph",
    "compile_layer",
    "compile_network",
    "is_program",
    "load_plan",
    "save_plan",
]
