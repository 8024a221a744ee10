"""Fixed-point ReLU6 requantisers: from accumulators to int8 and back to memory."""
