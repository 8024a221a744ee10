"""Separable's software: importer, intermediate representation, golden model and tools."""

import common.door  # noqa: F401  (before all that takes a while to import)
