"""Timing: the cycles of a program, exactly, with the program's words and the host's."""
