"""``python -m sw.stream`` as a process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from support.places import REPOSITORY
from support.streams import tensor

from sw import golden, importer


def output(model: str, seed: int) -> list[int]:
    graph = importer.load(model)
    return [int(v) for v in golden.run(graph, tensor(seed))[graph.outputs[0]].ravel()]


def start(arguments: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "sw.stream", *arguments]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    # Python's buffers have to be there: it is our business that frames do not stay in them.
    env = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
    return subprocess.Popen(command, cwd=REPOSITORY, **({"env": env} | pipes | options))
