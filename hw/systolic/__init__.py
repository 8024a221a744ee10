"""Systolic array: lanes of multiply-accumulate cells, weights held in place."""
