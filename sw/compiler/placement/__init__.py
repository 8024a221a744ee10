"""Placement: what runs row by row, where tensors lie, and the descriptors in their order."""
