"""Timelines of inferences and maps of memory, as pictures and as pages."""
