"""Lowering: operators to descriptors, weights and parameters, and the order of channels."""
