"""Requantisation: from accumulators to int8, with the activation (ReLU6), and back to memory."""
