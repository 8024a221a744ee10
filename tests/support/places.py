"""Where things are: the checkout, and networks and images that are not part of the project."""

from __future__ import annotations

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("SEPARABLE_SHARED") or REPOSITORY.parent / "shared")
"""Networks (``models``) and images (``images``)."""
