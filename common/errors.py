"""Errors whose message is meant for the person at the command line.

Every message is one sentence (or two short ones) that names the file, operator or tensor, the
rule, and what to do.  Command-line tools print ``error: <message>`` and exit non-zero; a
traceback is always a defect of ours.
"""


class SeparableError(Exception):
    """Base of every error that the user, not the developer, can act on."""


class ModelFormatError(SeparableError):
    """The file is not a readable TensorFlow Lite model (empty, truncated, damaged)."""


class UnsupportedError(SeparableError):
    """The model is valid but uses something that Separable does not run."""


class InputError(SeparableError):
    """An input image or raw tensor does not fit the network."""


class GraphError(SeparableError):
    """A graph broke one of its own rules; raised by :meth:`sw.ir.Graph.check`."""


class CacheError(SeparableError):
    """The cache cannot take what is to be built."""
