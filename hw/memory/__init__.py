"""Memories around the core."""
