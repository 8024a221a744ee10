"""Separable's software: importer, intermediate representation, golden model and tools."""
