"""``python -m sw.stream``: frames from pictures, videos, cameras or a pipe, as they are recognised.

- :mod:`sw.stream.sources`, :mod:`sw.stream.video`: where frames come from;
- :mod:`sw.stream.prefetch`: the next frame is prepared while the current one is computed;
- :mod:`sw.stream.engine`: frames in, records out;
- :mod:`sw.stream.records`: what is known of a frame, of the stream, and their JSON;
- :mod:`sw.stream.view`, :mod:`sw.stream.web`: terminal and web page.
"""

from sw.stream.engine import Engine
from sw.stream.open import open_source
from sw.stream.records import Record, Statistics
from sw.stream.sources import Frame

__all__ = ["Engine", "Frame", "Record", "Statistics", "open_source"]
