"""Systolic array: lanes of multiply-accumulate cells, with the weights in memories beside them."""
