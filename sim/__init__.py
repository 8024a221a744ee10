"""Models and harnesses for simulation."""

import common.door  # noqa: F401  (before all that takes a while to import)
