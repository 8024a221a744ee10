"""The figures of README and docs: measured, kept in one file, and held against the text."""
